//! Starts the real server on free ports and talks to it.

pub mod http;
pub mod site;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use http::{Answer, Request};
pub use site::TestSite;

/// How long a test waits for something that must happen. Reached only when it
/// does not.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, stopped when dropped.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
    pub admin_address: SocketAddr,
    log: Arc<Mutex<Vec<Value>>>,
    _data: tempfile::TempDir,
}

impl Server {
    /// Serves the site in `site_dir` with an empty database.
    pub fn start(site_dir: &Path) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .arg("serve")
            .arg(site_dir)
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .env("SLUICE_LOG", "info,sluice::run_log=debug")
            .env_remove("APP_KEY")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
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
        Self { process, address, admin_address, log, _data: data }
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

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let sent = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(sent.success());
        self.process.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that ended by itself has nothing to be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
