//! Which database the settings name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::Store;
use super::postgres::{PostgresOptions, PostgresStore};
use super::sqlite::{SqliteOptions, SqliteStore};

/// A database that can be opened.
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server, or several of which one takes writes.
    Postgres(Box<PostgresOptions>),
}

impl Location {
    /// From `database.url` and `database.connections_max`.
    ///
    /// # Errors
    /// A sentence that names what is wrong; never a password.
    pub fn of(url: &str, connections_max: usize) -> anyhow::Result<Self> {
        match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("postgres" | "postgresql", _)) => {
                let mut options = PostgresOptions::parse(url)
                    .map_err(|why| anyhow::anyhow!("database.url is not valid: {why}"))?;
                if connections_max == 0 {
                    bail!("database.connections_max must be at least 1");
                }
                options.connections_max = connections_max;
                Ok(Self::Postgres(Box::new(options)))
            }
            Some((scheme, _)) => {
                bail!("database.url must be sqlite:PATH or postgres://HOST/DATABASE, not `{scheme}:…`")
            }
            None => bail!("database.url must be sqlite:PATH or postgres://HOST/DATABASE"),
        }
    }

    /// The kind of database, as OpenTelemetry names it.
    pub fn system(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// Where the embedded database is; hosts that share a database share no folder.
    pub fn data_dir(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(path) => path.parent().map(Path::to_owned),
            Self::Postgres(_) => None,
        }
    }

    /// Opens the database, its schema brought up to date. Call it on the Tokio runtime
    /// that is to do the database's work.
    ///
    /// # Errors
    /// It cannot be reached, opened or brought up to date.
    pub async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(match self {
            Self::Sqlite(path) => Arc::new(
                SqliteStore::open(SqliteOptions::new(path))
                    .await
                    .with_context(|| path.display().to_string())?,
            ),
            Self::Postgres(options) => Arc::new(
                PostgresStore::open(PostgresOptions::clone(options))
                    .await
                    .context("the PostgreSQL database of database.url")?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        Location::of(url, 16).err().unwrap().to_string()
    }

    #[test]
    fn what_is_wrong_is_named_and_passwords_are_not() {
        for url in ["data/sluice.db", "sqlite:", "mysql://ann:secret@db/site"] {
            let error = refused(url);
            assert!(error.contains("database.url") && error.contains("postgres://"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let error = refused("postgres://ann:secret@db/site?sslmode=verify-ca");
        assert!(error.contains("database.url") && error.contains("sslmode"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
