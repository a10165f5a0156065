//! A system: a folder with a bare Debian, and how to run programs in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Set in the process that has a network of its own.
const NETWORK: &str = "SLUICE_TEST_NETWORK";

/// How long a test waits for an event before it fails. A program compiles the engine at its first start.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a file of the repository is.
pub(super) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Whether this user can make systems. If not, it says so.
pub(super) fn can_enter() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    let is_root = output.stdout.starts_with(b"0\n");
    if !is_root {
        println!("not run: only root can make a system to install packages in");
    }
    is_root
}

/// Runs the test with this name in a network that only has a loopback interface, so that it can use any port.
/// The bare system is made before, as its packages come from another network.
pub(super) fn in_own_network(name: &str, test: impl FnOnce()) {
    if std::env::var_os(NETWORK).is_some() {
        return test();
    }
    if !can_enter() {
        return;
    }
    bare_tar();
    let status = Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(NETWORK, "1")
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "see above");
}

/// The tar file of the bare system. It is made when it is not there.
fn bare_tar() -> PathBuf {
    let made = Command::new(repository("deploy/dist/root.sh")).stderr(Stdio::inherit()).output().unwrap();
    assert!(made.status.success(), "there is no bare system (`make setup` installs what makes it)");
    PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
}

/// A bare Debian, deleted when dropped.
pub(super) struct System {
    dir: TempDir,
}

impl System {
    /// The oldest release that packages support, as its installer leaves it, with lists of packages.
    pub(super) fn bare() -> Self {
        let system = Self::of_tar(&bare_tar());
        // The commands of the README ask nobody here.
        system.write("/etc/apt/apt.conf.d/90tests", "APT::Get::Assume-Yes \"true\";\n");
        system
    }

    /// What is in a tar file.
    pub(super) fn of_tar(tar: &Path) -> Self {
        let system = Self::empty();
        system.unpack(tar);
        system
    }

    pub(super) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The users of the system must be able to enter it.
        let status = Command::new("chmod").arg("755").arg(dir.path()).status().unwrap();
        assert!(status.success());
        Self { dir }
    }

    /// Unpacks a tar file into the system.
    pub(super) fn unpack(&self, tar: &Path) {
        let status = Command::new("tar")
            .args(["--extract", "--numeric-owner", "--file"])
            .arg(tar)
            .arg("--directory")
            .arg(self.dir.path())
            .status()
            .unwrap();
        assert!(status.success(), "{}", tar.display());
    }

    /// Where a file of the system is on this machine.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// A command whose arguments are run in the system. `options` are those of `enter.sh`.
    pub(super) fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(repository("tests/packages/enter.sh"));
        command.arg(self.dir.path()).args(options).arg("--").stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// What a line of shell prints, as root in the system.
    pub(super) fn sh(&self, line: &str) -> String {
        let output = self
            .command(&[])
            .args(["sh", "-c", line])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "{line}: {}\n{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Installs a package with what it depends on. The operator's settings win.
    pub(super) fn install(&self, deb: &Path) {
        let name = deb.file_name().unwrap().to_str().unwrap();
        fs::copy(deb, self.path("/root").join(name)).unwrap();
        self.sh(&format!("apt-get -o Dpkg::Options::=--force-confold install /root/{name}"));
    }
}

/// A program that runs in a system, ended when dropped.
pub(super) struct Running {
    process: Child,
}

impl Running {
    /// Starts a command of [`System::command`].
    pub(super) fn start(mut command: Command) -> Self {
        // There is no load balancer to wait for.
        let process = command.env("SLUICE_SERVER__DRAIN", "0s").spawn().unwrap();
        Self { process }
    }

    /// Waits until `holds` returns true.
    pub(super) fn wait_until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(self.process.try_wait().unwrap().is_none(), "{what}: the program has ended, see above");
            assert!(began.elapsed() < PATIENCE, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the program with SIGTERM.
    pub(super) fn stop(mut self) -> ExitStatus {
        // The process that was started has made the name spaces, and the program is its child.
        let id = self.process.id();
        let program = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let sent = Command::new("kill").arg(program.trim()).status().unwrap();
        assert!(sent.success());
        self.process.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
