//! HTTPS: the certificates of the visitors' listener, and the listener that redirects to it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};

use sluice_app::app::App;
use sluice_app::request::requested_host;
use sluice_site::canonical_host;
use sluice_telemetry::metrics::Metrics;
use sluice_tls::{CertificateFolder, Certificates};

use crate::error::ServerError;

/// How often the folder of certificates is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The certificates, and where they come from.
pub(crate) struct Https {
    certificates: Arc<Certificates>,
    folder: CertificateFolder,
}

impl Https {
    /// Loads the certificates in the data folder.
    ///
    /// # Errors
    /// There is none that can be used.
    pub(crate) fn load(app: &App) -> Result<Self, ServerError> {
        let https = Self {
            certificates: Arc::default(),
            folder: CertificateFolder::new(app.places.data.dir("tls")?),
        };
        https.refresh();
        if https.certificates.is_empty() {
            return Err(ServerError::NoCertificate(https.folder.path().to_owned()));
        }
        let certificates = Arc::clone(&https.certificates);
        Metrics::observe_certificates(&app.telemetry.meter(), move || {
            certificates.expiries().into_iter().map(|expiry| (expiry.name, expiry.at_s)).collect()
        });
        Ok(https)
    }

    /// The settings of the listener.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, ServerError> {
        self.certificates.server_config().map_err(ServerError::Tls)
    }

    /// Uses what changes in the folder, until it is dropped.
    pub(crate) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look().await;
        }
    }

    /// Uses what has changed in the folder.
    pub(crate) async fn look(self: &Arc<Self>) {
        let https = Arc::clone(self);
        // It fails only while the process stops.
        drop(tokio::task::spawn_blocking(move || https.refresh()).await);
    }

    fn refresh(&self) {
        match self.folder.refresh(&self.certificates) {
            Ok(refreshed) => {
                for file in refreshed.loaded {
                    tracing::info!(file = %file.display(), "the certificate was loaded");
                }
                for file in refreshed.removed {
                    tracing::warn!(file = %file.display(), "the certificate is gone, so it is no longer used");
                }
                for (file, error) in refreshed.failed {
                    tracing::error!(
                        file = %file.display(),
                        %error,
                        "the certificate cannot be used; the earlier one stays, if there is one"
                    );
                }
            }
            Err(error) => {
                let folder = self.folder.path().display();
                tracing::error!(%folder, %error, "the folder of certificates cannot be read");
            }
        }
    }
}

/// The port to which requests are redirected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpsPort(pub(crate) u16);

/// Redirects a request to the same address over HTTPS. Only hosts of brands are redirected, so that nobody can
/// make a cache send visitors elsewhere.
pub(crate) async fn redirect(
    app: web::Data<App>,
    port: web::Data<HttpsPort>,
    request: HttpRequest,
) -> HttpResponse {
    let host = requested_host(request.uri(), request.headers()).unwrap_or_default();
    let name = canonical_host(&host);
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str());
    let is_valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
    if !is_valid || !address.starts_with('/') {
        return HttpResponse::BadRequest().body("This address is not valid");
    }
    if app.live().site.brand(&name).is_none() {
        return HttpResponse::MisdirectedRequest().body("This server has no site with this name");
    }
    let name = if name.contains(':') { format!("[{name}]") } else { name };
    let target = match port.0 {
        443 => format!("https://{name}{address}"),
        port => format!("https://{name}:{port}{address}"),
    };
    HttpResponse::PermanentRedirect().insert_header((LOCATION, target)).finish()
}
