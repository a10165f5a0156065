//! `sluice export`: all of a site's data as lines of JSON.

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

/// Parts that wait to be written.
const WAITING_MAX: usize = 4;

#[derive(clap::Args)]
pub struct Args {
    /// The new file, or - for standard output
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub async fn run(args: Args, output: &Output) -> anyhow::Result<()> {
    let location = args.database.location()?;
    if let Location::Sqlite(path) = &location
        && !path.exists()
    {
        bail!("{}: there is no database", path.display());
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
    // Why the database ended early is the reason why the file does.
    exported?;
    let rows = written?;
    eprintln!("{rows} rows exported");
    Ok(())
}

/// Gives the number of rows. What cannot be finished leaves no file.
fn write(target: &Path, from: mpsc::Receiver<Part>, progress: &Progress) -> anyhow::Result<u64> {
    if target == Path::new("-") {
        return write_to(io::stdout().lock(), from, progress);
    }
    let name = || target.display().to_string();
    if target.exists() {
        bail!("{} is there already", name());
    }
    let draft = target.with_extension("part");
    let written = create(&draft)
        .with_context(name)
        .and_then(|file| write_to(file, from, progress))
        .and_then(|rows| fs::rename(&draft, target).with_context(name).map(|()| rows));
    if written.is_err() {
        // Half a file is of no use; the first error is the one to tell.
        let _ = fs::remove_file(&draft);
    }
    written
}

/// For its owner only: it holds what customers entered.
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
    bail!("the database ended before its end")
}
