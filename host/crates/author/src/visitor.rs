//! A visitor of a scratch host: it keeps cookies as a browser does, and sends requests.

use std::io;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::task::JoinError;

use sluice_app::app::App;
use sluice_app::observe::Observation;
use sluice_app::request::described::Described;
use sluice_check as check;
use sluice_crm::QueuedWrites;
use sluice_http::cookies::{self, KeptCookie};
use sluice_kit::StoreError;
use sluice_queue::Pushes;
use sluice_sandbox::outcome::Outcome;
use sluice_session::cookie::{self, SessionId};
use sluice_session::storage::SessionError;
use sluice_session::{Session, SessionRefusal};
use sluice_site::Brand;

use super::visit::Visit;
use crate::Cause;
use crate::watch::Watch;

/// How many queued jobs are applied in one call of the store.
const JOBS_PER_BATCH: u32 = 32;

/// One visitor of one brand.
pub struct Visitor {
    app: Arc<App>,
    brand: Arc<Brand>,
    host: String,
    /// Whether requests are sent as if over https.
    pub is_https: bool,
    cookies: Vec<KeptCookie>,
}

/// Why a visitor's request could not be made. Each message is complete: it includes its cause.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// The brand answers to no host name.
    #[error("brand {0} serves no host: its brand.toml needs `domains` or `default = true`")]
    NoHost(String),
    /// The values that were given for the session are invalid.
    #[error("the session: {0}")]
    Session(SessionRefusal),
    /// The customer that was given is invalid.
    #[error("the customer: {0}")]
    Customer(SessionRefusal),
    /// The session could not be loaded or saved.
    #[error(transparent)]
    SessionStore(#[from] SessionError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The request is invalid, so no browser could send it.
    #[error(transparent)]
    Request(Cause),
    /// Queued writes could not be applied.
    #[error("background writes: {0}")]
    Jobs(StoreError),
    /// Serving the request panicked.
    #[error("the host failed: {0}")]
    Host(JoinError),
    /// A file in `public/` could not be read.
    #[error(transparent)]
    File(io::Error),
}

impl Visitor {
    /// A visitor without cookies.
    ///
    /// # Errors
    /// [`VisitError::NoHost`].
    pub fn new(app: Arc<App>, brand: Arc<Brand>) -> Result<Self, VisitError> {
        let host = brand.hosts.example().ok_or_else(|| VisitError::NoHost(brand.id.clone()))?;
        Ok(Self { app, brand, host, is_https: false, cookies: Vec::new() })
    }

    /// Puts `values` into the visitor's session and logs `customer` in. The rules are the same
    /// as for scripts.
    ///
    /// # Errors
    /// The values or the customer are invalid, or the database failed.
    pub async fn remember(
        &mut self,
        values: &Map<String, Value>,
        customer: Option<&Value>,
    ) -> Result<(), VisitError> {
        let (app, brand) = (Arc::clone(&self.app), Arc::clone(&self.brand));
        let mut session = self.session().await?;
        for (key, value) in values {
            session.set(key, value.clone(), &brand.limits).map_err(VisitError::Session)?;
        }
        if let Some(customer) = customer {
            session.set_customer(customer, &brand.limits).map_err(VisitError::Customer)?;
        }
        let now_ms = app.now_ms();
        if let Some(owner) = session.new_owner() {
            let crm = app.crm_access(&brand.id);
            let (from, to) = (owner.email_owner(), &owner.customer_id);
            crm.adopt_customer(&from, to, &mut QueuedWrites::default(), now_ms).await?;
        }
        let nothing = (QueuedWrites::default(), Pushes::default());
        let issued = app.sessions.commit(&brand.id, &session, nothing, &brand.limits, now_ms).await?;
        if let Some(issued) = issued {
            self.set_cookie(KeptCookie {
                name: cookie::name(self.is_https).to_owned(),
                value: issued.id,
                path: "/".to_owned(),
                is_secure: self.is_https,
                is_expired: false,
            });
        }
        Ok(())
    }

    /// Loads the visitor's session from the database.
    async fn session(&self) -> Result<Session, SessionError> {
        let cookies = self.cookies.iter().map(|cookie| (cookie.name.as_str(), cookie.value.as_str()));
        let id = SessionId::find(cookies, self.is_https);
        self.app.sessions.load(&self.brand.id, id.as_ref(), self.app.now_ms()).await
    }

    /// Sends a request with the visitor's cookies. Waits until the background writes that the
    /// request queued are applied. Redirects are not followed.
    ///
    /// # Errors
    /// The request is invalid, or the host failed.
    pub async fn visit(&mut self, mut asked: Described) -> Result<Visit, VisitError> {
        asked.is_https = self.is_https;
        asked.host.clone_from(&self.host);
        let path = asked.address.split(['?', '#']).next().unwrap_or_default().to_owned();
        let given: Vec<_> = std::mem::take(&mut asked.cookies);
        let kept = self.cookies.iter().filter(|cookie| is_for(cookie, &path, self.is_https));
        asked.cookies = kept.map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect();
        for (name, value) in given {
            asked.cookies.retain(|(known, _)| *known != name);
            asked.cookies.push((name, value));
        }
        let request = asked.into_request(&self.app.live().read_rules);
        let mut request = request.map_err(|error| VisitError::Request(error.into()))?;
        let page = self.app.live().page_at(&request.host, &request.raw_path);
        if let Some((brand, page)) = page
            && let Err(fault) = request.take_uploads(&brand.id, &page, &self.app.uploads).await
        {
            let visit = Visit::new(request.method, fault.reply(), Watch::default().take()).await;
            return visit.map_err(VisitError::File);
        }
        let watch = Arc::new(Watch::default());
        let mut observation = Observation::default();
        observation.add(watch.observer());
        // The request is served on a task of its own, as in the server. This call may come from
        // inside a test's run, whose stack must not also hold the page's run.
        let app = Arc::clone(&self.app);
        let method = request.method;
        let reply = tokio::spawn(async move { app.serve(request, observation).await });
        let reply = reply.await.map_err(VisitError::Host)?;
        self.apply_jobs().await?;
        for cookie in reply.cookies.iter().filter_map(|line| KeptCookie::parse(line)) {
            self.set_cookie(cookie);
        }
        let mut visit = Visit::new(method, reply, watch.take()).await.map_err(VisitError::File)?;
        if let Some(run) = visit.run.as_mut().filter(|run| run.outcome == Outcome::Compile.name()) {
            run.failure = run.failure.take().map(|failure| check::explained(failure, &self.brand.dir));
        }
        Ok(visit)
    }

    /// Applies the writes that scripts queued with `async: true`.
    async fn apply_jobs(&self) -> Result<(), VisitError> {
        let app = &self.app;
        loop {
            let runs = app.store.run_jobs(app.caps_of_brand(), JOBS_PER_BATCH, app.now_ms()).await;
            if runs.map_err(VisitError::Jobs)?.is_empty() {
                return Ok(());
            }
        }
    }

    /// Keeps a cookie as a browser does.
    fn set_cookie(&mut self, cookie: KeptCookie) {
        self.cookies.retain(|known| known.name != cookie.name || known.path != cookie.path);
        if !cookie.is_expired {
            self.cookies.push(cookie);
        }
    }

    /// The visitor's cookies by name, percent-decoded, without the session cookie.
    pub(crate) fn cookies(&self) -> Map<String, Value> {
        let visible = self.cookies.iter().filter(|cookie| !cookies::is_reserved(&cookie.name));
        visible.map(|cookie| (cookie.name.clone(), cookies::decode_value(&cookie.value).into())).collect()
    }
}

/// Whether a browser sends the cookie with a request for `path`.
fn is_for(cookie: &KeptCookie, path: &str, is_https: bool) -> bool {
    let below = path.strip_prefix(cookie.path.trim_end_matches('/'));
    (is_https || !cookie.is_secure) && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_cookies_only_to_their_path() {
        let cookie = |path: &str| KeptCookie {
            name: "a".into(),
            value: "1".into(),
            path: path.into(),
            is_secure: false,
            is_expired: false,
        };
        for (path, at, sent) in [
            ("/", "/", true),
            ("/", "/a/b", true),
            ("/a", "/a", true),
            ("/a", "/a/b", true),
            ("/a/", "/a/b", true),
            ("/a", "/ab", false),
            ("/a/b", "/a", false),
        ] {
            assert_eq!(is_for(&cookie(path), at, false), sent, "{path} at {at}");
        }
        let secure = KeptCookie { is_secure: true, ..cookie("/") };
        assert!(!is_for(&secure, "/", false) && is_for(&secure, "/", true));
    }
}
