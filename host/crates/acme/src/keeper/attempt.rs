//! One attempt to get a certificate for a name.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use sluice_kit::clock::iso_utc;
use sluice_kit::hex::hex;

use super::Keeper;
use super::known::EVERY_BRAND;
use crate::certificate::{self, Issued};
use crate::check;
use crate::failure::{Failure, Scope, Unmade};
use crate::order::{ANSWER_MS, ANSWER_READY};
use crate::schedule::{Due, pause_ms};
use crate::seal;
use crate::store::{Answer, Challenge, OrderWindow, Pause, StoredCertificate};

/// How long one attempt may take. The lease lasts longer, so that no other host begins before.
const ATTEMPT_MAX: Duration = Duration::from_secs(5 * 60);
/// After this time, another host can take over from one that was killed.
const LEASE_MS: i64 = 8 * 60 * 1_000;
const HOUR_MS: i64 = 60 * 60 * 1_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The attempts of one pass.
pub(super) struct Pass<'a> {
    keeper: &'a Keeper,
    state: Mutex<State>,
}

struct State {
    /// How often the authority has failed in a row.
    failures: u32,
    is_over: bool,
    /// The brands whose names the authority has limited.
    limited: BTreeSet<String>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(keeper: &'a Keeper, failures: u32) -> Self {
        let state = State { failures, is_over: false, limited: BTreeSet::new() };
        Self { keeper, state: Mutex::new(state) }
    }

    /// Tries one name. Returns whether there is a new certificate.
    pub(super) async fn attempt(&self, due: Due) -> bool {
        let keeper = self.keeper;
        if self.state.lock().is_over || keeper.is_ending.load(Ordering::Relaxed) {
            return false;
        }
        let seen = due.issue.map(|issue| issue.revision);
        match keeper.lease(&due.name, LEASE_MS, seen, due.pause(0)).await {
            Ok(true) => {}
            // Another host is about to get it, or has got it.
            Ok(false) => return false,
            Err(error) => {
                tracing::warn!(name = due.name, %error, "a certificate cannot be ordered now");
                return false;
            }
        }
        let made = tokio::time::timeout(ATTEMPT_MAX, keeper.make(&due)).await;
        let late = || Err(Failure::of_authority("the order took too long").into());
        match made.unwrap_or_else(|_| late()) {
            Ok(issued) => {
                self.succeeded(&due, issued).await;
                true
            }
            Err(unmade) => {
                self.failed(&due, unmade).await;
                false
            }
        }
    }

    async fn succeeded(&self, due: &Due, issued: Issued) {
        let keeper = self.keeper;
        keeper.leased.lock().remove(&due.name);
        let is_renewed = due.issue.is_some();
        tracing::info!(
            brand = due.brand,
            name = due.name,
            expires = iso_utc(issued.issue.not_after),
            "{}",
            if is_renewed { "the certificate was renewed" } else { "a certificate was issued" }
        );
        (keeper.options.ended)(if is_renewed { "renewed" } else { "issued" });
        keeper.use_certificates(vec![(due.name.clone(), issued)]);
        let had_failed = std::mem::take(&mut self.state.lock().failures) > 0;
        if had_failed {
            self.pause(Pause::default()).await;
        }
    }

    async fn failed(&self, due: &Due, unmade: Unmade) {
        let now = (self.keeper.options.now)();
        let more = due.failures.saturating_add(1);
        let pause = |retry_after| now.saturating_add(pause_ms(more, retry_after, fastrand::f64()));
        let ended = &self.keeper.options.ended;
        match unmade {
            Unmade::NotHere(reason) => {
                let next_at = pause(None);
                let problem = format!("the name does not lead to this host: {reason}");
                self.keeper.postpone(&due.name, Pause { failures: more, next_at, problem }).await;
                tracing::warn!(
                    brand = due.brand,
                    name = due.name,
                    reason,
                    next = iso_utc(next_at),
                    "no certificate was ordered, because the name does not lead to this host: check its DNS records, \
                     or set acme.check = false if this host cannot reach itself by its public address"
                );
                ended("not_here");
            }
            Unmade::Enough { brand, until, what } => {
                // Otherwise each of its names would be tried and postponed.
                self.keeper.known.lock().wait(&brand, until);
                self.keeper.postpone(&due.name, Pause { problem: what.to_owned(), ..due.pause(now) }).await;
                let next = iso_utc(until);
                tracing::warn!(
                    brand = due.brand,
                    name = due.name,
                    next,
                    "no certificate was ordered: {what}"
                );
                ended("postponed");
            }
            // It will have an account at the next pass.
            Unmade::Busy => {
                self.keeper.postpone(&due.name, due.pause(now)).await;
                tracing::info!(
                    name = due.name,
                    "no certificate was ordered yet: another host is making the account"
                );
            }
            Unmade::Failed(failure) => {
                let (outcome, failures, next_at) = match failure.scope {
                    Scope::Name => ("refused", more, pause(failure.retry_after)),
                    Scope::Limited => ("limited", more, pause(failure.retry_after)),
                    // That is not the name's fault. The authority is asked again later.
                    Scope::Authority => ("unavailable", due.failures, now),
                };
                let problem = failure.text.clone();
                self.keeper.postpone(&due.name, Pause { failures, next_at, problem }).await;
                if failure.scope == Scope::Limited {
                    self.keeper.known.lock().wait(&due.brand, next_at);
                }
                if failure.has_lost_account {
                    self.keeper.forget_account().await;
                }
                let next_at = next_at.max(self.note(due, &failure, now).await);
                tracing::warn!(
                    brand = due.brand,
                    name = due.name,
                    directory = self.keeper.options.directory,
                    problem = %failure,
                    next = iso_utc(next_at),
                    "no certificate was issued{}",
                    if due.issue.is_some() { "; the old one stays in use" } else { "" }
                );
                ended(outcome);
            }
            Unmade::Store(error) => {
                tracing::warn!(brand = due.brand, name = due.name, %error, "no certificate was ordered, because the database did not answer");
                self.keeper.postpone(&due.name, due.pause(now)).await;
                ended("unavailable");
            }
        }
    }

    /// Ends the pass if the failure concerns every name. Returns when the authority is asked again.
    async fn note(&self, due: &Due, failure: &Failure, now: i64) -> i64 {
        let pause = {
            let mut state = self.state.lock();
            if failure.scope == Scope::Limited {
                state.limited.insert(due.brand.clone());
            }
            // A limit that two brands have met is one of the account.
            if state.is_over || (failure.scope != Scope::Authority && state.limited.len() < 2) {
                return now;
            }
            state.is_over = true;
            state.failures = state.failures.saturating_add(1);
            let pause = pause_ms(state.failures, failure.retry_after, fastrand::f64());
            let next_at = now.saturating_add(pause);
            Pause { failures: state.failures, next_at, problem: failure.text.clone() }
        };
        let next_at = pause.next_at;
        self.pause(pause).await;
        next_at
    }

    async fn pause(&self, pause: Pause) {
        let options = &self.keeper.options;
        if let Err(error) = options.store.pause_authority(&options.directory, pause).await {
            tracing::warn!(%error, "other hosts do not know that the certificate authority failed");
        }
    }
}

impl Keeper {
    /// Gets a certificate, and stores it.
    async fn make(&self, due: &Due) -> Result<Issued, Unmade> {
        let options = &self.options;
        if options.has_check {
            self.check(&due.name).await?;
        }
        // Before the count, so that an authority that is away uses up nothing.
        let session = self.session().await?;
        // A certificate that expires is never kept waiting.
        if due.issue.is_none() {
            self.count(&due.brand).await?;
        }
        let now = (options.now)();
        let ordered = session.order(&options.store, options.challenge, &due.name, now).await?;
        let key = self.key(&due.name);
        let sealed = seal::seal(&options.keys, &key, &ordered.key);
        let sealed_key = sealed.map_err(|error| Failure::of_name(&error.to_string()))?;
        let revision = i64::from_le_bytes(random()?);
        let issued = certificate::read(ordered.chain.as_bytes(), ordered.key, &due.name, revision);
        let issued = issued.map_err(|error| Failure::of_name(&error.to_string()))?;
        let stored = StoredCertificate { issue: issued.issue, chain: ordered.chain.into_bytes(), sealed_key };
        let is_saved = options.store.save_certificate(&key, self.holder, stored).await?;
        match is_saved {
            true => Ok(issued),
            false => Err(Failure::of_name("another host took over, because the order took too long").into()),
        }
    }

    /// Whether a name leads to a host of this database.
    async fn check(&self, name: &str) -> Result<(), Unmade> {
        let options = &self.options;
        let random = random::<64>()?;
        let (asked, expected) = random.split_at(32);
        let asked = match options.challenge {
            Challenge::Http01 => hex(asked),
            Challenge::TlsAlpn01 => name.to_owned(),
        };
        let digest: [u8; 32] = Sha256::digest(expected).into();
        let value = match options.challenge {
            Challenge::Http01 => hex(&digest).into_bytes(),
            Challenge::TlsAlpn01 => digest.to_vec(),
        };
        let expires_at = (options.now)().saturating_add(ANSWER_MS);
        let answer = Answer { challenge: options.challenge, asked: asked.clone(), value, expires_at };
        options.store.put_answer(answer).await?;
        tokio::time::sleep(ANSWER_READY).await;
        let checked = match options.challenge {
            Challenge::Http01 => check::over_http(&options.net, name, &asked, &hex(&digest)).await,
            Challenge::TlsAlpn01 => check::over_tls(&options.net, name, &digest).await,
        };
        // It expires by itself.
        let removed = options.store.remove_answer(options.challenge, &asked).await;
        removed.unwrap_or_else(|error| tracing::debug!(%error, "an answer was not removed"));
        checked.map_err(Unmade::NotHere)
    }

    /// Counts an order toward what a brand, and all hosts together, may order.
    async fn count(&self, brand: &str) -> Result<(), Unmade> {
        let options = &self.options;
        let now = (options.now)();
        let windows = [
            (
                brand,
                DAY_MS,
                options.brand_orders_per_day_max,
                "its brand has as many new certificates as acme.brand_orders_per_day_max allows",
            ),
            (
                EVERY_BRAND,
                HOUR_MS,
                options.orders_per_hour_max,
                "there are as many new certificates as acme.orders_per_hour_max allows",
            ),
        ];
        for (whose, length, most, what) in windows {
            let starts_at = now - now.rem_euclid(length);
            let ends_at = starts_at.saturating_add(length);
            let digest: [u8; 32] =
                Sha256::digest(format!("acme orders\0{}\0{whose}", options.directory)).into();
            let key = *digest.first_chunk().unwrap_or(&[0; 16]);
            if options.store.count_order(OrderWindow { key, starts_at, ends_at }).await? > most {
                let until = ends_at.saturating_add(fastrand::i64(0..length / 24));
                return Err(Unmade::Enough { brand: whose.to_owned(), until, what });
            }
        }
        Ok(())
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    let filled = getrandom::fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| Failure::of_name("the system returned no random bytes"))
}
