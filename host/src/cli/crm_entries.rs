//! `sluice crm export-entries` and `sluice crm import-entries`: the entries of an entity as CSV.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use sluice_crm::csv::{self, Export, ImportFault, Imported};
use sluice_crm::{Entity, Slug};
use sluice_kit::clock::now_ms;
use sluice_store::Store;
use sluice_text::printable::printable;
use sluice_text::suggest::hint;

use super::change_log::{Change, keep};
use super::database::DatabaseArgs;
use super::output::outln;

#[derive(clap::Args)]
pub(crate) struct ExportArgs {
    /// The entity
    slug: String,
    #[command(flatten)]
    database: DatabaseArgs,
    /// The brand [default: the only brand of the site]
    #[arg(long)]
    brand: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct ImportArgs {
    /// The entity
    slug: String,
    /// The file, as `sluice crm export-entries` writes it
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
    /// The brand [default: the only brand of the site]
    #[arg(long)]
    brand: Option<String>,
    /// Go on with the record that begins on this line
    #[arg(long, value_name = "LINE", default_value_t = 1)]
    from_line: u64,
    /// Only check the file
    #[arg(long)]
    dry_run: bool,
}

/// The brand, and the entity.
async fn find(
    store: &dyn Store,
    database: &DatabaseArgs,
    brand: Option<&str>,
    slug: &str,
) -> anyhow::Result<(String, Entity)> {
    let brands = database.brands(brand)?;
    let [brand] = brands.as_slice() else {
        bail!("the site has several brands; choose one with --brand: {}", brands.join(", "));
    };
    let entities = store.list_entities(brand).await?;
    let names = entities.iter().map(|entity| entity.slug.as_str());
    let hint = hint(slug, names);
    let found = entities.into_iter().find(|entity| entity.slug == slug);
    let entity = found.with_context(|| format!("the brand {brand} has no entity {slug:?}{hint}"))?;
    Ok((brand.clone(), entity))
}

/// Prints the entries. A first pass finds the columns.
pub(crate) async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let store = args.database.open().await?;
    let (brand, entity) = find(store.as_ref(), &args.database, args.brand.as_deref(), &args.slug).await?;
    let slug = Slug::new(&entity.slug).context("the entity has an invalid slug")?;
    let mut export = Export::begin(store.as_ref(), &brand, &slug, &entity).await?;
    let mut out = io::stdout().lock();
    out.write_all(export.head().as_bytes())?;
    while let Some(piece) = export.piece(store.as_ref()).await? {
        out.write_all(piece.as_bytes())?;
    }
    out.flush()?;
    store.close().await;
    Ok(())
}

/// Checks the whole file, and then writes its records, each in a transaction of its own.
pub(crate) async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let store = args.database.open().await?;
    let (brand, entity) = find(store.as_ref(), &args.database, args.brand.as_deref(), &args.slug).await?;
    let slug = Slug::new(&entity.slug).context("the entity has an invalid slug")?;
    let name = printable(&args.file.display().to_string()).to_string();
    let open = || File::open(&args.file).map(BufReader::new).with_context(|| name.clone());
    let records = csv::check_file(open()?, &entity, args.from_line)
        .map_err(|error| anyhow::anyhow!("{name}:{error}"))?;
    if args.dry_run {
        store.close().await;
        outln!("{records} records can be imported");
        return Ok(());
    }
    let file = open()?;
    let imported = csv::import(store.as_ref(), &brand, &slug, &entity, file, args.from_line, now_ms).await;
    let (done, fault) = match &imported {
        Ok(done) => (*done, None),
        // The faults themselves can name values.
        Err(ImportFault::File(_)) => (Imported::default(), Some("the file is invalid".to_owned())),
        Err(ImportFault::Write { line, before, .. }) => (*before, Some(format!("stopped at line {line}"))),
    };
    let item = format!("created: {}, changed: {}", done.created, done.changed);
    let (action, fault) = ("entry.import", fault.as_deref());
    keep(store.as_ref(), Change { action, brand: &brand, target: slug.as_str(), item: &item, fault }).await;
    store.close().await;
    match imported {
        Ok(Imported { created, changed }) => {
            outln!("{created} entries created, {changed} changed");
            Ok(())
        }
        Err(fault @ ImportFault::File(_)) => bail!("{name}:{fault}"),
        Err(ImportFault::Write { line, fault, before: Imported { created, changed } }) => bail!(
            "{name}:{line}: {fault}\n{created} entries were created and {changed} changed before; correct the \
             record and go on with --from-line {line}"
        ),
    }
}
