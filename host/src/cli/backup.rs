//! `sluice backup`: a copy of the embedded database while it is in use.

use std::path::PathBuf;

use anyhow::bail;

use sluice_store::location::Location;
use sluice_store::sqlite;

use super::database::DatabaseArgs;
use super::output::{Lines, Output};
use crate::cli::macros::outln;

#[derive(clap::Args)]
pub struct Args {
    /// The copy; must not be there
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub async fn run(args: Args, output: &Output) -> anyhow::Result<()> {
    let path = match args.database.location()? {
        Location::Sqlite(path) => path,
        Location::Postgres(_) => bail!(
            "this site is on PostgreSQL, whose own tool makes backups while it is in use: \
             pg_dump --format=custom --file={} \"$DATABASE_URL\"",
            args.file.display()
        ),
    };
    if !path.exists() {
        bail!("{}: there is no database", path.display());
    }
    let (from, to) = (path.clone(), args.file.clone());
    let progress = output.progress(Lines::Plain);
    progress.shared().begin("copying the database", 0);
    tokio::task::spawn_blocking(move || sqlite::backup(&from, &to)).await??;
    drop(progress);
    outln!("{} is a backup of {}", args.file.display(), path.display());
    let key = path.with_file_name("app.key");
    if key.exists() {
        outln!("keep {} with it: without the key its sessions cannot be read", key.display());
    }
    Ok(())
}
