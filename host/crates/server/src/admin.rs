//! The second listener: for operators, never for visitors. Probes and metrics
//! are open; everything else needs the operators' token (`access.rs`).
//!
//! `views/` says what there is to see, as data; `api.rs` gives it as JSON,
//! `console.rs` as pages.

mod access;
mod api;
mod charts;
mod console;
mod error;
mod probes;
mod templates;
mod token;
mod views;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::web;

use sluice_app::app::App;
use sluice_site::config::SiteConfig;

use templates::Templates;
use token::Token;

/// What the admin plane needs, for as long as the process lives.
pub struct AdminState {
    app: Arc<App>,
    site_dir: PathBuf,
    token: Token,
    /// Names that operators reach this listener under.
    hosts: Vec<String>,
    templates: Templates,
}

impl AdminState {
    /// # Errors
    /// The token cannot be used, read or made.
    pub fn new(app: Arc<App>, config: &SiteConfig, site_dir: &Path) -> anyhow::Result<Self> {
        let data_dir = config.execution_log_path().parent().map(PathBuf::from).unwrap_or_default();
        Ok(Self {
            app,
            site_dir: site_dir.to_owned(),
            token: Token::load(config.admin.token.as_ref(), &data_dir)?,
            hosts: config.admin.hosts.clone(),
            templates: Templates::new()?,
        })
    }
}

/// Everything on the admin listener.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("")
            // What cannot be read of a request is told as everything else is.
            .app_data(web::QueryConfig::default().error_handler(error::unreadable))
            .app_data(web::PathConfig::default().error_handler(error::no_such_address))
            .app_data(web::JsonConfig::default().error_handler(error::unreadable))
            .wrap(from_fn(access::guard))
            .configure(probes::routes)
            .configure(api::routes)
            .configure(console::routes)
            .default_service(web::to(console::not_found)),
    );
}

/// The open paths only, for the further address of `admin.probes`.
pub fn probe_routes(config: &mut web::ServiceConfig) {
    probes::routes(config);
}
