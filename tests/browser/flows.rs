//! The flows of the sample site that reach other servers, in Chromium: first as it comes, without any of them, and then
//! with servers that the test starts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::Walk;
use crate::dev::behind::nobody;
use crate::harness::{Server, ServerOptions, folders};
use crate::http_calls::{Remote, response};

fn sample() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts")
}

/// A picture of one pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A copy of the sample site whose servers are at `remote`.
fn configured(remote: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    folders::copy(&sample(), folder.path());
    let file = folder.path().join("brands/millrace/brand.toml");
    let mut settings = std::fs::read_to_string(&file).unwrap();
    for (from, to) in [
        ("mail_api = \"\"", format!("mail_api = \"http://{remote}/send\"")),
        ("sso_issuer = \"\"", format!("sso_issuer = \"http://{remote}\"")),
        ("grain_api = \"\"", format!("grain_api = \"http://{remote}\"")),
        ("[\"api.mail.example\", \"id.example\", \"grain.example\"]", format!("[\"{remote}\"]")),
        ("[\"api.mail.example\"]", format!("[\"{remote}\"]")),
        ("[\"id.example\"]", format!("[\"{remote}\"]")),
    ] {
        assert!(settings.contains(from), "{from}");
        settings = settings.replace(from, &to);
    }
    std::fs::write(file, settings).unwrap();
    folder
}

fn start(folder: &Path) -> Server {
    ServerOptions::of(folder)
        .env("SLUICE_HTTP__PRIVATE_NETWORKS", "[\"127.0.0.9/32\"]")
        .env("SLUICE_SECRET_MILLRACE_MAIL_KEY", "key-of-the-mail-service")
        .env("SLUICE_SECRET_MILLRACE_OIDC_BASIC", "key-of-the-provider")
        .env("SLUICE_SECRET_MILLRACE_GRAIN_REFRESH", "refresh-1")
        .start()
}

/// Chooses a file of the form as a person does, but without the dialog.
fn choose(walk: &Walk, name: &str, media: &str, base64: &str) {
    walk.browser.wait_for("document.getElementById('photo') !== null", &json!(true));
    walk.browser.eval(&format!(
        "(() => {{
          const bytes = Uint8Array.from(atob({base64:?}), (char) => char.charCodeAt(0));
          const chosen = new DataTransfer();
          chosen.items.add(new File([bytes], {name:?}, {{ type: {media:?} }}));
          document.getElementById('photo').files = chosen.files;
          return true;
        }})()"
    ));
}

#[test]
fn sample_site_plays_the_servers_that_it_does_not_have() {
    let server = Server::start(&sample());
    let mut walk = Walk::begin(&server);

    // A payment that a thief cannot report.
    walk.go("/shop/weir");
    walk.send("main form");
    walk.is_at("/cart");
    walk.go("/checkout");
    for (field, text) in [
        ("#name", "Ann"),
        ("#email", "ann@example.com"),
        ("#street", "Weg 1"),
        ("#zip", "89073"),
        ("#city", "Ulm"),
    ] {
        walk.browser.fill(field, text);
    }
    walk.send("main form");
    walk.is_at("/thanks");
    walk.go("/pay");
    walk.audit();
    walk.click("[value=thief]");
    walk.shows("#answered", "400 {\"error\":\"the signature is not valid\"}");
    // The browser reports the answer that the step is about.
    walk.browser.log();
    walk.shows("#stage", "This order waits for its payment.");
    walk.click("[value=service]");
    walk.shows("#answered", "200 {\"received\":true,\"result\":\"paid\"}");
    walk.go("/pay");
    walk.shows("#stage", "This order is paid.");

    // The provider that the site plays.
    walk.go("/sso");
    walk.click("#begin");
    walk.is_at("/sso/provider");
    walk.audit();
    walk.click("[value=nobody]");
    walk.is_at("/sso/callback");
    walk.shows("#refused", "You said no, so nobody is logged in.");
    walk.audit_answer();
    walk.click("main .button");
    walk.click("#begin");
    walk.click("[value=una]");
    walk.is_at("/members");
    walk.shows("h1", "Good morning, Una Oates");

    // A photo: first for its member, then for all.
    walk.go("/members/cups");
    walk.shows("#empty", "It is empty. Yours would be the first.");
    walk.audit();
    choose(&walk, "cup.png", "image/png", PNG);
    walk.send("main form");
    let is_loaded = "(document.querySelector('main .photo')?.naturalWidth ?? 0)";
    walk.browser.wait_for(is_loaded, &json!(1));
    walk.audit();
    walk.send("main form");
    walk.shows("#caption-wrong", "A line about it is required");
    walk.browser.fill("#caption", "<b>Blue</b>, with a chip");
    walk.send("main form");
    walk.shows(".cup p", "<b>Blue</b>, with a chip by Una");
    walk.browser.wait_for(is_loaded, &json!(1));
    walk.audit();
    walk.click(".cup button");
    walk.shows("#empty", "It is empty. Yours would be the first.");

    // A token that is renewed when it has ended, and not before.
    walk.go("/grain");
    walk.shows("#how", "Your visit renewed it.");
    walk.go("/grain");
    walk.shows("#how", "It was in storage, where an earlier visit put it.");
    walk.audit();
    walk.send("main form");
    walk.shows("#number", "2");
    assert_eq!((walk.score(), &walk.found), (100, &Vec::new()), "{:#?}", walk.found);
}

#[test]
fn payment_of_the_sample_site_needs_no_script() {
    let server = Server::start(&sample());
    let walk = Walk::begin(&server);
    walk.browser.devtools("Network.enable", &json!({}));
    walk.browser.devtools("Network.setBlockedURLs", &json!({"urls": ["*.js"]}));
    walk.go("/shop/weir");
    walk.send("main form");
    walk.is_at("/cart");
    walk.go("/checkout");
    for (field, text) in
        [("#name", "Ann"), ("#email", "a@b.example"), ("#street", "1"), ("#zip", "89073"), ("#city", "Ulm")]
    {
        walk.browser.fill(field, text);
    }
    walk.send("main form");
    walk.is_at("/thanks");
    walk.go("/pay");
    walk.click("[value=thief]");
    walk.shows("#answered", "400 {\"error\":\"the signature is not valid\"}");
    walk.click("[value=service]");
    walk.shows("#stage", "This order is paid.");
}

#[test]
fn sample_site_uses_the_servers_that_it_is_given() {
    let nonce = Mutex::new(String::new());
    let own = std::sync::OnceLock::new();
    let address = std::sync::Arc::new(own);
    let known = std::sync::Arc::clone(&address);
    let remote = Remote::start(move |head, body| {
        let target = head.split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: HashMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        match path {
            "/send" => response("202 Accepted", "", ""),
            "/authorize" => {
                query["nonce"].clone_into(&mut nonce.lock().unwrap());
                let site: &String = known.get().unwrap();
                let back = format!("location: {site}/sso/callback?code=c-1&state={}\r\n", query["state"]);
                response("302 Found", &back, "")
            }
            "/token" if body.contains("grant_type=authorization_code") => {
                let claims = json!({
                    "iss": format!("http://{}", head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap()),
                    "aud": "millrace", "sub": "7", "nonce": *nonce.lock().unwrap(), "exp": 4_000_000_000_u64,
                    "email": "ann@example.com", "email_verified": true, "given_name": "Ann", "family_name": "Lee",
                });
                let token = json!({ "id_token": format!("e30.{}.x", base64(&claims.to_string())) });
                response("200 OK", "content-type: application/json\r\n", &token.to_string())
            }
            "/token" => {
                let token = json!({ "access_token": "a-1", "refresh_token": "refresh-2", "expires_in": 600 });
                response("200 OK", "content-type: application/json\r\n", &token.to_string())
            }
            "/prices" => {
                let prices = json!([{ "name": "Buckwheat", "price": 33.5, "change": 0.5 }]);
                response("200 OK", "content-type: application/json\r\n", &prices.to_string())
            }
            _ => response("404 Not Found", "", ""),
        }
    });
    let folder = configured(&remote.address.to_string());
    let server = start(folder.path());
    let walk = Walk::begin(&server);
    address.set(walk.site.clone()).unwrap();

    // The mail leaves the machine, with the key, which no script has seen.
    walk.go("/login");
    walk.browser.fill("#email", "ann@example.com");
    walk.send("main form");
    walk.shows(".notice", "We have sent you a link. Look into your mailbox.");
    let (head, body) = remote.requests().pop().unwrap();
    assert!(head.contains("authorization: Bearer key-of-the-mail-service\r\n"), "{head}");
    let mail: Value = serde_json::from_str(&body).unwrap();
    let text = mail["text"].as_str().unwrap();
    walk.go(&text[text.find("/enter?link=").unwrap()..]);
    walk.send("main form");
    walk.is_at("/members");
    walk.go("/logout");
    walk.send("main form");
    walk.is_at("/");

    // The provider sends the visitor back.
    walk.go("/sso");
    walk.click("#begin");
    walk.is_at("/members");
    walk.shows("h1", "Good morning, Ann Lee");
    let exchanged = remote.requests().into_iter().find(|(_, body)| body.contains("code_verifier")).unwrap();
    assert!(exchanged.0.contains("authorization: Basic key-of-the-provider\r\n"), "{}", exchanged.0);

    // The exchange gets the first refresh token once.
    walk.go("/grain");
    walk.shows("main td", "Buckwheat");
    walk.go("/grain");
    walk.shows("#how", "It was in storage, where an earlier visit put it.");
    let renewals = remote.requests().into_iter().filter(|(_, body)| body.contains("refresh-1")).count();
    assert_eq!(renewals, 1);
}

/// Servers that do not answer are no reason for a page to fail.
#[test]
fn sample_site_says_when_a_server_does_not_answer() {
    let folder = configured(&nobody());
    let server = start(folder.path());
    let walk = Walk::begin(&server);
    walk.go("/login");
    walk.browser.fill("#email", "ann@example.com");
    walk.send("main form");
    walk.shows("#email-wrong", "The mail could not be sent. Please try again in a minute.");
    walk.go("/grain");
    walk.shows(".notice", "There are no new prices: fetch: 127.0.0.9 cannot be reached: connection refused.");
    assert_eq!(server.runs("millrace", 3).iter().filter(|run| run["outcome"] != "ok").count(), 0);
}

/// As URLs have it.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let number =
            chunk.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            out.push(char::from(DIGITS[(number >> (18 - 6 * at) & 63) as usize]));
        }
    }
    out
}

/// Jobs remind somebody who asked for a link, and stop as soon as they come.
#[test]
fn sample_site_reminds_until_the_visitor_comes() {
    let folder = tempfile::tempdir().unwrap();
    folders::copy(&sample(), folder.path());
    let file = folder.path().join("brands/millrace/brand.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    assert!(settings.contains("reminder_seconds = \"60\""));
    std::fs::write(&file, settings.replace("reminder_seconds = \"60\"", "reminder_seconds = \"0\"")).unwrap();
    let server = Server::start(folder.path());
    let walk = Walk::begin(&server);
    let ask = || {
        walk.go("/quiz");
        for answer in ["long", "salt", "bite"] {
            walk.click(&format!("[type=radio][value={answer}]"));
            walk.send("main form");
        }
        walk.is_at("/quiz/result");
        walk.browser.fill("#email", "ann@example.com");
        walk.send("main form.form");
        walk.is_at("/outbox");
    };
    ask();
    let subjects = "[...document.querySelectorAll('.mail h2')].map((one) => one.textContent)";
    server.wait_until("both reminders are in the outbox", || {
        walk.go("/outbox");
        walk.browser.eval(subjects)
            == json!(["Your bowl, for the last time", "Your bowl is still here", "Your link to Millrace"])
    });
    // The link of a reminder works as the first one does.
    walk.click(".mail .button");
    walk.send("main form");
    walk.is_at("/members");
}

/// With the operator's word, visitors open the drawer, too. It has no values of storage and the CRM.
#[test]
fn visitors_open_the_drawer_of_the_sample_site_if_the_operator_says_so() {
    let folder = tempfile::tempdir().unwrap();
    folders::copy(&sample(), folder.path());
    let settings = std::fs::read_to_string(folder.path().join("sluice.toml")).unwrap();
    std::fs::write(
        folder.path().join("sluice.toml"),
        format!("{settings}\n[brands.millrace]\nbehind_pages = true\n"),
    )
    .unwrap();
    let server = Server::start(folder.path());
    let mut walk = Walk::begin(&server);
    walk.go("/grain");
    walk.browser.wait_for("document.querySelector('.behind-open').hidden", &json!(false));
    walk.click(".behind-open");
    walk.shows(".behind-line", "GET /grain → 200, ok");
    walk.browser.wait_for(
        "[...document.querySelectorAll('.behind-run h3')].map((one) => one.textContent)",
        &json!(["Session after the run"]),
    );
    walk.browser.wait_for(
        "[...document.querySelectorAll('.behind [role=tab]')].map((tab) => tab.textContent).slice(0, 2)",
        &json!(["What it did", "pages/grain.html"]),
    );
    walk.audit_answer();
    walk.browser.go(&format!("http://tailrace.localhost:{}/", server.address.port()));
    walk.browser.wait_for("document.readyState", &json!("complete"));
    walk.browser.wait_for("window.sluiceDev === undefined", &json!(true));
    assert_eq!(walk.found, Vec::<String>::new());
}

/// The drawer shows what a page asked other servers and storage: hosts and times, and no contents.
#[test]
fn sample_site_shows_calls_to_other_servers() {
    let folder = tempfile::tempdir().unwrap();
    folders::copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts"), folder.path());
    let (remote, nobody) = (Remote::start(|_, _| response("200 OK", "", "hidden")), nobody());
    let brand = folder.path().join("brands/millrace");
    let settings = std::fs::read_to_string(brand.join("brand.toml")).unwrap();
    let allow = format!("allow = [\"{}\", \"{nobody}\", ", remote.address);
    std::fs::write(brand.join("brand.toml"), settings.replace("allow = [", &allow)).unwrap();
    let page = format!(
        "<script scope=\"backend\">\nimport {{ open }} from \"tour\";\nopen(\"/\");\n\
         http.get(\"http://{}/hidden\");\nhttp.get(\"http://{nobody}/\");\nstorage.set(\"cups\", 3);\nfiles.list();\n\
         </script>\n@extends(\"main\")\n@block(\"content\")<h1>Calls</h1>@endblock\n",
        remote.address
    );
    std::fs::write(brand.join("pages/calls.html"), page).unwrap();
    let server =
        ServerOptions::dev(folder.path()).env("SLUICE_HTTP__PRIVATE_NETWORKS", "[\"127.0.0.9/32\"]").start();
    let mut walk = Walk::begin(&server);
    walk.go("/calls");
    walk.browser.wait_for("document.querySelector('.behind-open').hidden", &json!(false));
    walk.click(".behind-open");
    let section = |name: &str| {
        format!(
            "[...document.querySelectorAll('.behind-run section')].find((one) => one.querySelector('h3').textContent === \
             {}).innerText.replace(/[\\d.]+ ms/g, 'N ms').split('\\n').slice(1).filter((line) => line.trim() !== '')",
            json!(name)
        )
    };
    walk.shows(".behind-line", "GET /calls → 200, ok");
    walk.browser.wait_for(
        &section("Calls to other servers"),
        &json!([
            format!("GET {}", remote.address),
            "200",
            "N ms, 0 bytes sent, 6 received",
            format!("GET {nobody}"),
            "127.0.0.9 cannot be reached: connection refused",
            "N ms, 0 bytes sent, 0 received",
        ]),
    );
    walk.browser.wait_for(&section("Storage calls"), &json!(["storage.set", "\"cups\", 3", "→ true"]));
    walk.browser.wait_for(&format!("{}[0]", section("Calls of files")), &json!("files.list"));
    walk.audit_answer();
    assert_eq!(walk.found, Vec::<String>::new());
}
