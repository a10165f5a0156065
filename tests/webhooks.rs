//! The examples of webhooks in `docs/flows.md`: signatures over the bytes of a body.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::harness::{Request, ServerOptions, TestSite};

const FLOWS: &str = include_str!("../docs/flows.md");
const SCRIPTS: &str = include_str!("../docs/scripts.md");

fn page(script: &str) -> String {
    format!("<script scope=\"backend\">\n{script}\n</script>\n")
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A file in an example of a document.
fn documented(text: &str, file: &str) -> String {
    let start = format!("file={file}\n");
    let (_, rest) = text.split_once(&start).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn documented_signatures_of_webhooks_verify() {
    let github = r#"
      import { isOfGithub } from "signatures";
      response.json([await isOfGithub("It's a Secret to Everybody"), request.text(), request.body, request.rawBody?.length ?? null]);"#;
    let stripe = r#"
      import { isOfStripe } from "signatures";
      response.json(await isOfStripe("whsec_test", 1e12));"#;
    let replay = r#"
      import { isOfStripe } from "signatures";
      response.json(await isOfStripe("whsec_test"));"#;
    let without = "response.json([request.rawBody, request.text()]);";
    let site = TestSite::with(&[
        ("modules/signatures.js", &documented(FLOWS, "modules/signatures.js")),
        ("pages/hooks/github.html", &page(github)),
        ("pages/hooks/stripe.html", &page(stripe)),
        ("pages/hooks/replay.html", &page(replay)),
        ("pages/without.html", &page(without)),
    ]);
    let settings = documented(SCRIPTS, "docs/webhooks.toml")
        + "\n[[page]]\npath = \"/hooks/replay\"\nheaders = [\"stripe-signature\"]\nraw_body = true\n";
    site.write(
        "brands/demo/brand.toml",
        &format!("default = true\n[limits]\nbody_bytes_max = 1_000\n{settings}"),
    );
    let server = ServerOptions::of(site.path()).start();
    let post = |path: &str, header: (&str, &str), body: &[u8]| {
        let request = Request::new("POST", path).header(header.0, header.1);
        request.header("content-type", "application/octet-stream").body(body).send(server.address).body
    };
    // From "Validating webhook deliveries" of GitHub's documentation.
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let name = "x-hub-signature-256";
    assert_eq!(
        post("/hooks/github", (name, signature), b"Hello, World!"),
        "[true,\"Hello, World!\",null,13]"
    );
    for (signature, body) in [
        (signature, &b"Hello, World?"[..]),
        (&signature.replace('7', "8"), b"Hello, World!"),
        ("sha256=", b"Hello, World!"),
        ("", b"Hello, World!"),
        (signature, b""),
    ] {
        let answer = json_of(&post("/hooks/github", (name, signature), body));
        assert_eq!(answer[0], false, "{signature} {body:?}");
    }
    // The scheme of "Verify webhook signatures manually" in Stripe's documentation: HMAC-SHA256 of
    // `1492774577.{"id":"evt_1"}` with the key `whsec_test`.
    let body = b"{\"id\":\"evt_1\"}";
    let made = "t=1492774577,v1=STRIPE,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39";
    let made = made.replace("STRIPE", &stripe_signature());
    assert_eq!(post("/hooks/stripe", ("stripe-signature", &made), body), "true");
    assert_eq!(post("/hooks/stripe", ("stripe-signature", &made), b"{\"id\":\"evt_2\"}"), "false");
    assert_eq!(post("/hooks/stripe", ("stripe-signature", &made.replace("t=1", "t=2")), body), "false");
    assert_eq!(post("/hooks/stripe", ("stripe-signature", "t=1492774577"), body), "false");
    assert_eq!(post("/hooks/replay", ("stripe-signature", &made), body), "false");
    // A page that does not ask for the bytes, and a body that is too large.
    assert_eq!(post("/without", ("x-a", "b"), b"bytes"), "[null,null]");
    let large = json_of(&post("/hooks/github", (name, signature), &[b'a'; 1_001]));
    assert_eq!(large, json!([false, null, null, null]));
}

/// As `openssl dgst -sha256 -hmac whsec_test` computes it.
fn stripe_signature() -> String {
    let mut openssl = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", "whsec_test", "-r"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(b"1492774577.{\"id\":\"evt_1\"}").unwrap();
    let done = openssl.wait_with_output().unwrap();
    String::from_utf8(done.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
