//! Where the database is and how it is used.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::TlsOptions;

/// Shown by the server in its list of sessions and in its log.
const APPLICATION_NAME: &str = "sluice";

/// A PostgreSQL database, or several of which one takes writes.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) server: Config,
    pub(super) tls: MakeRustlsConnect,
    /// Most connections of this host.
    pub connections_max: usize,
    /// How long opening a connection to one address may take.
    pub connect_ms_max: u64,
    /// How long a call waits for a connection while all are in use.
    pub wait_ms_max: u64,
    /// How long the database may take for one call once there is a connection.
    pub call_ms_max: u64,
}

impl PostgresOptions {
    /// From `postgres://user:password@host:port/database?…`, as libpq takes it. The
    /// error is a sentence that names what is wrong and never holds the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (url, tls) = TlsOptions::take(url)?;
        let mut server: Config = url.parse().map_err(|error| explain(&error))?;
        if server.get_hosts().is_empty() && server.get_hostaddrs().is_empty() {
            return Err("no host is named".to_owned());
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
            wait_ms_max: 3_000,
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

/// The driver's sentences name options.
fn explain(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    cause.unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        PostgresOptions::parse(url).err().unwrap()
    }

    #[test]
    fn urls_of_any_kind() {
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
    fn mistakes_are_named() {
        assert!(refused("postgres://db/site?sslmode=verify-ca").contains("sslmode=verify-ca"));
        assert!(refused("postgres://db/site?colour=red").contains("colour"));
        assert!(refused("postgres://db:port/site").contains("port"));
        assert!(refused("postgres:///site").contains("host"));
        assert!(!refused("postgres://ann:secret@db/site?colour=red").contains("secret"));
    }
}
