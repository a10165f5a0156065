//! `sluice hook`: runs a function of a brand with a payload, as a job of whichever host is running.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::database::DatabaseArgs;
use super::output::outln;
use super::push::{Push, push};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The brand
    brand: String,
    /// The module in modules/
    module: String,
    #[command(flatten)]
    database: DatabaseArgs,
    /// A file with the payload as JSON; "-" reads standard input [default: null]
    #[arg(long, value_name = "FILE")]
    payload: Option<String>,
    /// The exported function
    #[arg(long = "fn", value_name = "NAME", default_value = "default")]
    function: String,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let Args { brand, module, database, payload, function } = args;
    database.brands(Some(&brand))?;
    let payload = match payload {
        None => Value::Null,
        Some(file) => {
            let text = read(&file)?;
            serde_json::from_slice(&text).with_context(|| format!("--payload: {file} is not JSON"))?
        }
    };
    let target = format!("{module}.{function}");
    let noted = ("job.push", target.as_str());
    let job = Push { brand: &brand, module: &module, function: &function, payload: &payload, noted };
    let id = push(&database, job).await?;
    outln!("{id}");
    Ok(())
}

fn read(file: &str) -> anyhow::Result<Vec<u8>> {
    if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("--payload: standard input")?;
        return Ok(bytes);
    }
    std::fs::read(Path::new(file)).with_context(|| format!("--payload: {file} cannot be read"))
}
