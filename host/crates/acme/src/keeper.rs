//! Keeps a certificate for each name that is wanted, together with the other hosts of the database.

mod account;
mod attempt;
mod known;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use parking_lot::Mutex;

use sluice_kit::keys::Keys;

use self::known::{EVERY_BRAND, Known};
use crate::certificate::Certificate;
use crate::net::Net;
use crate::schedule::{self, choose, is_orderable};
use crate::store::{CertificateStore, Challenge, Holder, NameKey, NameState};
use crate::transport::Authority;

/// How many names a pass tries, and how many of these at the same time.
const PASS_NAMES_MAX: usize = 16;
const PASS_NAMES_AT_ONCE: usize = 4;
/// The pause between two passes, without the jitter.
const PASS_EVERY: Duration = Duration::from_secs(15);
/// How often unused rows are deleted, in passes, and how many at a time.
const CLEAN_EVERY: u32 = 240;
const CLEAN_ROWS: u32 = 1_000;
/// What nobody has used for this long is deleted.
const UNUSED_MS: i64 = 60 * 24 * 60 * 60 * 1_000;

/// Returns the time in Unix milliseconds.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A name that needs a certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The brand that has the name.
    pub brand: String,
    /// The host name, in lower case. Names for which there can be no certificate are skipped.
    pub name: String,
}

/// What gets the certificates: the listener of this host.
pub trait Installs: Send + Sync {
    /// Uses a certificate for a name from now on, instead of an older one.
    fn install(&self, name: &str, certificate: Certificate);

    /// The name is not wanted any more.
    fn retire(&self, name: &str);
}

/// The settings and surroundings of a keeper.
pub struct KeeperOptions {
    /// The URL of the authority's directory.
    pub directory: String,
    /// A mail address for the authority.
    pub contact: Option<String>,
    /// How the authority checks names.
    pub challenge: Challenge,
    /// Whether a name is checked from here before it is ordered.
    pub has_check: bool,
    /// How many new names of one brand are ordered in a day.
    pub brand_orders_per_day_max: u32,
    /// How many new names are ordered in an hour, by all hosts.
    pub orders_per_hour_max: u32,
    /// Keeps what hosts share.
    pub store: Arc<dyn CertificateStore>,
    /// Seals private keys.
    pub keys: Arc<Keys>,
    /// Reaches the authority.
    pub authority: Authority,
    /// Reaches the names.
    pub net: Net,
    /// The names that are wanted at the moment.
    pub wanted: Box<dyn Fn() -> Vec<Wanted> + Send + Sync>,
    /// Gets the certificates.
    pub installs: Arc<dyn Installs>,
    /// Counts an attempt by its outcome: `issued`, `renewed`, `not_here`, `refused`, `limited`, `postponed`,
    /// `unavailable`.
    pub ended: Box<dyn Fn(&'static str) + Send + Sync>,
    /// The time.
    pub now: Now,
}

/// The certificate of a name, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The name.
    pub name: String,
    /// When its certificate expires, in Unix milliseconds.
    pub expires_at: i64,
    /// When it is renewed, in Unix milliseconds.
    pub renew_at: i64,
}

/// How it stands, for metrics and operators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The names with a certificate.
    pub kept: Vec<Kept>,
    /// How many names have no certificate.
    pub missing: usize,
}

/// Orders and renews certificates, and installs those that other hosts got.
pub struct Keeper {
    options: KeeperOptions,
    holder: Holder,
    known: Mutex<Known>,
    report: Mutex<Report>,
}

impl Keeper {
    /// Makes a keeper, which does nothing until [`run`](Self::run) or [`pass`](Self::pass).
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(options: KeeperOptions) -> Result<Self, getrandom::Error> {
        let mut holder = [0; 16];
        getrandom::fill(&mut holder)?;
        Ok(Self { options, holder: Holder(holder), known: Mutex::default(), report: Mutex::default() })
    }

    /// Keeps the certificates until it is dropped. An order that is dropped is tried again when its lease
    /// has expired, by any host.
    pub async fn run(&self) {
        for pass in 0_u32.. {
            let ordered = self.pass().await;
            if pass.is_multiple_of(CLEAN_EVERY) {
                self.clean().await;
            }
            // There may be more names to order.
            let factor = if ordered > 0 { 0.1 } else { 0.8 + fastrand::f64() * 0.4 };
            tokio::time::sleep(PASS_EVERY.mul_f64(factor)).await;
        }
    }

    /// How it stands after the last pass.
    pub fn report(&self) -> Report {
        self.report.lock().clone()
    }

    /// Installs what is new, and tries names that are due. Returns how many certificates it got.
    pub async fn pass(&self) -> usize {
        let states = match self.options.store.acme_names().await {
            Ok(states) => states,
            Err(error) => {
                tracing::warn!(%error, "the certificates cannot be read");
                return 0;
            }
        };
        let wanted = self.wanted();
        self.install(&states, &wanted).await;
        let of_here = states.iter().filter(|state| state.key.directory == self.options.directory);
        let by_name: BTreeMap<&str, &NameState> =
            of_here.map(|state| (state.key.name.as_str(), state)).collect();
        *self.report.lock() = report(&wanted, &by_name);
        let authority = by_name.get("");
        let now = (self.options.now)();
        if authority.is_some_and(|authority| authority.next_at > now) {
            return 0;
        }
        let failures = authority.map_or(0, |authority| authority.failures);
        let waiting = self.known.lock().waiting(now);
        let waits = |wanted: &&Wanted| {
            let has_certificate =
                by_name.get(wanted.name.as_str()).is_some_and(|state| state.issue.is_some());
            !has_certificate && (waiting.contains(&wanted.brand) || waiting.contains(EVERY_BRAND))
        };
        let wanted = wanted.iter().filter(|wanted| !waits(wanted));
        let wanted = wanted.map(|wanted| (wanted.brand.as_str(), wanted.name.as_str()));
        let due = choose(wanted, &by_name, now, if failures > 0 { 1 } else { PASS_NAMES_MAX });
        let pass = attempt::Pass::new(self, failures);
        let tried = futures_util::stream::iter(due).map(|due| pass.attempt(due));
        let got: Vec<bool> = tried.buffer_unordered(PASS_NAMES_AT_ONCE).collect().await;
        got.into_iter().filter(|is_new| *is_new).count()
    }

    /// The names that can have a certificate, once each.
    fn wanted(&self) -> Vec<Wanted> {
        let mut seen = BTreeSet::new();
        let mut wanted = (self.options.wanted)();
        wanted.retain(|wanted| {
            let can_have = is_orderable(&wanted.name);
            if !can_have && self.known.lock().skips(&wanted.name) {
                tracing::warn!(
                    brand = wanted.brand,
                    name = wanted.name,
                    "there is no certificate for this name, because {} proves neither wildcards nor addresses \
                     nor names without a dot: list the exact names in `domains`, or give it a certificate from a file",
                    self.options.challenge.as_str()
                );
            }
            can_have && seen.insert(wanted.name.clone())
        });
        wanted
    }

    fn key(&self, name: &str) -> NameKey {
        NameKey { directory: self.options.directory.clone(), name: name.to_owned() }
    }

    async fn clean(&self) {
        let before = (self.options.now)().saturating_sub(UNUSED_MS);
        if let Err(error) = self.options.store.delete_unused_names(before, CLEAN_ROWS).await {
            tracing::warn!(%error, "certificates that nobody uses cannot be deleted");
        }
    }
}

fn report(wanted: &[Wanted], states: &BTreeMap<&str, &NameState>) -> Report {
    let mut report = Report::default();
    for wanted in wanted {
        match states.get(wanted.name.as_str()).and_then(|state| state.issue) {
            None => report.missing += 1,
            Some(issue) => report.kept.push(Kept {
                name: wanted.name.clone(),
                expires_at: issue.not_after,
                renew_at: schedule::renew_at(&issue),
            }),
        }
    }
    report
}
