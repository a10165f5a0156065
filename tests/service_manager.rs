//! What systemd learns about the server.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::harness::{ServerOptions, TestSite};

#[test]
fn systemd_learns_when_the_server_is_ready_alive_and_stopping() {
    let site = TestSite::with(&[("pages/index.html", "<p>hello")]);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    let next = || {
        let mut bytes = [0; 4_096];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap().trim().to_owned()
    };
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut server = ServerOptions::of(site.path()).warm().watched_service(&socket).start();
    let first = [next(), next(), next(), next()];
    assert_eq!(first.iter().filter(|state| *state == "READY=1").count(), 1, "{first:?}");
    assert_eq!(first.iter().filter(|state| *state == "WATCHDOG=1").count(), 3, "{first:?}");
    assert_eq!(server.get("localhost", "/").status, 200);
    server.ask_to_stop();
    while next() != "STOPPING=1" {}
    assert!(server.wait().success());
}
