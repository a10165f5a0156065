//! What a reload has changed.

use super::*;

fn newest(server: &Server) -> Value {
    json(&server.admin("/api/overview"))["reloads"][0].clone()
}

/// `added page pages/new.html of shop`
fn changes(reload: &Value) -> Vec<String> {
    let line = |one: &Value| {
        let part = |name: &str| one[name].as_str().unwrap_or("the host").to_owned();
        format!("{} {} {} of {}", part("change"), part("part"), part("name"), part("brand"))
    };
    reload["changes"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn a_reload_names_the_pages_and_settings_that_it_changed() {
    let site = site();
    site.write("brands/shop/layouts/main.html", "<main>@yield(\"body\")</main>");
    site.write("brands/shop/pages/with.html", "@extends(\"main\")@block(\"body\")a@endblock");
    site.write("brands/shop/pages/old.html", "old");
    let server = Server::start(site.path());
    assert_eq!(changes(&newest(&server)), [""; 0]);
    let page = server.admin("/changes").body;
    assert!(page.contains("has not reloaded its files since"), "{page}");
    let reload = || {
        let answer = Request::new("POST", "/api/reload").operator().send(server.admin_address);
        assert_eq!(answer.status, 200, "{}", answer.body);
        newest(&server)
    };
    assert_eq!(changes(&reload()), [""; 0], "nothing has changed");
    site.write("sluice.toml", "[limits]\nfuel = 900_000_000\n");
    site.write(
        "brands/shop/brand.toml",
        "default = true\n[variables]\noffer = \"a-secret-offer\"\n[[page]]\npath = \"/shop\"\nlimits.fuel = 800_000_000\n",
    );
    site.write("brands/shop/layouts/main.html", "<main class=\"new\">@yield(\"body\")</main>");
    site.write("brands/shop/pages/new.html", "new <b>page</b>");
    site.write("brands/shop/pages/bad.html", "<script scope=\"backend\">let = ;</script>");
    site.write("brands/shop/crm.toml", "[[entity]]\nslug = 'leads'\n");
    std::fs::remove_file(site.brand_dir("shop").join("pages/old.html")).unwrap();
    std::fs::remove_dir_all(site.brand_dir("other")).unwrap();
    let found = reload();
    assert_eq!(
        changes(&found),
        [
            "added setting limits.fuel of the host",
            "removed brand other of other",
            "removed page pages/old.html of shop",
            "added page pages/bad.html of shop",
            "added page pages/new.html of shop",
            "changed page pages/with.html of shop",
            "added setting page[/shop].limits.fuel of shop",
            "added setting page[/shop].path of shop",
            "added setting variables.offer of shop",
            "added crm crm.toml of shop",
        ]
    );
    assert_eq!(found["changes_all"], 10);
    assert!(!found.to_string().contains("a-secret-offer"), "values are not kept");
    for path in ["/changes", "/brands/shop/changes"] {
        let page = server.admin(path).body;
        let part =
            page.split("id=\"last-load\"").nth(1).unwrap().split("id=\"by-operators\"").next().unwrap();
        for text in [
            ">added</span> <a href=\"/brands/shop/page?path=/new&amp;",
            ">changed</span> <a href=\"/brands/shop/page?path=/with&amp;",
            ">removed</span> pages/<wbr>old.html",
            "#limits\">page[/<wbr>shop].limits.fuel</a>",
            "brand.toml",
            "Not loaded:",
        ] {
            assert!(part.contains(text), "{path}: {text} is not in {part}");
        }
        assert_eq!(part.contains("sluice.toml"), path == "/changes", "{path}: only what is of the brand");
    }
    // The next reload has changed nothing of this.
    site.write("brands/shop/pages/new.html", "newer");
    assert_eq!(changes(&reload()), ["changed page pages/new.html of shop"]);
}
