//! What visitors and operators see when there is no new certificate.

use std::fs;

use serde_json::Value;

use super::world::{NAME, World, acme, certificate, handshake, site};
use crate::harness::{Server, ServerOptions};
use crate::https::Authority;

/// Nothing listens there.
const NOWHERE: &str = "https://127.0.0.1:1/dir";

fn unavailable(host: &Server) -> f64 {
    host.metric("sluice_acme_orders_total", &["outcome=\"unavailable\""])
}

#[test]
fn old_certificate_stays_while_the_authority_is_away() {
    let (world, site) = (World::new(), site("[\"shop.test\"]"));
    let host = world.host(&site).env("SLUICE_SERVER__HTTP_LISTEN", &world.http.to_string()).start();
    let old = world.wait_certificate(&[&host], NAME, None);
    world.pebble.kill();
    world.grow_old();
    host.reload();
    let told = host.wait_told("no certificate was issued; the old one stays in use");
    assert!(told[0]["fields"]["problem"].as_str().unwrap().contains("cannot be reached"), "{told:?}");
    host.wait_until("the attempt is counted", || unavailable(&host) == 1.0);
    assert_eq!(certificate(&host, NAME).as_ref(), Some(&old));
    let overview = || serde_json::from_str::<Value>(&host.admin("/api/overview").body).unwrap();
    host.wait_until("the problem is shown", || !overview()["certificates"]["authority_problem"].is_null());
    let shown = overview()["certificates"].clone();
    let problem = &shown["authority_problem"];
    assert!(problem["text"].as_str().unwrap().contains("cannot be reached"), "{shown}");
    assert_eq!((&problem["failures"], &shown["names"][0]["name"]), (&1.into(), &NAME.into()));
    let console = host.admin("/").body;
    assert!(
        console.contains("Nothing is ordered before") && console.contains("cannot be reached"),
        "{console}"
    );
    // Nobody asks again before the pause is over.
    host.reload();
    assert_eq!(unavailable(&host), 1.0);
    let pause = "next_at - 1000 * extract(epoch FROM now())";
    let pause = world.database.sql(&format!("SELECT ({pause})::bigint FROM acme_name WHERE name = ''"));
    assert!((1..=60_000).contains(&pause.parse::<i64>().unwrap()), "{pause}");
    world.pass_time("next_at = 0");
    host.reload();
    host.wait_until("it is tried again", || unavailable(&host) == 2.0);
    // The authority returns and has forgotten everything, the account, too.
    world.pebble.restart();
    world.pass_time("next_at = 0");
    host.reload();
    host.wait_until("the account is unknown", || unavailable(&host) == 3.0);
    world.pass_time("next_at = 0");
    world.wait_certificate(&[&host], NAME, Some(&old));
    host.wait_until("the problem is gone", || overview()["certificates"]["authority_problem"].is_null());
}

#[test]
fn host_without_any_certificate_starts_and_refuses_handshakes_with_an_alert() {
    let (authority, site) = (Authority::new(), site("[\"shop.test\"]"));
    let host = acme(site.path(), NOWHERE, &authority.ca_file()).start();
    host.wait_told("no certificate was issued");
    assert_eq!(host.metric("sluice_acme_names", &["state=\"missing\""]), 1.0);
    let refused = handshake(&host, NAME, &[]);
    assert!(refused.contains("alert") && !refused.contains("BEGIN CERTIFICATE"), "{refused}");
    assert!(host.metric("sluice_tls_handshakes_total", &["outcome=\"no_certificate\""]) >= 1.0);
}

#[test]
fn name_with_a_certificate_from_a_file_is_not_ordered() {
    let (authority, site) = (Authority::new(), site("[\"shop.test\", \"www.shop.test\"]"));
    authority.issue("shop", &["shop.test", "*.shop.test"], 1);
    let host = acme(site.path(), NOWHERE, &authority.ca_file()).data(authority.data_dir()).start();
    assert!(certificate(&host, "www.shop.test").is_some());
    host.reload();
    for state in ["missing", "certified"] {
        assert_eq!(host.metric("sluice_acme_names", &[&format!("state=\"{state}\"")]), 0.0);
    }
    // When the files are gone, the names are ordered.
    fs::remove_file(authority.data_dir().join("tls/shop.crt")).unwrap();
    host.reload();
    host.wait_told("no certificate was issued");
}

#[test]
fn contradicting_settings_end_the_start() {
    let site = site("[\"shop.test\"]");
    let told = |environment: &[(&str, &str)]| {
        let options = ServerOptions::of(site.path());
        environment.iter().fold(options, |options, (name, value)| options.env(name, value)).start_error()
    };
    let enabled = ("SLUICE_ACME__ENABLED", "true");
    assert!(told(&[enabled]).contains("set server.https = true"));
    let https = ("SLUICE_SERVER__HTTPS", "true");
    assert!(told(&[enabled, https]).contains("set server.http_listen"));
    let wrong = [enabled, https, ("SLUICE_ACME__DIRECTORY", "http://ca.example/dir")];
    assert!(told(&wrong).contains("is not the https URL"));
    assert!(told(&[("SLUICE_ACME__CONTACT", "a,b@example.com")]).contains("is not a mail address"));
    let no_file =
        [enabled, https, ("SLUICE_ACME__CHALLENGE", "tls-alpn-01"), ("SLUICE_ACME__CA_FILE", "no.pem")];
    assert!(told(&no_file).contains("acme.ca_file"));
    site.write("sluice.toml", "[acme]\nca_file = \"/etc/ssl/ca.pem\"\n");
    assert!(told(&[]).contains("SLUICE_ACME__CA_FILE"));
}
