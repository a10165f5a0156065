//! Certificates by ACME: what this host orders, and what it answers to the certificate authority.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use sluice_acme::{Answers, Authority, Challenge, Keeper, KeeperOptions, Net, Now, OUTCOMES, Wanted};
use sluice_app::app::App;
use sluice_app::load::Live;
use sluice_fetch::SystemResolver;
use sluice_fetch::endpoint::Endpoint;
use sluice_kit::clock::now_ms;
use sluice_site::config::{AcmeChallenge, AcmeConfig, SiteConfig};
use sluice_telemetry::metrics::Metrics;
use sluice_tls::Certificates;

use crate::error::ServerError;

/// How long a start waits for the certificates in the database, and a stop for giving orders to other hosts.
const DATABASE_WAIT: Duration = Duration::from_secs(5);

/// The certificates by ACME of this host.
pub(crate) struct Acme {
    /// Orders and renews.
    pub(crate) keeper: Arc<Keeper>,
    /// What the listeners answer.
    pub(crate) answers: Arc<Answers>,
}

impl Acme {
    /// Installs the certificates that the hosts of this database have. `None` if ACME is off. `has_http` says
    /// whether a listener could answer over plain HTTP.
    ///
    /// # Errors
    /// The settings contradict each other, or `acme.ca_file` cannot be used.
    pub(crate) async fn start(
        app: &Arc<App>,
        config: &SiteConfig,
        certificates: &Arc<Certificates>,
        has_http: bool,
    ) -> Result<Option<Arc<Self>>, ServerError> {
        let settings = &config.acme;
        if !settings.enabled {
            return Ok(None);
        }
        if settings.challenge == AcmeChallenge::Http01 && !has_http {
            return Err(ServerError::AcmeWithoutHttp);
        }
        let now: Now = Arc::new(now_ms);
        let ca_file = settings.ca_file.as_ref().map(|file| app.places.data.path().join(file));
        let endpoint = Endpoint::trusting("acme.ca_file", ca_file.as_deref()).map_err(ServerError::AcmeCa)?;
        let meter = app.telemetry.meter();
        let keeper = Keeper::new(KeeperOptions {
            directory: settings.directory.clone(),
            contact: settings.contact.clone(),
            challenge: match settings.challenge {
                AcmeChallenge::Http01 => Challenge::Http01,
                AcmeChallenge::TlsAlpn01 => Challenge::TlsAlpn01,
            },
            has_check: settings.check,
            brand_orders_per_day_max: settings.brand_orders_per_day_max,
            orders_per_hour_max: settings.orders_per_hour_max,
            store: Arc::clone(&app.store) as _,
            keys: Arc::clone(&app.sessions.keys),
            authority: Authority::new(endpoint),
            net: Net::new(Arc::new(SystemResolver::default())),
            wanted: Box::new(wanted(Arc::clone(app), settings.clone())),
            certificates: Arc::clone(certificates),
            ended: Box::new(Metrics::acme_orders(&meter, &OUTCOMES)),
            now: Arc::clone(&now),
        });
        let keeper = keeper.map_err(|_| ServerError::NoRandomNumbers)?;
        // A restart must not show visitors a host without certificates.
        if timeout(DATABASE_WAIT, keeper.install_stored()).await.is_err() {
            tracing::warn!("the certificates in the database are not there yet: starting without them");
        }
        let answers = Arc::new(Answers::new(Arc::clone(&app.store) as _, now));
        let keeper = Arc::new(keeper);
        let seen = Arc::downgrade(&keeper);
        Metrics::observe_acme(&meter, move || counts(&seen));
        Ok(Some(Arc::new(Self { keeper, answers })))
    }

    /// Begins to order and renew.
    pub(crate) fn keep(&self) -> Keeping {
        let (keeper, running) = (Arc::clone(&self.keeper), Arc::clone(&self.keeper));
        Keeping { task: tokio::spawn(async move { running.run().await }), keeper }
    }
}

/// The task that orders and renews.
pub(crate) struct Keeping {
    keeper: Arc<Keeper>,
    task: JoinHandle<()>,
}

impl Keeping {
    /// Begins nothing new. What is in progress continues.
    pub(crate) fn ending(&self) -> impl FnOnce() + Send + use<> {
        let keeper = Arc::clone(&self.keeper);
        move || keeper.end_orders()
    }

    /// Drops what is in progress, and lets other hosts do it at once.
    pub(crate) async fn stop(self) {
        self.task.abort();
        // It was aborted, or it has panicked, which has been logged.
        drop(self.task.await);
        if timeout(DATABASE_WAIT, self.keeper.give_back()).await.is_err() {
            tracing::warn!(
                "other hosts continue the orders of this one only later, because the database is slow"
            );
        }
    }
}

fn counts(keeper: &Weak<Keeper>) -> [(&'static str, usize); 2] {
    let report = keeper.upgrade().map(|keeper| keeper.report()).unwrap_or_default();
    let missing = report.names.iter().filter(|name| name.expires_and_renews_at.is_none()).count();
    [("certified", report.names.len().saturating_sub(missing)), ("missing", missing)]
}

/// Returns the names that the brands serve now and for which `settings` allow certificates.
fn wanted(app: Arc<App>, settings: AcmeConfig) -> impl Fn() -> Vec<Wanted> + Send + Sync {
    // Comparing all domains with each other takes time, so it is done once after each reload.
    let last: Mutex<(Weak<Live>, Vec<Wanted>)> = Mutex::default();
    move || {
        let live = app.live();
        let mut last = last.lock();
        if !std::ptr::eq(last.0.as_ptr(), Arc::as_ptr(&live)) {
            let domains = live.site.domains().filter(|(_, name)| settings.admits(name));
            let wanted = domains.map(|(brand, name)| Wanted { brand: brand.to_owned(), name }).collect();
            *last = (Arc::downgrade(&live), wanted);
        }
        last.1.clone()
    }
}
