//! Finds and runs programs of PostgreSQL, as a user that PostgreSQL accepts.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A command that runs `program` as the user that owns the servers' files. PostgreSQL refuses to
/// run as root. If the test runs as root, this user is `nobody`; otherwise it is the test's own.
pub fn as_server_user(program: &Path) -> Command {
    match server_user() {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={user}"), "--regid=65534", "--clear-groups", "--"]);
            command.arg(program).current_dir("/");
            command
        }
    }
}

/// The user that the servers run as, unless it is the test's own.
fn server_user() -> Option<u32> {
    const NOBODY: u32 = 65_534;
    (fs::metadata("/proc/self").unwrap().uid() == 0).then_some(NOBODY)
}

pub(super) fn give_to_server_user(dir: &Path) {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    if let Some(user) = server_user() {
        std::os::unix::fs::chown(dir, Some(user), None).unwrap();
    }
}

/// The path of one of PostgreSQL's programs. Debian installs them in a folder for each version.
pub(super) fn postgres_program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    dirs.sort();
    dirs.reverse();
    let dirs: Vec<&str> = dirs.iter().filter_map(|dir| dir.to_str()).collect();
    program(name, &dirs)
}

/// The path of a program in `dirs` or `PATH`.
pub(super) fn program(name: &str, dirs: &[&str]) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let candidates = dirs.iter().copied().chain(path.split(':')).map(|dir| Path::new(dir).join(name));
    let found = candidates.into_iter().find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: run `make setup`"))
}

/// Starts a command whose output goes to `log`. With the test's own output, the test runner would
/// wait for the command's end.
pub(super) fn start(command: &mut Command, log: File) -> Child {
    let error = log.try_clone().unwrap();
    command.stdin(Stdio::null()).stdout(log).stderr(error).spawn().unwrap()
}

/// As [`start`], for a command that outlives this test.
#[expect(clippy::zombie_processes, reason = "the test has ended when the command does")]
pub(super) fn leave_running(command: &mut Command, log: File) {
    start(command, log);
}

/// Runs a command that must succeed. Returns its output without the last line break.
pub(super) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

pub(super) fn free_port() -> u16 {
    crate::free_address().port()
}
