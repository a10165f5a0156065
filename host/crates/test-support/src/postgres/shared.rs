//! The server that all tests share, with PgBouncer in front of it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use super::bouncer;
use super::cluster::Cluster;
use super::programs::{free_port, give_to_server_user, leave_running};

/// The shared server, which runs as long as this value exists.
pub(super) struct SharedServer {
    pub(super) cluster: Cluster,
    pub(super) bouncer_port: u16,
    /// Locked while this test uses the server.
    _in_use: File,
}

impl SharedServer {
    /// Starts the server unless it runs already.
    pub(super) fn get() -> Self {
        let user = fs::metadata("/proc/self").unwrap().uid();
        let dir = std::env::temp_dir().join(format!("sluice-test-postgres-{user}"));
        fs::create_dir_all(&dir).unwrap();
        give_to_server_user(&dir);
        let lock = |name: &str| {
            let mut open = OpenOptions::new();
            open.create(true).append(true).open(dir.join(name)).unwrap()
        };
        let starting = lock("starting.lock");
        starting.lock().unwrap();
        let in_use = lock("in-use.lock");
        in_use.lock_shared().unwrap();
        let number = |name: &str| fs::read_to_string(dir.join(name)).ok()?.trim().parse::<u16>().ok();
        let running = number("port").map(|port| Cluster::of(dir.join("cluster"), port));
        let cluster = running.filter(Cluster::answers).unwrap_or_else(|| start(&dir));
        Self { cluster, bouncer_port: number("bouncer-port").unwrap(), _in_use: in_use }
    }
}

fn start(dir: &Path) -> Cluster {
    let _ = fs::remove_file(dir.join("port"));
    let _ = fs::remove_dir_all(dir.join("cluster"));
    let cluster = Cluster::make(&dir.join("cluster"));
    cluster.start();
    let bouncer_port = start_bouncer(dir, cluster.port);
    fs::write(dir.join("bouncer-port"), bouncer_port.to_string()).unwrap();
    fs::write(dir.join("port"), cluster.port.to_string()).unwrap();
    stop_when_unused(dir);
    cluster
}

/// Starts PgBouncer for every database of the server. Returns its port.
fn start_bouncer(dir: &Path, server_port: u16) -> u16 {
    let port = free_port();
    let log = dir.join("pgbouncer.log");
    leave_running(&mut bouncer::command(dir, port, server_port), File::create(&log).unwrap());
    bouncer::wait(port, &log);
    port
}

/// Starts a shell that outlives this test and stops both servers when no test uses them.
fn stop_when_unused(dir: &Path) {
    let script = r#"
        while sleep 5; do
            flock -n -x starting.lock flock -n -x in-use.lock sh -c '
                rm -f port
                kill -QUIT "$(head -n 1 cluster/postmaster.pid)" "$(cat "pgbouncer-$(cat bouncer-port).pid")"
                rm -f "pgbouncer-$(cat bouncer-port).pid"
                exit 77'
            [ $? = 77 ] && exit
        done"#;
    let mut watcher = Command::new("setsid");
    watcher.args(["sh", "-c", script]).current_dir(dir);
    leave_running(&mut watcher, File::create(dir.join("watcher.log")).unwrap());
}
