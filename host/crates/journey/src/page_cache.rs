//! Answers a page from the cache.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use sluice_app::observe::CacheUse;
use sluice_app::page_cache::Answer;
use sluice_app::response::Reply;
use sluice_page_cache::{Asked, CacheRules, Found, Hit, Key, KeyParts};

use super::admission::{reject_if_full, too_busy};
use super::filling::{Filler, Filling};
use super::kept_answer::{reply_of, tell};
use super::page_journey::Journey;
use super::refresh::start_refresh;

/// Looks for an answer. If there is one, it ends the journey, so it is returned as the error. Otherwise one
/// request makes it, and the others wait. `Journey::filling` is the one that does.
pub(super) async fn answer_from_cache(journey: &mut Journey<'_>) -> Result<(), Reply> {
    let Some(rules) = rules_of(journey) else {
        return if journey.page().cache.is_some() { reject_if_full(journey) } else { Ok(()) };
    };
    let Some(key) = key_of(journey, &rules) else { return reject_if_full(journey) };
    let owner: Arc<dyn Any + Send + Sync> = Arc::clone(&journey.matched.page) as _;
    if journey.observation.shows_session() {
        // An author looks at what the run does, so there is one each time.
        journey.filling = Some(Filling::new(None, Filler::Visitor, rules));
        return reject_if_full(journey);
    }
    let until = Instant::now() + Duration::from_millis(journey.page().limits.wall_ms_max);
    loop {
        let (brand, now) = (&journey.brand().id, Instant::now());
        let asked = Asked { brand, key: &key, owner: &owner, rules: &rules, now };
        match journey.app.page_cache.find(&asked) {
            Found::Fresh(hit) => return Err(kept(journey, &rules, &hit, CacheUse::Hit)),
            Found::Stale(hit) => return Err(kept(journey, &rules, &hit, CacheUse::Stale)),
            Found::Refresh(fill, hit) => {
                start_refresh(journey, fill, Arc::clone(&rules));
                return Err(kept(journey, &rules, &hit, CacheUse::Stale));
            }
            Found::Fill(fill) => {
                reject_if_full(journey)?;
                journey.filling = Some(Filling::new(Some(fill), Filler::Visitor, rules));
                return Ok(());
            }
            Found::Refused(dependence) => {
                tell(journey, CacheUse::Refused(&dependence));
                return reject_if_full(journey);
            }
            Found::Wait(waiting) => {
                // If all who wait ran the page then, they would be as many at once as the cache kept away.
                if timeout_at(until.into(), waiting.until_over()).await.is_err() {
                    return Err(too_busy(journey.observation));
                }
            }
            Found::Busy => return Err(too_busy(journey.observation)),
        }
    }
}

/// What the page asks for. `None` if it does not ask, or this request is not about an answer that can be kept.
fn rules_of(journey: &Journey<'_>) -> Option<Arc<CacheRules>> {
    let rules = journey.page().cache.as_ref()?;
    // A brand.toml with an access rule on such a page is rejected. Answers at other paths, such as those of the
    // page for 404, can be covered all the same.
    let is_covered = journey.brand().access.cover(&journey.matched.path);
    (journey.request.method.only_reads() && !is_covered).then(|| Arc::clone(rules))
}

fn key_of(journey: &Journey<'_>, rules: &CacheRules) -> Option<Key> {
    let request = &*journey.request;
    let parts = KeyParts {
        is_https: request.is_https,
        host: &request.host,
        path: journey.matched.path.as_str(),
        query: &request.raw_query,
    };
    let header = |name: &String| {
        let known = request.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        let named = || request.named_headers.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        known.or_else(named).map(String::as_str)
    };
    Key::new(parts, rules.vary.iter().map(header))
}

/// The reply with an answer that was kept.
fn kept(journey: &mut Journey<'_>, rules: &CacheRules, hit: &Hit<Answer>, used: CacheUse<'_>) -> Reply {
    tell(journey, used);
    reply_of(journey, rules, hit)
}
