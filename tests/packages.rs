//! What `make dist` makes is installed and run on bare systems of Debian. A system is a folder, and has processes, a
//! network and mounts of its own. systemd does not run in it, so `unit` starts the service as the unit says.
//!
//! Only root can do that. For other users these tests only say so.

mod image;
mod readme;
mod release;
mod system;
mod tarball;
mod unit;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use crate::harness::{Answer, Request};
use release::{Release, release};
use system::{System, in_own_network};
use unit::start_service;

/// Where the packaged service listens, unless the operator says otherwise.
const VISITORS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// A page that keeps what visitors send, in a brand's storage.
const KEEPS: &str = "<script scope=\"backend\">
if (request.query.value) storage.set('kept', request.query.value);
setVariable('kept', storage.get('kept') ?? 'nothing');
</script>
kept {{ var.kept }}";

fn get(path: &str) -> Answer {
    Request::get(path).send(VISITORS)
}

/// The permissions of a file, and the name of its owner in the system.
fn access(system: &System, path: &str) -> (u32, String) {
    let found = fs::symlink_metadata(system.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (users, id) = (system.read("/etc/passwd"), found.uid().to_string());
    let user = users.lines().find(|line| line.split(':').nth(2) == Some(id.as_str()));
    (found.permissions().mode() & 0o7777, user.unwrap().split(':').next().unwrap().to_owned())
}

/// The addresses on which something listens in this network.
fn listening() -> Vec<String> {
    let output =
        Command::new("ss").args(["--no-header", "--listening", "--numeric", "--tcp"]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.split_whitespace().nth(3).unwrap().to_owned()).collect()
}

#[test]
fn deb_on_a_bare_system_serves_a_first_page_to_this_machine_only() {
    in_own_network("packages::deb_on_a_bare_system_serves_a_first_page_to_this_machine_only", || {
        let system = System::bare();
        system.install(&release(Release::Deb));
        let service = start_service(&system);
        let page = get("/");
        assert_eq!(page.status, 200);
        assert!(page.body.contains("My site"), "{}", page.body);
        let listening = listening();
        assert_eq!(listening.len(), 2, "{listening:?}");
        assert!(listening.iter().all(|address| address.starts_with("127.0.0.1:")), "{listening:?}");
        assert!(service.stop().success());
    });
}

#[test]
fn deb_gives_keys_and_data_to_the_service_alone() {
    in_own_network("packages::deb_gives_keys_and_data_to_the_service_alone", || {
        let system = System::bare();
        system.install(&release(Release::Deb));
        let is = |mode, owner: &str| (mode, owner.to_owned());
        assert_eq!(access(&system, "/etc/sluice/sluice.env"), is(0o600, "root"));
        assert_eq!(access(&system, "/var/lib/sluice"), is(0o700, "sluice"));
        assert_eq!(access(&system, "/srv/sluice/brands/main/brand.toml"), is(0o644, "root"));
        assert_eq!(
            fs::read_dir(system.path("/var/lib/sluice")).unwrap().count(),
            0,
            "the package has no keys"
        );
        start_service(&system).stop();
        for file in ["app.key", "admin.token", "sluice.db"] {
            assert_eq!(access(&system, &format!("/var/lib/sluice/{file}")), is(0o600, "sluice"), "{file}");
        }
    });
}

#[test]
fn systemd_accepts_the_units() {
    if !system::can_enter() {
        return;
    }
    let system = System::bare();
    system.install(&release(Release::Deb));
    system.sh("sluice-https shop.example");
    // The bare system has none of the units on which every service depends.
    let units = Command::new("cp")
        .args(["--recursive", "--no-clobber", "/usr/lib/systemd/system/."])
        .arg(system.path("/usr/lib/systemd/system"))
        .status();
    assert!(units.unwrap().success());
    // The unit for whoever installs the tarball names another place for the program.
    fs::copy(system.path("/usr/bin/sluice"), system.path("/usr/local/bin/sluice")).unwrap();
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/sluice.service");
    fs::copy(unit, system.path("/etc/systemd/system/sluice-tarball.service")).unwrap();
    for unit in ["sluice.service", "sluice-tarball.service"] {
        let mut verify = Command::new("systemd-analyze");
        verify.arg(format!("--root={}", system.path("/").display())).args(["verify", "--man=no", unit]);
        let output = verify.output().expect("systemd-analyze starts (`make setup` installs it)");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("sluice"), "{unit}: {said}");
    }
}

#[test]
fn upgrade_and_removal_keep_data_and_settings_and_purge_deletes_what_it_says() {
    let test = "packages::upgrade_and_removal_keep_data_and_settings_and_purge_deletes_what_it_says";
    in_own_network(test, || {
        let system = System::bare();
        system.install(&release::earlier(&system));
        system.write("/srv/sluice/brands/main/pages/keeps.html", KEEPS);
        system.write("/etc/sluice/sluice.env", "SLUICE_SERVER__QUEUE_WAIT=7s\n");
        let service = start_service(&system);
        assert!(get("/keeps?value=it").body.contains("kept it"));
        service.stop();
        let key = fs::read(system.path("/var/lib/sluice/app.key")).unwrap();

        system.install(&release(Release::Deb));
        assert_eq!(system.sh("dpkg-query -W -f '${Version}' sluice"), env!("CARGO_PKG_VERSION"));
        assert_eq!(system.read("/etc/sluice/sluice.env"), "SLUICE_SERVER__QUEUE_WAIT=7s\n");
        let service = start_service(&system);
        assert!(get("/keeps").body.contains("kept it"));
        service.stop();

        system.sh("apt-get remove sluice");
        assert!(!system.path("/usr/bin/sluice").exists());
        assert_eq!(fs::read(system.path("/var/lib/sluice/app.key")).unwrap(), key);
        assert_eq!(system.read("/etc/sluice/sluice.env"), "SLUICE_SERVER__QUEUE_WAIT=7s\n");
        system.install(&release(Release::Deb));
        let service = start_service(&system);
        assert!(get("/keeps").body.contains("kept it"));
        service.stop();

        system.sh("sluice-https shop.example");
        system.sh("apt-get purge sluice");
        for gone in
            ["/var/lib/sluice", "/etc/sluice", "/etc/systemd/system/sluice.service.d", "/usr/share/sluice"]
        {
            assert!(!system.path(gone).exists(), "{gone}");
        }
        assert!(
            system.path("/srv/sluice/brands/main/pages/keeps.html").exists(),
            "the site is the operator's"
        );
        let left = system.sh("find / -xdev -path /proc -prune -o -user sluice -print");
        assert_eq!(left, "", "nothing of the service's user is left");
    });
}

#[test]
fn disabled_service_stays_disabled_after_an_upgrade() {
    if !system::can_enter() {
        return;
    }
    let system = System::bare();
    let is_enabled =
        || system.path("/etc/systemd/system/multi-user.target.wants/sluice.service").is_symlink();
    system.install(&release::earlier(&system));
    assert!(is_enabled());
    // What `systemctl disable` does, which the bare system does not have.
    fs::remove_file(system.path("/etc/systemd/system/multi-user.target.wants/sluice.service")).unwrap();
    system.install(&release(Release::Deb));
    assert!(!is_enabled());
}
