//! The sockets on which the server listens. The service manager may have opened them (`LISTEN_FDS`).

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::SockRef;

use sluice_site::config::SiteConfig;

use crate::error::ServerError;

/// The names of sockets, as `FileDescriptorName=` of a socket unit of systemd says.
const VISITORS: &str = "visitors";
const REDIRECT: &str = "http";
const ADMIN: &str = "admin";
const PROBES: &str = "probes";

/// A socket that listens, and its address.
type Socket = (TcpListener, SocketAddr);

/// The bound addresses. A client that connects before [`start`](crate::start) waits.
pub struct Bound {
    pub(crate) visitors: Socket,
    /// The listener that redirects to HTTPS.
    pub(crate) redirect: Option<Socket>,
    pub(crate) admin: Socket,
    pub(crate) probes: Option<Socket>,
}

impl Bound {
    /// Takes the sockets that the service manager has opened for this process, and binds the other addresses of
    /// `config`.
    ///
    /// # Errors
    /// An address cannot be bound, a socket cannot be used, or the system does not set `server.write_timeout`.
    pub fn new(config: &SiteConfig) -> Result<Self, ServerError> {
        let mut given = Given::take()?;
        let visitors = given.listen(VISITORS, config.server.listen, "--listen")?;
        let redirect = match config.server.https {
            true => {
                given.listen_if(REDIRECT, config.server.http_listen, "server.http_listen in sluice.toml")?
            }
            false => None,
        };
        let admin = given.listen(ADMIN, config.admin.listen, "--admin-listen")?;
        let probes = given.listen_if(PROBES, config.admin.probes, "admin.probes in sluice.toml")?;
        given.check_all_used()?;
        // Connections inherit the timeout from the listener. It closes a connection when the client
        // does not acknowledge data that was sent, or keeps its receive window closed.
        SockRef::from(&visitors.0)
            .set_tcp_user_timeout(Some(config.server.write_timeout))
            .map_err(ServerError::WriteTimeout)?;
        Ok(Self { visitors, redirect, admin, probes })
    }
}

/// Sockets of the service manager that are not used yet, by name.
struct Given(Vec<(String, TcpListener)>);

impl Given {
    fn take() -> Result<Self, ServerError> {
        let mut sockets = Self(Vec::new());
        // Without it, the sockets could be those of another process.
        if std::env::var_os("LISTEN_PID").is_none() {
            return Ok(sockets);
        }
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut descriptors = ListenFd::from_env();
        for index in 0..descriptors.len() {
            // Without `FileDescriptorName=`, the name is that of the unit.
            let name = match names.next().unwrap_or_default() {
                name if name.is_empty() || name.ends_with(".socket") => VISITORS,
                name => name,
            };
            match descriptors.take_tcp_listener(index) {
                Ok(Some(listener)) => sockets.0.push((name.to_owned(), listener)),
                Ok(None) => {}
                Err(error) => return Err(ServerError::SocketUnusable { name: name.to_owned(), error }),
            }
        }
        Ok(sockets)
    }

    fn socket(&mut self, name: &str) -> Option<TcpListener> {
        let index = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.remove(index).1)
    }

    /// The socket with this name, or else one at `address`.
    fn listen(
        &mut self,
        name: &str,
        address: SocketAddr,
        setting: &'static str,
    ) -> Result<Socket, ServerError> {
        match self.socket(name) {
            Some(listener) => with_address(listener),
            None => bind(address, setting),
        }
    }

    /// The same, if there is such a socket or an address.
    fn listen_if(
        &mut self,
        name: &str,
        address: Option<SocketAddr>,
        setting: &'static str,
    ) -> Result<Option<Socket>, ServerError> {
        match self.socket(name) {
            Some(listener) => with_address(listener).map(Some),
            None => address.map(|address| bind(address, setting)).transpose(),
        }
    }

    fn check_all_used(self) -> Result<(), ServerError> {
        match self.0.into_iter().next() {
            Some((name, _)) => Err(ServerError::SocketUnused(name)),
            None => Ok(()),
        }
    }
}

/// `setting` is the option or setting that changes the address.
fn bind(address: SocketAddr, setting: &'static str) -> Result<Socket, ServerError> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => ServerError::AddressInUse { address, setting },
        _ => ServerError::AddressUnusable { address, setting, error },
    })?;
    with_address(listener)
}

fn with_address(listener: TcpListener) -> Result<Socket, ServerError> {
    let address = listener.local_addr()?;
    Ok((listener, address))
}
