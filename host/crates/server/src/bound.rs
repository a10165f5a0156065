//! The sockets on which the server listens. The service manager may have opened them (`LISTEN_FDS`).

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

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
/// Connections that may wait until they are accepted, as for addresses.
const BACKLOG: i32 = 1_024;

/// A socket that listens, and its address.
type Listening = (TcpListener, SocketAddr);

/// The bound addresses. A client that connects before [`start`](crate::start) waits.
pub struct Bound {
    pub(crate) visitors: Listening,
    /// The listener that redirects to HTTPS.
    pub(crate) redirect: Option<Listening>,
    pub(crate) admin: Listening,
    pub(crate) probes: Option<Listening>,
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
                if let Some(listener) = &listener {
                    reject_public(listener).map_err(unusable)?;
                }
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
    ) -> Result<Listening, ServerError> {
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
    ) -> Result<Option<Listening>, ServerError> {
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
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and number, because another process may have replaced it.
    id: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_own =
            fs::symlink_metadata(&self.path).is_ok_and(|known| (known.dev(), known.ino()) == self.id);
        if is_own && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(file = %self.path.display(), %error, "the socket cannot be removed");
        }
    }
}

/// Rejects a socket to which every user of the machine may connect, because the headers of whoever does are believed.
fn reject_public(listener: &UnixListener) -> io::Result<()> {
    let address = listener.local_addr()?;
    let Some(path) = address.as_pathname() else { return Ok(()) };
    match fs::metadata(path)?.permissions().mode() & 0o007 {
        0 => Ok(()),
        _ => {
            let told = "every user of the machine may connect to it; set SocketMode=0660 and SocketGroup=";
            Err(io::Error::new(ErrorKind::PermissionDenied, told))
        }
    }
}

impl LocalSocket {
    /// Replaces the socket of a process that was killed, and nothing else.
    fn bind(path: &Path) -> Result<Self, ServerError> {
        Self::try_bind(path).map_err(|error| ServerError::SocketFile { path: path.to_owned(), error })
    }

    fn try_bind(path: &Path) -> io::Result<Self> {
        if !path.is_absolute() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the path must be absolute"));
        }
        match fs::symlink_metadata(path) {
            Ok(known) if known.file_type().is_socket() => {
                if somebody_listens(path)? {
                    return Err(io::Error::new(ErrorKind::AddrInUse, "another program listens on it"));
                }
            }
            Ok(_) => return Err(io::Error::new(ErrorKind::AlreadyExists, "there is another file")),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // Under its final name, the socket has its permissions from the start, and there is always one.
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&draft)?)?;
        let published = fs::set_permissions(&draft, Permissions::from_mode(SOCKET_MODE))
            .and_then(|()| socket.listen(BACKLOG))
            .and_then(|()| fs::symlink_metadata(&draft))
            .and_then(|known| fs::rename(&draft, path).map(|()| known));
        let known = published.inspect_err(|_| drop(fs::remove_file(&draft)))?;
        let file = SocketFile { path: path.to_owned(), id: (known.dev(), known.ino()) };
        Ok(Self { listener: socket.into(), file: Some(file) })
    }
}

/// Whether a program listens on a socket, even if it is too busy to answer.
fn somebody_listens(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}

/// `setting` is the option or setting that changes the address.
fn bind(address: SocketAddr, setting: &'static str) -> Result<Listening, ServerError> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => ServerError::AddressInUse { address, setting },
        _ => ServerError::AddressUnusable { address, setting, error },
    })?;
    with_address(listener)
}

fn with_address(listener: TcpListener) -> Result<Listening, ServerError> {
    let address = listener.local_addr()?;
    Ok((listener, address))
}
