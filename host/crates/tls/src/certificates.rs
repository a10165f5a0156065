//! All certificates of the host, and the choice between them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;

/// A name gets no certificate from an authority while that of a file is valid for longer than this.
const SPARE_S: i64 = 7 * 24 * 60 * 60;

/// The certificates that connections get. A certificate from a file that is still valid has precedence over one
/// that was issued to the host for the same name, and a certificate for a name over one for `*.`.
#[derive(Debug, Default)]
pub struct Certificates {
    known: ArcSwap<Known>,
    /// Held while `known` is replaced.
    changing: Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    of_files: HashMap<String, Certificate>,
    issued: HashMap<String, Certificate>,
}

/// When the certificate of a name expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The name.
    pub name: String,
    /// In seconds since 1970.
    pub at_s: i64,
}

impl Certificates {
    /// Replaces the certificates from files.
    pub fn set_files(&self, certificates: impl IntoIterator<Item = Certificate>) {
        let mut of_files = HashMap::new();
        for certificate in certificates {
            add(&mut of_files, &certificate);
        }
        self.change(|known| known.of_files = of_files);
    }

    /// Uses certificates that were issued to the host, each for its name, instead of those that the names had.
    pub fn install(&self, issued: Vec<(String, Certificate)>) {
        self.change(|known| known.issued.extend(issued));
    }

    /// Forgets the issued certificates of names. Connections that have one keep it.
    pub fn retire(&self, names: &[String]) {
        self.change(|known| {
            for name in names {
                known.issued.remove(name);
            }
        });
    }

    /// Whether a file has a certificate for `name`, or for `*.` that includes it, which is valid for some time.
    pub fn is_of_file(&self, name: &str) -> bool {
        let known = self.known.load();
        let lasts = |name: &str| known.of_files.get(name).is_some_and(|of_file| of_file.is_valid(SPARE_S));
        lasts(name) || wildcard_of(name).is_some_and(|wildcard| lasts(&wildcard))
    }

    /// Whether a connection that asks for `name` gets a certificate.
    pub fn has(&self, name: Option<&str>) -> bool {
        name.map_or_else(|| self.only(), |name| self.of_name(name)).is_some()
    }

    /// Whether there is no certificate at all.
    pub fn is_empty(&self) -> bool {
        let known = self.known.load();
        known.of_files.is_empty() && known.issued.is_empty()
    }

    /// When the certificates that connections get expire, sorted by name.
    pub fn expiries(&self) -> Vec<Expiry> {
        let known = self.known.load();
        let names: BTreeSet<&String> = known.issued.keys().chain(known.of_files.keys()).collect();
        let expiry = |name: &String| Some(Expiry { name: name.clone(), at_s: known.of(name)?.expires_s });
        names.into_iter().filter_map(expiry).collect()
    }

    /// The settings of the listener.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = ring::Ticketer::new()?;
        Ok(Arc::new(config))
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let _changing = self.changing.lock();
        let mut known = Known::clone(&self.known.load());
        change(&mut known);
        self.known.store(Arc::new(known));
    }

    /// The certificate of a connection that asks for `name`.
    pub fn of_name(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wildcard = wildcard_of(&name);
        let known = self.known.load();
        let found = [Some(name), wildcard].into_iter().flatten().find_map(|name| known.of(&name).cloned());
        found.map(|certificate| certificate.key)
    }

    /// The only certificate, if there is one. Clients without a name get it.
    pub(crate) fn only(&self) -> Option<Arc<CertifiedKey>> {
        let known = self.known.load();
        let mut all = known.of_files.values().chain(known.issued.values());
        let first = all.next()?;
        all.all(|other| Arc::ptr_eq(&other.key, &first.key)).then(|| Arc::clone(&first.key))
    }
}

impl Known {
    /// The certificate for exactly this name.
    fn of(&self, name: &str) -> Option<&Certificate> {
        let (of_file, issued) = (self.of_files.get(name), self.issued.get(name));
        of_file.filter(|of_file| issued.is_none() || of_file.is_valid(0)).or(issued)
    }
}

/// The name for every name with the same parent.
fn wildcard_of(name: &str) -> Option<String> {
    name.split_once('.').map(|(_, rest)| format!("*.{rest}"))
}

/// Adds a certificate for its names. The one that expires last counts.
fn add(to: &mut HashMap<String, Certificate>, certificate: &Certificate) {
    for name in &certificate.names {
        match to.get(name) {
            Some(known) if known.expires_s >= certificate.expires_s => {}
            _ => drop(to.insert(name.clone(), certificate.clone())),
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        client.server_name().map_or_else(|| self.only(), |name| self.of_name(name))
    }
}
