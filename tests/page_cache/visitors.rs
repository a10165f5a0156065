//! Everything that depends on the visitor, read in every way. For each, there is a page with a cache and the same
//! page without one. A second visitor must get from the former what the latter gives.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Request, Server, ServerOptions, TestSite};
use crate::http_calls::{Remote, response};

/// Scripts that end with what they have read as `value`.
const SCRIPTS: &[&str] = &[
    // Each part of the request.
    "const value = request.cookies;",
    "const value = request.cookies.who;",
    "const value = 'who' in request.cookies;",
    "const value = Object.keys(request.cookies).length;",
    "const value = request.ip;",
    "const value = [request.ip6, request.ip].join();",
    "const value = request.is_mobile;",
    "const value = request.is_tablet;",
    "const value = request.headers['user-agent'];",
    "const value = request.headers['referer'];",
    "const value = request.headers['x-own'];",
    "const value = request.headers['accept-language'];",
    "const value = request.headers['X-Own'.toLowerCase()];",
    "const value = 'x-own' in request.headers;",
    "const value = request.headers.hasOwnProperty('x-own');",
    "const value = Object.hasOwn(request.headers, 'x-own');",
    "const value = Object.keys(request.headers);",
    "const value = Object.getOwnPropertyNames(request.headers);",
    "const value = Object.entries(request.headers);",
    "const value = Object.getOwnPropertyDescriptor(request.headers, 'x-own')?.value;",
    "const value = Object.values(Object.getOwnPropertyDescriptors(request.headers)).map((one) => one.value);",
    "const value = Reflect.ownKeys(request.headers);",
    "const value = { ...request.headers };",
    "const value = []; for (const name in request.headers) value.push(name);",
    "const { 'x-own': value } = request.headers;",
    "const { referer, ...value } = request.headers;",
    "const value = Object.assign({}, request.headers);",
    "const value = structuredClone(request.headers);",
    "const value = JSON.stringify(request.headers);",
    "const value = Object.fromEntries(Object.entries(request.headers));",
    // The whole request.
    "const value = JSON.stringify(request);",
    "const value = Object.entries(request);",
    "const value = Object.values(request);",
    "const value = { ...request };",
    "const value = Object.assign({}, request);",
    "const value = structuredClone(request);",
    "const value = Object.getOwnPropertyDescriptor(request, 'ip').get?.call(request) ?? request.ip;",
    "const { ip: value } = request;",
    "const { path, method, ...value } = request;",
    "const value = Reflect.get(request, 'cookies');",
    "const value = Object.create(request).ip;",
    "const value = globalThis.request.cookies;",
    "const value = eval('request.cookies');",
    "const value = new Function('return request.ip')();",
    "const value = new Proxy({}, { get: (_, name) => request[name] }).ip;",
    "const value = (0, eval)('request').headers['user-agent'];",
    "const seen = []; JSON.stringify(request, (key, value) => (seen.push(value), value)); const value = seen.flat();",
    "let value; try { request.ip.x.y; } catch (error) { value = request.ip; }",
    // With a built-in function that the script has replaced.
    "Array.prototype[Symbol.iterator] = function* () {}; const value = request.cookies.who;",
    // What a variable or a header makes of it.
    "setVariable('request', request); const value = getVariable('request');",
    "setVariable('a', { b: [request.headers] }); const value = getVariable('a');",
    "setHeader('x-made', String(request.ip)); const value = request.ip;",
    "console.log(request); const value = request.ip;",
    // A helper in a module.
    "import { who } from 'helper'; const value = who();",
    "import * as helper from 'helper'; const value = helper.all();",
    "import { later } from 'helper'; const value = await later();",
    // The session and the customer.
    "const value = session.get('who');",
    "const value = customer;",
    "const value = is_customer;",
    "const value = getCustomer();",
    "const value = getUser();",
    "const value = customer?.email ?? 'nobody';",
    "const value = session.getToken() === null;",
    "const value = getCrmField({ slug: 'leads', fieldKey: 'who' });",
    "const value = getCrmEntries({ slug: 'leads' });",
    "const value = getCrmFieldValues({ slug: 'leads', fieldKey: 'who' });",
];

/// Scripts that change built-in functions which the engine uses. What they read may differ from what they would read
/// without a cache, but it is nothing of another visitor.
const TAMPERING: &[&str] = &[
    "Object.defineProperty(Object.prototype, 'files', { get() { return this.cookies?.who; } }); const value = request.files;",
    "Object.defineProperty(Object.prototype, 'sluice:hidden', { get() { return []; }, set() {} }); const value = request;",
    "Object.defineProperty(Object.prototype, 'ip', { get() { return 'x'; }, set() {} }); const value = request.ip;",
    "String.prototype.slice = () => ''; const value = request.headers.referer;",
    "Array.prototype[Symbol.iterator] = function* () {}; const value = JSON.stringify(request);",
    "Object.prototype.headers = { referer: 'x' }; const value = request.headers.referer;",
    "Object.defineProperty(Object.prototype, '0', { set(v) { this.length = 0; } }); const value = JSON.stringify(request);",
    "Object.prototype.toJSON = function () { return this === request ? { ...request } : this; }; const value = request;",
    "const seen = []; Object.prototype.valueOf = function () { seen.push({ ...this }); return 1; }; +request; const value = seen;",
];

/// Templates of pages whose scripts set the variable `ip`, without having read it if the template does not show it.
const TEMPLATES: &[&str] = &[
    "{{ request.ip }}",
    "{{ request['ip'] }}",
    "{{ request.cookies.who }}",
    "{{ request.headers['x-own'] }}",
    "{{ request.headers | json }}",
    "{{ request | json }}",
    "{{ dump(request) }}",
    "@set(r = request){{ r.ip }}",
    "@foreach(c in [request.cookies]){{ c.who }}@endforeach",
    "@component(\"who\", {r: request})",
    "@component(\"direct\")",
    "@extends(\"whole\")@block(\"b\")x@endblock",
    "@if(request.is_mobile)phone@else desk@endif",
    "<p v-if=\"is_customer\">customer</p><p v-else>nobody</p>",
    "{{ customer.email }}",
    "{{ getUser().email }}",
    "{{ getSessionItem('who') }}",
    "{{ getCrmField({slug: 'leads', fieldKey: 'who'}) }}",
    "{{ t('hello') }}",
    "{{ locale }}",
];

const HELPER: &str = "export const who = () => request.cookies.who;
export const all = () => ({ ...request.headers });
export const later = async () => { await null; return request.ip; };";

/// Logs the visitor in.
const LOGIN: &str = "<script scope=\"backend\">
    const { who } = request.query;
    session.setCustomer({ email: `${who}@example.com`, id: who });
    session.set('who', who);
    setCrmField({ slug: 'leads', fieldKey: 'who', value: who });
    response.send(who);
</script>";

struct Visitor {
    name: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Visitor {
    fn new(server: &Server, name: &'static str, own: &[(&'static str, &str)]) -> Self {
        let login = Request::get(&format!("/login?who={name}")).send(server.address);
        assert_eq!(login.body, name, "{login:?}");
        let cookie = format!(
            "{}; who={name}{}",
            login.session_cookie().unwrap(),
            if name == "ann" { "; more=1" } else { "" }
        );
        let mut headers: Vec<_> = own.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        headers.push(("cookie", cookie));
        Self { name, headers }
    }

    fn ask(&self, server: &Server, path: &str) -> String {
        let request = Request::get(path);
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send(server.address);
        // The pages with and without a cache differ by their address.
        format!("{} {}", answer.status, answer.body.replace("/cached/", "/plain/"))
    }
}

/// A page that answers with what a script has read.
fn page_of(script: &str) -> String {
    format!(
        "<script scope=\"backend\">{script}\nresponse.send(JSON.stringify(value) ?? 'undefined');</script>"
    )
}

/// A site with each page twice: with a cache and without one.
fn site(pages: &[String]) -> TestSite {
    let mut toml =
        "default = true\n[translations]\nen = { hello = \"Hello\" }\nde = { hello = \"Hallo\" }\n".to_owned();
    let site = TestSite::with(&[
        ("modules/helper.js", HELPER),
        ("pages/login.html", LOGIN),
        ("components/who.html", "<i>{{ r.ip }}</i>"),
        ("components/direct.html", "<i>{{ request.ip }}</i>"),
        ("layouts/whole.html", "<b>{{ request.cookies.who }}</b>@yield(\"b\")"),
        ("crm.toml", "[[entity]]\nslug = \"leads\"\nname = \"Leads\"\n[[entity.field]]\nkey = \"who\"\n"),
    ]);
    for (number, page) in pages.iter().enumerate() {
        for folder in ["plain", "cached"] {
            site.write(&format!("brands/demo/pages/{folder}/p{number}.html"), page);
            let cache = if folder == "cached" { "\ncache = { ttl = \"1h\", stale = \"1h\" }" } else { "" };
            writeln!(toml, "[[page]]\npath = \"/{folder}/p{number}\"\nheaders = [\"x-own\"]{cache}").unwrap();
        }
    }
    site.write("brands/demo/brand.toml", &toml);
    site
}

fn start(site: &TestSite) -> Server {
    ServerOptions::of(site.path()).env("SLUICE_SERVER__TRUSTED_PROXIES", "[\"127.0.0.1\"]").start()
}

/// Three visitors who differ in everything.
fn visitors(server: &Server) -> [Visitor; 3] {
    let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148";
    let tablet = "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X)";
    let of_ann = [
        ("user-agent", phone),
        ("referer", "http://ann.example/"),
        ("x-own", "of-ann"),
        ("accept-language", "de"),
        ("x-forwarded-for", "203.0.113.1"),
    ];
    let of_bob = [("user-agent", tablet), ("x-forwarded-for", "203.0.113.2"), ("accept-language", "en")];
    let stranger = vec![("x-forwarded-for", "2001:db8::3".to_owned())];
    [
        Visitor::new(server, "ann", &of_ann),
        Visitor::new(server, "bob", &of_bob),
        Visitor { name: "stranger", headers: stranger },
    ]
}

#[test]
fn second_visitor_gets_no_answer_of_the_first() {
    let templates = TEMPLATES.iter().map(|template| (*template).to_owned());
    let pages: Vec<String> = SCRIPTS.iter().map(|script| page_of(script)).chain(templates).collect();
    let site = site(&pages);
    let server = start(&site);
    let visitors = visitors(&server);
    let mut leaks = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        let (cached, plain) = (format!("/cached/p{number}"), format!("/plain/p{number}"));
        let expected = visitors.each_ref().map(|visitor| visitor.ask(&server, &plain));
        assert!(expected[1].starts_with("200"), "{page}: {expected:?}");
        for round in 0..2 {
            for (visitor, expected) in visitors.iter().zip(&expected) {
                let got = visitor.ask(&server, &cached);
                if got != *expected {
                    let name = visitor.name;
                    leaks.push(format!("{page}\n  {name} in round {round}: {got}\n  instead of {expected}"));
                }
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    assert_eq!(super::count(&server, "miss"), 0.0, "an answer was kept");
}

#[test]
fn tampering_with_the_engine_shows_no_visitor_to_another() {
    let pages: Vec<String> = TAMPERING.iter().map(|script| page_of(script)).collect();
    let site = site(&pages);
    let server = start(&site);
    let [ann, bob, stranger] = visitors(&server);
    for (number, page) in pages.iter().enumerate() {
        let path = format!("/cached/p{number}");
        for _ in 0..2 {
            ann.ask(&server, &path);
            for other in [&bob, &stranger] {
                let got = other.ask(&server, &path);
                for of_ann in ["ann", "iPhone", "203.0.113.1"] {
                    assert!(!got.contains(of_ann), "{page}: {} gets {got}", other.name);
                }
            }
        }
    }
}

#[test]
fn random_numbers_and_effects_happen_for_every_visitor() {
    let scripts = [
        ("Math.random()", "random"),
        ("crypto.randomUUID()", "random"),
        ("crypto.getRandomValues(new Uint8Array(8)).join()", "random"),
        ("(cookie.set('a', String(Date.now())), 'x')", "set_cookie"),
        ("(cookie.delete('a'), 'x')", "set_cookie"),
        ("(session.set('a', 1), 'x')", "session"),
        ("(session.clearCustomer(), 'x')", "session"),
        ("storage.increment('n')", "call"),
        ("cache.increment('n')", "call"),
        ("storage.set('a', 1)", "call"),
        ("storage.del('a')", "call"),
        ("storage.setIfAbsent('a', 1)", "call"),
        ("storage.mutate('m', (n) => (n ?? 0) + 1)", "call"),
        ("createCrmEntry({ slug: 'leads', reference: 'r', fields: { who: 'x' } })", "call"),
        (
            "setCrmField({ slug: 'leads', reference_id: 'r', fieldKey: 'who', value: 'x', async: true })",
            "call",
        ),
        ("queue.push('jobs', {}) !== null", "call"),
        ("cache.purge('posts')", "call"),
    ];
    let mut toml = "default = true\n".to_owned();
    let site = TestSite::with(&[
        ("modules/jobs.js", "export default () => {};"),
        ("crm.toml", "[[entity]]\nslug = \"leads\"\nname = \"Leads\"\n[[entity.field]]\nkey = \"who\"\n"),
    ]);
    for (number, (script, _)) in scripts.iter().enumerate() {
        let page = format!(
            "<script scope=\"backend\">let value; try {{ value = {script}; }} catch (error) {{ value = error.message; }}\n\
             response.send(String(JSON.stringify(value)));</script>"
        );
        site.write(&format!("brands/demo/pages/p{number}.html"), &page);
        writeln!(toml, "[[page]]\npath = \"/p{number}\"\ncache = {{ ttl = \"1h\", tags = [\"posts\"] }}")
            .unwrap();
    }
    site.write("brands/demo/brand.toml", &toml);
    let server = ServerOptions::of(site.path()).start();
    for (number, (script, reason)) in scripts.iter().enumerate() {
        let refused = || {
            let labels = ["result=\"refused\"", &format!("reason=\"{reason}\"")];
            server.metric("sluice_page_cache_requests_total", &labels)
        };
        let before = refused();
        let [first, second] = [(); 2].map(|()| server.get("localhost", &format!("/p{number}")));
        assert_eq!(refused() - before, 2.0, "{script}: {first:?} {second:?}");
        if *reason == "random" {
            assert_ne!(first.body, second.body, "{script}");
        }
        assert_eq!(first.header("set-cookie").is_some(), second.header("set-cookie").is_some(), "{script}");
    }
}

#[test]
fn shared_values_may_be_read() {
    let scripts = [
        "request.path",
        "request.method",
        "request.query.q",
        "request.queries",
        "request.route_params",
        "request.headers.host",
        "request.headers['accept-language']",
        "request.headers.missing",
        "request.body",
        "request.text()",
        "request.files",
        "getVariable('offer')",
        "Date.now()",
        "new Date().toISOString()",
        "storage.get('a')",
        "storage.list()",
        "cache.get('a')",
        "cache.set('a', 1)",
        "secrets.get('NONE')",
        "findCrmEntries({ slug: 'leads' })",
        "getCrmField({ slug: 'leads', reference_id: 'r', fieldKey: 'who' })",
        "Schema.string().validate('x')",
        "[3, 1, 2].sort().map(String)",
        "console.log('x')",
        "setVariable('a', 1)",
        "setHeader('x-made', 'a')",
        "typeof request.cookies === 'object' ? 1 : 1",
    ];
    let mut toml = "default = true\n[variables]\noffer = \"Spring\"\n".to_owned();
    let site = TestSite::with(&[(
        "crm.toml",
        "[[entity]]\nslug = \"leads\"\nname = \"Leads\"\n[[entity.field]]\nkey = \"who\"\n",
    )]);
    for (number, script) in scripts.iter().enumerate() {
        let page = format!(
            "<script scope=\"backend\">setVariable('value', {script});</script>{{{{ var.value | json }}}}"
        );
        site.write(&format!("brands/demo/pages/p{number}.html"), &page);
        let cache = "cache = { ttl = \"1h\", vary = [\"accept-language\"] }";
        writeln!(toml, "[[page]]\npath = \"/p{number}\"\n{cache}").unwrap();
    }
    site.write("brands/demo/brand.toml", &toml);
    let server = ServerOptions::of(site.path()).start();
    for (number, script) in scripts.iter().enumerate() {
        let hits = || server.metric("sluice_page_cache_requests_total", &["result=\"hit\""]);
        let before = hits();
        let [first, second] = [(); 2].map(|()| server.get("localhost", &format!("/p{number}?q=1")));
        assert_eq!(first.status, 200, "{script}: {first:?}");
        // The last one shows that reading is enough.
        let expected = if *script == scripts[scripts.len() - 1] { 0.0 } else { 1.0 };
        assert_eq!(hits() - before, expected, "{script}: {second:?}");
    }
}

#[test]
fn calls_of_other_servers_are_kept_only_if_they_read_and_succeed() {
    let asked = AtomicUsize::new(0);
    let remote = Remote::start(move |head, _| match head.split(' ').nth(1).unwrap() {
        "/order" => response("200 OK", "", "ordered"),
        _ => {
            // The first answer comes too late.
            if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                thread::sleep(Duration::from_secs(3));
            }
            response("200 OK", "", "fresh")
        }
    });
    let page = |call: &str| {
        format!(
            "<script scope=\"backend\">let text = \"none\"; try {{ text = await (await {call}).text(); }} catch {{}}\n\
             response.send(text);</script>"
        )
    };
    let url = remote.url();
    let site = TestSite::with(&[
        ("pages/order.html", &page(&format!("fetch('{url}/order', {{ method: 'POST' }})"))),
        ("pages/news.html", &page(&format!("fetch('{url}/news')"))),
        (
            "brand.toml",
            &format!(
                "default = true\n[limits]\nhttp_wall_ms_max = 1_000\n[http]\nallow = [\"{}\"]\n\
                 [[page]]\npath = \"/order\"\ncache = {{ ttl = \"1h\" }}\n\
                 [[page]]\npath = \"/news\"\ncache = {{ ttl = \"1h\" }}\n",
                remote.address
            ),
        ),
    ]);
    let private = "[\"127.0.0.9/32\"]";
    let server = ServerOptions::of(site.path()).env("SLUICE_HTTP__PRIVATE_NETWORKS", private).start();
    for _ in 0..3 {
        assert_eq!(server.get("localhost", "/order").body, "ordered");
    }
    let orders = || remote.requests().iter().filter(|(head, _)| head.starts_with("POST /order")).count();
    assert_eq!(orders(), 3, "each visitor has ordered");
    // What a script makes of a failure is not kept for others.
    assert_eq!(server.get("localhost", "/news").body, "none");
    let hits = || server.metric("sluice_page_cache_requests_total", &["result=\"hit\""]);
    server.wait_until("the news are kept", || {
        let body = server.get("localhost", "/news").body;
        assert!(["none", "fresh"].contains(&&*body), "{body}");
        hits() > 0.0
    });
    let calls = remote.requests().len();
    for _ in 0..3 {
        assert_eq!(server.get("localhost", "/news").body, "fresh");
    }
    assert_eq!(remote.requests().len(), calls);
}
