//! `sluice types`: writes types of the globals for editors and the TypeScript compiler.

use std::path::PathBuf;

use anyhow::Context as _;

use sluice_author::tools_dir;
use sluice_author::types::{self, Written};
use sluice_kit::folder::Folder;
use sluice_site::{brand_ids, schema};
use sluice_text::printable::printable;
use sluice_text::suggest;

use super::output::outln;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// Write files only for this brand [default: all brands]
    #[arg(long)]
    brand: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let known = brand_ids(&args.site_dir)?;
    let brands = match &args.brand {
        Some(id) if !known.contains(id) => {
            let hint = suggest::hint(id, known.iter().map(String::as_str));
            anyhow::bail!("there is no brand \"{id}\"{hint}; the brands are {}", known.join(", "));
        }
        Some(id) => vec![id.clone()],
        None => known,
    };
    let tools = Folder::open(&args.site_dir).and_then(|site| tools_dir::make(&site));
    let tools = tools.with_context(|| args.site_dir.join(".sluice").display().to_string())?;
    schema::write(&tools)?;
    for id in brands {
        let Written { declarations, project, scripts, problems } = types::write(&args.site_dir, &id)?;
        for problem in problems {
            eprintln!("sluice: {} (its script is left out)", printable(&problem.to_string()));
        }
        outln!("{}", printable(&declarations.display().to_string()));
        let project = printable(&project.display().to_string());
        outln!("{project} (with the scripts of {scripts} HTML files)");
    }
    outln!("open them in an editor, or run: npx -p typescript tsc -p brands/<brand>/jsconfig.json");
    Ok(())
}
