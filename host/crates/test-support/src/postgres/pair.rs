//! A primary and a standby that replicates synchronously.

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::cluster::{Cluster, START_MAX, USER};
use super::programs::{as_server_user, give_to_server_user, postgres_program, run};

/// A commit is acknowledged when the other server has it, too.
const SETTINGS: [&str; 3] = ["synchronous_standby_names=*", "hot_standby=on", "wal_receiver_timeout=5s"];

/// Two servers. The primary acknowledges a commit when the standby has it on disk. Both are killed with
/// this value.
pub struct ReplicatedPair {
    servers: [Cluster; 2],
    /// The index of the primary.
    primary: usize,
    _dir: TempDir,
}

impl ReplicatedPair {
    /// Starts both servers with the empty database `postgres`.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        give_to_server_user(dir.path());
        let mut servers = ["one", "two"].map(|name| Cluster::make(&dir.path().join(name)));
        for server in &mut servers {
            server.settings = SETTINGS.map(str::to_owned).to_vec();
        }
        servers[0].start();
        let pair = Self { servers, primary: 0, _dir: dir };
        pair.join_standby();
        pair
    }

    /// A URL that names both servers, of which clients choose the primary.
    pub fn url(&self) -> String {
        let [one, two] = &self.servers;
        format!(
            "postgres://{USER}@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write&connect_timeout=2",
            one.port, two.port
        )
    }

    /// Runs SQL on the primary.
    pub fn sql(&self, sql: &str) -> String {
        self.servers[self.primary].sql("postgres", sql)
    }

    /// Kills the primary, and promotes the standby.
    pub fn fail_over(&mut self) {
        self.servers[self.primary].kill();
        self.primary = 1 - self.primary;
        let primary = &self.servers[self.primary];
        let mut promote = as_server_user(&postgres_program("pg_ctl"));
        run(promote.args(["promote", "-w", "-s", "-D"]).arg(&primary.dir));
    }

    /// Makes the server that is not the primary a new standby, with a copy of the primary's data. Until
    /// then, no commit is acknowledged.
    pub fn join_standby(&self) {
        let (primary, standby) = (&self.servers[self.primary], &self.servers[1 - self.primary]);
        std::fs::remove_dir_all(&standby.dir).unwrap();
        copy(primary, &standby.dir);
        standby.start();
        let started = Instant::now();
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1" {
            assert!(started.elapsed() < START_MAX, "the standby does not join the primary");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for ReplicatedPair {
    fn drop(&mut self) {
        for server in &self.servers {
            server.kill();
        }
    }
}

/// Copies the data of `primary` into the new folder `dir`, which is set up as a standby.
fn copy(primary: &Cluster, dir: &Path) {
    let mut backup = as_server_user(&postgres_program("pg_basebackup"));
    backup.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
    backup.arg("--dbname").arg(primary.url("postgres")).arg("--pgdata").arg(dir);
    run(&mut backup);
}
