//! Remembers which brand served which Hosts, over a restart: a brand that claims the Hosts of another one while the
//! program does not run gets none of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use sluice_kit::folder::Folder;
use sluice_kit::operator_dir::OperatorDir;
use sluice_site::Site;
use sluice_site::hosts::Hosts;

/// The file in the data folder. It is JSON.
const FILE: &str = "hosts.json";
/// A site has at most so many bytes of brand names and domains.
const BYTES_MAX: u64 = 64 << 20;

/// The Hosts that each brand served at last, by the brand's id.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ServedHosts(BTreeMap<String, Hosts>);

impl ServedHosts {
    /// Reads what was saved. Nothing if nothing was saved, or if it cannot be read, which is logged.
    pub(crate) fn read(data: &OperatorDir) -> Self {
        let read = Folder::open(data.path()).and_then(|folder| folder.read(FILE, BYTES_MAX));
        let failure = match read {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(served) => return served,
                Err(error) => error.to_string(),
            },
            Err(error) if error.is_missing() => return Self::default(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(
            file = %data.path().join(FILE).display(),
            error = failure,
            "cannot read which brand served which hosts; nobody serves hosts that several brands claim"
        );
        Self::default()
    }

    /// The Hosts that the brand served.
    pub(crate) fn of(&self, brand: &str) -> Option<&Hosts> {
        self.0.get(brand)
    }

    /// Saves what `site` serves, if it is something else. A failure is logged.
    pub(crate) fn save(data: &OperatorDir, site: &Site) {
        let before = Self::read(data);
        let now = before.after(site);
        if now == before {
            return;
        }
        let written = serde_json::to_vec(&now).map_err(|error| error.to_string()).and_then(|bytes| {
            match Folder::open(data.path()) {
                // Tools for authors have no data.
                Err(error) if error.is_missing() => Ok(()),
                Err(error) => Err(error.to_string()),
                Ok(folder) => folder.write(FILE, &bytes).map_err(|error| error.to_string()),
            }
        });
        if let Err(error) = written {
            tracing::warn!(
                file = %data.path().join(FILE).display(),
                error,
                "cannot save which brand serves which hosts"
            );
        }
    }

    /// What is remembered when `site` is served. A brand that is out of service keeps its Hosts.
    fn after(&self, site: &Site) -> Self {
        let brands = site.brands().filter_map(|brand| {
            let hosts = match &brand.outage {
                None => Some(&brand.hosts),
                Some(_) => self.of(&brand.id),
            };
            Some((brand.id.clone(), hosts?.clone()))
        });
        Self(brands.collect())
    }
}
