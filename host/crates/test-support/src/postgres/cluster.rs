//! One PostgreSQL server.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::programs::{as_server_user, free_port, postgres_program, run, start};

/// How long a server may take to start. A test only waits this long if the server fails to start.
pub(super) const START_MAX: Duration = Duration::from_secs(60);
/// PostgreSQL's superuser in the clusters that tests make.
pub(super) const USER: &str = "sluice";

/// A cluster's folder, and the port of its server.
pub(super) struct Cluster {
    pub(super) dir: PathBuf,
    pub(super) port: u16,
    /// Settings of the server, such as `max_connections=10`.
    pub(super) settings: Vec<String>,
    /// The main process, if this test started it.
    process: Mutex<Option<Child>>,
}

impl Cluster {
    /// Makes an empty cluster in the new folder `dir`.
    pub(super) fn make(dir: &Path) -> Self {
        let mut initdb = as_server_user(&postgres_program("initdb"));
        initdb
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", USER, "-D"])
            .arg(dir);
        run(&mut initdb);
        Self::of(dir.to_owned(), free_port())
    }

    /// A cluster that exists.
    pub(super) fn of(dir: PathBuf, port: u16) -> Self {
        Self { dir, port, settings: Vec::new(), process: Mutex::new(None) }
    }

    /// Starts the server and waits until it answers. A server that ends at once is started again:
    /// children of the one that was killed before may hold its shared memory for a moment.
    pub(super) fn start(&self) {
        let started = Instant::now();
        self.start_process();
        while !self.answers() {
            let log = || fs::read_to_string(self.dir.with_extension("log")).unwrap();
            assert!(started.elapsed() < START_MAX, "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
            if self.has_ended() {
                self.start_process();
            }
        }
    }

    /// It runs without fsync, because the system's memory keeps what a killed process has written,
    /// and no test cuts the power.
    fn start_process(&self) {
        let log = File::create(self.dir.with_extension("log")).unwrap();
        let mut postgres = as_server_user(&postgres_program("postgres"));
        postgres.arg("-D").arg(&self.dir).arg("-k").arg(&self.dir);
        postgres.arg("-p").arg(self.port.to_string());
        for setting in ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=200", "max_wal_size=8GB"]
        {
            postgres.args(["-c", setting]);
        }
        // The last of several values counts.
        for setting in &self.settings {
            postgres.args(["-c", setting]);
        }
        *self.process.lock() = Some(start(&mut postgres, log));
    }

    fn has_ended(&self) -> bool {
        self.process.lock().as_mut().is_some_and(|process| process.try_wait().unwrap().is_some())
    }

    /// Whether the server runs.
    pub(super) fn answers(&self) -> bool {
        self.psql("postgres", "SELECT 1").output().unwrap().status.success()
    }

    pub(super) fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    pub(super) fn psql(&self, database: &str, sql: &str) -> Command {
        let mut psql = Command::new(postgres_program("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql]);
        psql
    }

    pub(super) fn sql(&self, database: &str, sql: &str) -> String {
        run(&mut self.psql(database, sql))
    }

    pub(super) fn signal(&self, signal: &str) {
        let pid = fs::read_to_string(self.dir.join("postmaster.pid")).unwrap_or_default();
        if let Some(pid) = pid.lines().next() {
            // The children come first, because the main process would end them in its own way.
            let _ = Command::new("pkill").args(["-P", pid, &format!("-{signal}")]).status();
            let _ = Command::new("kill").args([&format!("-{signal}"), pid]).status();
        }
    }

    pub(super) fn kill(&self) {
        self.signal("KILL");
        // Until the process is waited for, its id stays in use, and a new server would not start.
        if let Some(mut process) = self.process.lock().take() {
            process.wait().unwrap();
        }
    }
}

pub(super) fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/{database}")
}
