//! Files of `public/`, headers and compression.

use std::io::Read as _;
use std::os::unix::fs::symlink;

use crate::harness::{Answer, Request, Server, TestSite};

fn site() -> TestSite {
    let site = TestSite::with(&[
        ("public/style.css", &"p { color: red }\n".repeat(500)),
        ("public/short.css", "p{}"),
        ("public/assets/app.js", "let app;"),
        ("public/leak.html", "<p>hi</p>\n<script scope=\"backend\">const secret = 1</script>"),
        ("pages/index.html", &"<p>{{ request.query.q }} and much text</p>\n".repeat(100)),
        ("pages/short.html", "short"),
        (
            "pages/own.html",
            "<script scope=\"backend\">setHeader('x-frame-options', 'DENY'); setHeader('vary', 'x-a');\
             setHeader('cache-control', 'public, max-age=5');</script>",
        ),
    ]);
    site.write(
        "brands/demo/brand.toml",
        "default = true\n\
         [headers]\nreferrer-policy = false\ncontent-security-policy = \"frame-ancestors 'none'\"\n\
         [[public]]\npath = \"/assets/**\"\ncache_control = \"public, max-age=31536000, immutable\"\n\
         [[access]]\npath = \"/guarded/**\"\nrequire = \"customer\"\n",
    );
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    site.write_bytes("brands/demo/public/data.bin".as_ref(), &bytes);
    site.write_bytes("brands/demo/public/guarded/data.bin".as_ref(), &bytes);
    site
}

fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(server, "GET", path, headers)
}

fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = Request::new(method, path);
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send(server.address)
}

#[test]
fn serves_files_ranges_and_not_modified() {
    let site = site();
    let server = Server::start(site.path());
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    let whole = get(&server, "/data.bin", &[]);
    assert_eq!((whole.status, &whole.bytes), (200, &bytes));
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-length", "200000"),
        ("accept-ranges", "bytes"),
        ("cache-control", "public, max-age=0, must-revalidate"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(whole.header(name).as_deref(), Some(value), "{name}");
    }
    let head = ask(&server, "HEAD", "/data.bin", &[("range", "bytes=0-1")]);
    assert_eq!((head.status, head.header("content-length").as_deref()), (200, Some("200000")));
    assert!(head.bytes.is_empty());

    let part = get(&server, "/data.bin", &[("range", "bytes=100000-199999")]);
    assert_eq!((part.status, part.bytes.as_slice()), (206, &bytes[100_000..]));
    assert_eq!(part.header("content-range").as_deref(), Some("bytes 100000-199999/200000"));
    assert_eq!(part.header("content-length").as_deref(), Some("100000"));
    let beyond = get(&server, "/data.bin", &[("range", "bytes=200000-")]);
    assert_eq!((beyond.status, beyond.header("content-range").as_deref()), (416, Some("bytes */200000")));

    let etag = whole.header("etag").unwrap();
    let modified = whole.header("last-modified").unwrap();
    for condition in [("if-none-match", etag.as_str()), ("if-modified-since", &modified)] {
        let same = get(&server, "/data.bin", &[condition]);
        assert_eq!((same.status, same.bytes.len()), (304, 0), "{condition:?}");
        assert_eq!(same.header("etag").as_ref(), Some(&etag));
    }
    let resumed = [("range", "bytes=5-9"), ("if-range", etag.as_str())];
    assert_eq!(get(&server, "/data.bin", &resumed).bytes, &bytes[5..10]);
    let changed = [("range", "bytes=5-9"), ("if-range", "\"other\"")];
    assert_eq!(get(&server, "/data.bin", &changed).status, 200);
    assert_eq!(get(&server, "/data.bin", &[("if-match", "\"other\"")]).status, 412);
    assert_eq!(ask(&server, "POST", "/data.bin", &[("sec-fetch-site", "none")]).status, 405);

    // A file that was changed gets another tag.
    site.write_bytes("brands/demo/public/data.bin".as_ref(), b"new");
    let new = get(&server, "/data.bin", &[("if-none-match", &etag)]);
    assert_eq!((new.status, new.body.as_str()), (200, "new"));

    let asset = get(&server, "/assets/app.js", &[]);
    assert_eq!(asset.header("content-type").as_deref(), Some("text/javascript; charset=utf-8"));
    assert_eq!(asset.header("cache-control").as_deref(), Some("public, max-age=31536000, immutable"));
    assert_eq!(get(&server, "/guarded/data.bin", &[]).status, 403);
}

#[test]
fn does_not_serve_links_or_backend_scripts() {
    let site = site();
    let public = site.brand_dir("demo").join("public");
    symlink("/etc/hostname", public.join("hostname")).unwrap();
    symlink("../pages", public.join("sources")).unwrap();
    symlink("../brand.toml", public.join("brand.toml")).unwrap();
    let server = Server::start(site.path());
    for path in ["/hostname", "/sources/own.html", "/brand.toml", "/leak.html"] {
        let answer = get(&server, path, &[]);
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert!(!answer.body.contains("secret"));
    }
    for text in ["public/hostname: it is a symbolic link", "public/leak.html:2:1: a backend script"] {
        let told = server.wait_told(text);
        assert!(told.iter().any(|entry| entry["fields"]["brand"] == "demo"), "{told:?}");
    }
}

#[test]
fn site_and_page_can_set_headers() {
    let site = site();
    let server = Server::start(site.path());
    for path in ["/short", "/own", "/short.css", "/none", "/short/", "//"] {
        let answer = get(&server, path, &[]);
        assert_eq!(answer.header("referrer-policy"), None, "{path}");
        assert_eq!(answer.header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
        let policy = answer.header("content-security-policy");
        assert_eq!(policy.as_deref(), Some("frame-ancestors 'none'"), "{path}");
        let frames = if path == "/own" { "DENY" } else { "SAMEORIGIN" };
        assert_eq!(answer.header("x-frame-options").as_deref(), Some(frames), "{path}");
    }
    assert_eq!(get(&server, "/short", &[]).header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(get(&server, "/own", &[]).header("cache-control").as_deref(), Some("public, max-age=5"));
}

fn decoded(answer: &Answer) -> String {
    let mut text = String::new();
    let mut bytes = answer.bytes.as_slice();
    match answer.header("content-encoding").as_deref() {
        Some("gzip") => flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).map(drop).unwrap(),
        Some("br") => brotli::Decompressor::new(bytes, 4_096).read_to_string(&mut text).map(drop).unwrap(),
        Some("zstd") => text = String::from_utf8(zstd::decode_all(bytes).unwrap()).unwrap(),
        None => bytes.read_to_string(&mut text).map(drop).unwrap(),
        Some(other) => panic!("{other}"),
    }
    text
}

#[test]
fn compresses_text_as_the_visitor_accepts() {
    let site = site();
    let server = Server::start(site.path());
    let plain = get(&server, "/style.css", &[]);
    let plain_tag = plain.header("etag").unwrap();
    for (path, vary) in [("/style.css", "accept-encoding"), ("/?q=x", "accept-encoding")] {
        let plain = get(&server, path, &[]);
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(plain.header("vary").as_deref(), Some(vary), "{path}");
        for (accepts, coding) in [("gzip", "gzip"), ("gzip, br", "br"), ("zstd, gzip;q=0.5", "zstd")] {
            let answer = get(&server, path, &[("accept-encoding", accepts)]);
            assert_eq!(answer.header("content-encoding").as_deref(), Some(coding), "{path}");
            assert_eq!(answer.header("vary").as_deref(), Some(vary), "{path}");
            let length = answer.bytes.len();
            assert_eq!(answer.header("content-length"), Some(length.to_string()), "{path}");
            assert!(length < plain.bytes.len() / 5);
            assert_eq!(decoded(&answer), plain.body, "{path}, {coding}");
            let head = ask(&server, "HEAD", path, &[("accept-encoding", accepts)]);
            assert_eq!(head.header("content-encoding").as_deref(), Some(coding));
            assert_eq!(head.header("content-length"), Some(length.to_string()));
            assert!(head.bytes.is_empty());
        }
    }
    let gzip = get(&server, "/style.css", &[("accept-encoding", "gzip")]);
    let tag = gzip.header("etag").unwrap();
    assert_ne!(tag, plain_tag, "each encoding has its own tag");
    let same = get(&server, "/style.css", &[("accept-encoding", "gzip"), ("if-none-match", &tag)]);
    assert_eq!((same.status, same.header("etag")), (304, Some(tag)));
    let part = get(&server, "/style.css", &[("accept-encoding", "gzip"), ("range", "bytes=0-0")]);
    assert_eq!((part.status, part.body.as_str()), (206, "p"));
    // Not compressed: short bodies, other types than text, and encodings that the page set.
    for path in ["/short.css", "/data.bin", "/short"] {
        let answer = get(&server, path, &[("accept-encoding", "gzip")]);
        assert_eq!(answer.header("content-encoding"), None, "{path}");
    }
}

#[test]
fn compresses_pages_with_cookies_only_for_their_own_site() {
    let site = site();
    let server = crate::harness::ServerOptions::of(site.path())
        .env("SLUICE_SERVER__TRUSTED_PROXIES", "[\"127.0.0.1\"]")
        .start();
    let coding = |headers: &[(&str, &str)]| {
        let all =
            [&[("accept-encoding", "gzip"), ("forwarded", "for=192.0.2.1;proto=https")], headers].concat();
        get(&server, "/?q=guess", &all).header("content-encoding")
    };
    assert!(coding(&[]).is_some(), "a request without cookies has no secrets");
    assert!(coding(&[("cookie", "a=b"), ("sec-fetch-site", "same-origin")]).is_some());
    assert!(coding(&[("cookie", "a=b"), ("sec-fetch-site", "none")]).is_some());
    assert_eq!(coding(&[("cookie", "a=b"), ("sec-fetch-site", "cross-site")]), None);
    assert_eq!(coding(&[("cookie", "a=b"), ("sec-fetch-site", "same-site")]), None);
    assert_eq!(coding(&[("cookie", "a=b")]), None);
}
