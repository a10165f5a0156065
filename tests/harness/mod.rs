//! Starts the real server on free ports and talks to it.

pub(crate) mod folders;
pub(crate) mod otlp;
pub(crate) mod site;

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice_kit::keys::Keys;
use sluice_kit::operator_dir::OperatorDir;
use sluice_sandbox::cache::CodeCache;
use sluice_sandbox::{Sandbox, SandboxConfig};
use tempfile::TempDir;

pub(crate) use site::TestSite;
pub(crate) use sluice_test_support::http::{ADMIN_TOKEN, Answer, Request};

/// The key of hosts that share a database.
pub(crate) const APP_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A free port of this machine.
const FREE_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long a test waits for an event before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, stopped when dropped.
pub(crate) struct Server {
    process: Child,
    data_dir: PathBuf,
    pub address: SocketAddr,
    pub admin_address: SocketAddr,
    log: Arc<Mutex<Vec<Value>>>,
    /// Lines of standard output after the addresses.
    printed: Arc<Mutex<Vec<String>>>,
    _data: Option<TempDir>,
}

/// The code cache that servers share, and those of later test runs.
fn code_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("code-cache")
}

/// A sandbox in this process, with the engine that servers of earlier tests compiled.
pub(crate) fn sandbox(config: &SandboxConfig) -> Sandbox {
    let site = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = OperatorDir::outside(site, &code_cache()).unwrap();
    let keys = Keys::load(Some(APP_KEY), None, None).unwrap();
    let cache = CodeCache::open(&folder, &keys, 1 << 30).unwrap();
    Sandbox::with_cache(config, Some(&cache)).unwrap()
}

/// How a server is started.
pub(crate) struct ServerOptions {
    command: Command,
    data_dir: PathBuf,
    data: Option<TempDir>,
    /// Whether the program chooses the data folder.
    has_default_data: bool,
    /// Addresses of the visitors' and the operators' listener.
    listen: [SocketAddr; 2],
}

impl ServerOptions {
    /// `sluice serve` for the site in `site_dir`, with an empty database.
    pub(crate) fn of(site_dir: &Path) -> Self {
        Self::command("serve", site_dir)
    }

    /// `sluice dev` for the site in `site_dir`, with an empty database.
    pub(crate) fn dev(site_dir: &Path) -> Self {
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
            // Most tests stop servers without a load balancer, so waiting would only cost time.
            .env("SLUICE_SERVER__DRAIN", "0s")
            // With the code that earlier servers compiled. Compiling the engine takes two seconds of a processor.
            .env("SLUICE_CACHE__DIR", code_cache())
            .env("APP_KEY", APP_KEY);
        Self {
            command,
            data_dir: data.path().to_owned(),
            data: Some(data),
            has_default_data: false,
            listen: [FREE_PORT; 2],
        }
    }

    /// Listens on these addresses, which must be free.
    pub(crate) fn listen(mut self, visitors: SocketAddr, operators: SocketAddr) -> Self {
        self.listen = [visitors, operators];
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Uses the key that the program makes in the data folder, and an empty code cache there.
    pub(crate) fn own_key(self) -> Self {
        self.env_remove("APP_KEY").env_remove("SLUICE_CACHE__DIR")
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Limits the size of each file that the server writes.
    pub(crate) fn file_bytes_max(self, bytes: u64) -> Self {
        // Without the trap, the signal SIGXFSZ would end the process.
        self.limited(&format!("trap '' XFSZ; ulimit -f {}", bytes / 1_024))
    }

    /// Limits the number of open files.
    pub(crate) fn open_files_max(self, files: usize) -> Self {
        self.limited(&format!("ulimit -n {files}"))
    }

    /// Starts the server as systemd does a service that has to say every 100 ms that it is alive.
    pub(crate) fn watched_service(mut self, socket: &Path) -> Self {
        self.command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "100000");
        self.limited("export WATCHDOG_PID=$$")
    }

    /// Starts the server as a service manager does that has opened sockets for it: names and addresses.
    pub(crate) fn with_sockets(mut self, sockets: &[(&str, SocketAddr)]) -> Self {
        const OPEN: &str = "import os, socket, sys
names = sys.argv[1].split(',')
for fd, address in enumerate(sys.argv[2].split(','), 3):
    host, port = address.split(':')
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, int(port)))
    listener.listen()
    os.dup2(listener.detach(), fd)
    os.set_inheritable(fd, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(names)), LISTEN_FDNAMES=':'.join(names))
os.execvp(sys.argv[3], sys.argv[3:])";
        let joined =
            |of: fn(&(&str, SocketAddr)) -> String| sockets.iter().map(of).collect::<Vec<_>>().join(",");
        let mut command = Command::new("python3");
        command.args([
            "-c",
            OPEN,
            &joined(|(name, _)| (*name).to_owned()),
            &joined(|(_, at)| at.to_string()),
        ]);
        self.command = self.inside(command);
        self
    }

    /// Runs `limit` in the shell that starts the server.
    fn limited(mut self, limit: &str) -> Self {
        let limit = format!("{limit}; exec \"$0\" \"$@\"");
        let mut command = Command::new("bash");
        command.arg("-c").arg(limit);
        self.command = self.inside(command);
        self
    }

    /// The command with what starts the server as its last arguments, and with its environment.
    fn inside(&self, mut command: Command) -> Command {
        command.arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Uses a data folder that is not deleted afterwards.
    pub(crate) fn data(mut self, data_dir: &Path) -> Self {
        (self.data_dir, self.data) = (data_dir.to_owned(), None);
        self
    }

    /// Uses the folder that the program chooses below `states`, the folder for states of the user.
    pub(crate) fn default_data(mut self, states: &Path) -> Self {
        self.command.env("XDG_STATE_HOME", states).env_remove("STATE_DIRECTORY");
        self.has_default_data = true;
        self.own_key()
    }

    /// Starts the server in this working directory.
    pub(crate) fn current_dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Uses a PostgreSQL database.
    pub(crate) fn postgres(self, url: &str) -> Self {
        self.env("SLUICE_DATABASE__URL", url)
    }

    pub(crate) fn start(self) -> Server {
        Server::run(self)
    }

    /// What a server prints that does not start.
    pub(crate) fn start_error(mut self) -> String {
        let output = self.complete().output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// The command with all arguments.
    fn complete(&mut self) -> &mut Command {
        let value = |name: &str| self.command.get_envs().find(|(known, _)| *known == name)?.1;
        if value("APP_KEY").is_none_or(|key| key != APP_KEY)
            && value("SLUICE_CACHE__DIR").is_some_and(|folder| folder == code_cache())
        {
            // A server with another key uses nothing of the shared cache, and replaces what is in it.
            self.command.env_remove("SLUICE_CACHE__DIR");
        }
        let [visitors, operators] = self.listen;
        self.command.args(["--listen", &visitors.to_string(), "--admin-listen", &operators.to_string()]);
        if !self.has_default_data {
            self.command.arg("--data").arg(&self.data_dir);
        }
        &mut self.command
    }
}

impl Server {
    /// Serves the site in `site_dir` with an empty database.
    pub(crate) fn start(site_dir: &Path) -> Self {
        ServerOptions::of(site_dir).start()
    }

    fn run(mut options: ServerOptions) -> Self {
        let command = options.complete();
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
            line.rsplit_once("://").unwrap().1.parse().unwrap()
        };
        let (address, admin_address) = (address(), address());
        let printed = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&printed);
        std::thread::spawn(move || addresses.for_each(|line| sink.lock().unwrap().push(line)));
        let ServerOptions { data_dir, data, .. } = options;
        Self { process, data_dir, address, admin_address, log, printed, _data: data }
    }

    /// Waits until `text` was printed, and returns everything that was printed after the addresses.
    pub(crate) fn wait_printed(&self, text: &str) -> String {
        self.wait_until(&format!("{text:?} is printed"), || self.printed().contains(text));
        self.printed()
    }

    /// Everything that was printed after the addresses.
    pub(crate) fn printed(&self) -> String {
        self.printed.lock().unwrap().join("\n")
    }

    pub(crate) fn get(&self, host: &str, path: &str) -> Answer {
        Request::get(path).host(host).send(self.address)
    }

    /// Log entries whose fields match every given name and text.
    pub(crate) fn log_entries(&self, fields: &[(&str, &str)]) -> Vec<Value> {
        let matches =
            |entry: &&Value| fields.iter().all(|(name, text)| entry["fields"][*name].as_str() == Some(*text));
        self.log.lock().unwrap().iter().filter(matches).cloned().collect()
    }

    /// Waits until at least `count` log entries match every given name and text, and returns them.
    ///
    /// The log comes through a pipe, so that an entry may arrive later than the response to the
    /// request that caused it.
    pub(crate) fn wait_log_entries(&self, fields: &[(&str, &str)], count: usize) -> Vec<Value> {
        self.wait_until(&format!("the log has {count} entries with {fields:?}"), || {
            self.log_entries(fields).len() >= count
        });
        self.log_entries(fields)
    }

    /// Waits until the log has `count` runs of `brand`, and returns them.
    pub(crate) fn runs(&self, brand: &str, count: usize) -> Vec<Value> {
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

    /// The folder of the database and the keys.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Makes an operator's request with the token.
    pub(crate) fn admin(&self, path: &str) -> Answer {
        Request::get(path).operator().send(self.admin_address)
    }

    /// The sum of a metric's samples that have all the given labels.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = Request::get("/metrics").send(self.admin_address).body;
        let samples = text.lines().filter_map(|line| line.strip_prefix(name));
        let samples = samples.filter(|rest| rest.starts_with(['{', ' ']));
        let wanted = samples.filter(|rest| labels.iter().all(|label| rest.contains(label)));
        wanted.map(|rest| rest.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    /// Waits until the metric has reached the value.
    pub(crate) fn wait_for_metric(&self, name: &str, labels: &[&str], least: f64) {
        self.wait_until(&format!("{name} reaches {least}"), || self.metric(name, labels) >= least);
    }

    /// Waits until `holds` returns true. Returns false if that takes too long.
    pub(crate) fn holds_soon(&self, holds: impl Fn() -> bool) -> bool {
        let started = Instant::now();
        while !holds() {
            if started.elapsed() > PATIENCE / 10 {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Waits until `holds` returns true. Panics if that takes too long.
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "{what}: {:#?}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Log entries whose message contains this text.
    pub(crate) fn told(&self, text: &str) -> Vec<Value> {
        let says =
            |entry: &&Value| entry["fields"]["message"].as_str().is_some_and(|told| told.contains(text));
        self.log.lock().unwrap().iter().filter(says).cloned().collect()
    }

    /// Waits for log entries whose message contains this text, and returns them.
    pub(crate) fn wait_told(&self, text: &str) -> Vec<Value> {
        self.wait_until(&format!("the log says {text:?}"), || !self.told(text).is_empty());
        self.told(text)
    }

    /// The id of the process.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGHUP and waits until the reload has succeeded or failed.
    pub(crate) fn reload(&self) {
        let ends = || self.told("the site was reloaded").len() + self.told("nothing was reloaded").len();
        let before = ends();
        self.ask_to_reload();
        self.wait_until("the site is reloaded", || ends() > before);
    }

    /// Sends SIGHUP.
    pub(crate) fn ask_to_reload(&self) {
        let sent = Command::new("kill").args(["-HUP", &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Sends SIGTERM.
    pub(crate) fn ask_to_stop(&self) {
        let sent = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Sends SIGKILL and waits until the process has ended. The server finishes nothing.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends SIGTERM and waits until the process has ended.
    pub(crate) fn terminate(&mut self) -> std::process::ExitStatus {
        self.ask_to_stop();
        self.wait()
    }

    /// Waits until the process has ended.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.process.wait().unwrap()
    }

    /// How many memory mappings the process has.
    pub(crate) fn mappings(&self) -> usize {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.process.id())).unwrap();
        maps.lines().count()
    }

    /// The resident memory of the process, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killing fails if the server has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
