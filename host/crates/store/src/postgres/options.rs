//! Where the database is and how it is used.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::{TlsError, TlsOptions};

/// The server shows this name in its list of sessions and in its log.
const APPLICATION_NAME: &str = "sluice";

/// What is wrong with the URL of a PostgreSQL database. The text never contains the password.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// An option for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Anything that the driver's parser rejects.
    #[error("{}", explain(.0))]
    Syntax(tokio_postgres::Error),
    /// The URL has neither a host nor an address.
    #[error("it does not name a host")]
    NoHost,
}

/// A PostgreSQL server, or several of which one accepts writes.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) server: Config,
    pub(super) tls: MakeRustlsConnect,
    /// The most connections of this host.
    pub connections_max: usize,
    /// How long it may take to open a connection to one address, in milliseconds.
    pub connect_ms_max: u64,
    /// How long a call waits for a connection while all are in use, in milliseconds.
    pub wait_ms_max: u64,
    /// How long the database may take for one call that has a connection, in milliseconds.
    pub call_ms_max: u64,
}

impl PostgresOptions {
    /// Parses `postgres://user:password@host:port/database?…`, as libpq does.
    ///
    /// # Errors
    /// The URL or a file that it names is not valid.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (url, tls) = TlsOptions::take(url)?;
        let mut server: Config = url.parse().map_err(UrlError::Syntax)?;
        if server.get_hosts().is_empty() && server.get_hostaddrs().is_empty() {
            return Err(UrlError::NoHost);
        }
        server.ssl_mode(if tls.is_required { SslMode::Require } else { SslMode::Disable });
        if server.get_application_name().is_none() {
            server.application_name(APPLICATION_NAME);
        }
        Ok(Self {
            server,
            tls: tls.connector()?,
            connections_max: 16,
            connect_ms_max: 3_000,
            wait_ms_max: 5_000,
            call_ms_max: 5_000,
        })
    }

    pub(super) fn connect_max(&self) -> Duration {
        Duration::from_millis(self.connect_ms_max)
    }

    pub(super) fn wait_max(&self) -> Duration {
        Duration::from_millis(self.wait_ms_max)
    }

    pub(super) fn call_max(&self) -> Duration {
        Duration::from_millis(self.call_ms_max)
    }
}

/// The driver's own message is general; its source names the option.
fn explain(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    cause.unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(url: &str) -> String {
        PostgresOptions::parse(url).err().unwrap().to_string()
    }

    #[test]
    fn accepts_urls_of_every_kind() {
        for url in [
            "postgres://localhost/site",
            "postgresql://ann:p%40ss@db.example:6432/site?connect_timeout=2",
            "postgres://one:5432,two:5433/site?target_session_attrs=read-write",
            "postgres:///site?host=/run/postgresql&sslmode=disable",
            "postgres://db.example/site?sslmode=verify-full",
        ] {
            assert!(PostgresOptions::parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn errors_name_the_mistake_and_never_the_password() {
        assert!(rejection("postgres://db/site?sslmode=verify-ca").contains("sslmode=verify-ca"));
        assert!(rejection("postgres://db/site?colour=red").contains("colour"));
        assert!(rejection("postgres://db:port/site").contains("port"));
        assert!(rejection("postgres:///site").contains("host"));
        assert!(!rejection("postgres://ann:secret@db/site?colour=red").contains("secret"));
    }
}
