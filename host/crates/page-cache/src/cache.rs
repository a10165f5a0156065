//! The answers that a host keeps.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::fill::{FillState, Place, Places, Waiting};
use crate::{ALL_TAGS, CacheRules, Dependence, Key};

/// How long it is remembered that the answer to a request cannot be kept. Meanwhile, such requests do not wait
/// for each other.
const REFUSED_FOR: Duration = Duration::from_secs(60);
/// The same if the next answer may well be different, because the page failed.
const FAILED_FOR: Duration = Duration::from_secs(1);
/// What an entry takes besides its answer and its key, in bytes.
const ENTRY_BYTES: u64 = 512;
/// No answer may take more than this part of a brand's bytes.
const LARGEST_PART: u64 = 4;
/// What is known not to be kept takes at most this part of a brand's bytes: it is not worth an answer.
const REFUSED_PART: u64 = 16;

/// Keeps answers of the type `V`.
pub struct PageCache<V> {
    bytes_max: u64,
    brand_bytes_max: u64,
    waiting: Arc<Places>,
    refreshes: Arc<Places>,
    state: Mutex<State<V>>,
}

struct State<V> {
    brands: HashMap<String, BrandEntries<V>>,
    bytes: u64,
    /// Counts uses and fills.
    count: u64,
    /// What was said about pages already.
    said: HashSet<(String, String, &'static str)>,
}

struct BrandEntries<V> {
    entries: HashMap<Key, Entry<V>>,
    /// The keys by the number of their last use: of answers, and of what is refused.
    by_use: BTreeMap<u64, Key>,
    refused_by_use: BTreeMap<u64, Key>,
    bytes: u64,
    refused_bytes: u64,
    /// The runs that make an answer.
    fills: HashMap<Key, RunningFill>,
}

struct Entry<V> {
    owner: Arc<dyn Any + Send + Sync>,
    rules: Arc<CacheRules>,
    kept: Kept<V>,
    used: u64,
    bytes: u64,
}

enum Kept<V> {
    Answer {
        answer: Arc<V>,
        made: Instant,
        /// After a failure, nobody tries to make it again until then.
        retry: Instant,
    },
    /// It is known that there is nothing to keep.
    Refused { dependence: Dependence, until: Instant },
}

struct RunningFill {
    owner: Arc<dyn Any + Send + Sync>,
    rules: Arc<CacheRules>,
    state: Arc<FillState>,
}

/// Who asks for an answer.
pub struct Asked<'a> {
    /// The brand's id.
    pub brand: &'a str,
    /// What the request is about.
    pub key: &'a Key,
    /// What the answer is made by. An answer of another owner is not found: after a reload, a page is another one.
    pub owner: &'a Arc<dyn Any + Send + Sync>,
    /// What the page asks for.
    pub rules: &'a Arc<CacheRules>,
    /// The time.
    pub now: Instant,
}

/// An answer that was found.
pub struct Hit<V> {
    /// The answer.
    pub answer: Arc<V>,
    /// How old it is.
    pub age: Duration,
}

/// What the cache has for a request.
pub enum Found<V> {
    /// An answer that is fresh.
    Fresh(Hit<V>),
    /// An answer that is not fresh, while another request makes it again.
    Stale(Hit<V>),
    /// An answer that is not fresh. The caller is to make it again, or to let it be made.
    Refresh(Fill<V>, Hit<V>),
    /// Nothing. The caller is to make it.
    Fill(Fill<V>),
    /// Another request makes the answer.
    Wait(Waiting),
    /// The same, and too many requests wait already.
    Busy,
    /// It is known that the answer cannot be kept, and why.
    Refused(Dependence),
}

/// What a brand has in the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The bytes that the answers take.
    pub bytes: u64,
    /// The number of answers.
    pub answers: usize,
}

impl<V> PageCache<V> {
    /// An empty cache of `bytes_max`, of which each brand gets at most `brand_bytes_max`.
    pub fn new(bytes_max: u64, brand_bytes_max: u64) -> Self {
        let state = State { brands: HashMap::new(), bytes: 0, count: 0, said: HashSet::new() };
        Self {
            bytes_max,
            brand_bytes_max: brand_bytes_max.min(bytes_max),
            waiting: Places::for_waiting(),
            refreshes: Places::for_refreshes(),
            state: Mutex::new(state),
        }
    }

    /// An empty cache of the same size.
    pub fn emptied(&self) -> Self {
        Self::new(self.bytes_max, self.brand_bytes_max)
    }

    /// Looks for an answer. If there is none and nobody makes it, the caller has to.
    pub fn find(self: &Arc<Self>, asked: &Asked<'_>) -> Found<V> {
        let Asked { brand, key, owner, rules, now } = *asked;
        let mut state = self.state.lock();
        let state = &mut *state;
        state.count += 1;
        let count = state.count;
        let entries = state.brands.entry(brand.to_owned()).or_default();
        let running = entries.fills.get(key).filter(|fill| Arc::ptr_eq(&fill.owner, owner));
        let mut stale = None;
        if let Some(entry) = entries.entries.get_mut(key).filter(|entry| Arc::ptr_eq(&entry.owner, owner)) {
            let by_use = match entry.kept {
                Kept::Answer { .. } => &mut entries.by_use,
                Kept::Refused { .. } => &mut entries.refused_by_use,
            };
            if let Some(key) = by_use.remove(&entry.used) {
                by_use.insert(count, key);
                entry.used = count;
            }
            match &entry.kept {
                Kept::Answer { answer, made, retry } => {
                    let hit = Hit { answer: Arc::clone(answer), age: now.saturating_duration_since(*made) };
                    if hit.age < rules.ttl {
                        return Found::Fresh(hit);
                    }
                    if hit.age < rules.ttl.saturating_add(rules.stale) {
                        if running.is_some() || now < *retry {
                            return Found::Stale(hit);
                        }
                        stale = Some(hit);
                    }
                }
                // If somebody tries again whether the answer can be kept, nobody waits for that.
                Kept::Refused { dependence, until } if now < *until || running.is_some() => {
                    return Found::Refused(dependence.clone());
                }
                Kept::Refused { .. } => {}
            }
        }
        if let Some(running) = running {
            return match self.waiting.enter(brand) {
                Some(place) => Found::Wait(running.state.wait(place)),
                None => Found::Busy,
            };
        }
        let (stale, place) = match stale {
            // The host makes the answer again, so no connection bounds how often it does at the same time.
            Some(stale) => match self.refreshes.enter(brand) {
                Some(place) => (Some(stale), Some(place)),
                None => return Found::Stale(stale),
            },
            None => (None, None),
        };
        let fill = Arc::new(FillState::new(count));
        let running =
            RunningFill { owner: Arc::clone(owner), rules: Arc::clone(rules), state: Arc::clone(&fill) };
        entries.fills.insert(key.clone(), running);
        let fill = Fill::new(Arc::clone(self), brand, key, fill, place);
        match stale {
            Some(stale) => Found::Refresh(fill, stale),
            None => Found::Fill(fill),
        }
    }

    /// Ends a fill with an answer of `bytes`.
    fn keep(
        &self,
        brand: &str,
        key: &Key,
        fill: &FillState,
        (answer, bytes): (&Arc<V>, u64),
        now: Instant,
    ) -> Result<(), Dependence> {
        let bytes = entry_bytes(key).saturating_add(bytes);
        let mut state = self.state.lock();
        let Some(running) = state.end_fill(brand, key, fill) else { return Err(Dependence::Outdated) };
        if bytes > self.brand_bytes_max / LARGEST_PART {
            let refused = Kept::Refused { dependence: Dependence::TooLarge, until: now + REFUSED_FOR };
            state.insert(self, (brand, key), running, refused, entry_bytes(key));
            return Err(Dependence::TooLarge);
        }
        let kept = Kept::Answer { answer: Arc::clone(answer), made: now, retry: now };
        state.insert(self, (brand, key), running, kept, bytes);
        Ok(())
    }

    /// Ends a fill without an answer.
    fn refuse(&self, brand: &str, key: &Key, fill: &FillState, reason: &Dependence, now: Instant) {
        let mut state = self.state.lock();
        let Some(running) = state.end_fill(brand, key, fill) else { return };
        if reason.is_passing()
            && let Some(entries) = state.brands.get_mut(brand)
            && let Some(entry) = entries.entries.get_mut(key)
            && let Kept::Answer { made, retry, .. } = &mut entry.kept
            && now.saturating_duration_since(*made) < running.rules.ttl.saturating_add(running.rules.stale)
        {
            // What is there may still be served.
            *retry = now + FAILED_FOR;
            return;
        }
        let until = now + if reason.is_passing() { FAILED_FOR } else { REFUSED_FOR };
        let refused = Kept::Refused { dependence: reason.clone(), until };
        state.insert(self, (brand, key), running, refused, entry_bytes(key));
    }

    /// Drops the answers of `brand` with `tag`; [`ALL_TAGS`] stands for all. Answers that are being made are not
    /// kept.
    pub fn purge(&self, brand: &str, tag: &str) {
        let has = |rules: &CacheRules| tag == ALL_TAGS || rules.tags.iter().any(|known| known == tag);
        let mut state = self.state.lock();
        let Some(entries) = state.brands.get_mut(brand) else { return };
        entries.fills.retain(|_, fill| !has(&fill.rules));
        let purged: Vec<Key> = entries.keys_of(|entry| has(&entry.rules));
        let purged: Vec<_> = purged.iter().filter_map(|key| state.remove(brand, key)).collect();
        drop(state);
        // Outside of the lock: there may be much to free.
        drop(purged);
    }

    /// Drops everything. Answers that are being made are not kept.
    pub fn forget(&self) {
        let mut state = self.state.lock();
        let brands = std::mem::take(&mut state.brands);
        state.bytes = 0;
        state.said.clear();
        drop(state);
        // Outside of the lock: there may be much to free.
        drop(brands);
    }

    /// Whether this is the first time since the last reload that something is said about a page.
    pub fn is_news(&self, brand: &str, page: &str, what: &'static str) -> bool {
        self.state.lock().said.insert((brand.to_owned(), page.to_owned(), what))
    }

    /// What each brand has in the cache.
    pub fn usage(&self) -> Vec<(String, Usage)> {
        let state = self.state.lock();
        let of = |entries: &BrandEntries<V>| Usage { bytes: entries.bytes, answers: entries.by_use.len() };
        state.brands.iter().map(|(brand, entries)| (brand.clone(), of(entries))).collect()
    }

    /// The most bytes that all answers may take.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }
}

/// The duty to make an answer. Dropping it says that this failed.
pub struct Fill<V> {
    cache: Arc<PageCache<V>>,
    brand: String,
    key: Key,
    state: Arc<FillState>,
    has_ended: bool,
    _place: Option<Place>,
}

impl<V> Fill<V> {
    fn new(
        cache: Arc<PageCache<V>>,
        brand: &str,
        key: &Key,
        state: Arc<FillState>,
        place: Option<Place>,
    ) -> Self {
        Self { cache, brand: brand.to_owned(), key: key.clone(), state, has_ended: false, _place: place }
    }

    /// Keeps an answer of `bytes`.
    ///
    /// # Errors
    /// It is too large, or what it was made from may have changed since.
    pub fn keep(mut self, answer: &Arc<V>, bytes: u64, now: Instant) -> Result<(), Dependence> {
        self.has_ended = true;
        self.cache.keep(&self.brand, &self.key, &self.state, (answer, bytes), now)
    }

    /// Notes for a while that the answer cannot be kept.
    pub fn refuse(mut self, reason: &Dependence, now: Instant) {
        self.has_ended = true;
        self.cache.refuse(&self.brand, &self.key, &self.state, reason, now);
    }
}

impl<V> Drop for Fill<V> {
    fn drop(&mut self) {
        if !self.has_ended {
            let failed = Dependence::Failed;
            self.cache.refuse(&self.brand, &self.key, &self.state, &failed, Instant::now());
        }
    }
}

impl<V> Default for BrandEntries<V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            refused_by_use: BTreeMap::new(),
            bytes: 0,
            refused_bytes: 0,
            fills: HashMap::new(),
        }
    }
}

impl<V> BrandEntries<V> {
    fn keys_of(&self, is_such: impl Fn(&Entry<V>) -> bool) -> Vec<Key> {
        self.entries.iter().filter(|(_, entry)| is_such(entry)).map(|(key, _)| key.clone()).collect()
    }
}

impl<V> State<V> {
    /// Removes a fill that runs. `None` if it does not count any more.
    fn end_fill(&mut self, brand: &str, key: &Key, fill: &FillState) -> Option<RunningFill> {
        let fills = &mut self.brands.get_mut(brand)?.fills;
        let is_it = fills.get(key).is_some_and(|running| running.state.number == fill.number);
        is_it.then(|| fills.remove(key)).flatten()
    }

    fn insert(
        &mut self,
        cache: &PageCache<V>,
        (brand, key): (&str, &Key),
        RunningFill { owner, rules, .. }: RunningFill,
        kept: Kept<V>,
        bytes: u64,
    ) {
        self.remove(brand, key);
        let is_refused = matches!(kept, Kept::Refused { .. });
        let refused_max = cache.brand_bytes_max / REFUSED_PART;
        let is_full = |own: &BrandEntries<V>| is_refused && own.refused_bytes + bytes > refused_max;
        while self.brands.get(brand).is_some_and(is_full) {
            if !self.remove_oldest(brand, true) {
                return;
            }
        }
        while self.brands.get(brand).is_some_and(|own| own.bytes + bytes > cache.brand_bytes_max) {
            if !self.remove_oldest(brand, false) {
                return;
            }
        }
        while self.bytes + bytes > cache.bytes_max {
            let largest = self.brands.iter().max_by_key(|(_, entries)| entries.bytes);
            let Some(largest) = largest.map(|(brand, _)| brand.clone()) else { return };
            if !self.remove_oldest(&largest, false) {
                return;
            }
        }
        self.count += 1;
        let used = self.count;
        let entries = self.brands.entry(brand.to_owned()).or_default();
        if is_refused {
            entries.refused_by_use.insert(used, key.clone());
            entries.refused_bytes += bytes;
        } else {
            entries.by_use.insert(used, key.clone());
        }
        entries.entries.insert(key.clone(), Entry { owner, rules, kept, used, bytes });
        entries.bytes += bytes;
        self.bytes += bytes;
    }

    fn remove(&mut self, brand: &str, key: &Key) -> Option<Entry<V>> {
        let entries = self.brands.get_mut(brand)?;
        let entry = entries.entries.remove(key)?;
        entries.by_use.remove(&entry.used);
        if entries.refused_by_use.remove(&entry.used).is_some() {
            entries.refused_bytes -= entry.bytes;
        }
        entries.bytes -= entry.bytes;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Removes the answer that was not used for the longest time, or else what is refused. Returns false if there is
    /// nothing.
    fn remove_oldest(&mut self, brand: &str, is_refused: bool) -> bool {
        let oldest = self.brands.get(brand).and_then(|entries| {
            let answers = entries.by_use.values().filter(|_| !is_refused);
            answers.chain(entries.refused_by_use.values()).next().cloned()
        });
        let Some(key) = oldest else { return false };
        self.remove(brand, &key);
        true
    }
}

fn entry_bytes(key: &Key) -> u64 {
    ENTRY_BYTES.saturating_add(2 * key.bytes() as u64)
}

#[cfg(test)]
mod tests;
