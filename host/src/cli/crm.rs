//! `sluice crm`: compares the entities that brands declare with those in the database.

use anyhow::{Context as _, bail};

use sluice_crm::{CrmSchema, Entity, Indexing, Settings, export, index, plan};
use sluice_site::{brand_dir, files};
use sluice_store::Store;
use sluice_text::printable::printable;

use super::crm_entries;
use super::database::DatabaseArgs;
use super::output::{out, outln};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Add to the database what crm.toml declares, and update it
    ///
    /// No data are ever deleted. If a crm.toml has a mistake, no brand is changed. Indexes are built while hosts
    /// serve the brand; entries that break `unique` are listed.
    Apply {
        #[command(flatten)]
        at: BrandArgs,
        /// Only print what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the entities in the database: their fields, pipelines and stages, with ids
    Show {
        #[command(flatten)]
        at: BrandArgs,
    },
    /// Print a crm.toml that declares the entities in the database
    Export {
        #[command(flatten)]
        at: BrandArgs,
    },
    /// Print the entries of an entity as CSV, oldest first
    ///
    /// Texts that a spreadsheet would take for formulas begin with an apostrophe.
    ExportEntries(crm_entries::ExportArgs),
    /// Create and change the entries in a CSV file
    ///
    /// The whole file is checked first. A record with an "entry id" changes that entry.
    ImportEntries(crm_entries::ImportArgs),
}

#[derive(clap::Args)]
struct BrandArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Only this brand [default: all brands]
    #[arg(long)]
    brand: Option<String>,
}

impl BrandArgs {
    fn brands(&self) -> anyhow::Result<Vec<String>> {
        self.database.brands(self.brand.as_deref())
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.action {
        Action::Apply { at, dry_run } => apply(&at, dry_run).await,
        Action::Show { at } => show(&at).await,
        Action::Export { at } => export_brand(&at).await,
        Action::ExportEntries(args) => crm_entries::export(args).await,
        Action::ImportEntries(args) => crm_entries::import(args).await,
    }
}

/// Reads all files first, so that a mistake in one of them prevents all changes.
async fn apply(at: &BrandArgs, dry_run: bool) -> anyhow::Result<()> {
    let mut declared = Vec::new();
    for brand in at.brands()? {
        let schema = read(at, &brand)?;
        declared.push((brand, schema));
    }
    let store = at.database.open().await?;
    let brands: Vec<String> = declared.iter().map(|(brand, _)| brand.clone()).collect();
    for (brand, schema) in declared {
        let changes = match dry_run {
            true => changes(store.as_ref(), &brand, &schema).await?,
            false => store.apply_crm_schema(&brand, schema).await?,
        };
        let what = match (dry_run, changes.len()) {
            (false, 1) => "change",
            (false, _) => "changes",
            (true, 1) => "change would be made",
            (true, _) => "changes would be made",
        };
        match changes.len() {
            0 => outln!("{brand}: nothing to change"),
            count => outln!("{brand}: {count} {what}"),
        }
        for change in changes {
            outln!("  {}", printable(&change));
        }
    }
    let mut violated = 0;
    for brand in brands.iter().filter(|_| !dry_run) {
        violated += build_indexes(store.as_ref(), brand).await?;
    }
    store.close().await;
    match violated {
        0 => Ok(()),
        1 => bail!("a field is not unique; change the entries that are listed, and run this command again"),
        count => {
            bail!(
                "{count} fields are not unique; change the entries that are listed, and run this command again"
            )
        }
    }
}

/// Builds the indexes that a brand declares, while hosts serve it. Returns how many unique fields have values
/// that two entries have.
async fn build_indexes(store: &dyn Store, brand: &str) -> anyhow::Result<u32> {
    let (mut violated, mut entries) = (0, 0);
    let mut violations = Vec::new();
    while let Some(step) = store.build_index(Some(brand)).await? {
        entries += step.entries;
        let field = format!("field {:?} of entity {:?}", step.key, step.slug);
        let room = index::VIOLATIONS_SHOWN.saturating_sub(violations.len());
        violations.extend(step.violations.into_iter().take(room));
        if !step.is_finished {
            continue;
        }
        match step.violations_total {
            0 => outln!("{brand}: the index of {} is complete ({entries} entries read)", printable(&field)),
            total => {
                violated += 1;
                outln!(
                    "{brand}: {} is not unique: {total} entries have the value of another",
                    printable(&field)
                );
                for index::Violation { entry, reference, other } in &violations {
                    outln!(
                        "  entry {entry} of {} has the value of entry {other}",
                        printable(&reference.to_string())
                    );
                }
            }
        }
        (entries, violations) = (0, Vec::new());
    }
    Ok(violated)
}

fn read(at: &BrandArgs, brand: &str) -> anyhow::Result<CrmSchema> {
    let dir = brand_dir(&at.database.site_dir, brand);
    let path = dir.path().join("crm.toml").display().to_string();
    let text = match files::read(&dir, "crm.toml") {
        Err(error) if error.is_missing() => String::new(),
        read => read.map_err(|error| error.fault).with_context(|| printable(&path))?.text,
    };
    Ok(CrmSchema::parse(&text, &path)?)
}

async fn changes(store: &dyn Store, brand: &str, schema: &CrmSchema) -> anyhow::Result<Vec<String>> {
    let stored = store.list_entities(brand).await?;
    let steps = schema.entities.iter().flat_map(|declared| {
        let stored = stored.iter().find(|entity| entity.slug == declared.slug);
        plan(stored, declared)
    });
    Ok(steps.map(|step| step.sentence).collect())
}

async fn show(at: &BrandArgs) -> anyhow::Result<()> {
    let brands = at.brands()?;
    let store = at.database.open().await?;
    for brand in brands {
        outln!("{brand}");
        let entities = store.list_entities(&brand).await?;
        if entities.is_empty() {
            outln!("  no entities");
        }
        entities.iter().for_each(show_entity);
    }
    store.close().await;
    Ok(())
}

/// The settings as `, ui_editable: false`.
fn shown(settings: &Settings) -> String {
    let shown = settings.iter().map(|(name, value)| format!(", {name}: {value}"));
    printable(&shown.collect::<String>()).to_string()
}

fn show_entity(entity: &Entity) {
    let Entity { id, slug, name, mode, settings, fields, pipelines } = entity;
    outln!("  entity {slug} (id {id}), {name:?}, mode {}{}", mode.as_str(), shown(settings));
    for (_, field) in fields {
        let settings = shown(&field.settings);
        let indexing = match field.indexing() {
            Indexing::None => String::new(),
            indexing => format!(", {}", indexing.as_str()),
        };
        outln!("    field {}, {:?}, {}{indexing}{settings}", field.key, field.label, field.kind.as_str());
    }
    for pipeline in pipelines {
        outln!("    pipeline {} (id {}), {:?}", pipeline.slug, pipeline.id, pipeline.name);
        for stage in &pipeline.stages {
            let extra = [&stage.spec.color, &stage.spec.status].into_iter().flatten();
            let extra: String = extra.map(|word| format!(", {word}")).collect();
            outln!("      stage {} (id {}), {:?}{extra}", stage.spec.slug, stage.id, stage.spec.name);
        }
    }
}

async fn export_brand(at: &BrandArgs) -> anyhow::Result<()> {
    let brands = at.brands()?;
    let [brand] = brands.as_slice() else {
        anyhow::bail!("a crm.toml belongs to one brand; choose it with --brand: {}", brands.join(", "));
    };
    let store = at.database.open().await?;
    let text = export(&store.list_entities(brand).await?)?;
    store.close().await;
    out!("{text}");
    Ok(())
}
