//! All certificates of the host, and the choice between them.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;

/// The protocol in which an authority checks who answers for a name (RFC 8737).
pub const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// The certificates that connections get. A certificate from a file has precedence over one that was issued to
/// the host, and a certificate for a name over one for `*.`.
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
    /// For each name, the certificate for an authority that checks who answers for it.
    answers: HashMap<String, Arc<CertifiedKey>>,
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

    /// Adds a certificate that was issued to the host. It replaces those that its names had.
    pub fn install(&self, certificate: &Certificate) {
        self.change(|known| {
            for name in &certificate.names {
                known.issued.insert(name.clone(), certificate.clone());
            }
        });
    }

    /// Sets or removes the certificate for an authority that checks who answers for `name`.
    pub fn answer(&self, name: &str, certificate: Option<&Certificate>) {
        let name = name.to_ascii_lowercase();
        self.change(|known| {
            match certificate {
                Some(certificate) => known.answers.insert(name, Arc::clone(&certificate.key)),
                None => known.answers.remove(&name),
            };
        });
    }

    /// Whether there is no certificate at all.
    pub fn is_empty(&self) -> bool {
        let known = self.known.load();
        known.of_files.is_empty() && known.issued.is_empty()
    }

    /// When the certificates that connections get expire, sorted by name.
    pub fn expiries(&self) -> Vec<Expiry> {
        let known = self.known.load();
        let mut all: Vec<_> = known.issued.iter().chain(&known.of_files).collect();
        // Those from files are the last of equal names.
        all.sort_by_key(|(name, _)| *name);
        let mut expiries: Vec<Expiry> = Vec::with_capacity(all.len());
        for (name, certificate) in all {
            let expiry = Expiry { name: name.clone(), at_s: certificate.expires_s };
            match expiries.last_mut() {
                Some(last) if last.name == *name => *last = expiry,
                _ => expiries.push(expiry),
            }
        }
        expiries
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
        config.alpn_protocols = vec![b"http/1.1".to_vec(), ACME_PROTOCOL.to_vec()];
        config.ticketer = ring::Ticketer::new()?;
        Ok(Arc::new(config))
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let _changing = self.changing.lock();
        let mut known = Known::clone(&self.known.load());
        change(&mut known);
        self.known.store(Arc::new(known));
    }

    pub(crate) fn of_name(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let known = self.known.load();
        [Some(name), wildcard].into_iter().flatten().find_map(|name| {
            let certificate = known.of_files.get(&name).or_else(|| known.issued.get(&name))?;
            Some(Arc::clone(&certificate.key))
        })
    }

    pub(crate) fn answer_for(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.known.load().answers.get(&name.to_ascii_lowercase()).cloned()
    }

    /// The only certificate, if there is one. Clients without a name get it.
    pub(crate) fn only(&self) -> Option<Arc<CertifiedKey>> {
        let known = self.known.load();
        let mut all = known.of_files.values().chain(known.issued.values());
        let first = all.next()?;
        all.all(|other| Arc::ptr_eq(&other.key, &first.key)).then(|| Arc::clone(&first.key))
    }
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
        let is_authority = client.alpn().is_some_and(|mut offered| offered.any(|name| name == ACME_PROTOCOL));
        match (client.server_name(), is_authority) {
            (Some(name), true) => self.answer_for(name),
            (Some(name), false) => self.of_name(name),
            (None, true) => None,
            (None, false) => self.only(),
        }
    }
}
