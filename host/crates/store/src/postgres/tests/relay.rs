//! Between a host and the database, to see how often the host waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Answers are held back for so long: all that the host sends without waiting for an
/// answer has come by then, so what comes after an answer did wait for it.
const HOLD: Duration = Duration::from_millis(100);

/// Counts the times that a host waited for the database.
#[derive(Clone)]
pub(super) struct Relay {
    turns: Arc<AtomicUsize>,
    port: u16,
}

impl Relay {
    /// Passes on to `server` (`host:port`).
    pub(super) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self { turns: Arc::default(), port: listener.local_addr().unwrap().port() };
        let turns = relay.turns.clone();
        tokio::spawn(async move {
            while let Ok((host, _)) = listener.accept().await {
                let database = TcpStream::connect(&server).await.unwrap();
                let (from_host, to_host) = host.into_split();
                let (from_database, to_database) = database.into_split();
                // Whether the database spoke last.
                let answered = Arc::new(AtomicUsize::new(1));
                tokio::spawn(ask(from_host, to_database, answered.clone(), turns.clone()));
                tokio::spawn(answer(from_database, to_host, answered));
            }
        });
        relay
    }

    /// The URL of `url`'s database, through this relay.
    pub(super) async fn before(url: &str) -> (Self, String) {
        let (front, database) = url.rsplit_once('/').unwrap();
        let (scheme, server) = front.rsplit_once('@').unwrap();
        let relay = Self::start(server.to_owned()).await;
        let url = format!("{scheme}@127.0.0.1:{}/{database}", relay.port);
        (relay, url)
    }

    /// Round trips since this was last asked.
    pub(super) fn turns(&self) -> usize {
        self.turns.swap(0, Ordering::SeqCst)
    }
}

async fn ask(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    answered: Arc<AtomicUsize>,
    turns: Arc<AtomicUsize>,
) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        turns.fetch_add(answered.swap(0, Ordering::SeqCst), Ordering::SeqCst);
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, answered: Arc<AtomicUsize>) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(HOLD).await;
        answered.store(1, Ordering::SeqCst);
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
