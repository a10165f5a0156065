//! Attacks as data: `tests/attacks/*.toml`, against a real server on each database, over raw sockets.
//!
//! ```toml
//! [[group]]
//! about = "what the attacks of this group have in common"
//! request = 'GET $1 HTTP/1.1\r\nhost: shop.example\r\n\r\n'  # sent as it is, after the escapes below
//! page = "<script scope=\"backend\">$1</script>"  # a page of the hostile brand; requested if there is no `request`
//! status = [400]                # the statuses that are allowed; 0 is a connection closed without an answer
//! contains = ["$2"]             # texts that the answer (head and body) must contain
//! lacks = ["<b>"]               # texts that the answer must not contain, compared without case
//! outcome = "fuel"              # of the run, from the log
//! cases = ["/%2e%2e/a", ["/b", "text"]]  # `$1`, `$2` … in the texts above
//! ```
//!
//! Escapes of `request`: `\r`, `\n`, `\t`, `\\`, `\xFF` for a byte, `@{N:TEXT}` for N times TEXT and
//! `@{length}` for the number of bytes after the first empty line. `$page` is the path of the case's page.
//!
//! After each attack, the pages of another brand are served, and no answer contains the markup that an
//! access rule guards, the source of a backend script, a secret, or another customer's data. The host does
//! not panic.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserialize;
use sluice_test_support::postgres::Database;

use crate::harness::{Server, ServerOptions, TestSite, folders};

/// The least number of attacks.
const CASES_MIN: usize = 400;

/// What no answer may contain.
const NEVER: [&str; 5] =
    ["GUARDED-MARKUP", "BACKEND-SOURCE", "TOP-SECRET-VALUE", "PRIVATE-OF-ANN", "panicked at"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    about: String,
    request: Option<String>,
    page: Option<String>,
    status: Vec<u16>,
    #[serde(default)]
    contains: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
    outcome: Option<String>,
    cases: Vec<Parts>,
}

/// The texts of one attack: `$1`, `$2` …
#[derive(Deserialize)]
#[serde(untagged)]
enum Parts {
    One(String),
    Several(Vec<String>),
}

/// One attack.
struct Attack {
    name: String,
    request: Vec<u8>,
    page: Option<(String, String)>,
    status: Vec<u16>,
    contains: Vec<String>,
    lacks: Vec<String>,
    outcome: Option<String>,
}

impl Parts {
    fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }

    /// Replaces `$1`, `$2` … in `text`.
    fn fill(&self, text: &str) -> String {
        let numbered = self.texts().iter().enumerate();
        numbered.fold(text.to_owned(), |text, (index, part)| text.replace(&format!("${}", index + 1), part))
    }
}

fn corpus() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut files: Vec<_> =
        fs::read_dir(folders::parent("attacks")).unwrap().map(|file| file.unwrap().path()).collect();
    // The addresses of `http-urls.txt` are for calls of scripts to other servers.
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    for file in files {
        let class = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let parsed: File = toml::from_str(&fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for group in parsed.group {
            for case in &group.cases {
                let number = attacks.len();
                let page_path = format!("/{class}-{number}");
                let page =
                    group.page.as_ref().map(|page| (format!("{}.html", &page_path[1..]), case.fill(page)));
                let own = format!("GET {page_path} HTTP/1.1\\r\\nhost: evil.example\\r\\n\\r\\n");
                let request =
                    case.fill(group.request.as_deref().unwrap_or(&own)).replace("$page", &page_path);
                let all = |texts: &[String]| texts.iter().map(|text| case.fill(text)).collect();
                let mut shown = case.texts().join(" | ");
                shown.truncate(shown.floor_char_boundary(120));
                attacks.push(Attack {
                    name: format!("{class}: {}: {shown}", group.about),
                    request: bytes(&request),
                    page,
                    status: group.status.clone(),
                    contains: all(&group.contains),
                    lacks: all(&group.lacks),
                    outcome: group.outcome.clone(),
                });
            }
        }
    }
    attacks
}

/// Applies the escapes of `request`.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '@']) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        if let Some(repeated) = rest.strip_prefix("@{").filter(|rest| !rest.starts_with("length}")) {
            let (count, part) = repeated.split_once(':').unwrap();
            let (part, after) = part.split_once('}').unwrap();
            out.extend(bytes(part).repeat(count.parse().unwrap()));
            rest = after;
        } else if let Some(hex) = rest.strip_prefix("\\x") {
            out.push(u8::from_str_radix(&hex[..2], 16).unwrap());
            rest = &hex[2..];
        } else if let Some(escaped) = rest.strip_prefix('\\') {
            out.push(match escaped.as_bytes()[0] {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                other => other,
            });
            rest = &escaped[1..];
        } else {
            out.push(b'@');
            rest = &rest[1..];
        }
    }
    out.extend_from_slice(rest.as_bytes());
    let marker = b"@{length}";
    let Some(at) = out.windows(marker.len()).position(|window| window == marker) else { return out };
    let end = out.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let length = (out.len() - end - 4).to_string();
    out.splice(at..at + marker.len(), length.into_bytes());
    out
}

const LOGIN: &str = r#"<script scope="backend">
if (request.query.who === "ann") {
  session.setCustomer({ email: "ann@example.com", name: "PRIVATE-OF-ANN" });
  setCrmField({ slug: "notes", fieldKey: "note", value: "PRIVATE-OF-ANN" });
}
response.send("logged in");
</script>"#;

/// Shows what visitors send in many kinds of places.
const MIRROR: &str = r#"<script scope="backend">
const source = "BACKEND-SOURCE";
setVariable("q", request.query.q ?? "");
if ({}.polluted !== undefined) setVariable("q", "polluted-prototype");
setVariable("body", request.body);
setVariable("agent", request.headers["user-agent"] ?? "");
</script>
<p>{{ var.q }}</p><a title="{{ var.q }}" href="{{ var.q }}">{{ request.path }}</a><i class={{ var.q }}></i>
<script>const q = "{{ var.q }}"; const all = {{ var | json }};</script><style>p { color: {{ var.q }} }</style>
<pre>{{ dump(request) }}</pre>"#;

const GUARD: &str = r#"<script scope="backend">
if (!is_customer) redirect("/login");
const body = request.body;
</script><p>GUARDED-MARKUP</p>"#;

fn site(attacks: &[Attack]) -> TestSite {
    let site = TestSite::new();
    for (file, text) in [
        (
            "brands/shop/brand.toml",
            "default = true\ndomains = [\"shop.example\"]\nform_bodies = true\n[[access]]\npath = \"/members/**\"\nrequire = \"customer\"\nredirect = \"/login\"\n",
        ),
        ("brands/shop/crm.toml", "[[entity]]\nslug = \"notes\"\n"),
        ("brands/shop/pages/index.html", "<p>start</p>"),
        ("brands/shop/pages/login.html", LOGIN),
        ("brands/shop/pages/mirror.html", MIRROR),
        ("brands/shop/pages/guard.html", GUARD),
        ("brands/shop/pages/members/index.html", "<p>GUARDED-MARKUP</p>"),
        ("brands/shop/pages/blog/{slug}.html", "<p>{{ request.route_slug }}</p>"),
        ("brands/shop/modules/prices.js", "export const secret = 'BACKEND-SOURCE';"),
        ("brands/shop/layouts/main.html", "BACKEND-SOURCE @yield('a')"),
        ("brands/shop/components/part.html", "BACKEND-SOURCE"),
        ("brands/shop/public/open.txt", "open"),
        ("brands/shop/public/members/file.txt", "GUARDED-MARKUP"),
        ("brands/shop/public/.hidden", "BACKEND-SOURCE"),
        ("brands/guest/brand.toml", "domains = [\"guest.example\"]\n"),
        (
            "brands/guest/pages/index.html",
            "<script scope=\"backend\">setVariable('a', 1 + 1)</script>guest {{ var.a }}",
        ),
        (
            "brands/evil/brand.toml",
            "domains = [\"evil.example\"]\n[limits]\nfuel = 200_000_000\ntemplate_fuel = 20_000_000\n",
        ),
        ("brands/evil/crm.toml", "[[entity]]\nslug = \"notes\"\n"),
        ("brands/evil/components/again.html", "@component('again')"),
        ("brands/evil/pages/index.html", "evil"),
    ] {
        site.write(file, text);
    }
    for (file, text) in attacks.iter().filter_map(|attack| attack.page.as_ref()) {
        site.write(&format!("brands/evil/pages/{file}"), text);
    }
    site
}

/// Sends `request`, and returns everything that comes back until the connection is closed.
fn send(to: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The server may answer and close before it has read everything. Then the rest cannot be sent, and
    // the connection may be reset. What came back until then decides.
    let _sent = stream.write_all(request).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "the server hangs");
    }
    answer
}

fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn mistake(attack: &Attack, server: &Server) -> Option<String> {
    let answer = send(server.address, &attack.request);
    let answer = String::from_utf8_lossy(&answer);
    let status = status_of(&answer);
    let lower = answer.to_lowercase();
    let mut wrong = Vec::new();
    if !attack.status.contains(&status) {
        wrong.push(format!("status {status}, not {:?}", attack.status));
    }
    wrong.extend(NEVER.iter().filter(|text| answer.contains(**text)).map(|text| format!("contains {text}")));
    let lacking = attack.contains.iter().filter(|text| !answer.contains(text.as_str()));
    wrong.extend(lacking.map(|text| format!("lacks {text:?}")));
    let forbidden = attack.lacks.iter().filter(|text| lower.contains(&text.to_lowercase()));
    wrong.extend(forbidden.map(|text| format!("contains {text:?}")));
    if let (Some(outcome), Some((file, _))) = (&attack.outcome, &attack.page) {
        let page = format!("pages/{file}");
        let runs = || server.log_entries(&[("page", &page)]);
        server.wait_until("the run is in the log", || {
            runs().iter().any(|run| run["fields"]["outcome"].is_string())
        });
        let outcomes: Vec<_> = runs().iter().map(|run| run["fields"]["outcome"].clone()).collect();
        if !outcomes.iter().all(|seen| seen.as_str() == Some(outcome)) {
            wrong.push(format!("outcome {outcomes:?}, not {outcome}"));
        }
    }
    let guest = server.get("guest.example", "/");
    if (guest.status, guest.body.as_str()) != (200, "guest 2") {
        wrong.push(format!("the other brand gets {} {:?}", guest.status, guest.body));
    }
    let shown: String = answer.chars().take(400).collect();
    (!wrong.is_empty()).then(|| format!("{}\n    {}\n    {shown:?}", attack.name, wrong.join("\n    ")))
}

fn holds(start: impl FnOnce(ServerOptions) -> ServerOptions) {
    let attacks = corpus();
    assert!(attacks.len() >= CASES_MIN, "{} attacks", attacks.len());
    let site = site(&attacks);
    let options = ServerOptions::of(site.path()).env("SLUICE_SECRET_SHOP_API_KEY", "TOP-SECRET-VALUE");
    let mut server = start(options).start();
    // Somebody else's data is there to be stolen.
    assert_eq!(server.get("shop.example", "/login?who=ann").body, "logged in");
    let wrong: Vec<String> = attacks.iter().filter_map(|attack| mistake(attack, &server)).collect();
    assert!(wrong.is_empty(), "{} of {} attacks:\n{}", wrong.len(), attacks.len(), wrong.join("\n"));
    assert!(server.told("panicked").is_empty(), "{:#?}", server.told("panicked"));
    assert!(server.terminate().success(), "the host stops in order");
}

#[test]
fn attacks_fail_on_sqlite() {
    holds(|options| options);
}

#[test]
fn attacks_fail_on_postgresql() {
    let database = Database::create();
    let url = database.url();
    holds(|options| options.postgres(&url));
}
