//! Starts moto, a server that speaks the protocol of S3.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::free_address;
use super::http::Request;

const PATIENCE: Duration = Duration::from_secs(30);
/// The bucket that the server has.
pub const BUCKET: &str = "bucket";

/// A server with an empty bucket. Dropping it ends it, and its files are gone.
pub struct Moto {
    server: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts a server.
    pub fn start() -> Self {
        // Where `make setup` installs it.
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/moto/bin/moto_server");
        let address = free_address();
        let server = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error} (`make setup` installs it)", program.display()));
        let moto = Self { server, address };
        let began = Instant::now();
        let make = || Request::new("PUT", &format!("/{BUCKET}")).try_send(address);
        while !make().is_ok_and(|made| made.status == 200) {
            assert!(began.elapsed() < PATIENCE, "moto does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        moto
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
