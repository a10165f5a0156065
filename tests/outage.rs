//! What one brand does to the others: broken files, and claims to hosts of others.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Server, ServerOptions, TestSite};

fn site() -> TestSite {
    let site = TestSite::new();
    for brand in ["one", "two"] {
        site.write(&format!("brands/{brand}/brand.toml"), &format!("domains = [\"{brand}.test\"]\n"));
        site.write(&format!("brands/{brand}/pages/index.html"), brand);
    }
    site
}

fn seen(server: &Server, host: &str) -> String {
    let answer = server.get(host, "/");
    format!("{} {}", answer.status, answer.body)
}

fn gauge(server: &Server, name: &str, brand: &str) -> f64 {
    server.metric(name, &[&format!("sluice_brand=\"{brand}\"")])
}

/// The entry of a brand in the API.
fn row(server: &Server, brand: &str) -> Value {
    let overview: Value = serde_json::from_str(&server.admin("/api/overview").body).unwrap();
    overview["brands"].as_array().unwrap().iter().find(|row| row["id"] == brand).unwrap().clone()
}

/// A value of 12 KB in so many tables that whoever reads it table by table overflows the stack.
fn deep() -> String {
    let key = vec!["a"; 75].join(".");
    (0..78).fold("1".to_owned(), |value, _| format!("{{ {key} = {value} }}"))
}

#[test]
fn brand_with_a_broken_file_answers_503_and_the_others_are_served_from_the_start() {
    type Break = fn(&TestSite);
    let breaks: [(&str, Break); 6] = [
        ("did you mean", |site| {
            site.write("brands/two/brand.toml", "domains = [\"two.test\"]\nvariabels = {}\n")
        }),
        ("brand.toml", |site| site.write("brands/two/brand.toml", "domains = [\"two.test\"]\n[[page\n")),
        ("crm.toml", |site| site.write("brands/two/crm.toml", "[[entity]]\nslg = 1\n")),
        ("line 3 nests tables", |site| {
            let settings = format!("domains = [\"two.test\"]\n[variables]\nx = {}\n", deep());
            site.write("brands/two/brand.toml", &settings);
        }),
        ("line 5 nests tables", |site| {
            let field = format!("[[entity.field]]\nkey = \"k\"\noptions = {}\n", deep());
            site.write("brands/two/crm.toml", &format!("[[entity]]\nslug = \"a\"\n{field}"));
        }),
        ("symbolic link", |site| {
            symlink("/etc/passwd", site.brand_dir("two").join("pages/link.html")).unwrap();
        }),
    ];
    for (index, (reason, break_it)) in breaks.into_iter().enumerate() {
        let site = site();
        break_it(&site);
        let has_page = index == 0;
        if has_page {
            site.write("brands/two/public/503.html", "<p>Back soon");
        }
        let server = ServerOptions::of(site.path()).start();
        assert_eq!(seen(&server, "one.test"), "200 one", "{reason}");
        let answer = server.get("two.test", "/any/path?x");
        assert_eq!(answer.status, 503, "{reason}");
        assert_eq!(answer.body == "<p>Back soon", has_page, "{}", answer.body);
        assert!(!answer.body.contains("variabels"), "visitors get no details");
        for (name, value) in [
            ("retry-after", "60"),
            ("cache-control", "no-store"),
            ("content-type", "text/html; charset=utf-8"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(server.get("three.test", "/").status, 421);
        let told = server.wait_told("its visitors get status 503");
        assert!(told[0].to_string().contains(reason), "{told:?}");

        // Operators see it.
        assert_eq!(gauge(&server, "sluice_brand_unavailable", "two"), 1.0);
        assert_eq!(gauge(&server, "sluice_brand_unavailable", "one"), 0.0);
        let (one, two) = (row(&server, "one"), row(&server, "two"));
        assert_eq!((&one["unavailable"], &one["fault"]), (&Value::Bool(false), &Value::Null));
        assert_eq!(two["unavailable"], true);
        assert!(two["fault"].as_str().unwrap().contains(reason), "{two}");
        let console = server.admin("/").body;
        assert!(
            console.contains("two is unavailable: its files cannot be loaded, so visitors get status 503")
        );

        // The brand returns when its file is right, and the others reload in the meantime.
        site.write("brands/one/pages/index.html", "one, changed");
        server.reload();
        assert_eq!(seen(&server, "one.test"), "200 one, changed");
        assert_eq!(server.get("two.test", "/").status, 503);
        std::fs::remove_dir_all(site.brand_dir("two")).unwrap();
        site.write("brands/two/brand.toml", "domains = [\"two.test\"]\n");
        site.write("brands/two/pages/index.html", "two");
        server.reload();
        assert_eq!(seen(&server, "two.test"), "200 two");
        assert_eq!(gauge(&server, "sluice_brand_unavailable", "two"), 0.0);

        // Now there is a good version, which is served instead of 503.
        site.write("brands/two/brand.toml", "domains = [");
        server.reload();
        assert_eq!(seen(&server, "two.test"), "200 two");
        assert_eq!(gauge(&server, "sluice_brand_outdated", "two"), 1.0);
        assert_eq!(row(&server, "two")["unavailable"], false);
        let outdated = "two is outdated: its files cannot be loaded, so visitors get the last good version";
        assert!(server.admin("/").body.contains(outdated));
    }
}

#[test]
fn broken_secrets_of_a_brand_are_an_error_of_its_own() {
    let site = site();
    for brand in ["one", "two"] {
        let page = "<script scope=\"backend\">response.json(secrets.get('key'))</script>";
        site.write(&format!("brands/{brand}/pages/index.html"), page);
    }
    site.write("brands/two/public/503.html", "<p>Back soon");
    let data = tempfile::tempdir().unwrap();
    let file = |brand: &str| data.path().join(format!("secrets/{brand}.toml"));
    let write = |brand: &str, text: &str, mode: u32| {
        std::fs::write(file(brand), text).unwrap();
        std::fs::set_permissions(file(brand), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    std::fs::create_dir(data.path().join("secrets")).unwrap();
    write("one", "key = \"secret of one\"\n", 0o600);
    write("two", "key = \"secret of two\"\n", 0o644);
    let server = ServerOptions::of(site.path()).data(data.path()).start();
    assert_eq!(seen(&server, "one.test"), "200 \"secret of one\"");
    assert_eq!(seen(&server, "two.test"), "503 <p>Back soon");
    assert!(server.wait_told("chmod 600")[0].to_string().contains("its visitors get status 503"));
    assert_eq!(gauge(&server, "sluice_brand_unavailable", "two"), 1.0);
    assert!(row(&server, "two")["fault"].as_str().unwrap().contains("two.toml can be read by others"));

    write("two", "key = \"secret of two\"\n", 0o600);
    server.reload();
    assert_eq!(seen(&server, "two.test"), "200 \"secret of two\"");
    // From now on there are good ones.
    write("two", "key = \"short\"\n", 0o600);
    write("one", "key = \"new secret of one\"\n", 0o600);
    server.reload();
    assert_eq!(seen(&server, "one.test"), "200 \"new secret of one\"");
    assert_eq!(seen(&server, "two.test"), "200 \"secret of two\"");
    server.wait_told("its previous secrets stay in use");
    assert_eq!(gauge(&server, "sluice_brand_outdated", "two"), 1.0);
}

#[test]
fn linked_brand_is_named_in_the_log_and_by_the_check() {
    let site = site();
    let elsewhere = site.path().join("elsewhere");
    std::fs::rename(site.brand_dir("two"), &elsewhere).unwrap();
    symlink(&elsewhere, site.brand_dir("two")).unwrap();
    let server = ServerOptions::of(site.path()).start();
    server.wait_told("brands/two: it is a symbolic link");
    assert_eq!(seen(&server, "one.test"), "200 one");
    assert_eq!(server.get("two.test", "/").status, 421);
    let mut check = Command::new(env!("CARGO_BIN_EXE_sluice"));
    let done = check.arg("check").arg(site.path()).output().unwrap();
    let told = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(told.contains("brands/two") && told.contains("symbolic link"), "{told}");
}

#[test]
fn brand_cannot_take_hosts_of_another_brand() {
    let site = site();
    // The victim has a wildcard, and its id comes last.
    site.write("brands/two/brand.toml", "domains = [\"*.example.com\", \"two.test\"]\n");
    let server = Server::start(site.path());
    for (claim, told) in [
        ("\"victim.example.com\"", "claim victim.example.com, which *.example.com includes"),
        ("\"*.victim.example.com\"", "claim *.victim.example.com, which *.example.com includes"),
        ("\"*.com\"", "claim *.example.com, which *.com includes"),
        ("\"two.test.\"", "list the domain two.test"),
    ] {
        site.write("brands/one/brand.toml", &format!("domains = [\"one.test\", {claim}]\n"));
        site.write("brands/two/pages/index.html", &format!("two {claim}"));
        server.reload();
        for host in ["victim.example.com", "a.victim.example.com", "two.test"] {
            assert_eq!(seen(&server, host), format!("200 two {claim}"), "{host}");
        }
        assert_eq!(seen(&server, "one.test"), "200 one", "the last good version is served");
        server.wait_told(told);
        assert_eq!(gauge(&server, "sluice_brand_outdated", "one"), 1.0);
        assert_eq!(gauge(&server, "sluice_brand_outdated", "two"), 0.0);
    }
    drop(server);

    // At a start, nobody was there first: nobody gets what both claim, also at later reloads.
    for (one, two, contested, of_one, of_two) in [
        ("victim.example.com", "*.example.com", "victim.example.com", "one.test", "a.example.com"),
        ("*.com", "shop.com", "shop.com", "a.com", "two.test"),
        ("same.test", "same.test", "same.test", "one.test", "two.test"),
    ] {
        site.write(
            "brands/one/brand.toml",
            &format!("default = true\ndomains = [\"one.test\", \"{one}\"]\n"),
        );
        site.write("brands/two/brand.toml", &format!("domains = [\"two.test\", \"{two}\"]\n"));
        site.write("brands/two/pages/index.html", "two");
        let server = ServerOptions::of(site.path()).start();
        for _ in 0..2 {
            assert_eq!(server.get(contested, "/").status, 421, "{contested}, not even by the default brand");
            assert_eq!((seen(&server, of_one), seen(&server, of_two)), ("200 one".into(), "200 two".into()));
            assert_eq!(seen(&server, "unknown.test"), "200 one");
            for brand in ["one", "two"] {
                assert_eq!(gauge(&server, "sluice_brand_outdated", brand), 1.0, "{brand}");
                assert_eq!(row(&server, brand)["contested"], true);
            }
            server.reload();
        }
        assert!(
            server
                .admin("/")
                .body
                .contains("two is contested: it is not served on every host that it claims")
        );
        server.wait_told("until then, nobody serves what both claim");
        // One of them gives in. From then on, the other one was there first.
        let given_in = "domains = [\"one.test\"]\n";
        site.write("brands/one/brand.toml", given_in);
        server.reload();
        assert_eq!(seen(&server, contested), "200 two");
        site.write("brands/one/brand.toml", &format!("domains = [\"one.test\", \"{one}\"]\n"));
        server.reload();
        assert_eq!(
            (seen(&server, contested), seen(&server, "one.test")),
            ("200 two".into(), "200 one".into())
        );
    }

    // The operator decides at a start, too.
    site.write("brands/one/brand.toml", "domains = [\"one.test\", \"victim.example.com\"]\n");
    site.write("brands/two/brand.toml", "domains = [\"*.example.com\", \"two.test\"]\n");
    let server = Server::start(site.path());
    site.write("sluice.toml", "[brands.two]\ndomains = [\"*.example.com\", \"zwei.test\"]\n");
    server.reload();
    for decided in [&server, &Server::start(site.path())] {
        assert_eq!(seen(decided, "victim.example.com"), "200 two");
        assert_eq!(seen(decided, "a.example.com"), "200 two");
        assert_eq!(seen(decided, "zwei.test"), "200 two");
        assert_eq!(decided.get("one.test", "/").status, 503, "the other brand's error is its own");
        assert_eq!(decided.get("two.test", "/").status, 421, "brand.toml has no say");
        assert_eq!(gauge(decided, "sluice_brand_unavailable", "one"), 1.0);
    }
    // The operator can also give a name within a wildcard to another brand.
    site.write(
        "sluice.toml",
        "[brands.two]\ndomains = [\"*.example.com\"]\n[brands.one]\ndomains = [\"one.example.com\"]\n",
    );
    server.reload();
    assert_eq!(seen(&server, "one.example.com"), "200 one");
    assert_eq!(seen(&server, "victim.example.com"), "200 two");
}

/// Whoever writes one `brand.toml` may wait for a restart.
#[test]
fn restart_gives_no_brand_what_another_one_served() {
    let (site, data) = (site(), tempfile::tempdir().unwrap());
    let start = || ServerOptions::of(site.path()).data(data.path()).start();
    let two = "default = true\ndomains = [\"*.example.com\", \"two.test\"]\n";
    site.write("brands/two/brand.toml", two);
    drop(start());
    let greedy = "domains = [\"one.test\", \"victim.example.com\", \"two.test\"]\n";
    for _ in 0..2 {
        site.write("brands/one/brand.toml", greedy);
        let server = start();
        for host in ["victim.example.com", "two.test", "unknown.test"] {
            assert_eq!(seen(&server, host), "200 two", "{host}");
        }
        assert_eq!(server.get("one.test", "/").status, 503, "the other brand's error is its own");
        server.wait_told("claim victim.example.com, which *.example.com includes");

        // A brand that is broken when the program starts loses nothing either.
        drop(server);
        site.write("brands/two/brand.toml", "domains =");
        site.write("brands/one/brand.toml", "domains = [\"one.test\"]\n");
        let server = start();
        assert_eq!(seen(&server, "one.test"), "200 one");
        site.write("brands/two/brand.toml", two);
    }
    // Without the file, nobody gets what both claim.
    site.write("brands/one/brand.toml", greedy);
    let file = data.path().join("hosts.json");
    std::fs::write(&file, "{").unwrap();
    let server = start();
    assert_eq!(server.get("two.test", "/").status, 421);
    server.wait_told("cannot read which brand served which hosts");
    drop(server);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(start().get("two.test", "/").status, 421);
}

#[test]
fn second_default_brand_is_an_error_of_its_own() {
    let site = site();
    for brand in ["one", "two"] {
        site.write(
            &format!("brands/{brand}/brand.toml"),
            &format!("default = true\ndomains = [\"{brand}.test\"]\n"),
        );
    }
    let server = Server::start(site.path());
    for brand in ["one", "two"] {
        assert_eq!(seen(&server, &format!("{brand}.test")), format!("200 {brand}"));
    }
    assert_eq!(server.get("other.test", "/").status, 421, "nothing decides between them");
    server.wait_told("both set `default = true`");
    site.write("brands/one/brand.toml", "domains = [\"one.test\"]\n");
    server.reload();
    assert_eq!(seen(&server, "other.test"), "200 two");
    site.write("brands/one/brand.toml", "default = true\ndomains = [\"one.test\"]\n");
    server.reload();
    assert_eq!(seen(&server, "other.test"), "200 two", "it was there first");
    assert_eq!(seen(&server, "one.test"), "200 one", "the last good version is served");
}
