//! The sockets on which the server listens. The service manager may have opened them (`LISTEN_FDS`).

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use socket2::SockRef;

use sluice_site::config::SiteConfig;

use crate::error::ServerError;

/// The names of sockets, as `FileDescriptorName=` of a socket unit of systemd says.
const VISITORS: &str = "visitors";
const REDIRECT: &str = "http";
const ADMIN: &str = "admin";
const PROBES: &str = "probes";
const PROXY: &str = "proxy";

/// Who may connect to a Unix socket: its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// A socket that listens, and its address.
type Socket = (TcpListener, SocketAddr);

/// The bound addresses. A client that connects before [`start`](crate::start) waits.
pub struct Bound {
    pub(crate) visitors: Socket,
    /// The listener that redirects to HTTPS.
    pub(crate) redirect: Option<Socket>,
    pub(crate) admin: Socket,
    pub(crate) probes: Option<Socket>,
    /// The Unix socket for a proxy on this machine.
    pub(crate) proxy: Option<LocalSocket>,
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
        let proxy = match (given.local.take(), &config.server.socket) {
            (Some(socket), _) => Some(socket),
            (None, Some(path)) => Some(LocalSocket::bind(path)?),
            (None, None) => None,
        };
        given.check_all_used()?;
        // Connections inherit the timeout from the listener. It closes a connection when the client
        // does not acknowledge data that was sent, or keeps its receive window closed.
        SockRef::from(&visitors.0)
            .set_tcp_user_timeout(Some(config.server.write_timeout))
            .map_err(ServerError::WriteTimeout)?;
        Ok(Self { visitors, redirect, admin, probes, proxy })
    }
}

/// Sockets of the service manager that are not used yet.
#[derive(Default)]
struct Given {
    /// By name.
    sockets: Vec<(String, TcpListener)>,
    local: Option<LocalSocket>,
}

impl Given {
    fn take() -> Result<Self, ServerError> {
        let mut given = Self::default();
        // Without it, the sockets could be those of another process.
        if std::env::var_os("LISTEN_PID").is_none() {
            return Ok(given);
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
            let unusable = |error| ServerError::SocketUnusable { name: name.to_owned(), error };
            if name == PROXY && given.local.is_none() {
                let listener = descriptors.take_unix_listener(index).map_err(unusable)?;
                // The service manager removes its file.
                given.local = listener.map(|listener| LocalSocket { listener, file: None });
            } else if let Some(listener) = descriptors.take_tcp_listener(index).map_err(unusable)? {
                given.sockets.push((name.to_owned(), listener));
            }
        }
        Ok(given)
    }

    fn socket(&mut self, name: &str) -> Option<TcpListener> {
        let index = self.sockets.iter().position(|(own, _)| own == name)?;
        Some(self.sockets.remove(index).1)
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
        match self.sockets.into_iter().next() {
            Some((name, _)) => Err(ServerError::SocketUnused(name)),
            None => Ok(()),
        }
    }
}

/// A Unix socket that listens.
pub(crate) struct LocalSocket {
    pub(crate) listener: UnixListener,
    /// Its file, which is removed when it is dropped.
    pub(crate) file: Option<SocketFile>,
}

/// The file of a socket that this process has bound.
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), %error, "the socket cannot be removed");
        }
    }
}

impl LocalSocket {
    /// Replaces the socket of a process that was killed, and nothing else.
    fn bind(path: &Path) -> Result<Self, ServerError> {
        let unusable = |error| ServerError::SocketFile { path: path.to_owned(), error };
        if !path.is_absolute() {
            return Err(unusable(io::Error::new(ErrorKind::InvalidInput, "the path must be absolute")));
        }
        match fs::symlink_metadata(path) {
            Ok(known) if known.file_type().is_socket() => match UnixStream::connect(path) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(unusable)?;
                }
                Ok(_) => {
                    return Err(unusable(io::Error::new(
                        ErrorKind::AddrInUse,
                        "another program listens on it",
                    )));
                }
                Err(error) => return Err(unusable(error)),
            },
            Ok(_) => return Err(unusable(io::Error::new(ErrorKind::AlreadyExists, "there is another file"))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(error)),
        }
        let listener = UnixListener::bind(path).map_err(unusable)?;
        let file = Some(SocketFile(path.to_owned()));
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(unusable)?;
        Ok(Self { listener, file })
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
