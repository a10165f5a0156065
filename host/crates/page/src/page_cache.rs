//! Whether the template of a page depends on the visitor.

use sluice_page_cache::{CacheRules, Dependence};
use sluice_template::Template;

/// The first thing that a template reads and that depends on the visitor. It counts wherever it stands in the
/// template. A translation is not among them, because the address can decide the language.
pub fn template_dependence(template: &Template, rules: &CacheRules) -> Option<Dependence> {
    let of_template = |what: String| Some(Dependence::Template(what));
    if template.names_customer() {
        return of_template("customer".to_owned());
    }
    if template.asks_host() {
        return of_template(if template.asks_crm() { "CRM calls" } else { "session items" }.to_owned());
    }
    for used in template.request_uses() {
        let Some(property) = &used.property else { return of_template("request".to_owned()) };
        match (property.as_str(), &used.within) {
            ("headers", Some(name)) if rules.has_header(name) => {}
            ("headers", Some(name)) => return of_template(format!("request.headers.{name}")),
            (property, _) if rules.dependence_on(property).is_some() => {
                return of_template(format!("request.{property}"));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependence(html: &str) -> Option<Dependence> {
        let template = Template::compile("pages/p.html", html, &()).unwrap();
        let rules = CacheRules {
            vary: vec!["accept-language".into()],
            other_headers: vec!["user-agent".into(), "referer".into()],
            ..CacheRules::default()
        };
        template_dependence(&template, &rules)
    }

    #[test]
    fn finds_every_way_to_read_the_visitor() {
        for html in [
            "{{ customer.email }}",
            "{{ customer }}",
            "@if(is_customer)x@endif",
            "<p v-if=\"is_customer\">x</p>",
            "{{ getUser() }}",
            "{{ getCustomer() }}",
            "{{ getSessionItem('a') }}",
            "@setSessionItem('a', 1)",
            "@clearSessionItem('a')",
            "{{ getCrmField({slug: 'a', fieldKey: 'b'}) }}",
            "{{ request.ip }}",
            "{{ request['ip6'] }}",
            "{{ request[var.name] }}",
            "{{ request.cookies.a }}",
            "{{ request.is_mobile }}",
            "{{ request.headers.referer }}",
            "{{ request.headers['user-agent'] }}",
            "{{ request.headers[var.name] }}",
            "{{ request.headers | json }}",
            "{{ request | json }}",
            "{{ dump(request) }}",
            "{{ (request).ip }}",
            "@set(r = request){{ r.ip }}",
            "@foreach(h in request.headers){{ h }}@endforeach",
            "@foreach(h in [request]){{ h.ip }}@endforeach",
            "{{ 'a' | default: request.ip }}",
            "{{ var.a or (true and request.ip) }}",
        ] {
            assert!(dependence(html).is_some(), "{html}");
        }
    }

    #[test]
    fn key_and_shared_values_do_not_count() {
        for html in [
            "{{ request.path }}{{ request.method }}{{ request.query.q }}{{ request.queries.q[0] }}",
            "{{ request.headers.host }}{{ request.headers['accept-language'] }}",
            "{{ query.q }}{{ route_slug }}{{ route_params.a }}{{ request.body }}",
            "{{ var.request }}{{ 'now' | date: 'yyyy' }}@set(request_ip = 1){{ request_ip }}",
        ] {
            assert_eq!(dependence(html), None, "{html}");
        }
    }
}
