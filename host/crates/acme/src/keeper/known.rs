//! What this host has installed, and installing what is new.

use std::collections::{BTreeMap, BTreeSet};

use sluice_kit::StoreError;
use sluice_tls::Certificate;

use super::{Keeper, Wanted};
use crate::certificate::{self, Issued};
use crate::seal;
use crate::store::{NameKey, NameState};

/// The names without a certificate that were reported are forgotten when there are more.
const SKIPPED_MAX: usize = 10_000;

/// So many certificates are read before they are installed.
const INSTALLED_AT_ONCE: usize = 100;

/// Stands for all brands. No brand has this name.
pub(super) const EVERY_BRAND: &str = "";

/// What this host knows.
#[derive(Default)]
pub(super) struct Known {
    /// The revision of each certificate that is installed, or could not be.
    installed: BTreeMap<String, i64>,
    /// The names that were reported because they cannot have a certificate.
    skipped: BTreeSet<String>,
    /// The brands that get no new certificates before this moment.
    waiting: BTreeMap<String, i64>,
}

impl Known {
    /// Notes that a name cannot have a certificate. Returns true the first time.
    pub(super) fn skips(&mut self, name: &str) -> bool {
        if self.skipped.len() >= SKIPPED_MAX {
            return false;
        }
        self.skipped.insert(name.to_owned())
    }

    /// Notes that a brand gets no new certificates for a while.
    pub(super) fn wait(&mut self, brand: &str, until: i64) {
        self.waiting.insert(brand.to_owned(), until);
    }

    /// The brands that get no new certificates now.
    pub(super) fn waiting(&mut self, now_ms: i64) -> BTreeSet<String> {
        self.waiting.retain(|_, until| *until > now_ms);
        self.waiting.keys().cloned().collect()
    }
}

impl Keeper {
    /// Installs the certificates of wanted names that this host does not have yet, and retires the others.
    pub(super) async fn install(&self, states: &[NameState], wanted: &[Wanted]) {
        let names: BTreeSet<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        let mut read = Vec::new();
        for (name, state) in self.newest(states) {
            let Some(issue) = state.issue.filter(|_| names.contains(name)) else { continue };
            if self.known.lock().installed.get(name) == Some(&issue.revision) {
                continue;
            }
            match self.load(&state.key).await {
                Ok(Some(issued)) => read.push((name.to_owned(), issued)),
                // It is reported once, not at every pass.
                Ok(None) => drop(self.known.lock().installed.insert(name.to_owned(), issue.revision)),
                Err(error) => tracing::warn!(name, %error, "a certificate cannot be read yet"),
            }
            if read.len() >= INSTALLED_AT_ONCE {
                self.use_certificates(std::mem::take(&mut read));
            }
        }
        self.use_certificates(read);
        let retired: Vec<String> = {
            let mut known = self.known.lock();
            let gone = known.installed.keys().filter(|name| !names.contains(name.as_str()));
            let gone: Vec<String> = gone.cloned().collect();
            known.installed.retain(|name, _| names.contains(name.as_str()));
            gone
        };
        if !retired.is_empty() {
            self.options.certificates.retire(&retired);
        }
    }

    /// The certificate of each name: that of the authority of this host, or until there is one, that of
    /// another authority which expires last.
    fn newest<'a>(&self, states: &'a [NameState]) -> BTreeMap<&'a str, &'a NameState> {
        let rank = |state: &NameState| {
            let is_own = state.key.directory == self.options.directory;
            (is_own, state.issue.map(|issue| issue.not_after))
        };
        let mut newest: BTreeMap<&str, &NameState> = BTreeMap::new();
        for state in states.iter().filter(|state| state.issue.is_some()) {
            let best = newest.entry(&state.key.name).or_insert(state);
            if rank(state) > rank(best) {
                *best = state;
            }
        }
        newest
    }

    pub(super) fn use_certificates(&self, issued: Vec<(String, Issued)>) {
        if issued.is_empty() {
            return;
        }
        let revisions = issued.iter().map(|(name, issued)| (name.clone(), issued.issue.revision));
        self.known.lock().installed.extend(revisions);
        let certificates: Vec<(String, Certificate)> =
            issued.into_iter().map(|(name, issued)| (name, issued.certificate)).collect();
        self.options.certificates.install(certificates);
    }

    async fn load(&self, key: &NameKey) -> Result<Option<Issued>, StoreError> {
        let name = &key.name;
        let Some(stored) = self.options.store.certificate(key).await? else { return Ok(None) };
        let Some(private) = seal::open(&self.options.keys, key, &stored.sealed_key) else {
            tracing::error!(
                name,
                "the private key of a certificate was sealed with another application key: add that key to \
                 APP_KEYS_PREVIOUS, or delete the row of this name in the table acme_name to get a new certificate"
            );
            return Ok(None);
        };
        Ok(match certificate::read(&stored.chain, private, name, stored.issue.revision) {
            Ok(issued) => Some(issued),
            Err(error) => {
                tracing::error!(name, %error, "a stored certificate cannot be used");
                None
            }
        })
    }
}
