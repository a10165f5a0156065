//! Starts the real server on free ports and talks to it.

pub mod folders;
pub mod http;
pub mod otlp;
#[allow(dead_code, reason = "the store's own tests use the rest")]
pub mod postgres;
pub mod site;
pub mod webdriver;

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub use http::{Answer, Request};
pub use site::TestSite;

/// What operators of the servers under test show.
pub const ADMIN_TOKEN: &str = "an-operator-s-token-for-tests-0123";

/// The key of hosts that share a database.
pub const APP_KEY: &str = "0123456789abcdef0123456789abcdef";

/// Any port of this machine that is free.
const FREE_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long a test waits for something that must happen. Reached only when it
/// does not.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, stopped when dropped.
pub struct Server {
    process: Child,
    data_dir: PathBuf,
    pub address: SocketAddr,
    pub admin_address: SocketAddr,
    log: Arc<Mutex<Vec<Value>>>,
    /// Lines on standard output after those that name the addresses.
    printed: Arc<Mutex<Vec<String>>>,
    _data: Option<TempDir>,
}

/// How a server is started.
pub struct ServerOptions {
    command: Command,
    data_dir: PathBuf,
    data: Option<TempDir>,
    /// The database is on a server, not in `data_dir`.
    is_shared: bool,
    /// Addresses of the visitors' and the operators' listener.
    listen: [SocketAddr; 2],
}

impl ServerOptions {
    /// A server of the site in `site_dir` with an empty database.
    pub fn of(site_dir: &Path) -> Self {
        Self::command("serve", site_dir)
    }

    /// The same as its author has it while working on it.
    pub fn dev(site_dir: &Path) -> Self {
        Self::command("dev", site_dir)
    }

    fn command(name: &str, site_dir: &Path) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command
            .arg(name)
            .arg(site_dir)
            .env("SLUICE_LOG", "info,sluice_runs::run_log=debug")
            .env("SLUICE_ADMIN__TOKEN", ADMIN_TOKEN)
            // Most tests stop servers that have no load balancer before them.
            .env("SLUICE_SERVER__DRAIN", "0s")
            .env_remove("APP_KEY");
        Self {
            command,
            data_dir: data.path().to_owned(),
            data: Some(data),
            is_shared: false,
            listen: [FREE_PORT; 2],
        }
    }

    /// On these addresses, which must be free.
    pub fn listen(mut self, visitors: SocketAddr, operators: SocketAddr) -> Self {
        self.listen = [visitors, operators];
        self
    }

    pub fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// No file that the server writes may grow beyond this.
    pub fn file_bytes_max(mut self, bytes: u64) -> Self {
        // The signal that says so would end the process.
        let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 1_024);
        let mut command = Command::new("bash");
        command.arg("-c").arg(limit).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        self.command = command;
        self
    }

    /// With data that are there already, and stay.
    pub fn data(mut self, data_dir: &Path) -> Self {
        (self.data_dir, self.data) = (data_dir.to_owned(), None);
        self
    }

    /// With the code cache of earlier servers. Otherwise each start compiles the engine, which
    /// takes most of the time of a small test.
    pub fn warm(mut self) -> Self {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("code-cache");
        self.command.env("SLUICE_CACHE__DIR", cache).env("APP_KEY", APP_KEY);
        self
    }

    /// On a database that several hosts may share, and with the key that they then need.
    pub fn postgres(mut self, url: &str) -> Self {
        self.command.env("SLUICE_DATABASE__URL", url).env("APP_KEY", APP_KEY);
        self.is_shared = true;
        self
    }

    pub fn start(self) -> Server {
        Server::run(self)
    }
}

impl Server {
    /// Serves the site in `site_dir` with an empty database.
    pub fn start(site_dir: &Path) -> Self {
        ServerOptions::of(site_dir).start()
    }

    fn run(options: ServerOptions) -> Self {
        let ServerOptions { mut command, data_dir, data, is_shared, listen: [visitors, operators] } = options;
        command.args(["--listen", &visitors.to_string(), "--admin-listen", &operators.to_string()]);
        if !is_shared {
            command.arg("--data").arg(&data_dir);
        }
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let entry = serde_json::from_str(&line).unwrap_or_else(|_| Value::String(line));
                sink.lock().unwrap().push(entry);
            }
        });
        let mut addresses = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut address = || {
            let line = addresses.next().unwrap_or_else(|| {
                panic!("the server did not start: {:#?}", log.lock().unwrap());
            });
            line.rsplit_once("http://").unwrap().1.parse().unwrap()
        };
        let (address, admin_address) = (address(), address());
        let printed = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&printed);
        std::thread::spawn(move || addresses.for_each(|line| sink.lock().unwrap().push(line)));
        Self { process, data_dir, address, admin_address, log, printed, _data: data }
    }

    /// What was printed since the addresses, once it holds `text`.
    pub fn wait_printed(&self, text: &str) -> String {
        self.wait_until(&format!("{text:?} is printed"), || self.printed().contains(text));
        self.printed()
    }

    /// What was printed since the addresses.
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap().join("\n")
    }

    pub fn get(&self, host: &str, path: &str) -> Answer {
        Request::get(path).host(host).send(self.address)
    }

    /// Log entries whose fields match every given name and text.
    pub fn log_entries(&self, fields: &[(&str, &str)]) -> Vec<Value> {
        let matches =
            |entry: &&Value| fields.iter().all(|(name, text)| entry["fields"][*name].as_str() == Some(*text));
        self.log.lock().unwrap().iter().filter(matches).cloned().collect()
    }

    /// The runs of `brand`, once there are `count` of them.
    pub fn runs(&self, brand: &str, count: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let mut runs = self.log_entries(&[("brand", brand)]);
            runs.retain(|entry| entry["fields"]["outcome"].is_string() && entry["fields"]["fuel"].is_u64());
            if runs.len() >= count || started.elapsed() > PATIENCE {
                assert_eq!(runs.len(), count, "runs of {brand} in the log");
                return runs.into_iter().map(|entry| entry["fields"].clone()).collect();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where the database and the keys are.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A request of an operator who has the token.
    pub fn admin(&self, path: &str) -> Answer {
        Request::get(path).operator().send(self.admin_address)
    }

    /// The sum of a metric's samples; those with all the labels given.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = Request::get("/metrics").send(self.admin_address).body;
        let samples = text.lines().filter_map(|line| line.strip_prefix(name));
        let samples = samples.filter(|rest| rest.starts_with(['{', ' ']));
        let wanted = samples.filter(|rest| labels.iter().all(|label| rest.contains(label)));
        wanted.map(|rest| rest.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    /// Waits until the metric has reached the value.
    pub fn wait_for_metric(&self, name: &str, labels: &[&str], least: f64) {
        self.wait_until(&format!("{name} reaches {least}"), || self.metric(name, labels) >= least);
    }

    /// True as soon as `holds` does; false when it does not for long.
    pub fn holds_soon(&self, holds: impl Fn() -> bool) -> bool {
        let started = Instant::now();
        while !holds() {
            if started.elapsed() > PATIENCE / 10 {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Waits until `holds` does.
    pub fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "{what}: {:#?}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Log entries with this text in their message.
    pub fn told(&self, text: &str) -> Vec<Value> {
        let says =
            |entry: &&Value| entry["fields"]["message"].as_str().is_some_and(|told| told.contains(text));
        self.log.lock().unwrap().iter().filter(says).cloned().collect()
    }

    /// The same, once there is one.
    pub fn wait_told(&self, text: &str) -> Vec<Value> {
        self.wait_until(&format!("the log says {text:?}"), || !self.told(text).is_empty());
        self.told(text)
    }

    /// Sends SIGHUP and waits until the site was read anew, or was not.
    pub fn reload(&self) {
        let ends = || self.told("the site was reloaded").len() + self.told("nothing was reloaded").len();
        let before = ends();
        let sent = Command::new("kill").args(["-HUP", &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.wait_until("the site is reloaded", || ends() > before);
    }

    /// Sends SIGTERM.
    pub fn ask_to_stop(&self) {
        let sent = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Sends SIGKILL and waits for the end: nothing is finished, nothing is said.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        self.ask_to_stop();
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.process.wait().unwrap()
    }

    /// Memory that the process has, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that ended by itself has nothing to be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
