//! Keeps a certificate for each name that is wanted, together with the other hosts of the database.

mod account;
mod attempt;
mod known;
mod leases;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::Notify;

use sluice_kit::keys::Keys;
use sluice_tls::Certificates;

use self::known::{EVERY_BRAND, Known};
use crate::net::Net;
use crate::schedule::{self, choose, is_orderable};
use crate::store::{CertificateStore, Challenge, Holder, NameKey, NameState, Pause};
use crate::transport::Authority;

/// How many names a pass tries, and how many of these at the same time.
const PASS_NAMES_MAX: usize = 16;
const PASS_NAMES_AT_ONCE: usize = 4;
/// The pause between two passes, without the jitter.
const PASS_EVERY: Duration = Duration::from_secs(15);
/// How often unused rows are deleted, in passes, and how many at a time.
const CLEAN_EVERY: u32 = 240;
const CLEAN_ROWS: u32 = 1_000;
/// A name that nobody has used for this long is deleted.
const UNUSED_MS: i64 = 60 * 24 * 60 * 60 * 1_000;
/// An answer is deleted so long after it expired. The clocks of hosts may differ.
const EXPIRED_MS: i64 = 60 * 60 * 1_000;

/// Returns the time in Unix milliseconds.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How attempts end.
pub const OUTCOMES: [&str; 7] =
    ["issued", "renewed", "not_here", "refused", "limited", "postponed", "unavailable"];

/// A name that needs a certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The brand that has the name.
    pub brand: String,
    /// The host name, in lower case. Names for which there can be no certificate are skipped.
    pub name: String,
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
    /// Gets the certificates. Names for which it has files are not ordered.
    pub certificates: Arc<Certificates>,
    /// Counts an attempt by its outcome, one of [`OUTCOMES`].
    pub ended: Box<dyn Fn(&'static str) + Send + Sync>,
    /// The time.
    pub now: Now,
}

/// How it stands with a name, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameReport {
    /// The brand that has the name.
    pub brand: String,
    /// The name.
    pub name: String,
    /// When its certificate expires and when it is renewed, in Unix milliseconds. `None` without a certificate.
    pub expires_and_renews_at: Option<(i64, i64)>,
    /// When it is tried again after failures, in Unix milliseconds, and why the last attempt failed.
    pub pause: Pause,
}

/// How it stands, for metrics and operators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The names that are wanted and that can have a certificate.
    pub names: Vec<NameReport>,
    /// When the authority is asked again after failures, and why the last request failed.
    pub authority: Pause,
}

/// Orders and renews certificates, and installs those that other hosts got.
pub struct Keeper {
    options: KeeperOptions,
    holder: Holder,
    known: Mutex<Known>,
    report: Mutex<Arc<Report>>,
    /// The names on which this host works, and what was known of them before. The empty name is the account.
    leased: Mutex<BTreeMap<String, Pause>>,
    /// Held while this host makes the account.
    making_account: tokio::sync::Mutex<()>,
    is_ending: AtomicBool,
    bell: Notify,
}

impl Keeper {
    /// Makes a keeper, which does nothing until [`run`](Self::run) or [`pass`](Self::pass).
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(options: KeeperOptions) -> Result<Self, getrandom::Error> {
        let mut holder = [0; 16];
        getrandom::fill(&mut holder)?;
        Ok(Self {
            options,
            holder: Holder(holder),
            known: Mutex::default(),
            report: Mutex::default(),
            leased: Mutex::default(),
            making_account: tokio::sync::Mutex::default(),
            is_ending: AtomicBool::new(false),
            bell: Notify::new(),
        })
    }

    /// Keeps the certificates until it is dropped. An order that is dropped is tried again when its lease
    /// has expired or was [given back](Self::give_back), by any host.
    pub async fn run(&self) {
        for pass in 0_u32.. {
            let passed = self.try_pass().await;
            if pass.is_multiple_of(CLEAN_EVERY) {
                self.clean().await;
            }
            // There may be more names to order, or the database answers again.
            let factor = if passed == Some(0) { 0.8 + fastrand::f64() * 0.4 } else { 0.1 };
            tokio::select! {
                () = tokio::time::sleep(PASS_EVERY.mul_f64(factor)) => {}
                () = self.bell.notified() => {}
            }
        }
    }

    /// Makes [`run`](Self::run) look at the names now, because they may have changed.
    pub fn wake(&self) {
        self.bell.notify_one();
    }

    /// How it stands after the last pass.
    pub fn report(&self) -> Arc<Report> {
        Arc::clone(&self.report.lock())
    }

    /// Installs what is new, and tries names that are due. Returns how many certificates it got.
    pub async fn pass(&self) -> usize {
        self.try_pass().await.unwrap_or(0)
    }

    /// The same. Returns `None` if the database does not answer.
    async fn try_pass(&self) -> Option<usize> {
        let Looked { states, wanted } = self.look().await?;
        let by_name = self.by_name(&states);
        let authority = by_name.get("");
        let now = (self.options.now)();
        if authority.is_some_and(|authority| authority.next_at > now) {
            return Some(0);
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
        if due.is_empty() {
            return Some(0);
        }
        let pass = attempt::Pass::new(self, failures);
        let tried = futures_util::stream::iter(due).map(|due| pass.attempt(due));
        let got: Vec<bool> = tried.buffer_unordered(PASS_NAMES_AT_ONCE).collect().await;
        self.look().await?;
        Some(got.into_iter().filter(|is_new| *is_new).count())
    }

    /// Installs the certificates that are in the database.
    pub async fn install_stored(&self) {
        self.look().await;
    }

    /// Reads what hosts know of names, and installs what is new. Returns `None` if the database does not answer.
    async fn look(&self) -> Option<Looked> {
        let states = match self.options.store.acme_names().await {
            Ok(states) => states,
            Err(error) => {
                tracing::warn!(%error, "the certificates cannot be read");
                return None;
            }
        };
        let wanted = self.wanted();
        self.install(&states, &wanted).await;
        *self.report.lock() = Arc::new(report(&wanted, &self.by_name(&states)));
        Some(Looked { states, wanted })
    }

    /// What is known of names at the authority of this host.
    fn by_name<'a>(&self, states: &'a [NameState]) -> BTreeMap<&'a str, &'a NameState> {
        let of_here = states.iter().filter(|state| state.key.directory == self.options.directory);
        of_here.map(|state| (state.key.name.as_str(), state)).collect()
    }

    /// The names that can have a certificate, once each.
    fn wanted(&self) -> Vec<Wanted> {
        let mut seen = BTreeSet::new();
        let mut wanted = (self.options.wanted)();
        wanted.retain(|wanted| {
            if self.options.certificates.is_of_file(&wanted.name) {
                return false;
            }
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
        let now = (self.options.now)();
        let store = &self.options.store;
        let answers = store.delete_expired_answers(now.saturating_sub(EXPIRED_MS), CLEAN_ROWS).await;
        let names = store.delete_unused_names(now.saturating_sub(UNUSED_MS), CLEAN_ROWS).await;
        if let Err(error) = answers.and(names) {
            tracing::warn!(%error, "certificates that nobody uses cannot be deleted");
        }
    }
}

/// What is in the database, and what should be.
struct Looked {
    states: Vec<NameState>,
    wanted: Vec<Wanted>,
}

fn report(wanted: &[Wanted], states: &BTreeMap<&str, &NameState>) -> Report {
    let pause = |name: &str| states.get(name).map(|state| state.pause()).unwrap_or_default();
    let of_name = |wanted: &Wanted| NameReport {
        brand: wanted.brand.clone(),
        name: wanted.name.clone(),
        expires_and_renews_at: states
            .get(wanted.name.as_str())
            .and_then(|state| state.issue)
            .map(|issue| (issue.not_after, schedule::renew_at(&issue))),
        pause: pause(&wanted.name),
    };
    Report { names: wanted.iter().map(of_name).collect(), authority: pause("") }
}
