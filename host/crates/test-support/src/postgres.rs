//! A real PostgreSQL server, and PgBouncer in front of it.
//!
//! Starting a server takes more than a second, and nextest runs each test in a process of its
//! own. So the first test that needs the server starts it for all tests. It stops some seconds
//! after the last test that uses it has ended, even if that test was killed.

mod bouncer;
mod cluster;
mod pair;
mod programs;
mod shared;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;

use tempfile::TempDir;

pub use bouncer::OwnBouncer;
use cluster::Cluster;
pub use pair::ReplicatedPair;
pub use programs::as_server_user;
use shared::SharedServer;

/// A database on the server that all tests share. It is dropped with this value.
pub struct Database {
    name: String,
    server: SharedServer,
}

impl Database {
    /// Makes an empty database with a random name.
    pub fn create() -> Self {
        let server = SharedServer::get();
        let name = format!("t{:016x}", RandomState::new().build_hasher().finish());
        server.cluster.sql("postgres", &format!("CREATE DATABASE {name}"));
        Self { name, server }
    }

    /// The database's URL.
    pub fn url(&self) -> String {
        self.server.cluster.url(&self.name)
    }

    /// The database's URL through PgBouncer.
    pub fn bouncer_url(&self) -> String {
        cluster::url(self.server.bouncer_port, &self.name)
    }

    /// Runs SQL. Returns the rows without headings, one on each line, columns separated by `|`.
    pub fn sql(&self, sql: &str) -> String {
        self.server.cluster.sql(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // PgBouncer and hosts that were killed may still have connections.
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = self.server.cluster.psql("postgres", &drop).output();
    }
}

/// A server that only one test uses, which can kill and restart it. It is killed with this value.
pub struct OwnServer {
    cluster: Cluster,
    _dir: TempDir,
}

impl OwnServer {
    /// Starts a server with the empty database `postgres`.
    pub fn start() -> Self {
        Self::start_prepared(|_| {})
    }

    /// As [`OwnServer::start`], with settings such as `max_connections=10`.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_cluster(|_| {}, settings)
    }

    /// As [`OwnServer::start`]. `prepare` gets the cluster's folder before the server starts.
    pub fn start_prepared(prepare: impl FnOnce(&Path)) -> Self {
        Self::start_cluster(prepare, &[])
    }

    /// As [`OwnServer::start_with`], with the server's files in a new folder below `parent`.
    pub fn start_in(parent: &Path, settings: &[&str]) -> Self {
        Self::start_cluster_in(tempfile::tempdir_in(parent).unwrap(), |_| {}, settings)
    }

    fn start_cluster(prepare: impl FnOnce(&Path), settings: &[&str]) -> Self {
        Self::start_cluster_in(tempfile::tempdir().unwrap(), prepare, settings)
    }

    fn start_cluster_in(dir: TempDir, prepare: impl FnOnce(&Path), settings: &[&str]) -> Self {
        programs::give_to_server_user(dir.path());
        let mut cluster = Cluster::make(&dir.path().join("cluster"));
        cluster.settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        prepare(&cluster.dir);
        cluster.start();
        Self { cluster, _dir: dir }
    }

    /// The URL of the database `postgres`.
    pub fn url(&self) -> String {
        self.cluster.url("postgres")
    }

    /// Runs SQL, as [`Database::sql`] does.
    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql("postgres", sql)
    }

    /// Ends every process of the server with SIGKILL.
    pub fn kill(&self) {
        self.cluster.kill();
    }

    /// Starts the server again, with the files that it left, on the same port.
    pub fn restart(&self) {
        self.cluster.start();
    }

    /// Starts the server again unless it answers.
    pub fn ensure_running(&self) {
        if !self.cluster.answers() {
            self.kill();
            self.restart();
        }
    }

    /// Sends a signal to the main process and to those of the connections.
    pub fn signal(&self, signal: &str) {
        self.cluster.signal(signal);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.cluster.kill();
    }
}
