//! The tarball.

use std::net::SocketAddr;

use sluice_test_support::http::Request;

use super::VISITORS;
use super::release::{Release, release};
use super::system::{Running, System, in_own_network};

#[test]
fn tarball_runs_on_the_oldest_system_with_its_sample_site() {
    in_own_network("packages::tarball::tarball_runs_on_the_oldest_system_with_its_sample_site", || {
        let system = System::bare();
        system.unpack(&release(Release::Tarball));
        let top = system.sh("cp -r /sluice-*/bin /sluice-*/share /usr/local && ls -d /sluice-*");
        assert_eq!(system.sh("sluice --version"), concat!("sluice ", env!("CARGO_PKG_VERSION")));
        for file in
            ["README.md", "LICENSE", "THIRD-PARTY-LICENSES", "deploy/systemd/sluice.service", "docs/data.md"]
        {
            assert!(system.path(&top).join(file).exists(), "{file}");
        }
        for file in
            ["man/man1/sluice-serve.1", "bash-completion/completions/sluice", "zsh/site-functions/_sluice"]
        {
            assert!(system.path("/usr/local/share").join(file).exists(), "{file}");
        }
        let site = format!("{top}/scripts");
        system.sh(&format!("sluice check {site}"));
        let mut command = system.command(&["--read-only", "/var/lib"]);
        command.args(["sluice", "serve", &site, "--data", "/var/lib/sluice"]);
        let mut server = Running::start(command);
        server.wait_until("the sample site is served", || is_served(VISITORS));
        assert!(server.stop().success());
    });
}

/// Whether the start page is served.
fn is_served(address: SocketAddr) -> bool {
    Request::get("/").try_send(address).is_ok_and(|answer| answer.status == 200)
}
