//! The visitor's session during a request: loading it when a step asks for it, logging in with a handoff
//! token, saving it.

use sluice_app::app::App;
use sluice_app::observe::{Event, Observation};
use sluice_app::request::{Method, PageRequest};
use sluice_app::response::Reply;
use sluice_crm::QueuedWrites;
use sluice_kit::{StoreError, database_time};
use sluice_queue::Pushes;
use sluice_sandbox::{RunReport, visitor};
use sluice_session::cookie::SessionId;
use sluice_session::handoff::HandoffRefusal;
use sluice_session::storage::{IssuedCookie, SessionError};
use sluice_session::{LazySession, Session, SessionRefusal};
use sluice_site::Brand;

use super::failure::try_again;
use super::page_journey::Journey;

/// The session of the visitor's cookie. It is not loaded until a step asks for it.
pub(super) fn session_of(app: &App, brand: &Brand, request: &PageRequest) -> LazySession {
    let id = SessionId::find(request.cookies(), request.is_https);
    LazySession::of_cookie(&app.sessions, &app.returning, &brand.id, id, app.now_ms())
}

/// The visitor's session, loaded. If the database does not answer, the session is empty and marked
/// as unavailable, and the stored session stays unchanged.
pub(super) async fn load_session<'s>(
    brand: &Brand,
    session: &'s mut LazySession,
    observation: &Observation,
) -> &'s Session {
    Box::pin(visitor::load(session, &brand.id, observation.trace())).await
}

/// Loads the session if it is certain that the reply to the request shows it. A page without a script
/// waits for it here, where the request has no memory yet.
pub(super) async fn load_if_shown(journey: &Journey<'_>, session: &mut LazySession) {
    let content = journey.content;
    let is_shown = !content.script.is_ready()
        && content.template.as_ref().is_ok_and(|template| template.asks_host() || template.names_customer());
    if is_shown || journey.observation.shows_session() {
        load_session(journey.brand(), session, journey.observation).await;
    }
}

/// Logs in the customer of a handoff token in the URL. This ends the journey, so the redirect to
/// the URL without the token is returned as the error. If the token is not valid, the request
/// continues without it.
pub(super) async fn take_url_token(
    journey: &mut Journey<'_>,
    session: &mut LazySession,
) -> Result<(), Reply> {
    if !journey.request.method.only_reads() {
        return Ok(());
    }
    let Some(token) = journey.request.take_url_token() else { return Ok(()) };
    // HEAD must not change anything, and a page that does not exist must not log anybody in.
    if journey.request.method == Method::Head || journey.matched.status == 404 {
        return Ok(());
    }
    Box::pin(take_token(journey, session, &token)).await
}

async fn take_token(journey: &mut Journey<'_>, session: &mut LazySession, token: &str) -> Result<(), Reply> {
    let session = load_session(journey.brand(), session, journey.observation).await;
    // The login could not be saved, so the token must stay usable.
    if session.is_unavailable() {
        return Ok(());
    }
    let session = match log_in(journey, token, session.clone()).await {
        Ok(session) => session,
        Err(reason) => {
            let (brand, page) = (&journey.brand().id, &journey.page().file);
            tracing::info!(brand, page, "a handoff token was rejected: {reason}");
            return Ok(());
        }
    };
    let mut reply = Reply::redirect(303, &journey.request.address());
    match save(journey, &session, (QueuedWrites::default(), Pushes::default())).await {
        Ok(issued) => {
            set_cookie(&mut reply, issued, journey.request.is_https);
            Err(reply)
        }
        // A request at the same time used the token first.
        Err(SessionError::TokenUsed) => {
            let (brand, page) = (&journey.brand().id, &journey.page().file);
            tracing::info!(brand, page, "a handoff token was rejected: {}", HandoffRefusal::Used);
            Ok(())
        }
        Err(error) => Err(not_saved(journey, &error)),
    }
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

/// Returns the session with the token's customer logged in. Saving it uses up the token. The
/// customer also gets the CRM data that was stored under the email address.
async fn log_in(journey: &Journey<'_>, token: &str, mut session: Session) -> Result<Session, LoginError> {
    let (app, brand) = (journey.app, &journey.brand().id);
    let handed = app.handoff(brand).take(token, app.now_ms()).await?;
    session.hand_over(handed, &journey.page().limits)?;
    if let Some(customer) = session.new_owner() {
        let (from, to) = (customer.email_owner(), &customer.customer_id);
        let mut queued = QueuedWrites::default();
        app.crm_access(brand).adopt_customer(&from, to, &mut queued, app.now_ms()).await?;
    }
    Ok(session)
}

/// What a request changes: the session, the CRM writes that it queued, and the jobs that it pushed.
pub(super) struct Changes {
    pub(super) session: LazySession,
    pub(super) queued: QueuedWrites,
    pub(super) pushes: Pushes,
}

impl Changes {
    /// The changes of a run.
    pub(super) fn take_from(report: &mut RunReport) -> Self {
        Self {
            session: std::mem::take(&mut report.session),
            queued: std::mem::take(&mut report.queued),
            pushes: std::mem::take(&mut report.pushes),
        }
    }

    /// Whether something is left to do when the request has ended.
    pub(super) fn has_jobs(&self) -> bool {
        !self.queued.is_empty() || !self.pushes.is_empty()
    }
}

/// Stores what the run and the template changed: the session, the handoff tokens that the run used and
/// the queued writes. Returns `reply` with the cookie of the session if it has a new id. If the database
/// does not take the changes, `reply` would claim changes that were not made, so the visitor gets
/// 503 without cookies instead.
pub(super) async fn commit_run(journey: &mut Journey<'_>, changes: Changes, mut reply: Reply) -> Reply {
    let Changes { session, queued, pushes } = changes;
    let (has_writes, has_pushes) = (!queued.is_empty(), !pushes.is_empty());
    // A session that nobody asked for has not changed.
    let nothing = Session::default();
    let session = session.loaded().unwrap_or(&nothing);
    // Scripts do not check whether a logout has succeeded: the reply would say that it has.
    if session.has_lost_logout() {
        return not_saved(journey, &SessionError::LogoutLost);
    }
    if !has_writes && !has_pushes && session.changes().is_empty() {
        return reply;
    }
    match Box::pin(save(journey, session, (queued, pushes))).await {
        Ok(issued) => {
            journey.app.ring(has_writes, has_pushes);
            set_cookie(&mut reply, issued, journey.request.is_https);
            reply
        }
        Err(error) => not_saved(journey, &error),
    }
}

async fn save(
    journey: &Journey<'_>,
    session: &Session,
    (queued, pushes): (QueuedWrites, Pushes),
) -> Result<Option<IssuedCookie>, SessionError> {
    let (app, brand, limits) = (journey.app, &journey.brand().id, &journey.page().limits);
    database_time::begin_commit();
    let saved = app.sessions.commit(brand, session, (queued, pushes), limits, app.now_ms());
    let issued = journey.observation.trace().ask("session.save", |_| true, saved).await?;
    app.returning.saved(brand, session);
    Ok(issued)
}

fn set_cookie(reply: &mut Reply, issued: Option<IssuedCookie>, is_https: bool) {
    if let Some(issued) = issued {
        reply.issue_session(&issued, is_https);
    }
}

/// The reply if what the run changed could not be stored.
fn not_saved(journey: &mut Journey<'_>, error: &SessionError) -> Reply {
    let (brand, page) = (&journey.brand().id, &journey.page().file);
    if let SessionError::TokenUsed | SessionError::Job(_) | SessionError::QueueFull = error {
        tracing::warn!(
            brand,
            page,
            %error,
            "requests at the same time got in each other's way; the visitor gets 503 and can try again"
        );
    } else {
        journey.observation.tell(Event::SessionNotSaved);
        tracing::error!(
            brand,
            page,
            %error,
            "the session could not be saved; the visitor gets 503 and none of the page's reply"
        );
    }
    try_again(503, "Please try again in a moment", 1)
}
