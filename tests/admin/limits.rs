//! Limits that operators set and remove over the API and in the console.

use super::*;

#[test]
fn writes_a_limit_into_brand_toml() {
    let site = site();
    site.write("sluice.toml", "[limits.max]\nfuel = 9_000_000\n");
    let server = Server::start(site.path());
    let file = site.brand_dir("shop").join("brand.toml");
    let set = |change: &Value| put("/api/brands/shop/limits", change).operator().send(server.admin_address);
    assert_eq!(json(&set(&set_fuel(5_000_000)))["value"], 5_000_000);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# Ours.\ndefault = true\n") && text.contains("fuel = 5000000"), "{text}");
    let limits = json(&server.admin("/api/brands/shop/limits?path=/shop"));
    let fuel = limits.as_array().unwrap().iter().find(|row| row["name"] == "fuel").unwrap();
    assert_eq!(fuel["value"], 5_000_000);
    assert_eq!(fuel["written_in"], "brands/shop/brand.toml, [[page]] /shop");

    let before = std::fs::read_to_string(&file).unwrap();
    for (change, status, reason) in [
        (set_fuel(9_000_001), 400, "at most 9000000"),
        (set_fuel(0), 400, "positive"),
        (json!({"page": "/nowhere", "limit": "fuel", "value": 5}), 404, "no page /nowhere"),
        (json!({"page": "/shop", "limit": "fuell", "value": 5}), 404, "no limit fuell"),
        (json!({"page": "/shop", "limit": "fuel", "value": "much"}), 400, "whole number"),
        (json!({}), 400, "value"),
    ] {
        let answer = set(&change);
        assert_eq!(answer.status, status, "{change}: {}", answer.body);
        assert!(answer.body.contains(reason), "{change}: {}", answer.body);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);

    // The request is valid, but the file is not.
    site.write("brands/shop/brand.toml", "page = 3\n");
    let answer = set(&set_fuel(5_000_000));
    assert_eq!((answer.status, answer.body.contains("brand.toml")), (409, true), "{}", answer.body);
    // The disk of the site has no room for the new file.
    let long = format!("{before}# {}\n", "x".repeat(5 << 20));
    site.write("brands/shop/brand.toml", &long);
    let server = ServerOptions::of(site.path()).file_bytes_max(4 << 20).start();
    let answer = put("/api/brands/shop/limits", &set_fuel(4_000_000)).operator().send(server.admin_address);
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert!(answer.body.contains("fuel = 4000000"), "{}", answer.body);
    assert!(std::fs::read_to_string(&file).unwrap() == long, "the file has changed");
}

#[test]
fn api_removes_a_limit_of_a_page() {
    let site = site();
    let server = Server::start(site.path());
    let file = || std::fs::read_to_string(site.brand_dir("shop").join("brand.toml")).unwrap();
    let before = file();
    let set = |value: Value| {
        let change = json!({"page": "/shop", "limit": "fuel", "value": value});
        json(&put("/api/brands/shop/limits", &change).operator().send(server.admin_address))
    };
    assert_eq!(set(json!(5_000_000))["value"], 5_000_000);
    assert_eq!(set(Value::Null)["value"], 1_000_000_000);
    assert_eq!(file(), before);
    let limits = json(&server.admin("/api/brands/shop/limits?path=/shop"));
    let fuel = limits.as_array().unwrap().iter().find(|row| row["name"] == "fuel").unwrap();
    assert_eq!((&fuel["value"], &fuel["in_force"]), (&json!(1_000_000_000), &json!(1_000_000_000)));
}

#[test]
fn operator_is_told_that_a_limit_is_written_and_not_in_force() {
    let site = site();
    let server = ServerOptions::of(site.path()).start();
    let set =
        |value: u64| put("/api/brands/shop/limits", &set_fuel(value)).operator().send(server.admin_address);
    let fuel = || {
        let limits = json(&server.admin("/api/brands/shop/limits?path=/shop"));
        let fuel = limits.as_array().unwrap().iter().find(|row| row["name"] == "fuel").unwrap();
        (fuel["value"].as_u64().unwrap(), fuel["in_force"].as_u64().unwrap())
    };
    assert_eq!((set(5_000_000).status, fuel()), (200, (5_000_000, 5_000_000)));
    for (file, broken, mended) in
        [("sluice.toml", "[serverr]\n", ""), ("brands/shop/crm.toml", "[[entity]]\n", "")]
    {
        site.write(file, broken);
        let answer = set(6_000_000);
        assert_eq!(answer.status, 409, "{}", answer.body);
        for part in ["fuel = 6000000 is written in brands/shop/brand.toml", "does not apply yet", file] {
            assert!(answer.body.contains(part), "{part}: {}", answer.body);
        }
        assert_eq!(fuel(), (6_000_000, 5_000_000), "{file}");
        site.write(file, mended);
        server.reload();
        assert_eq!(fuel(), (6_000_000, 6_000_000), "{file}");
        assert_eq!(set(5_000_000).status, 200);
    }
}
