//! The visitor's session during a request: loading it, logging in with a handoff token, saving it.

use sluice_app::app::App;
use sluice_app::observe::{Event, Observation};
use sluice_app::request::{Method, PageRequest};
use sluice_app::response::Reply;
use sluice_kit::StoreError;
use sluice_session::cookie::SessionId;
use sluice_session::handoff::HandoffRefusal;
use sluice_session::{Session, SessionRefusal};
use sluice_site::Brand;

use super::admission::try_again;
use super::page_journey::Journey;

/// Loads the visitor's session. If the database does not answer, the session is empty and marked
/// as unavailable, and the stored session stays unchanged.
pub(super) async fn load_session(
    app: &App,
    brand: &Brand,
    request: &PageRequest,
    observation: &Observation,
) -> Session {
    let id = SessionId::find(request.cookies(), request.is_https);
    if id.is_none() {
        return Session::default();
    }
    let loaded = app.sessions.load(&brand.id, id.as_ref(), app.now_ms());
    observation.trace().ask("session.load", |_| true, loaded).await.unwrap_or_else(|error| {
        tracing::error!(brand = brand.id, %error, "the session could not be loaded; the page is served without it");
        Session::unavailable()
    })
}

/// Logs in the customer of a handoff token in the URL. This ends the journey, so the redirect to
/// the URL without the token is returned as the error. If the token is not valid, the request
/// continues without it.
pub(super) async fn take_url_token(journey: &mut Journey<'_>, session: &Session) -> Result<(), Reply> {
    if journey.request.method == Method::Post {
        return Ok(());
    }
    let Some(token) = journey.request.take_url_token() else { return Ok(()) };
    // HEAD must not change anything, and a page that does not exist must not log anybody in. If
    // the session is unavailable, the login could not be saved, so the token must stay usable.
    let is_head = journey.request.method == Method::Head;
    if is_head || journey.matched.status == 404 || session.is_unavailable() {
        return Ok(());
    }
    let session = match log_in(journey, &token, session.clone()).await {
        Ok(session) => session,
        Err(reason) => {
            let (brand, page) = (&journey.brand().id, &journey.page().file);
            tracing::info!(brand, page, "a handoff token was rejected: {reason}");
            return Ok(());
        }
    };
    let reply = Reply::redirect(303, &journey.request.address());
    Err(save_session(journey, &session, reply).await)
}

/// Why a handoff token did not log in a customer.
#[derive(Debug, thiserror::Error)]
enum LoginError {
    #[error(transparent)]
    Token(#[from] HandoffRefusal),
    #[error(transparent)]
    Session(#[from] SessionRefusal),
    #[error(transparent)]
    Adopt(#[from] StoreError),
}

/// Marks the token as used, and returns the session with its customer logged in. The customer also
/// gets the CRM data that was stored under the email address.
async fn log_in(journey: &Journey<'_>, token: &str, mut session: Session) -> Result<Session, LoginError> {
    let (app, brand) = (journey.app, &journey.brand().id);
    let identity = app.handoff(brand).take(token, app.now_ms()).await?;
    session.hand_over(identity, &journey.page().limits)?;
    if let Some(customer) = session.new_owner() {
        let (from, to) = (customer.email_owner(), &customer.customer_id);
        app.crm_access(brand).adopt_customer(&from, to, app.now_ms()).await?;
    }
    Ok(session)
}

/// Saves the changes of the session, and returns `reply` with the cookie of the session if it has a
/// new id. If the database does not take the changes, `reply` would claim changes that were not
/// made, so the visitor gets 503 without cookies instead.
pub(super) async fn save_session(journey: &mut Journey<'_>, session: &Session, mut reply: Reply) -> Reply {
    if session.changes().is_empty() {
        return reply;
    }
    let (app, brand, page) = (journey.app, &journey.brand().id, journey.page());
    let saved = app.sessions.save(brand, session, &page.limits, app.now_ms());
    match journey.observation.trace().ask("session.save", |_| true, saved).await {
        Ok(Some(issued)) => {
            reply.issue_session(&issued, journey.request.is_https);
            reply
        }
        Ok(None) => reply,
        Err(error) => {
            journey.observation.tell(Event::SessionNotSaved);
            tracing::error!(
                brand,
                page = page.file,
                %error,
                "the session could not be saved; the visitor gets 503 and none of the page's reply"
            );
            try_again(503, "Please try again in a moment", 1)
        }
    }
}
