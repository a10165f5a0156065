//! A real PostgreSQL server, and PgBouncer in front of it.
//!
//! Starting one takes more than a second, and each test is a process of its own. So the
//! first test that wants one starts it for all; it stops some seconds after the last
//! test that uses it has ended, however that ended.

use std::fs::{self, File, OpenOptions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a server may take to start. Reached only when it does not.
const START_MAX: Duration = Duration::from_secs(60);
/// PostgreSQL's superuser in the clusters made here.
const USER: &str = "sluice";

/// A database of its own on the server that all tests share; dropped with it.
pub struct Database {
    name: String,
    server: Cluster,
    bouncer_port: u16,
    /// Locked as long as the server is in use.
    _in_use: File,
}

impl Database {
    /// A new, empty database.
    pub fn create() -> Self {
        let (dir, in_use) = shared();
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap().trim().parse().unwrap();
        let server = Cluster::of(dir.join("cluster"), read("port"));
        let name = format!("t{:016x}", random());
        server.sql("postgres", &format!("CREATE DATABASE {name}"));
        Self { name, server, bouncer_port: read("bouncer-port"), _in_use: in_use }
    }

    /// Where the server is.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Where PgBouncer is.
    pub fn bouncer_url(&self) -> String {
        url(self.bouncer_port, &self.name)
    }

    /// Runs SQL and gives what it prints, without headings.
    pub fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // PgBouncer and hosts that were killed may still hold connections.
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = self.server.psql("postgres", &drop).output();
    }
}

/// A server that a test has for itself, to be killed and started again.
pub struct OwnServer {
    cluster: Cluster,
    _dir: tempfile::TempDir,
}

impl OwnServer {
    /// Starts a server with an empty database `postgres`.
    pub fn start() -> Self {
        Self::start_prepared(|_| {})
    }

    /// The same; `prepare` gets the cluster's folder before the server starts.
    pub fn start_prepared(prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        give_to_server_user(dir.path());
        let cluster = Cluster::make(&dir.path().join("cluster"));
        prepare(&cluster.dir);
        cluster.start();
        Self { cluster, _dir: dir }
    }

    pub fn url(&self) -> String {
        self.cluster.url("postgres")
    }

    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql("postgres", sql)
    }

    /// Ends every process of the server with SIGKILL.
    pub fn kill(&self) {
        self.cluster.kill();
    }

    /// Starts it again, as it was left, on the same port.
    pub fn restart(&self) {
        self.cluster.start();
    }

    /// Sends a signal to the main process and those for the connections.
    pub fn signal(&self, signal: &str) {
        self.cluster.signal(signal);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.cluster.kill();
    }
}

/// A folder with a cluster, and the port of its server.
struct Cluster {
    dir: PathBuf,
    port: u16,
    /// The main process, where this test started it.
    process: Mutex<Option<Child>>,
}

impl Cluster {
    fn make(dir: &Path) -> Self {
        let mut initdb = as_server_user(&bin("initdb"));
        initdb
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", USER, "-D"])
            .arg(dir);
        run(&mut initdb);
        Self::of(dir.to_owned(), free_port())
    }

    fn of(dir: PathBuf, port: u16) -> Self {
        Self { dir, port, process: Mutex::new(None) }
    }

    /// Without fsync: what a killed process has written stays in the system's memory,
    /// and nobody cuts the power here.
    fn start(&self) {
        let log = File::create(self.dir.with_extension("log")).unwrap();
        let mut postgres = as_server_user(&bin("postgres"));
        postgres.arg("-D").arg(&self.dir).arg("-k").arg(&self.dir);
        postgres.arg("-p").arg(self.port.to_string());
        for setting in ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=200", "max_wal_size=8GB"]
        {
            postgres.args(["-c", setting]);
        }
        *self.process.lock().unwrap() = Some(in_background(&mut postgres, log));
        let started = Instant::now();
        while !self.psql("postgres", "SELECT 1").output().unwrap().status.success() {
            let log = || fs::read_to_string(self.dir.with_extension("log")).unwrap();
            assert!(started.elapsed() < START_MAX, "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let mut psql = Command::new(bin("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql]);
        psql
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        run(&mut self.psql(database, sql))
    }

    fn signal(&self, signal: &str) {
        let pid = fs::read_to_string(self.dir.join("postmaster.pid")).unwrap_or_default();
        if let Some(pid) = pid.lines().next() {
            // Its children first: without it they would be told of its end.
            let _ = Command::new("pkill").args(["-P", pid, &format!("-{signal}")]).status();
            let _ = Command::new("kill").args([&format!("-{signal}"), pid]).status();
        }
    }

    fn kill(&self) {
        self.signal("KILL");
        // Until it is waited for, its number is taken, and a new server would not start.
        if let Some(mut process) = self.process.lock().unwrap().take() {
            process.wait().unwrap();
        }
    }
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/{database}")
}

/// The folder of the server that all tests share, running, and the proof of being a user.
fn shared() -> (PathBuf, File) {
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
    let port = fs::read_to_string(dir.join("port")).ok().and_then(|port| port.trim().parse::<u16>().ok());
    let cluster = port.map(|port| Cluster::of(dir.join("cluster"), port));
    let runs =
        cluster.is_some_and(|found| found.psql("postgres", "SELECT 1").output().unwrap().status.success());
    if !runs {
        start_shared(&dir);
    }
    (dir, in_use)
}

fn start_shared(dir: &Path) {
    let _ = fs::remove_file(dir.join("port"));
    let _ = fs::remove_dir_all(dir.join("cluster"));
    let cluster = Cluster::make(&dir.join("cluster"));
    cluster.start();
    let bouncer_port = start_bouncer(dir, cluster.port);
    fs::write(dir.join("bouncer-port"), bouncer_port.to_string()).unwrap();
    fs::write(dir.join("port"), cluster.port.to_string()).unwrap();
    watch_over(dir);
}

/// Any database of the server, as its superuser, in transaction mode, with fewer
/// connections than hosts have: so that they really are shared.
fn start_bouncer(dir: &Path, server_port: u16) -> u16 {
    let port = free_port();
    let config = dir.join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={server_port} user={USER}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 1000\n\
         pidfile = {}\n",
        dir.join("pgbouncer.pid").display()
    );
    fs::write(&config, text).unwrap();
    let mut bouncer = as_server_user(&program("pgbouncer", &["/usr/sbin", "/usr/bin", "/usr/local/bin"]));
    leave_running(bouncer.arg(&config), File::create(dir.join("pgbouncer.log")).unwrap());
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || fs::read_to_string(dir.join("pgbouncer.log")).unwrap();
        assert!(started.elapsed() < START_MAX, "PgBouncer does not start: {}", log());
        std::thread::sleep(Duration::from_millis(10));
    }
    port
}

/// A shell that outlives this test: once nobody uses the server it stops everything.
fn watch_over(dir: &Path) {
    let script = r#"
        while sleep 5; do
            flock -n -x starting.lock flock -n -x in-use.lock sh -c '
                rm -f port
                kill -QUIT "$(head -n 1 cluster/postmaster.pid)" "$(cat pgbouncer.pid)"
                exit 77'
            [ $? = 77 ] && exit
        done"#;
    let mut watcher = Command::new("setsid");
    watcher.args(["sh", "-c", script]).current_dir(dir);
    leave_running(&mut watcher, File::create(dir.join("watcher.log")).unwrap());
}

/// As root, PostgreSQL refuses to run; then it runs as its own user, or as nobody.
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

fn server_user() -> Option<u32> {
    const NOBODY: u32 = 65_534;
    (fs::metadata("/proc/self").unwrap().uid() == 0).then_some(NOBODY)
}

fn give_to_server_user(dir: &Path) {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    if let Some(user) = server_user() {
        std::os::unix::fs::chown(dir, Some(user), None).unwrap();
    }
}

/// A program of PostgreSQL: Debian keeps them apart from others, by version.
fn bin(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    dirs.sort();
    dirs.reverse();
    let dirs: Vec<&str> = dirs.iter().filter_map(|dir| dir.to_str()).collect();
    program(name, &dirs)
}

fn program(name: &str, dirs: &[&str]) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let candidates = dirs.iter().copied().chain(path.split(':')).map(|dir| Path::new(dir).join(name));
    let found = candidates.into_iter().find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: run `make setup`"))
}

/// Its output goes to the log: a test runner would wait for the end of its own.
fn in_background(command: &mut Command, log: File) -> Child {
    let error = log.try_clone().unwrap();
    command.stdin(Stdio::null()).stdout(log).stderr(error).spawn().unwrap()
}

/// For what outlives this test.
#[expect(clippy::zombie_processes, reason = "nobody is left to wait for it")]
fn leave_running(command: &mut Command, log: File) {
    in_background(command, log);
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// From the hasher that the standard library seeds.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}
