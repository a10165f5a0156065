//! The files of a release, as `make dist` leaves them in `target/dist`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::system::{System, repository};

/// A file of the release for x86-64.
#[derive(Clone, Copy)]
pub(super) enum Release {
    Tarball,
    Deb,
    Image,
    Sbom,
}

/// Where a file of the release is.
pub(super) fn release(file: Release) -> PathBuf {
    let version = env!("CARGO_PKG_VERSION");
    let name = match file {
        Release::Tarball => format!("sluice-{version}-x86_64-linux.tar.gz"),
        Release::Deb => format!("sluice_{version}_amd64.deb"),
        Release::Image => format!("sluice-{version}-oci-amd64.tar"),
        Release::Sbom => format!("sluice-{version}.cdx.json"),
    };
    let path = repository("target/dist").join(name);
    assert!(path.exists(), "{} does not exist (`make dist` makes it)", path.display());
    path
}

/// The package as an earlier version had it, with other default settings.
pub(super) fn earlier(system: &System) -> PathBuf {
    let dir = system.path("/tmp/earlier");
    run(Command::new("dpkg-deb").arg("--raw-extract").arg(release(Release::Deb)).arg(&dir));
    let control = fs::read_to_string(dir.join("DEBIAN/control")).unwrap();
    let version = format!("Version: {}\n", env!("CARGO_PKG_VERSION"));
    fs::write(dir.join("DEBIAN/control"), control.replace(&version, "Version: 0.0.1\n")).unwrap();
    fs::write(dir.join("etc/sluice/sluice.env"), "# The settings of an earlier version.\n").unwrap();
    let deb = system.path("/tmp/earlier.deb");
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Znone", "--build"]).arg(&dir).arg(&deb));
    deb
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn checksums_are_those_of_every_file() {
    release(Release::Deb);
    let dist = repository("target/dist");
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&dist));
    let sums = fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count() + 1, fs::read_dir(dist).unwrap().count());
}

#[test]
fn sbom_and_licenses_are_the_same_each_time() {
    let made = || {
        let dir = tempfile::tempdir().unwrap();
        let script = repository("deploy/dist/contents.py");
        run(Command::new("python3").arg(script).arg(dir.path()).env("SOURCE_DATE_EPOCH", "1"));
        ["sbom.cdx.json", "THIRD-PARTY-LICENSES"].map(|file| fs::read(dir.path().join(file)).unwrap())
    };
    assert!(made() == made());
}

#[test]
fn sbom_lists_the_crates_of_the_program_and_of_the_engine() {
    let sbom: Value = serde_json::from_str(&fs::read_to_string(release(Release::Sbom)).unwrap()).unwrap();
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = sbom["components"].as_array().unwrap();
    let named = |name: &str| components.iter().find(|component| component["name"] == name);
    for name in ["wasmtime", "rustls", "libsqlite3-sys", "tikv-jemallocator", "sluice-engine", "rquickjs-sys"]
    {
        let found = named(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(found["licenses"][0]["expression"].is_string(), "{found}");
    }
    let wasmtime = named("wasmtime").unwrap();
    let lock = fs::read_to_string(repository("Cargo.lock")).unwrap();
    assert!(lock.contains(wasmtime["hashes"][0]["content"].as_str().unwrap()));
    assert!(named("proptest").is_none(), "what only tests use is not in the program");
}
