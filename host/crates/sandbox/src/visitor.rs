//! Loads the visitor's session, when a run or the journey of a request asks for it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use sluice_page_cache::Dependence;
use sluice_session::{LazySession, Session};
use sluice_telemetry::trace::Trace;

use crate::slots::Awaited;
use crate::{RunContext, RunState};

/// The visitor's session. Loads it, unless it is loaded. If the database does not answer, the session is
/// empty and unavailable, and the stored session stays unchanged.
pub async fn load<'s>(session: &'s mut LazySession, brand: &str, trace: &Trace) -> &'s mut Session {
    if session.loaded().is_none() {
        let loaded = trace.ask("session.load", |_| true, session.load()).await;
        if let Err(error) = loaded {
            tracing::error!(
                brand,
                %error,
                "the session could not be loaded; the page is served without it"
            );
        }
    }
    session.or_unavailable()
}

impl RunState {
    /// The visitor's session. Every host call that needs it comes here, and the first one loads it.
    pub(crate) async fn session(&mut self) -> &mut Session {
        self.depends_on(Dependence::Session);
        if self.context.session.loaded().is_none() {
            self.load_session().await;
        }
        self.context.session.or_unavailable()
    }

    async fn load_session(&mut self) {
        let is_test = self.context.test_calls.is_some();
        let RunContext { session, brand, trace, .. } = &mut self.context;
        let place = &self.place;
        let loading = async {
            let mut load = pin!(load(session, brand, trace));
            let at_once = poll_fn(|context| {
                Poll::Ready(match load.as_mut().poll(context) {
                    Poll::Ready(session) => Some(session.held_bytes()),
                    Poll::Pending => None,
                })
            });
            match at_once.await {
                Some(held) => held,
                None => {
                    place.iter().filter(|_| !is_test).for_each(|place| place.note(Awaited::Database));
                    load.await.held_bytes()
                }
            }
        };
        let held = self.waited.during(loading).await;
        self.limiter.hold_loaded(held);
    }
}
