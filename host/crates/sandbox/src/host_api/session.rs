//! The visitor's session, the customer who is logged in, and handoff tokens.

use sluice_kit::value::{self, ValueError};
use sluice_limits::Limits;
use sluice_session::handoff::{HandedOver, HandoffRefusal};
use sluice_session::{Session, SessionRefusal};

use super::page::sluice::page::session::Host;
use crate::RunState;

/// Why the session does not change, in the author's terms.
#[derive(Debug, thiserror::Error)]
enum ChangeRefusal {
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Session(#[from] SessionRefusal),
    #[error(transparent)]
    Token(#[from] HandoffRefusal),
    /// The log has the reason.
    #[error("the database did not answer")]
    Database,
}

impl Host for RunState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter(key.len()).await;
        let value = self.session().await.get(&key).map(value::encode);
        self.meter.note_bytes(value.as_ref().map_or(0, Vec::len));
        Ok(value)
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter(key.len() + value.len()).await;
        self.session().await;
        let done = self.set_value(&key, &value);
        Ok(self.answer("session.set", done))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<bool> {
        self.enter(key.len()).await;
        self.session().await;
        let done = self.change_value(&key, serde_json::Value::Null);
        Ok(self.answer("session.delete", done))
    }

    async fn customer(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter(0).await;
        let session = self.session().await;
        let customer = session.identity().map(|identity| value::encode(&identity.customer));
        self.meter.note_bytes(customer.as_ref().map_or(0, Vec::len));
        Ok(customer)
    }

    async fn set_customer(&mut self, fields: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter(fields.len()).await;
        self.session().await;
        let done = match value::decode(&fields, &self.limiter.room()) {
            Ok(fields) => self.log_in(|session, limits| session.set_customer(&fields, limits)).await,
            Err(error) => Err(error.into()),
        };
        Ok(self.answer("session.setCustomer", done))
    }

    async fn clear_customer(&mut self) -> wasmtime::Result<bool> {
        self.enter(0).await;
        Ok(self.session().await.clear_customer())
    }

    async fn get_token(&mut self, ttl_seconds: f64) -> wasmtime::Result<Option<String>> {
        self.enter(8).await;
        self.session().await;
        let token = match self.make_token(ttl_seconds) {
            // The call is valid: the visitor is just not logged in.
            Err(HandoffRefusal::Anonymous) => None,
            Err(refusal) => {
                self.warn(&format!("session.getToken: {refusal}"));
                None
            }
            Ok(token) => Some(token),
        };
        self.meter.note_bytes(token.as_ref().map_or(0, String::len));
        Ok(token)
    }

    async fn set_from_token(&mut self, token: String) -> wasmtime::Result<bool> {
        self.enter(token.len()).await;
        self.session().await;
        let done = self.take_token(&token).await;
        Ok(self.answer("session.setFromToken", done))
    }
}

/// What follows needs the session, which the callers have loaded.
impl RunState {
    fn set_value(&mut self, key: &str, value: &[u8]) -> Result<(), ChangeRefusal> {
        let value = value::decode(value, &self.limiter.room())?;
        self.change_value(key, value)
    }

    /// Sets or removes a value, and charges what the session holds then.
    fn change_value(&mut self, key: &str, value: serde_json::Value) -> Result<(), ChangeRefusal> {
        if self.limiter.room().bytes_max() == 0 {
            return Err(ValueError::TooLarge(0).into());
        }
        let session = self.context.session.or_unavailable();
        let before = session.held_bytes_at(key);
        let changed = session.set(key, value, &self.context.limits);
        self.limiter.hold(session.held_bytes_at(key));
        self.limiter.let_go(before);
        Ok(changed?)
    }

    fn make_token(&mut self, ttl_seconds: f64) -> Result<String, HandoffRefusal> {
        let session = self.context.session.or_unavailable();
        let identity = session.identity().ok_or(HandoffRefusal::Anonymous)?;
        let handoff = self.context.handoff.as_ref().ok_or(HandoffRefusal::Foreign)?;
        count_token(&mut self.tokens, self.context.limits.session_tokens_max)?;
        handoff.token(identity, ttl_seconds, self.context.clock.now_ms())
    }

    async fn take_token(&mut self, token: &str) -> Result<(), ChangeRefusal> {
        self.context.session.or_unavailable().check_available()?;
        let handed = self.open_token(token).await?;
        self.log_in(|session, limits| session.hand_over(handed, limits)).await
    }

    /// Changes the customer who is logged in. CRM data that belonged to the email alone becomes
    /// the customer's. If the database does not respond, the session stays as it is.
    async fn log_in(
        &mut self,
        change: impl FnOnce(&mut Session, &Limits) -> Result<(), SessionRefusal>,
    ) -> Result<(), ChangeRefusal> {
        let mut session = self.context.session.or_unavailable().clone();
        change(&mut session, &self.context.limits)?;
        if let (Some(crm), Some(identity)) = (&self.context.crm, session.new_owner()) {
            self.use_database();
            let now_ms = self.context.clock.now_ms();
            let (from, to) = (identity.email_owner(), &identity.customer_id);
            let adopted = crm.adopt_customer(&from, to, &mut self.queued, now_ms).await;
            adopted.map_err(|error| {
                let error = self.masked(&error);
                tracing::error!(
                    error,
                    "CRM data of an email could not be assigned to a customer who logged in"
                );
                ChangeRefusal::Database
            })?;
        }
        self.context.session = session.into();
        Ok(())
    }

    async fn open_token(&mut self, token: &str) -> Result<HandedOver, HandoffRefusal> {
        let handoff = self.context.handoff.as_ref().ok_or(HandoffRefusal::Foreign)?;
        count_token(&mut self.tokens, self.context.limits.session_tokens_max)?;
        self.use_database();
        handoff.take(token, self.context.clock.now_ms()).await
    }
}

/// Counts a token that a run makes or takes. Each one costs the host cryptography and a row in
/// the database, so their number is limited.
fn count_token(tokens: &mut u32, tokens_max: u32) -> Result<(), HandoffRefusal> {
    if *tokens >= tokens_max {
        return Err(HandoffRefusal::TooMany(tokens_max));
    }
    *tokens += 1;
    Ok(())
}
