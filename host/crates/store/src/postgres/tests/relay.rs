//! A relay between a host and the database, which counts round trips.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// How long the relay delays each answer. Everything that the host sends without waiting for the
/// answer arrives within this time, so whatever arrives after the answer has waited for it.
const DELAY: Duration = Duration::from_millis(100);

/// Counts how many times a host waited for the database.
#[derive(Clone)]
pub(super) struct Relay {
    round_trips: Arc<AtomicUsize>,
    port: u16,
}

impl Relay {
    /// Starts a relay to `server`, which is `host:port`.
    pub(super) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self { round_trips: Arc::default(), port: listener.local_addr().unwrap().port() };
        let round_trips = relay.round_trips.clone();
        tokio::spawn(async move {
            while let Ok((host, _)) = listener.accept().await {
                let database = TcpStream::connect(&server).await.unwrap();
                let (from_host, to_host) = host.into_split();
                let (from_database, to_database) = database.into_split();
                // 1 if the database sent the last message, else 0.
                let answered = Arc::new(AtomicUsize::new(1));
                tokio::spawn(relay_requests(from_host, to_database, answered.clone(), round_trips.clone()));
                tokio::spawn(relay_answers(from_database, to_host, answered));
            }
        });
        relay
    }

    /// Starts a relay to the server of `url`. Returns the URL through the relay.
    pub(super) async fn before(url: &str) -> (Self, String) {
        let (front, database) = url.rsplit_once('/').unwrap();
        let (scheme, server) = front.rsplit_once('@').unwrap();
        let relay = Self::start(server.to_owned()).await;
        let url = format!("{scheme}@127.0.0.1:{}/{database}", relay.port);
        (relay, url)
    }

    /// The number of round trips since the last call.
    pub(super) fn round_trips(&self) -> usize {
        self.round_trips.swap(0, Ordering::SeqCst)
    }
}

async fn relay_requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    answered: Arc<AtomicUsize>,
    round_trips: Arc<AtomicUsize>,
) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        round_trips.fetch_add(answered.swap(0, Ordering::SeqCst), Ordering::SeqCst);
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn relay_answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, answered: Arc<AtomicUsize>) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(DELAY).await;
        answered.store(1, Ordering::SeqCst);
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
