//! `sluice crm export-entries` and `sluice crm import-entries`: the entries of an entity as CSV.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use sluice_crm::csv::{Columns, OWN_COLUMNS, Reader, Row, entry_record, record};
use sluice_crm::search::{Order, Search};
use sluice_crm::{CrmCaps, CrmFault, CrmWrite, Entity, Filter, Line, Refusal, Slug};
use sluice_kit::clock::now_ms;
use sluice_store::Store;
use sluice_text::printable::printable;
use sluice_text::suggest::hint;

use super::database::DatabaseArgs;
use super::output::outln;

/// How many entries are read at a time, and how many bytes of them.
const PAGE_ROWS: u32 = 200;
const PAGE_BYTES: usize = 8 << 20;

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

/// All entries of an entity, oldest first.
struct Pages<'a> {
    store: &'a dyn Store,
    brand: &'a str,
    search: Search,
    is_last: bool,
}

impl<'a> Pages<'a> {
    fn of(store: &'a dyn Store, brand: &'a str, slug: &Slug) -> Self {
        let search = Search {
            slug: slug.clone(),
            reference: None,
            filter: Filter::everything(),
            order: Order { field: None, is_descending: false },
            after: None,
            limit: Some(PAGE_ROWS),
            bytes_max: PAGE_BYTES,
        };
        Self { store, brand, search, is_last: false }
    }

    async fn read(&mut self) -> Result<Vec<sluice_crm::BrowsedEntry>, CrmFault> {
        if self.is_last {
            return Ok(Vec::new());
        }
        let found = self.store.search_entries(self.brand, self.search.clone()).await?;
        self.is_last = found.next.is_none();
        self.search.after = found.next;
        Ok(found.entries)
    }
}

/// Prints the entries. A first pass finds the keys that are not declared.
pub(crate) async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let store = args.database.open().await?;
    let (brand, entity) = find(store.as_ref(), &args.database, args.brand.as_deref(), &args.slug).await?;
    let slug = Slug::new(&entity.slug).context("the entity has an invalid slug")?;
    let mut keys: Vec<String> = entity.fields.iter().map(|(_, field)| field.key.clone()).collect();
    let declared = keys.len();
    let mut pages = Pages::of(store.as_ref(), &brand, &slug);
    loop {
        let page = pages.read().await?;
        if page.is_empty() {
            break;
        }
        for (key, _) in page.iter().flat_map(|found| &found.entry.values) {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
    }
    if let Some(others) = keys.get_mut(declared..) {
        others.sort_unstable();
    }
    let mut out = io::stdout().lock();
    out.write_all(record(OWN_COLUMNS.into_iter().chain(keys.iter().map(String::as_str))).as_bytes())?;
    let mut pages = Pages::of(store.as_ref(), &brand, &slug);
    loop {
        let page = pages.read().await?;
        if page.is_empty() {
            break;
        }
        for found in &page {
            out.write_all(entry_record(found, &keys).as_bytes())?;
        }
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
    let mut rows = 0u64;
    each(&args.file, &entity, args.from_line, |_| rows += 1)?;
    if args.dry_run {
        store.close().await;
        outln!("{rows} records can be imported");
        return Ok(());
    }
    let file = printable(&args.file.display().to_string()).to_string();
    let (mut created, mut changed) = (0u64, 0u64);
    let mut reading = Records::open(&args.file, &entity)?;
    while let Some(row) = reading.read()? {
        if row.line < args.from_line {
            continue;
        }
        let line = row.line;
        let is_new = row.id.is_none();
        if let Err(fault) = write(store.as_ref(), &brand, &slug, row).await {
            store.close().await;
            bail!(
                "{file}:{line}: {fault}\n{created} entries were created and {changed} changed before; correct the \
                 record and go on with --from-line {line}"
            );
        }
        match is_new {
            true => created += 1,
            false => changed += 1,
        }
    }
    store.close().await;
    outln!("{created} entries created, {changed} changed");
    Ok(())
}

async fn write(store: &dyn Store, brand: &str, slug: &Slug, row: Row) -> Result<(), CrmFault> {
    let Row { id, reference, fields, .. } = row;
    // The operator decides what the brand stores.
    let caps = CrmCaps { entries_a_reference_max: u32::MAX, brand_bytes_max: u64::MAX, ..CrmCaps::default() };
    let write = match id {
        Some(id) => {
            let owner = store.entry_reference(brand, slug.clone(), id).await?;
            let reference = owner.ok_or(CrmFault::Refused(Refusal::NoEntry))?;
            let fields = fields.into_iter().map(|(key, value)| (key, Some(value))).collect();
            let at = Line { slug: slug.clone(), reference };
            CrmWrite::UpdateEntry { at, id, fields, if_updated_at: None }
        }
        None => {
            let reference = reference.ok_or(CrmFault::Refused(Refusal::NoReference))?;
            CrmWrite::CreateEntry { at: Line { slug: slug.clone(), reference }, fields }
        }
    };
    store.write_crm(brand, write, caps, now_ms()).await.map(drop)
}

/// The records of a file.
struct Records {
    file: String,
    reader: Reader<BufReader<File>>,
    columns: Columns,
}

impl Records {
    fn open(file: &Path, entity: &Entity) -> anyhow::Result<Self> {
        let name = printable(&file.display().to_string()).to_string();
        let mut reader = Reader::new(BufReader::new(File::open(file).with_context(|| name.clone())?));
        let kind =
            |key: &str| entity.fields.iter().find(|(_, field)| field.key == key).map(|(_, field)| field.kind);
        let columns = reader.record().and_then(|cells| Columns::read(cells, kind));
        let columns = columns.map_err(|error| anyhow::anyhow!("{name}:{error}"))?;
        Ok(Self { file: name, reader, columns })
    }

    fn read(&mut self) -> anyhow::Result<Option<Row>> {
        let row = match self.reader.record() {
            Ok(None) => return Ok(None),
            Ok(Some(cells)) => self.columns.row(&cells),
            Err(error) => Err(error),
        };
        row.map(Some).map_err(|error| anyhow::anyhow!("{}:{error}", self.file))
    }
}

/// Reads all records from the line on.
fn each(file: &Path, entity: &Entity, from_line: u64, mut then: impl FnMut(Row)) -> anyhow::Result<()> {
    let mut reading = Records::open(file, entity)?;
    while let Some(row) = reading.read()? {
        if row.line >= from_line {
            then(row);
        }
    }
    Ok(())
}
