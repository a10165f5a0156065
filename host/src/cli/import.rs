//! `sluice import`: fills an empty database with the data that `sluice export` wrote.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::sync::mpsc;

use sluice_kit::progress::Progress;
use sluice_store::transfer::{Part, ReadError, Reader};

use super::database::DatabaseArgs;
use super::output::{Lines, Output, outln};

/// How many parts may wait to be stored.
const WAITING_MAX: usize = 4;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file that `sluice export` wrote, or - for standard input
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<()> {
    let store = args.database.open().await?;
    let (to, from) = mpsc::channel(WAITING_MAX);
    let source = args.file.clone();
    let shown = output.progress(Lines::Plain);
    let progress = shown.shared();
    progress.begin("importing rows", 0);
    let reading = tokio::task::spawn_blocking(move || read(&source, &to, &progress));
    let imported = store.import_rows(from).await;
    store.close().await;
    drop(shown);
    // If a line is invalid, the import failed because of it.
    let rows = reading.await?.with_context(|| args.file.display().to_string())?;
    imported.context("nothing was imported")?;
    outln!("{rows} rows imported");
    Ok(())
}

fn read(source: &Path, to: &mpsc::Sender<Part>, progress: &Progress) -> Result<u64, ReadError> {
    if source == Path::new("-") {
        return send(io::stdin().lock(), to, progress);
    }
    send(BufReader::new(File::open(source)?), to, progress)
}

/// Sends all parts and returns the number of rows. Ends early if the import has failed.
fn send(from: impl BufRead, to: &mpsc::Sender<Part>, progress: &Progress) -> Result<u64, ReadError> {
    let mut reader = Reader::begin(from)?;
    loop {
        let part = reader.read()?;
        let ended = matches!(part, Part::End);
        progress.step();
        if to.blocking_send(part).is_err() || ended {
            return Ok(reader.rows());
        }
    }
}
