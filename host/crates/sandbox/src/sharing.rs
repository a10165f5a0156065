//! Runs of pages that ask for a cache: what the visitor decides stays on the host until the script reads it, so
//! that the host knows whether the answer depends on it.
//!
//! The engine is not trusted with that: what it has not asked for is not in the sandbox.

use std::sync::Arc;

use serde_json::{Map, Value};

use sluice_page_cache::{CacheRules, Dependence};

use crate::RunState;

/// The name of the property of `request` that lists what is hidden.
const HIDDEN: &str = "sluice:hidden";

/// Whether the answer of a run may be kept for other visitors.
#[derive(Debug, Clone, Default)]
pub struct Sharing(Option<Arc<CacheRules>>);

impl Sharing {
    /// A run whose answer may be kept, if it does not depend on the visitor.
    pub fn within(rules: &Arc<CacheRules>) -> Self {
        Self(Some(Arc::clone(rules)))
    }

    /// Whether the page asks for it.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// What the page asks of the cache. `None` if the answer is for one visitor in any case.
    pub(crate) fn rules(&self) -> Option<Arc<CacheRules>> {
        self.0.clone()
    }
}

impl RunState {
    /// Notes that the answer depends on the visitor. The first reason counts.
    pub(crate) fn depends_on(&mut self, dependence: Dependence) {
        if self.context.sharing.0.is_some() {
            self.dependence.get_or_insert(dependence);
        }
    }
}

/// `request` without what the visitor decides. The properties keep their order.
pub(crate) fn shared(request: &Value, rules: &CacheRules) -> Value {
    let given = |name: &str, value: &Value| match (name, value) {
        ("headers", Value::Object(headers)) => {
            let of_key = headers.iter().filter(|(name, _)| rules.has_header(name));
            Value::Object(of_key.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        (name, _) if rules.hides(name) => Value::Null,
        (_, value) => value.clone(),
    };
    let properties = request.as_object().into_iter().flatten();
    let mut shared: Map<String, Value> =
        properties.map(|(name, value)| (name.clone(), given(name, value))).collect();
    shared.insert(HIDDEN.to_owned(), rules.hidden().collect());
    Value::Object(shared)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sandbox_gets_only_what_is_in_the_key() {
        let request = json!({
            "method": "GET", "path": "/a", "query": {"q": "1"},
            "headers": {"user-agent": "secret", "accept-language": "de", "x-own": "secret", "host": "h"},
            "cookies": {"a": "secret"}, "ip": "secret", "ip6": null, "is_mobile": true, "is_tablet": true,
            "route_slug": "s",
        });
        let rules = CacheRules {
            vary: vec!["accept-language".into()],
            other_headers: vec!["user-agent".into(), "x-own".into()],
            ..CacheRules::default()
        };
        let shared = shared(&request, &rules);
        assert_eq!(
            shared,
            json!({
                "method": "GET", "path": "/a", "query": {"q": "1"},
                "headers": {"accept-language": "de", "host": "h"},
                "cookies": null, "ip": null, "ip6": null, "is_mobile": null, "is_tablet": null,
                "route_slug": "s",
                "sluice:hidden": ["cookies", "ip", "ip6", "is_mobile", "is_tablet", "headers.user-agent", "headers.x-own"],
            })
        );
        let names =
            |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
        assert_eq!(names(&shared).map(|names| names[..10].to_vec()), names(&request));
    }
}
