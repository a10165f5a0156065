//! The visitor's session during a request: loaded, handed over by a token, saved.

use sluice_session::Session;
use sluice_session::cookie::SessionId;
use sluice_site::Brand;

use super::admission::try_again;
use super::matching::MatchedPage;
use crate::app::App;
use crate::observe::{Event, Observation};
use crate::request::{Method, PageRequest};
use crate::response::Reply;

/// The visitor's session. When the database does not answer, the page is served as to a
/// visitor without a session, and the stored session stays as it is.
pub(super) async fn load_session(
    app: &App,
    brand: &Brand,
    request: &PageRequest,
    observation: &Observation,
) -> Session {
    let cookies = request.cookies.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let id = SessionId::find(cookies, request.is_https);
    if id.is_none() {
        return Session::default();
    }
    let loaded = app.sessions.load(&brand.id, id.as_ref(), app.now_ms());
    observation.trace().ask("session.load", |_| true, loaded).await.unwrap_or_else(|error| {
        tracing::error!(brand = brand.id, %error, "the session could not be loaded; the page is served without it");
        Session::unavailable()
    })
}

/// Logs in the customer of a handoff token in the address. The reply is a redirect to the
/// same address without the token, given as the error, because it ends the journey. When
/// the token is not valid, the request goes on without it.
pub(super) async fn take_url_token(
    app: &App,
    matched: &MatchedPage,
    request: &mut PageRequest,
    session: &Session,
    observation: &mut Observation,
) -> Result<(), Reply> {
    if request.method == Method::Post {
        return Ok(());
    }
    let Some(token) = request.take_url_token() else { return Ok(()) };
    // HEAD changes nothing, a page that does not exist logs nobody in, and a token with which
    // nobody can be logged in is not used up.
    if request.method == Method::Head || matched.status == 404 || session.is_unavailable {
        return Ok(());
    }
    let mut session = session.clone();
    let brand = &matched.brand.id;
    let taken = app.handoff(brand).take(&token, app.now_ms()).await;
    let taken = taken.map_err(|refusal| refusal.to_string()).and_then(|identity| {
        session.hand_over(identity, &matched.page.limits).map_err(|refusal| refusal.to_string())
    });
    let taken = match (taken, session.new_owner()) {
        (Ok(()), Some(customer)) => {
            let (from, to) = (customer.email_owner(), &customer.customer_id);
            let adopted = app.crm_access(brand).adopt_customer(&from, to, app.now_ms()).await;
            adopted.map_err(|error| error.to_string())
        }
        (taken, _) => taken,
    };
    if let Err(reason) = taken {
        tracing::info!(brand, page = matched.page.file, "a handoff token was refused: {reason}");
        return Ok(());
    }
    let reply = Reply::redirect(303, &request.address());
    Err(save_session(app, matched, &session, request, reply, observation).await)
}

/// Saves what the request changed in the session, and gives `reply` with the cookie of a new
/// session. When the database does not take the changes, nothing of `reply` is sent, because
/// it says that they were made: the visitor gets 503 without cookies instead.
pub(super) async fn save_session(
    app: &App,
    matched: &MatchedPage,
    session: &Session,
    request: &PageRequest,
    mut reply: Reply,
    observation: &mut Observation,
) -> Reply {
    if session.changes().is_empty() {
        return reply;
    }
    let brand = &matched.brand.id;
    let saved = app.sessions.save(brand, session, &matched.page.limits, app.now_ms());
    match observation.trace().ask("session.save", |_| true, saved).await {
        Ok(Some(issued)) => {
            reply.issue_session(&issued, request.is_https);
            reply
        }
        Ok(None) => reply,
        Err(error) => {
            observation.tell(Event::SessionNotSaved);
            tracing::error!(
                brand,
                page = matched.page.file,
                %error,
                "the session could not be saved; the visitor gets 503 and none of the page's reply"
            );
            try_again(503, "Please try again in a moment", 1)
        }
    }
}
