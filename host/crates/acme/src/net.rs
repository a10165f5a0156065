//! Connections to the names that are checked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use sluice_fetch::Resolve;

/// How many names are looked up at the same time.
const LOOKUPS_MAX: usize = 8;
/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 4;
/// How long a look-up, and connecting to one address, may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How the names of brands are reached, from here as from a certificate authority.
#[derive(Clone)]
pub struct Net {
    resolver: Arc<dyn Resolve>,
    lookups: Arc<Semaphore>,
    /// The port for http-01.
    pub(crate) http_port: u16,
    /// The port for tls-alpn-01.
    pub(crate) tls_port: u16,
}

impl Net {
    /// The ports that certificate authorities use.
    pub fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)), http_port: 80, tls_port: 443 }
    }

    /// For an authority that uses other ports than 80 and 443.
    #[must_use]
    pub fn with_ports(self, http_port: u16, tls_port: u16) -> Self {
        Self { http_port, tls_port, ..self }
    }

    /// Connects to the first address of a name that answers, those of IPv6 first, as certificate authorities
    /// do.
    pub(crate) async fn connect(&self, name: &str, port: u16) -> io::Result<TcpStream> {
        let place = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
        let found = tokio::time::timeout(CONNECT_MAX, self.resolver.resolve(name, place)).await;
        let mut addresses =
            found?.map_err(|_| io::Error::new(io::ErrorKind::NotFound, "the name cannot be resolved"))?;
        addresses.sort_by_key(IpAddr::is_ipv4);
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            if !is_of_server(address) {
                failed = io::Error::other("its address is not one of a server");
                continue;
            }
            let connecting = TcpStream::connect(SocketAddr::new(address, port));
            match tokio::time::timeout(CONNECT_MAX, connecting).await.unwrap_or_else(|late| Err(late.into()))
            {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

/// Brands choose the names, and whoever owns a name chooses its address. Link-local addresses have the
/// metadata services of clouds. Private addresses are allowed, because a site can have a certificate
/// authority of its own network; all that is sent there is a GET for a path that only Sluice answers.
fn is_of_server(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let is_of_cloud = v4 == Ipv4Addr::new(168, 63, 129, 16);
            !(v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_unspecified()
                || is_of_cloud)
        }
        IpAddr::V6(v6) => {
            let is_of_cloud = v6.segments().starts_with(&[0xfd00, 0xec2]);
            !(v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified() || is_of_cloud)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_no_server_has_are_not_asked() {
        for address in [
            "169.254.169.254",
            "168.63.129.16",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
        ] {
            assert!(!is_of_server(address.parse().unwrap()), "{address}");
        }
        for address in ["203.0.113.7", "127.0.0.1", "10.0.0.1", "2001:db8::1", "::1"] {
            assert!(is_of_server(address.parse().unwrap()), "{address}");
        }
    }
}
