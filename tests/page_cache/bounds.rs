//! The cache takes no more memory than it may.

use super::{cached, get, runs};
use crate::harness::{ServerOptions, TestSite};

const LARGE: &str = "<script scope=\"backend\">
    response.send('x'.repeat(Number(request.query.bytes)));
</script>";

#[test]
fn brand_keeps_no_more_than_it_may() {
    let site = TestSite::with(&[("pages/index.html", LARGE), ("brand.toml", &cached("/", "ttl = \"1h\""))]);
    let server = ServerOptions::of(site.path()).env("SLUICE_PAGE_CACHE__BRAND_BYTES_MAX", "400000").start();
    let bytes = || server.metric("sluice_page_cache_size_bytes", &[]);
    for number in 0..20 {
        get(&server, &format!("/?bytes=50000&n={number}"));
        assert!(bytes() <= 400_000.0);
    }
    assert!(bytes() > 300_000.0, "{}", bytes());
    let before = runs(&server);
    get(&server, "/?bytes=50000&n=19");
    assert_eq!(runs(&server), before, "the last answer is there");
    get(&server, "/?bytes=50000&n=0");
    assert_eq!(runs(&server), before + 1.0, "the first answer was dropped");
    // An answer may take a quarter of the room.
    for _ in 0..2 {
        assert_eq!(get(&server, "/?bytes=101000").body.len(), 101_000);
    }
    assert_eq!(runs(&server), before + 3.0);
}

#[test]
fn long_addresses_bypass_the_cache() {
    let site = TestSite::with(&[("pages/index.html", LARGE), ("brand.toml", &cached("/", "ttl = \"1h\""))]);
    let server = ServerOptions::of(site.path()).start();
    let long = format!("/?bytes=1&x={}", "x".repeat(8 << 10));
    for _ in 0..2 {
        assert_eq!(get(&server, &long).body, "x");
    }
    assert_eq!(runs(&server), 2.0);
}
