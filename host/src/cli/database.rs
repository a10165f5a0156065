//! What commands have in common that work on a site's database.

use std::path::PathBuf;
use std::sync::Arc;

use sluice_site::{brand_ids, config};
use sluice_store::Store;
use sluice_store::location::Location;
use sluice_text::suggest::hint;

#[derive(clap::Args)]
pub struct DatabaseArgs {
    /// The site's folder
    #[arg(default_value = ".")]
    pub site_dir: PathBuf,
    /// Folder of the embedded database [default: data, or database.url]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Opens the database that `sluice serve` would use. A running server may have it
    /// open at the same time.
    pub async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(self.location()?.open().await?)
    }

    /// Which database `sluice serve` would use.
    pub fn location(&self) -> anyhow::Result<Location> {
        let mut config = config::read_site(&self.site_dir, std::env::vars())?;
        if let Some(data) = &self.data {
            config.keep_data_in(data);
        }
        Ok(Location::of(&config.database.url, config.database.connections_max)?)
    }

    /// The brand of that name, or all.
    pub fn brands(&self, chosen: Option<&str>) -> anyhow::Result<Vec<String>> {
        let all = brand_ids(&self.site_dir)?;
        match chosen {
            None => Ok(all),
            Some(name) if all.iter().any(|brand| brand == name) => Ok(vec![name.to_owned()]),
            Some(name) => {
                let hint = hint(name, all.iter().map(String::as_str));
                anyhow::bail!("there is no brand {name:?}{hint}")
            }
        }
    }
}
