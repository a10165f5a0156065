//! Hosts on a database, which the faults interrupt.

mod backend;
mod clock;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) use backend::{Backend, Stage};

use super::client::{Answer, PAGE, SCHEMA, Site};
use crate::harness::{Request, Server, ServerOptions, TestSite};

/// How long a client waits for an answer. A host answers 503 after 5 s without its database.
const ANSWER_MAX: Duration = Duration::from_secs(8);
/// How long hosts may need until they serve again.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// More than any file of a test.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 40;

/// The addresses of the hosts. Clients ask them in turn.
pub(crate) struct Hosts {
    addresses: Mutex<Vec<SocketAddr>>,
    next: AtomicUsize,
}

impl Hosts {
    fn send(address: SocketAddr, path: &str, cookie: Option<&str>) -> Option<Answer> {
        let mut request = Request::get(path).time_max(ANSWER_MAX);
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let answer = request.try_send(address).ok()?;
        let cookie = answer.session_cookie();
        Some(Answer { status: answer.status, body: answer.body, cookie })
    }
}

impl Site for Hosts {
    fn get(&self, path: &str, cookie: Option<&str>) -> Option<Answer> {
        let address = {
            let addresses = self.addresses.lock().unwrap();
            addresses[self.next.fetch_add(1, Ordering::Relaxed) % addresses.len()]
        };
        Self::send(address, path, cookie)
    }
}

/// Everything that a round uses.
pub(crate) struct World {
    pub hosts: Arc<Hosts>,
    servers: Vec<Option<Server>>,
    // Dropped after the servers.
    pub backend: Backend,
    has_clocks: bool,
    pub site: TestSite,
    data: TempDir,
}

impl World {
    /// Starts a database and its hosts: one on SQLite, two on PostgreSQL.
    pub(crate) fn start(stage: Stage) -> Self {
        let site = TestSite::with(&[("pages/index.html", PAGE), ("crm.toml", SCHEMA)]);
        let backend = Backend::start(stage);
        let count = if matches!(backend, Backend::Sqlite) { 1 } else { 2 };
        let unknown = SocketAddr::from(([127, 0, 0, 1], 1));
        let hosts = Hosts { addresses: Mutex::new(vec![unknown; count]), next: AtomicUsize::new(0) };
        let servers = (0..count).map(|_| None).collect();
        let mut world = Self {
            hosts: Arc::new(hosts),
            servers,
            backend,
            has_clocks: stage.has_clocks(),
            site,
            data: tempfile::tempdir().unwrap(),
        };
        for host in 0..count {
            world.start_host(host);
        }
        world
    }

    /// The file of the embedded database.
    pub(crate) fn database_file(&self) -> std::path::PathBuf {
        self.data.path().join("sluice.db")
    }

    pub(crate) fn host_count(&self) -> usize {
        self.servers.len()
    }

    /// A host that runs.
    pub(crate) fn server(&self, host: usize) -> &Server {
        self.servers[host].as_ref().unwrap()
    }

    /// Starts a host that does not run.
    pub(crate) fn start_host(&mut self, host: usize) {
        let mut options = ServerOptions::of(self.site.path())
            .env("SLUICE_LOG", "warn")
            .env("SLUICE_SERVER__DRAIN", "1s")
            // The checks may come later than that.
            .env("SLUICE_SESSION__UNCONFIRMED_LIFETIME", "3h");
        options = match self.backend.url() {
            Some(url) => options.postgres(&url),
            None => options.data(self.data.path()).file_bytes_max(FILE_BYTES_MAX),
        };
        if self.has_clocks {
            options = clock::with_clock(options, &self.clock_file(host));
        }
        let server = options.start();
        self.hosts.addresses.lock().unwrap()[host] = server.address;
        self.servers[host] = Some(server);
    }

    fn clock_file(&self, host: usize) -> std::path::PathBuf {
        self.data.path().join(format!("clock-{host}"))
    }

    /// Sets the clock of a host so many seconds forward or back from the real time.
    pub(crate) fn set_clock(&self, host: usize, seconds: i64) {
        clock::set(&self.clock_file(host), seconds);
    }

    /// Ends a host with SIGKILL.
    pub(crate) fn kill_host(&mut self, host: usize) {
        self.servers[host].take().unwrap().kill();
    }

    /// Ends a host with SIGTERM.
    pub(crate) fn terminate_host(&mut self, host: usize) {
        let mut server = self.servers[host].take().unwrap();
        let ended = server.terminate();
        assert!(ended.success(), "SIGTERM ends a host: {ended}");
    }

    /// Waits until each host writes to the CRM and to sessions.
    pub(crate) fn wait_until_served(&self) {
        let started = Instant::now();
        let addresses = self.hosts.addresses.lock().unwrap().clone();
        for address in addresses {
            for path in ["/?op=set&line=probe&n=1", "/?op=put&n=1"] {
                let is_served =
                    || Hosts::send(address, path, None).is_some_and(|answer| answer.is_acknowledged());
                while !is_served() {
                    assert!(started.elapsed() < RECOVERY_MAX, "a host does not serve again: {path}");
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    /// Waits until every queued write has been applied.
    pub(crate) fn settle(&self) {
        let started = Instant::now();
        while self.sql("SELECT count(*) FROM job WHERE state = 'waiting'") != "0" {
            assert!(started.elapsed() < RECOVERY_MAX, "queued writes are not applied");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks the database for one value.
    pub(crate) fn sql(&self, sql: &str) -> String {
        if let Some(answer) = self.backend.sql(sql) {
            return answer;
        }
        let database = rusqlite::Connection::open(self.database_file()).unwrap();
        database.busy_timeout(RECOVERY_MAX).unwrap();
        database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().to_string()
    }
}
