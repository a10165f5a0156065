//! What systemd learns about the server.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use sluice_test_support::free_address;

use crate::harness::{Request, ServerOptions, TestSite};

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
    let mut server = ServerOptions::of(site.path()).watched_service(&socket).start();
    let first = [next(), next(), next(), next()];
    assert_eq!(first.iter().filter(|state| *state == "READY=1").count(), 1, "{first:?}");
    assert_eq!(first.iter().filter(|state| *state == "WATCHDOG=1").count(), 3, "{first:?}");
    assert_eq!(server.get("localhost", "/").status, 200);
    server.ask_to_stop();
    while next() != "STOPPING=1" {}
    assert!(server.wait().success());
}

#[test]
fn serves_on_sockets_that_the_service_manager_has_opened() {
    let site = TestSite::with(&[("pages/index.html", "<p>hello")]);
    // The name of a socket unit stands for the visitors' socket. A client can be there before the server.
    let [visitors, probes] = [free_address(), free_address()];
    let sockets = [("sluice.socket", visitors), ("probes", probes)];
    let mut server = ServerOptions::of(site.path()).with_sockets(&sockets).start();
    assert_eq!(server.address, visitors);
    assert_eq!(server.get("localhost", "/").status, 200);
    assert_eq!(Request::get("/healthz").send(probes).status, 200);
    assert_eq!(server.admin("/api/overview").status, 200);
    assert!(server.terminate().success());
}

#[test]
fn socket_that_nothing_uses_ends_the_start() {
    let site = TestSite::with(&[("pages/index.html", "<p>hello")]);
    for (name, told) in [("http", "`http`"), ("elsewhere", "`elsewhere`"), ("visitors", "`visitors`")] {
        let sockets = [("visitors", free_address()), (name, free_address())];
        let error = ServerOptions::of(site.path()).with_sockets(&sockets).start_error();
        assert!(error.contains(told) && error.contains("FileDescriptorName="), "{error}");
    }
}
