//! PgBouncer in transaction mode, in front of one server.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::OwnServer;
use super::cluster::{START_MAX, USER, url};
use super::programs::{as_server_user, free_port, give_to_server_user, program, start};

/// A PgBouncer that only one test uses, which can kill and restart it.
pub struct OwnBouncer {
    dir: TempDir,
    port: u16,
    server_port: u16,
    process: Mutex<Option<Child>>,
}

impl OwnBouncer {
    /// Starts it in front of the database `postgres` of a server.
    pub fn start(server: &OwnServer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        give_to_server_user(dir.path());
        let (port, server_port) = (free_port(), server.cluster.port);
        let bouncer = Self { dir, port, server_port, process: Mutex::default() };
        bouncer.restart();
        bouncer
    }

    /// The URL of the database `postgres`, through PgBouncer.
    pub fn url(&self) -> String {
        url(self.port, "postgres")
    }

    /// Ends PgBouncer with SIGKILL.
    pub fn kill(&self) {
        if let Some(mut process) = self.process.lock().take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts PgBouncer again, on the same port.
    pub fn restart(&self) {
        let dir = self.dir.path();
        let log = dir.join("pgbouncer.log");
        // The one that was killed could not remove its file.
        let _ = fs::remove_file(pid_file(dir, self.port));
        let mut command = command(dir, self.port, self.server_port);
        *self.process.lock() = Some(start(&mut command, File::create(&log).unwrap()));
        wait(self.port, &log);
    }
}

impl Drop for OwnBouncer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid_file(dir: &Path, port: u16) -> PathBuf {
    // An earlier PgBouncer, which is stopping, still has its file.
    dir.join(format!("pgbouncer-{port}.pid"))
}

/// The command of a PgBouncer for every database of the server, as the server's superuser. It has
/// fewer connections than hosts have, so that hosts really share them.
pub(super) fn command(dir: &Path, port: u16, server_port: u16) -> Command {
    let config = dir.join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={server_port} user={USER}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 1000\n\
         pidfile = {}\n",
        pid_file(dir, port).display()
    );
    fs::write(&config, text).unwrap();
    let mut command = as_server_user(&program("pgbouncer", &["/usr/sbin", "/usr/bin", "/usr/local/bin"]));
    command.arg(&config);
    command
}

/// Waits until PgBouncer accepts connections.
pub(super) fn wait(port: u16, log: &Path) {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || fs::read_to_string(log).unwrap();
        assert!(started.elapsed() < START_MAX, "PgBouncer does not start: {}", log());
        std::thread::sleep(Duration::from_millis(10));
    }
}
