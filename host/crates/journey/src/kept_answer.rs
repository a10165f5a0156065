//! Keeps the answer of a page, and makes replies of kept answers.
//!
//! The answer of a run is kept only if nothing that went into it depends on the visitor: the sandbox notes what
//! the script reads and does, `Filling` knows what the template reads, and [`dependence_of`] looks at the reply itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use sluice_app::observe::{CacheUse, Event};
use sluice_app::page_cache::Answer;
use sluice_app::request::conditions::{Conditions, Part, Validators};
use sluice_app::response::{Reply, ReplyBody};
use sluice_kit::hex::hex;
use sluice_page_cache::{CacheRules, Dependence, Hit};

use super::filling::{Filler, Filling};
use super::page_journey::Journey;
use super::part::{cut, of_part, part_asked};

/// What browsers do with an answer that the script does not speak about: they ask whether it has changed.
const CACHE_CONTROL: &str = "no-cache";
/// The hash of more bytes is computed on a thread for long work.
const SHORT_HASH_BYTES: usize = 256 << 10;
/// The bytes of the hash in an entity tag.
const ETAG_BYTES: usize = 16;

/// Keeps the answer, if it does not depend on the visitor.
/// `answered` is an error if the journey of the page ended early.
pub(super) async fn keep(journey: &mut Journey<'_>, answered: Result<Reply, Reply>) -> Result<Reply, Reply> {
    let Some(Filling { fill, filler, rules, dependence }) = journey.filling.take() else { return answered };
    let dependence = match &answered {
        Ok(reply) => dependence.or_else(|| dependence_of(reply)),
        Err(_) => Some(Dependence::Failed),
    };
    let Some(fill) = fill else {
        tell(journey, dependence.as_ref().map_or(made_by(filler), CacheUse::Refused));
        return answered;
    };
    let made = match (dependence, &answered) {
        (None, Ok(reply)) => answer_of(journey, reply),
        (dependence, _) => Err(dependence.unwrap_or(Dependence::Failed)),
    };
    let made = match made {
        Ok((answer, bytes)) => {
            with_etag(journey, answer).await.map(|answer| (answer, bytes)).ok_or(Dependence::Failed)
        }
        Err(dependence) => Err(dependence),
    };
    let now = Instant::now();
    match made {
        Ok((answer, bytes)) => {
            let answer = Arc::new(answer);
            match fill.keep(&answer, bytes, now) {
                Ok(()) => tell(journey, made_by(filler)),
                Err(dependence) => {
                    say_once(journey, &dependence);
                    tell(journey, CacheUse::Refused(&dependence));
                }
            }
            let reply = reply_of(journey, &rules, &Hit { answer, age: Duration::ZERO });
            // The memory of its body is reserved already.
            Ok(Reply { memory: answered.ok().and_then(|made| made.memory), ..reply })
        }
        Err(dependence) => {
            fill.refuse(&dependence, now);
            say_once(journey, &dependence);
            tell(journey, CacheUse::Refused(&dependence));
            answered
        }
    }
}

fn made_by(filler: Filler) -> CacheUse<'static> {
    match filler {
        Filler::Visitor => CacheUse::Miss,
        Filler::Refresh => CacheUse::Refreshed,
    }
}

/// Why a reply cannot be kept, whatever the run did.
fn dependence_of(reply: &Reply) -> Option<Dependence> {
    if !reply.cookies.is_empty() {
        return Some(Dependence::SetCookie);
    }
    match reply.status {
        200 | 404 | 301 | 302 | 303 | 307 | 308 => {}
        500.. => return Some(Dependence::Failed),
        status => return Some(Dependence::Status(status)),
    }
    let control = reply.header("cache-control").unwrap_or_default().to_ascii_lowercase();
    let forbids = ["no-store", "private"].iter().any(|directive| control.contains(directive));
    forbids.then_some(Dependence::CacheControl)
}

/// The answer that is kept, and the bytes that it takes. Without memory for it, the next one may be kept.
fn answer_of(journey: &Journey<'_>, reply: &Reply) -> Result<(Answer, u64), Dependence> {
    let ReplyBody::Bytes(body) = &reply.body else { return Err(Dependence::TooLarge) };
    let of_headers: usize = reply.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
    let bytes = body.len().saturating_add(of_headers).saturating_add(size_of::<Answer>());
    let memory = journey.app.sandbox.memory.try_reserve(bytes).ok_or(Dependence::Failed)?;
    let etag = reply.header("etag").unwrap_or_default().trim_start_matches("W/").to_owned();
    let (status, headers, body) = (reply.status, reply.headers.clone(), body.clone());
    Ok((Answer { status, headers, body, etag, memory }, bytes as u64))
}

/// Adds the entity tag, unless the script has set one: a hash of the body, so that all hosts agree. `None` while the
/// process stops.
async fn with_etag(journey: &Journey<'_>, answer: Answer) -> Option<Answer> {
    if !answer.etag.is_empty() {
        return Some(answer);
    }
    let body = answer.body.clone();
    let is_short = body.len() <= SHORT_HASH_BYTES;
    let hash = move || {
        let digest = Sha256::digest(&body);
        format!("\"{}\"", hex(digest.get(..ETAG_BYTES).unwrap_or_default()))
    };
    let etag = match is_short {
        true => hash(),
        false => journey.app.sandbox.long_calls.call(&journey.brand().id, hash).await?,
    };
    Some(Answer { etag, ..answer })
}

/// The whole answer, a part of it, or 304 if the client has it.
pub(super) fn reply_of(journey: &Journey<'_>, rules: &CacheRules, hit: &Hit<Answer>) -> Reply {
    let Answer { status, headers, body, etag, .. } = &*hit.answer;
    // An answer has no date of its own.
    let conditions = Conditions {
        if_modified_since: None,
        if_unmodified_since: None,
        ..journey.request.conditions.clone()
    };
    let bytes = body.len() as u64;
    let validators = Validators { etag, modified: std::time::UNIX_EPOCH, bytes };
    // Only a page that is there has parts.
    let part = match *status {
        200 => part_asked(journey.request.method, &conditions, validators),
        _ => Part::All,
    };
    let mut reply = of_part(part, "page", bytes, cut(ReplyBody::Bytes(body.clone()), part));
    match part {
        Part::All => reply.status = *status,
        Part::PreconditionFailed | Part::Unsatisfiable => return reply,
        Part::Range { .. } | Part::NotModified => {}
    }
    reply.headers.extend(headers.iter().filter(|(name, _)| name != "content-range").cloned());
    if reply.header("cache-control").is_none()
        && !journey.brand().headers.iter().any(|(name, _)| name == "cache-control")
    {
        reply.set_header("cache-control", CACHE_CONTROL.into());
    }
    reply.set_header("etag", format!("W/{etag}"));
    if !hit.age.is_zero() {
        reply.set_header("age", hit.age.as_secs().to_string());
    }
    for name in &rules.vary {
        reply.vary_by(name);
    }
    reply
}

pub(super) fn tell(journey: &mut Journey<'_>, used: CacheUse<'_>) {
    let brand = journey.brand();
    journey.observation.tell(Event::PageCache { brand, used });
}

/// Says in the log why the answers of a page are not kept, once for each reason until the site is reloaded.
fn say_once(journey: &Journey<'_>, dependence: &Dependence) {
    let (brand, page) = (&journey.brand().id, &journey.page().file);
    // A failure of the page is in the log already, and a purge is no reason to worry.
    let is_told = matches!(dependence, Dependence::Failed | Dependence::Outdated);
    if is_told || !journey.app.page_cache.is_news(brand, page, dependence.label()) {
        return;
    }
    tracing::warn!(brand, page, reason = %dependence, "the page asks for a cache, but this answer is not kept");
}
