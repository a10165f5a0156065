//! What the console says once after a form. The text stays here, and only its number is in the address, so that nobody
//! can make a link that claims something. It is shown once, and only to the session that sent the form.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::web::{Data, Query};
use actix_web::{FromRequest, HttpRequest};
use parking_lot::Mutex;
use serde::Deserialize;

use sluice_kit::hex::hex;

use super::AdminState;
use super::console_cookie::console_session;

/// The most texts that wait to be shown. Beyond it, the oldest is forgotten.
const TEXTS_MAX: usize = 1_000;
/// Longer texts are cut.
const TEXT_CHARS_MAX: usize = 2_000;
/// A text that nobody asked for in this time is forgotten.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// The texts that wait to be shown, oldest first.
#[derive(Default)]
pub(crate) struct Flashes(Mutex<VecDeque<Flash>>);

struct Flash {
    id: String,
    operator: Operator,
    text: String,
    at: Instant,
}

/// Who sends a request: the console session, which is empty for a client with the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operator(String);

impl FromRequest for Operator {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

impl Operator {
    fn of(request: &HttpRequest) -> Self {
        Self(console_session(request.headers()).unwrap_or_default())
    }
}

impl Flashes {
    /// Keeps a text for the operator, and returns its number. `None` if the system has no random numbers.
    fn keep(&self, operator: &Operator, text: &str, now: Instant) -> Option<String> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).ok()?;
        let text = text.chars().take(TEXT_CHARS_MAX).collect();
        let flash = Flash { id: hex(&id), operator: operator.clone(), text, at: now };
        let id = flash.id.clone();
        let mut all = self.0.lock();
        all.retain(|flash| now.duration_since(flash.at) < KEPT);
        if all.len() >= TEXTS_MAX {
            all.pop_front();
        }
        all.push_back(flash);
        Some(id)
    }

    /// The text with this number, if it is for this operator. It is forgotten then.
    fn take(&self, operator: &Operator, id: &str, now: Instant) -> Option<String> {
        let mut all = self.0.lock();
        all.retain(|flash| now.duration_since(flash.at) < KEPT);
        let at = all.iter().position(|flash| flash.id == id && flash.operator == *operator)?;
        all.remove(at).map(|flash| flash.text)
    }

    /// The address with the number of a text that its page is to show.
    pub(crate) fn address(&self, operator: &Operator, address: &str, text: &str) -> String {
        let Some(id) = self.keep(operator, text, Instant::now()) else { return address.to_owned() };
        let (page, place) = match address.split_once('#') {
            Some((page, place)) => (page, format!("#{place}")),
            None => (address, String::new()),
        };
        let mark = if page.contains('?') { '&' } else { '?' };
        format!("{page}{mark}said={id}{place}")
    }
}

/// What a page is to say about the form that led to it.
pub(crate) struct Said(pub(crate) Option<String>);

/// `?said=3f…`
#[derive(Deserialize)]
struct Asked {
    said: Option<String>,
}

impl FromRequest for Said {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let said = || {
            let id = Query::<Asked>::from_query(request.query_string()).ok()?.into_inner().said?;
            request.app_data::<Data<AdminState>>()?.flashes.take(&Operator::of(request), &id, Instant::now())
        };
        ready(Ok(Self(said())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(session: &str) -> Operator {
        Operator(session.to_owned())
    }

    #[test]
    fn text_is_shown_once_and_to_its_operator_only() {
        let (flashes, now) = (Flashes::default(), Instant::now());
        let id = flashes.keep(&operator("a"), "done", now).unwrap();
        assert_eq!(flashes.take(&operator("b"), &id, now), None);
        assert_eq!(flashes.take(&operator("a"), "forged", now), None);
        assert_eq!(flashes.take(&operator("a"), &id, now).as_deref(), Some("done"));
        assert_eq!(flashes.take(&operator("a"), &id, now), None);
        let id = flashes.keep(&operator("a"), "late", now).unwrap();
        assert_eq!(flashes.take(&operator("a"), &id, now + KEPT), None);
    }

    #[test]
    fn forgets_the_oldest_texts_and_cuts_long_ones() {
        let (flashes, now) = (Flashes::default(), Instant::now());
        let first = flashes.keep(&operator("a"), "first", now).unwrap();
        let ids: Vec<_> =
            (0..TEXTS_MAX).map(|_| flashes.keep(&operator("a"), &"é".repeat(9_000), now).unwrap()).collect();
        assert_eq!(flashes.0.lock().len(), TEXTS_MAX);
        assert_eq!(flashes.take(&operator("a"), &first, now), None);
        let text = flashes.take(&operator("a"), &ids[0], now).unwrap();
        assert_eq!(text.chars().count(), TEXT_CHARS_MAX);
    }

    #[test]
    fn address_keeps_its_query_and_its_place() {
        let flashes = Flashes::default();
        let address = |address| flashes.address(&operator("a"), address, "done");
        let said = address("/brands/shop/page?path=/a#limits");
        let id =
            said.strip_prefix("/brands/shop/page?path=/a&said=").unwrap().strip_suffix("#limits").unwrap();
        assert_eq!(flashes.take(&operator("a"), id, Instant::now()).as_deref(), Some("done"));
        assert!(address("/brands/shop").starts_with("/brands/shop?said="));
    }
}
