//! The image.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sluice_test_support::http::Request;
use tempfile::TempDir;

use super::VISITORS;
use super::release::{Release, release};
use super::system::{Running, System, in_own_network, repository};

/// The files of an image in the OCI layout.
struct Image {
    layout: TempDir,
    /// The name under which `podman load` keeps it.
    name: String,
    config: Value,
    layers: Vec<PathBuf>,
}

impl Image {
    fn read(archive: &Path) -> Self {
        let layout = tempfile::tempdir().unwrap();
        let unpacked = Command::new("tar").arg("xf").arg(archive).arg("-C").arg(layout.path()).status();
        assert!(unpacked.unwrap().success());
        let json = |path: PathBuf| serde_json::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap();
        let blob = |of: &Value| {
            let (kind, digest) = of["digest"].as_str().unwrap().split_once(':').unwrap();
            layout.path().join("blobs").join(kind).join(digest)
        };
        let index = json(layout.path().join("index.json"));
        let manifest = json(blob(&index["manifests"][0]));
        let config = json(blob(&manifest["config"]));
        let layers = manifest["layers"].as_array().unwrap().iter().map(blob).collect();
        let name =
            index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap();
        Self { layout, name: name.to_owned(), config, layers }
    }

    /// A list of texts in the configuration.
    fn list(&self, key: &str) -> Vec<&str> {
        self.config["config"][key].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
    }
}

#[test]
fn image_serves_a_mounted_site_as_an_ordinary_user_on_a_read_only_root() {
    let test = "packages::image::image_serves_a_mounted_site_as_an_ordinary_user_on_a_read_only_root";
    in_own_network(test, || {
        let image = Image::read(&release(Release::Image));
        assert!(image.layout.path().join("oci-layout").exists());
        assert_eq!(image.name, concat!("sluice:", env!("CARGO_PKG_VERSION")));
        let system = System::empty();
        image.layers.iter().for_each(|layer| system.unpack(layer));
        assert!(!system.path("/bin/sh").exists(), "the image has only what the program needs");
        let mode = fs::metadata(system.path("/data")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "new volumes get the permissions of this folder");
        let copied =
            Command::new("cp").arg("-r").arg(repository("scripts")).arg(system.path("/site")).status();
        assert!(copied.unwrap().success());
        let user = image.config["config"]["User"].as_str().unwrap();
        assert_ne!(user.parse::<u32>().unwrap(), 0);
        let mut command = system.command(&["--user", user, "--read-only", "/data"]);
        command.args(image.list("Entrypoint"));
        command.envs(image.list("Env").iter().map(|variable| variable.split_once('=').unwrap()));
        let mut server = Running::start(command);
        let page = || Request::get("/").try_send(VISITORS);
        server.wait_until("the site is served", || page().is_ok_and(|answer| answer.status == 200));
        let probes = "127.0.0.1:9091".parse().unwrap();
        assert_eq!(Request::get("/readyz").send(probes).status, 200);
        assert!(server.stop().success());
        assert!(system.path("/data/app.key").exists());
    });
}

/// What both files for images say about how the program is run.
#[test]
fn image_is_run_like_one_that_is_built_from_sources() {
    let read = |name: &str| fs::read_to_string(repository("deploy/container").join(name)).unwrap();
    let told = |text: &str| text[text.find("\nUSER ").unwrap()..].to_owned();
    assert_eq!(told(&read("Containerfile")), told(&read("Containerfile.release")));
}
