//! Orders that succeed, and names that are not ordered.

use std::process::Command;

use sluice_acme::Challenge;

use crate::failures::logged;
use crate::front::Fault;
use crate::world::{DAY, MINUTE, World};

const NAME: &str = "shop.example";

/// Checks that a certificate leads to the root of the authority and is for the name.
fn check_installed(world: &World, host: &crate::world::Host, name: &str) {
    let chain = host.installed(name).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |file: &str| dir.path().join(file);
    std::fs::write(file("leaf.der"), &chain[0]).unwrap();
    std::fs::write(file("middle.der"), &chain[1]).unwrap();
    std::fs::write(file("root.pem"), world.pebble.root()).unwrap();
    for name in ["leaf", "middle"] {
        let done = Command::new("openssl")
            .args(["x509", "-inform", "der", "-in", &format!("{name}.der"), "-out", &format!("{name}.pem")])
            .current_dir(dir.path())
            .status();
        assert!(done.unwrap().success());
    }
    let verified = Command::new("openssl")
        .args([
            "verify",
            "-CAfile",
            "root.pem",
            "-untrusted",
            "middle.pem",
            "-verify_hostname",
            name,
            "leaf.pem",
        ])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_a_certificate_over_http() {
    let world = World::new().await;
    let host = world.host(&[("millrace", NAME)]).await;
    assert_eq!(host.keeper.pass().await, 1);
    check_installed(&world, &host, NAME);
    let state = host.state(NAME).await.unwrap();
    assert_eq!((state.failures, state.next_at), (0, 0));
    assert_eq!(*host.outcomes.lock(), ["issued"]);
    assert_eq!(host.keeper.pass().await, 0);
    let report = host.keeper.report();
    assert_eq!(report.names[0].name, NAME);
    let (expires_at, renews_at) = report.names[0].expires_and_renews_at.unwrap();
    let lifetime = expires_at - world.now();
    assert!((89 * DAY..=90 * DAY).contains(&lifetime), "{lifetime}");
    let renewed_in = renews_at - world.now();
    assert!((55 * DAY..=60 * DAY).contains(&renewed_in), "{renewed_in}");
    assert_eq!(world.pebble.issued(), 1);
    assert_eq!(host.store.answers(0, 10).await, Ok(Vec::new()), "nothing is answered after an order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_a_certificate_over_tls() {
    let world = World::new().await;
    let host =
        world.host_with(&[("millrace", NAME)], |options| options.challenge = Challenge::TlsAlpn01).await;
    assert_eq!(host.keeper.pass().await, 1);
    check_installed(&world, &host, NAME);
    assert_eq!(host.store.answers(0, 10).await, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_account_orders_for_all_names_and_after_a_restart() {
    let world = World::new().await;
    let first = world.host(&[("a", "a.example"), ("b", "b.example")]).await;
    assert_eq!(first.keeper.pass().await, 2);
    // The next host knows the account from the database.
    drop(first);
    let second = world.host(&[("a", "a.example"), ("c", "c.example")]).await;
    world.lead_to(&[&second]);
    assert_eq!(second.keeper.pass().await, 1);
    assert!(second.installed("a.example").is_some(), "it was installed from the database");
    assert_eq!(world.pebble.issued(), 3);
    // Pebble rejects some nonces on purpose, so a host may ask twice.
    assert_eq!(world.pebble.logged("accounts in memory"), 1, "although two names began at once");
}

#[tokio::test]
async fn makes_a_new_account_if_the_authority_has_forgotten_the_old_one() {
    let world = World::new().await;
    let host = world.host(&[("a", "a.example"), ("a", "b.example")]).await;
    assert_eq!(host.keeper.pass().await, 1);
    world.pebble.restart();
    assert_eq!(host.keeper.pass().await, 0);
    assert_eq!(*host.outcomes.lock(), ["issued", "unavailable"]);
    world.pass_time(2 * MINUTE);
    let log = logged(async { assert_eq!(host.keeper.pass().await, 1) }).await;
    assert!(log.contains("there is an account") && !log.contains("application key"), "{log}");
    assert!(host.installed("a.example").is_some() && host.installed("b.example").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_a_request_whose_nonce_was_not_accepted() {
    let world = World::new().await;
    let host = world.host(&[("a", NAME)]).await;
    let body = r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":"once more"}"#;
    world.front.fail(Some(Fault::Once { path: "/order-plz", status: 400, body }));
    assert_eq!(host.keeper.pass().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_do_not_lead_here_are_never_ordered() {
    let world = World::new().await;
    let wanted = [("bad", "www.elsewhere.example"), ("worse", "unknown.example"), ("good", NAME)];
    let host = world.host(&wanted).await;
    assert_eq!(host.keeper.pass().await, 1);
    assert!(host.installed(NAME).is_some());
    assert_eq!(world.pebble.logged("POST /order-plz"), 1);
    let mut outcomes = host.outcomes.lock().clone();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["issued", "not_here", "not_here"]);
    let state = host.state("unknown.example").await.unwrap();
    assert_eq!(state.failures, 1);
    assert!(state.next_at > world.now(), "it is not tried again at once");
    assert_eq!(host.keeper.pass().await, 0);
    assert_eq!(host.outcomes.lock().len(), 3);
    world.pass_time(MINUTE);
    host.keeper.pass().await;
    assert_eq!(host.state("unknown.example").await.unwrap().failures, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brand_gets_so_many_new_certificates_a_day() {
    let world = World::new().await;
    let names = ["a.big.example", "b.big.example", "c.big.example", "small.example"];
    let wanted: Vec<(&str, &str)> =
        names.iter().map(|name| (if name.contains("big") { "big" } else { "small" }, *name)).collect();
    // The day may end during the test.
    let host = world.host_with(&wanted, |options| options.brand_orders_per_day_max = 1).await;
    world.pass_time(DAY - world.now().rem_euclid(DAY) + 60 * MINUTE);
    assert_eq!(host.keeper.pass().await, 2);
    assert_eq!(host.keeper.pass().await, 0);
    assert_eq!(host.keeper.pass().await, 0);
    let mut outcomes = host.outcomes.lock().clone();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["issued", "issued", "postponed"], "the other names are not even tried");
    assert_eq!(world.pebble.issued(), 2);
    world.pass_time(DAY + 60 * MINUTE);
    assert_eq!(host.keeper.pass().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wildcards_are_skipped_and_unwanted_names_are_retired() {
    let world = World::new().await;
    let host = world.host(&[("a", "*.shop.example"), ("a", "localhost"), ("a", "192.0.2.1")]).await;
    host.store_old("gone.example", world.now() - 10 * DAY, world.now() + 80 * DAY).await;
    assert_eq!(host.keeper.pass().await, 0);
    assert_eq!(*host.outcomes.lock(), Vec::<&str>::new());
    assert_eq!(host.installed("gone.example"), None, "nobody wants it");
    assert_eq!(world.front.requests(), 0);
}
