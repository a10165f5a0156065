//! Files that visitors send, and files that scripts keep.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use sluice_test_support::moto::{BUCKET, Moto};

use crate::harness::{Request, Server, ServerOptions, TestSite};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest of the picture";

const SETTINGS: &str = "default = true\n\
    [[page]]\npath = \"/send\"\n\
    uploads = { files_max = 3, bytes_max = \"10 MB\", types = [\"image/png\", \"image/svg+xml\", \"text/html\"] }\n";

const SEND: &str = r#"
  const kept = request.files.map((file) => files.keep(file, { name: request.body.name, public: request.body.public === "yes" }));
  response.json({ body: request.body, files: request.files, kept });"#;

fn page(script: &str) -> String {
    format!("<script scope=\"backend\">\n{script}\n</script>\n")
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn field(name: &str, value: &str) -> Vec<u8> {
    format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes()
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--B--\r\n".to_vec()].concat()
}

fn post(server: &Server, path: &str, body: &[u8]) -> crate::harness::Answer {
    let request = Request::new("POST", path).header("content-type", "multipart/form-data; boundary=B");
    request.body(body).send(server.address)
}

/// Everything in a folder and its folders.
fn all_files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let of = |path: std::path::PathBuf| match path.is_dir() {
        true => all_files(&path),
        false => vec![path.display().to_string()],
    };
    entries.flat_map(|entry| of(entry.unwrap().path())).collect()
}

#[test]
fn a_script_keeps_files_that_visitors_send() {
    let list = r#"
      const { files: all, next } = files.list({ prefix: "pictures/", limit: 1 });
      const more = files.list({ prefix: "pictures/", after: next });
      if (request.query.delete) for (const file of [...all, ...more.files]) files.delete(file);
      response.json([all, more]);"#;
    let pages = [("pages/send.html", &*page(SEND)), ("pages/list.html", &*page(list))];
    let site = TestSite::with(&pages);
    site.write("brands/demo/brand.toml", SETTINGS);
    let server = ServerOptions::of(site.path()).start();
    let send = |public: &str| {
        let parts = [field("name", "pictures/ann"), field("public", public), file("../ann.png", PNG)];
        json_of(&post(&server, "/send", &form(&parts)).body)
    };
    let sent = send("yes");
    assert_eq!(sent["body"], json!({ "name": "pictures/ann", "public": "yes" }));
    let expected =
        json!([{ "name": "f", "filename": "ann.png", "type": "image/png", "size": PNG.len(), "id": "1" }]);
    assert_eq!(sent["files"], expected);
    // Everybody may read a public file: whole, in part, and not again if it is known.
    let url = sent["kept"][0]["url"].as_str().unwrap();
    let whole = server.get("localhost", url);
    assert_eq!((whole.status, whole.bytes.as_slice()), (200, PNG));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-disposition", "inline; filename=\"ann.png\""),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(whole.header(name).as_deref(), Some(value), "{name}");
    }
    assert!(whole.header("content-security-policy").unwrap().contains("sandbox"));
    let part = Request::get(url).header("range", "bytes=1-3").send(server.address);
    assert_eq!((part.status, part.bytes.as_slice()), (206, &b"PNG"[..]));
    assert_eq!(part.header("content-range").unwrap(), format!("bytes 1-3/{}", PNG.len()));
    let etag = whole.header("etag").unwrap();
    assert_eq!(Request::get(url).header("if-none-match", &etag).send(server.address).status, 304);
    assert_eq!(Request::new("POST", url).send(server.address).status, 405);
    // Others need an address that is signed.
    let url = send("no")["kept"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(server.get("localhost", &url).bytes, PNG);
    let (path, key) = url.split_once("?key=").unwrap();
    let forged = format!("{path}?key={}", key.chars().rev().collect::<String>());
    for address in [path, forged.as_str(), "/_files/none", "/_files/..%2f..%2fapp.key"] {
        let answer = server.get("localhost", address);
        assert!(matches!(answer.status, 400 | 404), "{address}: {}", answer.status);
    }
    let listed = json_of(&server.get("localhost", "/list?delete=1").body);
    assert_eq!(listed[0].as_array().unwrap().len() + listed[1]["files"].as_array().unwrap().len(), 2);
    assert_eq!(listed[1]["next"], Value::Null);
    assert_eq!(server.get("localhost", &url).status, 404);
    assert_eq!(json_of(&server.get("localhost", "/list").body)[0], json!([]));
}

#[test]
fn markup_that_a_visitor_sent_is_never_shown() {
    let site = TestSite::with(&[("pages/send.html", &*page(SEND))]);
    site.write("brands/demo/brand.toml", SETTINGS);
    let server = ServerOptions::of(site.path()).start();
    for (name, content, media) in [
        (
            "a.png",
            &b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"[..],
            "image/svg+xml",
        ),
        ("b.svg", b"<html><script>alert(1)</script>", "text/html"),
    ] {
        let parts = [field("name", "x"), field("public", "yes"), file(name, content)];
        let sent = json_of(&post(&server, "/send", &form(&parts)).body);
        let answer = server.get("localhost", sent["kept"][0]["url"].as_str().unwrap());
        assert!(answer.header("content-type").unwrap().starts_with(media), "{answer:?}");
        assert!(answer.header("content-disposition").unwrap().starts_with("attachment;"), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options").as_deref(), Some("nosniff"));
    }
}

#[test]
fn requests_that_break_a_rule_leave_nothing() {
    let site = TestSite::with(&[
        ("pages/send.html", &*page(SEND)),
        ("pages/other.html", &*page("response.json(request.body);")),
    ]);
    site.write("brands/demo/brand.toml", SETTINGS);
    let server = ServerOptions::of(site.path()).start();
    let before = all_files(server.data_dir());
    let png = |bytes: usize| [PNG, &vec![0; bytes - PNG.len()]].concat();
    let four: Vec<_> = (0..4).map(|_| file("a.png", PNG)).collect();
    for (status, body) in [
        (413, form(&[file("a.png", &png((10 << 20) + 1))])),
        (413, form(&four)),
        (413, form(&[field("a", &"x".repeat(70_000))])),
        (415, form(&[file("a.png", b"%PDF-1.7 not a picture")])),
        (415, form(&[file("a.png", b"just text")])),
        (400, b"--B\r\nbroken".to_vec()),
        (400, form(&[file("a.png", PNG)])[..100].to_vec()),
    ] {
        assert_eq!(post(&server, "/send", &body).status, status);
    }
    // A page without uploads takes none.
    assert_eq!(post(&server, "/other", &form(&[file("a.png", PNG)])).body, "null");
    // A visitor who leaves halfway.
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = "POST /send HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=B\r\ncontent-length: 5000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&file("a.png", &png(2_000_000))).unwrap();
    drop(stream);
    // What is not kept is gone after the run.
    let sent = Request::new("POST", "/send").header("content-type", "multipart/form-data; boundary=B");
    let forgotten = sent.body(&form(&[file("a.png", PNG), field("name", "../x")])).send(server.address);
    assert_eq!(forgotten.status, 500);
    server.wait_told("a name has 1 to 120 letters");
    let files = || -> Vec<_> {
        let new = all_files(server.data_dir()).into_iter().filter(|file| !before.contains(file));
        new.filter(|file| file.contains("/files/") || file.contains("/uploads/")).collect()
    };
    assert_eq!(files(), Vec::<String>::new());
    // Nothing is open, either.
    server.wait_until("the uploads are gone", || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", server.process_id())).unwrap();
        let mut targets = open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        !targets.any(|target| target.to_string_lossy().contains("/uploads/"))
    });
}

#[test]
fn large_uploads_take_little_memory() {
    let script = "response.json(request.files.map((file) => file.size));";
    let site = TestSite::with(&[("pages/send.html", &*page(script))]);
    site.write("brands/demo/brand.toml", SETTINGS);
    let server = ServerOptions::of(site.path()).start();
    let file = file("a.png", &[PNG, &vec![7; (10 << 20) - PNG.len()]].concat());
    let body = form(&[file.clone(), file.clone(), file]);
    let size = 10 << 20;
    let send = || assert_eq!(json_of(&post(&server, "/send", &body).body), json!([size, size, size]));
    send();
    let before = server.resident_bytes();
    for _ in 0..5 {
        send();
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown}");
}

#[test]
fn a_brand_cannot_keep_more_than_its_quota() {
    let script = r#"
      const tried = request.files.map((file) => {
        try { return files.keep(file).id.length > 0; } catch (error) { return String(error); }
      });
      response.json(tried);"#;
    let site = TestSite::with(&[("pages/send.html", &*page(script))]);
    site.write("brands/demo/brand.toml", SETTINGS);
    let server = ServerOptions::of(site.path()).env("SLUICE_FILES__BRAND_BYTES_MAX", "60").start();
    let tried =
        json_of(&post(&server, "/send", &form(&[file("a", PNG), file("b", PNG), file("c", PNG)])).body);
    assert_eq!((&tried[0], &tried[1]), (&json!(true), &json!(true)));
    assert_eq!(tried[2], "RangeError: files.keep: the files of the brand take all of its 60 bytes");
}

#[test]
fn kept_files_can_be_in_a_bucket() {
    let moto = Moto::start();
    let site = TestSite::with(&[("pages/send.html", &*page(SEND))]);
    site.write("brands/demo/brand.toml", SETTINGS);
    let settings = format!(
        "[files.s3]\nendpoint = \"{}\"\nbucket = \"{BUCKET}\"\nregion = \"eu-central-1\"\n",
        moto.url()
    );
    site.write("sluice.toml", &settings);
    let host = || {
        let options = ServerOptions::of(site.path()).env("SLUICE_FILES__S3__KEY_ID", "1");
        options.env("SLUICE_FILES__S3__SECRET_KEY", "2")
    };
    let (server, other) = (host().start(), host().own_key().start());
    let large = [PNG, &vec![7; 3_000_000]].concat();
    let parts = [field("name", "a/b"), field("public", "no"), file("a.png", &large)];
    let sent = json_of(&post(&server, "/send", &form(&parts)).body);
    let url = sent["kept"][0]["url"].as_str().unwrap();
    // Another host that has the same application key would open the address, too; this one has its own.
    assert_eq!(other.get("localhost", url).status, 404);
    let whole = server.get("localhost", url);
    assert_eq!((whole.status, whole.bytes == large), (200, true));
    assert_eq!(whole.header("content-disposition").as_deref(), Some("inline; filename=\"b.png\""));
    let part = Request::get(url).header("range", "bytes=1-3").send(server.address);
    assert_eq!((part.status, part.bytes.as_slice()), (206, &b"PNG"[..]));
    let head = Request::new("HEAD", url).send(server.address);
    assert_eq!((head.status, head.header("content-length")), (200, Some(large.len().to_string())));
    // No part of it was on the disk of the host.
    assert!(!all_files(server.data_dir()).iter().any(|file| file.contains("/files/")));
    drop(moto);
    assert_eq!(server.get("localhost", url).status, 503);
    assert_eq!(post(&server, "/send", &form(&parts)).status, 503);
    server.wait_told("a call of the store of files failed");
}
