//! The certificates of the visitors' listener.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use sluice_acme::{Keeper, Pause};
use sluice_kit::clock::now_ms;
use sluice_tls::Certificates;

use crate::admin::AdminState;

/// Where the certificates of this host come from.
pub(crate) struct CertificateSources {
    pub(crate) certificates: Arc<Certificates>,
    /// What orders and renews them, if that is on.
    pub(crate) keeper: Option<Arc<Keeper>>,
}

/// The names that are listed: first those with a problem, then those whose certificates expire first.
const NAMES_MAX: usize = 100;

/// The certificates of this host, if it serves HTTPS itself.
#[derive(Debug, Serialize)]
pub(crate) struct CertificateList {
    pub(crate) names: Vec<NameRow>,
    /// The number of names, those that are not listed included.
    pub(crate) names_all: usize,
    /// Why nothing is ordered from the certificate authority at the moment, and until when.
    pub(crate) authority_problem: Option<Problem>,
}

/// The certificate of one name.
#[derive(Debug, Default, Serialize)]
pub(crate) struct NameRow {
    pub(crate) name: String,
    /// The brand for which it is ordered. `None` if it comes from a file.
    pub(crate) brand: Option<String>,
    /// When the certificate expires that connections get. `None` if there is none.
    pub(crate) expires_at: Option<i64>,
    pub(crate) has_expired: bool,
    /// When it is renewed.
    pub(crate) renews_at: Option<i64>,
    /// Why the last attempt to get a new one failed.
    pub(crate) problem: Option<Problem>,
}

/// Why something failed.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    pub(crate) text: String,
    /// When it is tried again.
    pub(crate) next_at: i64,
    pub(crate) failures: u32,
}

/// Collects the certificates. `None` if this host does not serve HTTPS.
pub(crate) fn view(state: &AdminState) -> Option<CertificateList> {
    let sources = state.certificates.as_ref()?;
    let now = now_ms();
    let mut rows: BTreeMap<String, NameRow> = BTreeMap::new();
    for expiry in sources.certificates.expiries() {
        let expires_at = expiry.at_s.saturating_mul(1_000);
        let (name, has_expired) = (expiry.name.clone(), expires_at <= now);
        rows.insert(
            expiry.name,
            NameRow { name, expires_at: Some(expires_at), has_expired, ..NameRow::default() },
        );
    }
    let report = sources.keeper.as_ref().map(|keeper| keeper.report()).unwrap_or_default();
    for ordered in &report.names {
        let row = rows.entry(ordered.name.clone()).or_default();
        row.name.clone_from(&ordered.name);
        row.brand = Some(ordered.brand.clone());
        row.renews_at = ordered.expires_and_renews_at.map(|(_, renews_at)| renews_at);
        row.problem = problem(&ordered.pause);
    }
    let mut names: Vec<NameRow> = rows.into_values().collect();
    let names_all = names.len();
    names.sort_by_key(|row| (row.problem.is_none(), row.expires_at));
    names.truncate(NAMES_MAX);
    Some(CertificateList { names, names_all, authority_problem: problem(&report.authority) })
}

fn problem(pause: &Pause) -> Option<Problem> {
    let Pause { failures, next_at, problem } = pause;
    let has_failed = !problem.is_empty();
    has_failed.then(|| Problem { text: problem.clone(), next_at: *next_at, failures: *failures })
}
