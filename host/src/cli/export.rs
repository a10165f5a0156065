//! `sluice export`: writes all data of a site as lines of JSON.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::sync::mpsc;

use sluice_kit::progress::Progress;
use sluice_store::location::Location;
use sluice_store::transfer::{Part, Writer};

use super::database::DatabaseArgs;
use super::output::{Lines, Output};

/// How many parts may wait to be written.
const WAITING_MAX: usize = 4;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file to create, which must not exist, or - for standard output
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<()> {
    let location = args.database.location()?;
    if let Location::Sqlite(path) = &location
        && !path.exists()
    {
        bail!("{}: this database does not exist", path.display());
    }
    let store = location.open().await?;
    let (to, from) = mpsc::channel(WAITING_MAX);
    let target = args.file.clone();
    let shown = output.progress(Lines::Plain);
    let progress = shown.shared();
    progress.begin("exporting rows", 0);
    let writing = tokio::task::spawn_blocking(move || write(&target, from, &progress));
    let exported = store.export_rows(to).await;
    let written = writing.await?;
    store.close().await;
    drop(shown);
    // If reading the database failed, writing the file failed because of it.
    exported?;
    let rows = written?;
    eprintln!("{rows} rows exported");
    Ok(())
}

/// Writes the file and returns the number of rows. If this fails, no file is left.
fn write(target: &Path, from: mpsc::Receiver<Part>, progress: &Progress) -> anyhow::Result<u64> {
    if target == Path::new("-") {
        return write_to(io::stdout().lock(), from, progress);
    }
    let name = || target.display().to_string();
    if target.exists() {
        bail!("{} already exists", name());
    }
    let draft = target.with_extension("part");
    let written = create(&draft)
        .with_context(name)
        .and_then(|file| write_to(file, from, progress))
        .and_then(|rows| fs::rename(&draft, target).with_context(name).map(|()| rows));
    if written.is_err() {
        // If this fails too, the first error is the one to report.
        let _ = fs::remove_file(&draft);
    }
    written
}

/// Creates a file that only its owner can read, because it contains customers' data.
fn create(path: &Path) -> io::Result<File> {
    let mut file = File::options();
    file.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.open(path)
}

fn write_to(out: impl Write, mut from: mpsc::Receiver<Part>, progress: &Progress) -> anyhow::Result<u64> {
    let mut writer = Writer::begin(BufWriter::new(out))?;
    while let Some(part) = from.blocking_recv() {
        writer.write(&part)?;
        progress.step();
        if matches!(part, Part::End) {
            return Ok(writer.rows());
        }
    }
    bail!("the database stopped before all of its data was read")
}
