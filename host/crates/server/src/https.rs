//! HTTPS: the certificates of the visitors' listener, and the listener that redirects to it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};

use sluice_acme::{Answers, HTTP_PATH};
use sluice_app::app::App;
use sluice_app::request::requested_host;
use sluice_site::canonical_host;
use sluice_site::config::{Reader, SiteConfig};
use sluice_telemetry::metrics::Metrics;
use sluice_tls::{CertificateFolder, Certificates};

use crate::acme::Acme;
use crate::admin::CertificateSources;
use crate::error::ServerError;
use crate::handshake::Encryption;

/// How often the folder of certificates is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The certificates, and where they come from.
pub(crate) struct Https {
    certificates: Arc<Certificates>,
    folder: CertificateFolder,
    /// Those that the host orders.
    pub(crate) acme: Option<Arc<Acme>>,
}

impl Https {
    /// Loads the certificates in the data folder, and those that hosts have ordered. `None` if HTTPS is off.
    /// `has_http` says whether a listener redirects from plain HTTP.
    ///
    /// # Errors
    /// There is none that can be used, and none is ordered. Or the settings contradict each other.
    pub(crate) async fn load(
        app: &Arc<App>,
        config: &SiteConfig,
        has_http: bool,
    ) -> Result<Option<Arc<Self>>, ServerError> {
        if !config.server.https {
            // `sluice dev` turns HTTPS off, whatever the settings say.
            let is_wrong = config.acme.enabled && config.reader == Reader::Operator;
            return if is_wrong { Err(ServerError::AcmeWithoutHttps) } else { Ok(None) };
        }
        let (certificates, dir) = (Arc::default(), app.places.data.dir("tls")?);
        let mut https = Self { certificates, folder: CertificateFolder::new(dir), acme: None };
        https.refresh();
        https.acme = Acme::start(app, config, &https.certificates, has_http).await?;
        if https.certificates.is_empty() && https.acme.is_none() {
            return Err(ServerError::NoCertificate(https.folder.path().to_owned()));
        }
        let certificates = Arc::clone(&https.certificates);
        Metrics::observe_certificates(&app.telemetry.meter(), move || {
            certificates.expiries().into_iter().map(|expiry| (expiry.name, expiry.at_s)).collect()
        });
        Ok(Some(Arc::new(https)))
    }

    /// How the listener encrypts connections.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn encryption(&self, app: &App) -> Result<Encryption, ServerError> {
        let encryption = Encryption {
            config: self.certificates.server_config().map_err(ServerError::Tls)?,
            certificates: Arc::clone(&self.certificates),
            answers: self.acme.as_ref().map(|acme| Arc::clone(&acme.answers)),
            telemetry: Arc::clone(&app.telemetry),
        };
        encryption.begin_counting();
        Ok(encryption)
    }

    /// What operators see of the certificates.
    pub(crate) fn sources(&self) -> CertificateSources {
        CertificateSources {
            certificates: Arc::clone(&self.certificates),
            keeper: self.acme.as_ref().map(|acme| Arc::clone(&acme.keeper)),
        }
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

    /// Looks at the names of the brands again.
    pub(crate) fn wake(&self) {
        if let Some(acme) = &self.acme {
            acme.keeper.wake();
        }
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

/// What the listener that redirects to HTTPS needs.
#[derive(Clone)]
pub(crate) struct Redirecting {
    /// The port to which requests are redirected.
    pub(crate) port: u16,
    /// What certificate authorities are answered.
    pub(crate) answers: Option<Arc<Answers>>,
}

/// Answers a certificate authority, or redirects a request to the same address over HTTPS. Only hosts of brands are redirected, so that nobody can
/// make a cache send visitors elsewhere.
pub(crate) async fn redirect(
    app: web::Data<App>,
    to: web::Data<Redirecting>,
    request: HttpRequest,
) -> HttpResponse {
    if let (Some(answers), Some(token)) = (&to.answers, request.path().strip_prefix(HTTP_PATH)) {
        // Another program may use the same path; its answers are in the site.
        if let Some(answer) = answers.http_01(token).await {
            return HttpResponse::Ok().content_type("application/octet-stream").body(answer);
        }
    }
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
    let target = match to.port {
        443 => format!("https://{name}{address}"),
        port => format!("https://{name}:{port}{address}"),
    };
    HttpResponse::PermanentRedirect().insert_header((LOCATION, target)).finish()
}
