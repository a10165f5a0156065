//! The commands of the README that lead from the package to a page over HTTPS.

use std::fs;
use std::process::Command;

use sluice_test_support::pebble::Pebble;

use super::release::{Release, release};
use super::system::{System, in_own_network, repository};
use super::unit::start_service;

/// The name in the commands.
const NAME: &str = "shop.example";
/// What the test does itself, because there is no systemd.
const RESTART: &str = "systemctl restart sluice";

/// The commands in the block of the README that turns HTTPS on, without comments.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    let mut blocks = readme.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let block = blocks.find(|block| block.contains("sluice-https")).expect("the README has the commands");
    let lines = block.lines().map(|line| line.split(" #").next().unwrap().trim());
    lines.map(|line| line.strip_prefix("sudo ").expect("the commands are for root").to_owned()).collect()
}

#[test]
fn three_commands_lead_from_the_package_to_a_page_over_https() {
    let test = "packages::readme::three_commands_lead_from_the_package_to_a_page_over_https";
    in_own_network(test, || {
        let commands = commands();
        assert_eq!(commands.len(), 3, "{commands:?}");
        let pebble = Pebble::start(80, 443);
        let system = System::bare();
        fs::copy(
            release(Release::Deb),
            system.path("/root").join(release(Release::Deb).file_name().unwrap()),
        )
        .unwrap();
        // Names lead to this machine, and the authority is that of the tests.
        system.write("/etc/hosts", &format!("127.0.0.1 localhost {NAME}\n"));
        let mut service = None;
        for command in &commands {
            if command == RESTART {
                system.sh("install -d -o sluice -m 700 /var/lib/sluice");
                fs::copy(pebble.ca_file(), system.path("/var/lib/sluice/ca.pem")).unwrap();
                let settings =
                    format!("SLUICE_ACME__DIRECTORY={}\nSLUICE_ACME__CA_FILE=ca.pem\n", pebble.directory());
                system.write("/etc/sluice/sluice.env", &settings);
                service = Some(start_service(&system));
            } else {
                system.sh(&format!("cd /root && {command}"));
            }
        }
        let mut service = service.expect("the commands start the service");
        fs::write(system.path("/root/root.pem"), pebble.root()).unwrap();
        let curl = |url: &str| {
            let output = Command::new("curl")
                .args([
                    "--silent",
                    "--show-error",
                    "--include",
                    "--noproxy",
                    "*",
                    "--max-time",
                    "20",
                    "--cacert",
                ])
                .arg(system.path("/root/root.pem"))
                .args([
                    "--resolve",
                    &format!("{NAME}:443:127.0.0.1"),
                    "--resolve",
                    &format!("{NAME}:80:127.0.0.1"),
                ])
                .arg(url)
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        service.wait_until("the name has a certificate", || {
            curl(&format!("https://{NAME}/")).contains("My site")
        });
        let redirected = curl(&format!("http://{NAME}/"));
        assert!(
            redirected.contains("308") && redirected.contains(&format!("https://{NAME}/")),
            "{redirected}"
        );
        assert!(service.stop().success());
    });
}
