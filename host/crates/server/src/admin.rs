//! The admin listener, which is for operators and never for visitors. Probes and metrics are open
//! to everybody; every other path needs the operators' token (`access.rs`).
//!
//! `views/` collects the data, `api.rs` returns it as JSON, and `console.rs` renders it as pages.

mod access;
mod api;
mod changes;
mod charts;
mod console;
mod console_cookie;
mod error;
mod failure_marks;
mod flash;
mod load;
mod logouts;
mod own_address;
mod phases;
mod probes;
mod templates;
mod throttle;
mod token;
mod views;
mod who;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, web};

use sluice_app::app::App;
use sluice_app::request::Client;
use sluice_site::config::SiteConfig;

pub(crate) use failure_marks::tend as tend_failure_marks;
use flash::Flashes;
use load::Load;
use templates::Templates;
use throttle::{Attempt, Throttle};
pub use token::TokenError;
use token::Tokens;
pub(crate) use views::certificates::CertificateSources;
use views::crm_csv::Importing;
use who::Who;

/// The console does not wait longer for the database where it can do without.
const DATABASE_WAIT: Duration = Duration::from_secs(1);

/// What the handlers of the admin listener share. It lives as long as the process.
pub(crate) struct AdminState {
    app: Arc<App>,
    /// Certificates, if visitors are served over HTTPS.
    certificates: Option<CertificateSources>,
    site_dir: PathBuf,
    tokens: Tokens,
    throttle: Throttle,
    /// Host names, besides loopback, under which operators reach this listener.
    hosts: Vec<String>,
    templates: Templates,
    load: Arc<Load>,
    importing: Importing,
    flashes: Flashes,
}

/// Why the admin listener cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AdminStartError {
    /// The operators' token is invalid, or its file cannot be read or created.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A template of the console cannot be parsed. This is a defect of this program.
    #[error(transparent)]
    Template(#[from] Box<handlebars::TemplateError>),
}

impl AdminState {
    /// # Errors
    /// The operators' token is invalid, or its file cannot be read or created.
    pub(crate) fn new(
        app: Arc<App>,
        certificates: Option<CertificateSources>,
        config: &SiteConfig,
        site_dir: &Path,
    ) -> Result<Self, AdminStartError> {
        Ok(Self {
            certificates,
            site_dir: site_dir.to_owned(),
            tokens: Tokens::load(&config.admin, &app.places.data)?,
            throttle: Throttle::default(),
            load: Load::watch(&app),
            importing: Importing::default(),
            flashes: Flashes::default(),
            app,
            hosts: config.admin.hosts.clone(),
            templates: Templates::new()?,
        })
    }

    /// Whose token it is that the client of `request` sent.
    fn attempt(&self, request: &HttpRequest, token: &str) -> Result<Who, Attempt> {
        let client = Client::of(request, &self.app.live().read_rules);
        let mut who = None;
        let attempt = self.throttle.attempt(client.ip, Instant::now(), || {
            who = self.tokens.find(token);
            who.is_some()
        });
        if let Attempt::Rejected { unlogged: Some(count) } = attempt {
            let client = client.ip.map(tracing::field::display);
            tracing::warn!(
                client,
                count,
                "a wrong token was sent to the admin listener; `count` includes those since the last such line"
            );
            changes::keep_wrong_token(self, request, count);
        }
        who.ok_or(attempt)
    }
}

/// Adds every route of the admin listener.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("")
            // Errors of actix's extractors have the same form as all others.
            .app_data(web::QueryConfig::default().error_handler(console::rejected))
            .app_data(web::PathConfig::default().error_handler(console::rejected))
            .app_data(web::FormConfig::default().error_handler(console::rejected))
            .app_data(web::JsonConfig::default().error_handler(console::rejected))
            .wrap(from_fn(access::guard))
            .configure(probes::routes)
            .configure(api::routes)
            .configure(console::routes)
            .default_service(web::to(console::not_found)),
    );
}

/// Adds only the open paths, for the additional address `admin.probes`.
pub(crate) fn probe_routes(config: &mut web::ServiceConfig) {
    probes::routes(config);
}
