//! Finds the addresses of a name.

use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The addresses of a name, or why there are none.
pub type Resolved<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Finds the addresses of names.
pub trait Resolve: Send + Sync {
    /// The addresses of `name`, which is in lower case and Punycode. `place` is kept until the look-up is
    /// over, also if nobody waits for it any more.
    fn resolve<'a>(&'a self, name: &'a str, place: OwnedSemaphorePermit) -> Resolved<'a>;
}

/// How many names the system looks up at the same time. Each takes a thread until the name's servers
/// answer, also if the call is over.
const LOOKUPS_MAX: usize = 64;

/// The resolver of the system.
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str, place: OwnedSemaphorePermit) -> Resolved<'a> {
        Box::pin(async move {
            let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
            let name = name.to_owned();
            let looked_up = tokio::task::spawn_blocking(move || {
                let _places = (permit, place);
                let found = (name.as_str(), 0).to_socket_addrs()?;
                let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                addresses.dedup();
                Ok(addresses)
            });
            looked_up.await.map_err(io::Error::other)?
        })
    }
}
