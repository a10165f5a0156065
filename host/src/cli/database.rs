//! Arguments of the commands that work on a site's database.

use std::path::PathBuf;
use std::sync::Arc;

use sluice_kit::operator_dir::OperatorFile;
use sluice_site::brand_ids;
use sluice_site::config::{self, SiteConfig};
use sluice_site::places::Places;
use sluice_store::Store;
use sluice_store::location::Location;
use sluice_text::suggest::hint;

#[derive(clap::Args)]
pub(crate) struct DatabaseArgs {
    /// The site's folder
    #[arg(default_value = ".")]
    pub site_dir: PathBuf,
    /// The data folder, as given to `sluice serve` [default: as that of `sluice serve`]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Opens the database that `sluice serve` would use. A running server may have it open at the
    /// same time.
    pub(crate) async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(self.location()?.open().await?)
    }

    /// The database that `sluice serve` would use.
    pub(crate) fn location(&self) -> anyhow::Result<Location> {
        let config = self.config()?;
        Ok(Location::of(&self.places(&config)?.database, config.database.connections_max)?)
    }

    /// The application key of the data folder, which need not exist.
    pub(crate) fn key_file(&self) -> anyhow::Result<OperatorFile> {
        Ok(self.places(&self.config()?)?.data.file("app.key")?)
    }

    /// `sluice.toml`.
    pub(crate) fn config(&self) -> anyhow::Result<SiteConfig> {
        Ok(config::read_site(&self.site_dir, std::env::vars())?)
    }

    fn places(&self, config: &SiteConfig) -> anyhow::Result<Places> {
        Ok(Places::of(&self.site_dir, config, self.data.as_deref())?)
    }

    /// The chosen brand, or all brands of the site.
    pub(crate) fn brands(&self, chosen: Option<&str>) -> anyhow::Result<Vec<String>> {
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
