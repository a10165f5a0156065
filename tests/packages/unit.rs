//! Starts a service as its systemd unit says, as far as that is possible without systemd.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::system::{Running, System};

const UNIT: &str = "/usr/lib/systemd/system/sluice.service";
const ADDITIONS: &str = "/etc/systemd/system/sluice.service.d";

/// The settings of a unit in the order of its files.
struct Unit(Vec<(String, String)>);

impl Unit {
    /// The unit of the package, with what the operator has added.
    fn of(system: &System) -> Self {
        let mut text = system.read(UNIT);
        let added = fs::read_dir(system.path(ADDITIONS)).into_iter().flatten();
        let mut added: Vec<_> = added.map(|entry| entry.unwrap().path()).collect();
        added.sort();
        text.extend(added.iter().map(|path| fs::read_to_string(path).unwrap()));
        let settings =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        Self(settings.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// All values of a setting. An empty one withdraws those before.
    fn all(&self, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for (_, value) in self.0.iter().filter(|(known, _)| known == key) {
            if value.is_empty() { values.clear() } else { values.push(value.as_str()) }
        }
        values
    }

    fn last(&self, key: &str) -> &str {
        self.all(key).last().unwrap_or_else(|| panic!("the unit has no {key}"))
    }

    /// The capabilities that a setting names, as `setpriv` takes them.
    fn capabilities(&self, key: &str) -> String {
        let names = self.all(key).join(" ").to_lowercase();
        let names = names.split_whitespace().map(|name| format!(",+{}", name.trim_start_matches("cap_")));
        std::iter::once("-all".to_owned()).chain(names).collect()
    }

    /// The variables that the unit and its files set. Later ones win.
    fn environment(&self, system: &System) -> BTreeMap<String, String> {
        let words = self.all("Environment").join(" ");
        let mut lines: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        for file in self.all("EnvironmentFile") {
            let path = file.trim_start_matches('-');
            if !file.starts_with('-') || system.path(path).exists() {
                lines.extend(system.read(path).lines().map(str::to_owned));
            }
        }
        let lines = lines.iter().map(|line| line.trim()).filter(|line| !line.starts_with('#'));
        let unquoted = |value: &str| value.trim_matches('\'').to_owned();
        lines
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), unquoted(value)))
            .collect()
    }
}

/// Starts the packaged service and waits until it says that it is ready.
pub(super) fn start_service(system: &System) -> Running {
    let unit = Unit::of(system);
    assert_eq!((unit.last("Type"), unit.last("ProtectSystem")), ("notify", "strict"));
    let user = unit.last("User");
    let state = format!("/var/lib/{}", unit.last("StateDirectory"));
    system.sh(&format!("install -d -o {user} -g {user} -m {} {state}", unit.last("StateDirectoryMode")));
    let socket = system.path("/run/notify");
    drop(fs::remove_file(&socket));
    let manager = UnixDatagram::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
    // The machine of a test may not allow as many files.
    let limits = format!(
        "umask {}; ulimit -c {}; ulimit -n {} 2>/dev/null; exec \"$0\" \"$@\"",
        unit.last("UMask"),
        unit.last("LimitCORE"),
        unit.last("LimitNOFILE"),
    );
    let ambient = unit.capabilities("AmbientCapabilities");
    let mut command = system.command(&["--read-only", &state]);
    command
        .args(["sh", "-c", &limits, "setpriv", "--no-new-privs", "--init-groups"])
        .args(["--reuid", user, "--regid", unit.last("Group")])
        .args(["--inh-caps", &ambient, "--ambient-caps", &ambient])
        .args(["--bounding-set", &unit.capabilities("CapabilityBoundingSet")])
        .args(unit.last("ExecStart").split_whitespace())
        .envs(unit.environment(system))
        .env("STATE_DIRECTORY", &state)
        .env("NOTIFY_SOCKET", "/run/notify");
    let mut service = Running::start(command);
    manager.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut bytes = [0; 4_096];
    service.wait_until("the service is ready", || {
        let said =
            manager.recv(&mut bytes).map(|length| String::from_utf8_lossy(&bytes[..length]).into_owned());
        said.is_ok_and(|said| said.contains("READY=1"))
    });
    service
}
