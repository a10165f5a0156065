//! The database that the settings name.

use std::path::PathBuf;
use std::sync::Arc;

use sluice_kit::StoreError;

use super::Store;
use super::postgres::{PostgresOptions, PostgresStore, UrlError};
use super::sqlite::{SqliteOptions, SqliteStore};

/// A database that can be opened.
pub enum Location {
    /// The file of an embedded database.
    Sqlite(PathBuf),
    /// A server, or several of which one accepts writes.
    Postgres(Box<PostgresOptions>),
}

/// Why the settings name no database. The text never contains a password.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// The URL of a PostgreSQL database is not valid.
    #[error("database.url is not valid: {0}")]
    Url(UrlError),
    /// PostgreSQL without connections.
    #[error("database.connections_max must be at least 1")]
    NoConnections,
    /// The scheme of the URL, if it has one, stands for no kind of database.
    #[error(
        "database.url must be sqlite:PATH or postgres://HOST/DATABASE{}",
        .scheme.as_ref().map(|scheme| format!(", not `{scheme}:…`")).unwrap_or_default()
    )]
    Scheme {
        /// The text before the first colon.
        scheme: Option<String>,
    },
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The embedded database.
    #[error("{}: {error}", .path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// Why it could not be opened or migrated.
        error: StoreError,
    },
    /// The database server.
    #[error("the PostgreSQL database of database.url: {0}")]
    Postgres(StoreError),
}

impl Location {
    /// The database of `database.url`, with at most `connections_max` connections if it is on a
    /// server.
    ///
    /// # Errors
    /// A setting is not valid.
    pub fn of(url: &str, connections_max: usize) -> Result<Self, LocationError> {
        match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("postgres" | "postgresql", _)) => {
                let mut options = PostgresOptions::parse(url).map_err(LocationError::Url)?;
                if connections_max == 0 {
                    return Err(LocationError::NoConnections);
                }
                options.connections_max = connections_max;
                Ok(Self::Postgres(Box::new(options)))
            }
            other => Err(LocationError::Scheme { scheme: other.map(|(scheme, _)| scheme.to_owned()) }),
        }
    }

    /// The kind of database, as OpenTelemetry names it.
    pub fn system(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// Opens the database and applies the missing migrations. Call it on the Tokio runtime that is
    /// to do the database's work.
    ///
    /// # Errors
    /// The database cannot be reached, opened or migrated.
    pub async fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
        match self {
            Self::Sqlite(path) => {
                let store = SqliteStore::open(SqliteOptions::new(path)).await;
                Ok(Arc::new(store.map_err(|error| OpenError::Sqlite { path: path.clone(), error })?))
            }
            Self::Postgres(options) => {
                let store = PostgresStore::open(PostgresOptions::clone(options)).await;
                Ok(Arc::new(store.map_err(OpenError::Postgres)?))
            }
        }
    }

    /// As [`open`](Self::open). If a database server cannot be reached now, the calls of the store
    /// fail until it can; the missing migrations are applied then.
    ///
    /// # Errors
    /// The embedded database cannot be opened or migrated, or a server rejects the settings.
    pub async fn open_or_join_later(&self) -> Result<Arc<dyn Store>, OpenError> {
        let Self::Postgres(options) = self else { return self.open().await };
        let store = PostgresStore::open_or_join_later(PostgresOptions::clone(options)).await;
        Ok(Arc::new(store.map_err(OpenError::Postgres)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(url: &str) -> String {
        Location::of(url, 16).err().unwrap().to_string()
    }

    #[test]
    fn errors_name_the_setting_and_never_the_password() {
        for url in ["data/sluice.db", "sqlite:", "mysql://ann:secret@db/site"] {
            let error = rejection(url);
            assert!(error.contains("database.url") && error.contains("postgres://"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let error = rejection("postgres://ann:secret@db/site?sslmode=verify-ca");
        assert!(error.contains("database.url") && error.contains("sslmode"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
