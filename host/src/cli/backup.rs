//! `sluice backup`: copies the embedded database while it is in use.

use std::path::PathBuf;

use anyhow::bail;

use sluice_store::location::Location;
use sluice_store::sqlite;

use super::database::DatabaseArgs;
use super::output::{Lines, Output, outln};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file to create; it must not exist
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<()> {
    let path = match args.database.location()? {
        Location::Sqlite(path) => path,
        Location::Postgres(_) => bail!(
            "this site uses PostgreSQL, which has its own tool for backups: \
             pg_dump --format=custom --file={} \"$DATABASE_URL\"",
            args.file.display()
        ),
    };
    if !path.exists() {
        bail!("{}: this database does not exist", path.display());
    }
    let (from, to) = (path.clone(), args.file.clone());
    let progress = output.progress(Lines::Plain);
    progress.shared().begin("copying the database", 0);
    tokio::task::spawn_blocking(move || sqlite::backup(&from, &to)).await??;
    drop(progress);
    outln!("{} is a backup of {}", args.file.display(), path.display());
    let key = args.database.key_file()?;
    let key = key.path();
    if key.exists() {
        outln!("Keep {} with the backup: its sessions cannot be read without this key.", key.display());
    }
    Ok(())
}
