//! A visitor of a scratch host: a browser's cookies, and the requests that it makes.

use std::sync::Arc;

use serde_json::{Map, Value};

use sluice_app::app::App;
use sluice_app::observe::Observation;
use sluice_app::request::described::Described;
use sluice_check as check;
use sluice_http::cookies::{self, KeptCookie};
use sluice_sandbox::outcome::Outcome;
use sluice_session::Session;
use sluice_session::cookie::{self, SessionId};
use sluice_site::Brand;

use super::visit::Visit;
use crate::watch::Watch;

/// Jobs in one go.
const JOBS_A_GO: u32 = 32;

/// One visitor of one brand.
pub struct Visitor {
    app: Arc<App>,
    brand: Arc<Brand>,
    host: String,
    pub is_https: bool,
    cookies: Vec<KeptCookie>,
}

impl Visitor {
    /// # Errors
    /// The brand takes no Host.
    pub fn new(app: Arc<App>, brand: Arc<Brand>) -> Result<Self, String> {
        let host = brand.own_host().ok_or_else(|| {
            format!("nobody can visit brand {}: its brand.toml needs `domains` or `default = true`", brand.id)
        })?;
        Ok(Self { app, brand, host, is_https: false, cookies: Vec::new() })
    }

    /// Puts `values` into the visitor's session and logs `customer` in, as scripts do.
    ///
    /// # Errors
    /// A sentence: what a script may not do either.
    pub async fn remember(
        &mut self,
        values: &Map<String, Value>,
        customer: Option<&Value>,
    ) -> Result<(), String> {
        let (app, brand) = (Arc::clone(&self.app), Arc::clone(&self.brand));
        let mut session = self.session().await?;
        for (key, value) in values {
            session
                .set(key, value.clone(), &brand.limits)
                .map_err(|refusal| format!("the session: {refusal}"))?;
        }
        if let Some(customer) = customer {
            session
                .set_customer(customer, &brand.limits)
                .map_err(|refusal| format!("the customer: {refusal}"))?;
        }
        let now_ms = app.now_ms();
        if let Some(owner) = session.new_owner() {
            let adopted = app.crm_access(&brand.id);
            let adopted = adopted.adopt_customer(&owner.email_owner(), &owner.customer_id, now_ms).await;
            adopted.map_err(|error| error.to_string())?;
        }
        let saved = app.sessions.save(&brand.id, &session, &brand.limits, now_ms).await;
        if let Some(issued) = saved.map_err(|error| error.to_string())? {
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

    /// The visitor's session as it is stored.
    ///
    /// # Errors
    /// The database did not answer.
    pub async fn session(&self) -> Result<Session, String> {
        let cookies = self.cookies.iter().map(|cookie| (cookie.name.as_str(), cookie.value.as_str()));
        let id = SessionId::find(cookies, self.is_https);
        let loaded = self.app.sessions.load(&self.brand.id, id.as_ref(), self.app.now_ms()).await;
        loaded.map_err(|error| error.to_string())
    }

    /// Sends a request with the visitor's cookies, and waits for what it causes: background
    /// writes, too. Nothing is followed.
    ///
    /// # Errors
    /// A sentence: what cannot be sent.
    pub async fn visit(&mut self, mut asked: Described) -> Result<Visit, String> {
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
        let request = request.map_err(|error| error.to_string())?;
        let watch = Arc::new(Watch::default());
        let mut observation = Observation::default();
        observation.add(watch.observer());
        observation.set_run_observer(Arc::clone(&watch) as _);
        // Each journey has a task of its own, as in the server: a test's run, inside
        // which this may be, has a stack of its own.
        let app = Arc::clone(&self.app);
        let method = request.method;
        let reply = tokio::spawn(async move { sluice_app::serve::serve(&app, request, observation).await });
        let reply = reply.await.map_err(|error| format!("the host failed: {error}"))?;
        self.app_jobs().await?;
        for cookie in reply.cookies.iter().filter_map(|line| KeptCookie::parse(line)) {
            self.set_cookie(cookie);
        }
        let mut visit = Visit::new(method, reply, watch.take()).await?;
        if let Some(run) = visit.run.as_mut().filter(|run| run.outcome == Outcome::Compile.name()) {
            run.failure = run.failure.take().map(|failure| check::explained(failure, &self.brand.dir));
        }
        Ok(visit)
    }

    /// Applies what `async: true` has queued.
    async fn app_jobs(&self) -> Result<(), String> {
        loop {
            let runs = self.app.store.run_jobs(self.app.caps_of_brand(), JOBS_A_GO, self.app.now_ms()).await;
            if runs.map_err(|error| format!("background writes: {error}"))?.is_empty() {
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

    /// The visitor's cookies, without the session's.
    pub fn cookies(&self) -> Map<String, Value> {
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
    fn cookies_go_where_their_path_says() {
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
