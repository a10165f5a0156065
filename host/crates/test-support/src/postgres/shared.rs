//! The server that all tests share, with PgBouncer in front of it.

use std::fs::{self, File, OpenOptions};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, START_MAX, USER};
use super::programs::{as_server_user, free_port, give_to_server_user, leave_running, program};

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

/// Starts PgBouncer in transaction mode, for every database of the server, as the server's
/// superuser. It has fewer connections than hosts have, so that hosts really share them. Returns
/// its port.
fn start_bouncer(dir: &Path, server_port: u16) -> u16 {
    let port = free_port();
    let config = dir.join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={server_port} user={USER}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 1000\n\
         pidfile = {}\n",
        // An earlier PgBouncer, which is stopping, still has its file.
        dir.join(format!("pgbouncer-{port}.pid")).display()
    );
    fs::write(&config, text).unwrap();
    let dirs = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
    let path: PathBuf = program("pgbouncer", &dirs);
    leave_running(as_server_user(&path).arg(&config), File::create(dir.join("pgbouncer.log")).unwrap());
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || fs::read_to_string(dir.join("pgbouncer.log")).unwrap();
        assert!(started.elapsed() < START_MAX, "PgBouncer does not start: {}", log());
        std::thread::sleep(Duration::from_millis(10));
    }
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
