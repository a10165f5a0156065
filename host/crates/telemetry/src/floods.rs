//! Keeps floods of log records out of the log: a failing database, a script that logs without end,
//! a visitor who repeats a request that fails.
//!
//! A record that exceeds the rate of its cause is dropped. As long as a cause floods, the log has
//! one line a second for it, which says how many records were dropped. Records of more than 64 KiB
//! are dropped, too; the places that log text of authors and visitors cut it before.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

use sluice_text::bounded::bound;

/// The most bytes of a record in JSON.
const RECORD_BYTES_MAX: usize = 64 << 10;
/// What a record's time, level, target and braces need of that.
const FRAME_BYTES: usize = 1 << 10;
/// The most bytes of a dropped record that the line about it shows.
const SAMPLE_BYTES_MAX: usize = 400;
/// The most causes that are distinguished at a time.
const CAUSES_MAX: usize = 4_096;
/// How often the log says how many records were dropped.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// The target of the lines about dropped records, which are never dropped themselves.
const TARGET: &str = "sluice::floods";
/// The target of records about runs of scripts. A script can cause many different ones.
const RUNS_TARGET: &str = "sluice_runs::run_log";

/// How many records a cause may have.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// Records at once.
    burst: f64,
    /// Records a second after that.
    per_second: f64,
    /// Bytes at once.
    bytes_burst: f64,
    /// Bytes a second after that.
    bytes_per_second: f64,
}

/// Records of one brand's runs from one place of the program.
const RUNS: Rate =
    Rate { burst: 1_000.0, per_second: 100.0, bytes_burst: 1_048_576.0, bytes_per_second: 32_768.0 };
/// Other records of one brand from one place.
const PLACE: Rate =
    Rate { burst: 200.0, per_second: 20.0, bytes_burst: 1_048_576.0, bytes_per_second: 32_768.0 };
/// Warnings and errors with the same words: only the first of each second tells something new.
const SAME: Rate = Rate { burst: 1.0, per_second: 1.0, ..PLACE };

/// Drops records of floods. Clones share their counts.
#[derive(Clone)]
pub(crate) struct Floods(Arc<Shared>);

struct Shared {
    hashes: RandomState,
    causes: Mutex<Causes>,
    /// Wakes the thread that reports, when the first record is dropped.
    dropped: Condvar,
    /// Whether somebody takes the counts of dropped records.
    is_counting: bool,
}

struct Causes {
    by_key: HashMap<u64, Cause>,
    /// When idle causes were last forgotten.
    cleaned_at: Instant,
}

/// What is left of a cause's rate, and what was dropped.
struct Cause {
    rate: Rate,
    records: f64,
    bytes: f64,
    at: Instant,
    dropped: u64,
    /// One of the dropped records.
    sample: Sample,
}

#[derive(Default, Clone)]
struct Sample {
    brand: String,
    text: String,
    /// The size of the record, if that is why it was dropped.
    too_large: Option<usize>,
}

impl Cause {
    fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            records: rate.burst,
            bytes: rate.bytes_burst,
            at: now,
            dropped: 0,
            sample: Sample::default(),
        }
    }

    /// Takes a record of `bytes` from the rate, or returns false.
    fn take(&mut self, bytes: f64, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.records = (self.records + seconds * self.rate.per_second).min(self.rate.burst);
        self.bytes = (self.bytes + seconds * self.rate.bytes_per_second).min(self.rate.bytes_burst);
        let has_room = self.records >= 1.0 && self.bytes >= bytes;
        if has_room {
            self.records -= 1.0;
            self.bytes -= bytes;
        }
        has_room
    }

    /// Whether a record of no bytes could be taken.
    fn has_room(&self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.records + seconds * self.rate.per_second >= 1.0
    }

    /// Whether the cause has its whole rate, so that it need not be remembered.
    fn is_idle(&self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.dropped == 0
            && self.records + seconds * self.rate.per_second >= self.rate.burst
            && self.bytes + seconds * self.rate.bytes_per_second >= self.rate.bytes_burst
    }
}

impl Floods {
    /// A filter whose dropped records are counted for [`Self::report_now`].
    pub(crate) fn counting() -> Self {
        Self::new(true)
    }

    /// A filter that does not count.
    pub(crate) fn silent() -> Self {
        Self::new(false)
    }

    fn new(is_counting: bool) -> Self {
        let causes = Causes { by_key: HashMap::new(), cleaned_at: Instant::now() };
        Self(Arc::new(Shared {
            hashes: RandomState::new(),
            causes: Mutex::new(causes),
            dropped: Condvar::new(),
            is_counting,
        }))
    }

    /// Starts the thread that logs how many records were dropped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn report(&self) -> std::io::Result<()> {
        let floods = self.clone();
        let report = move || loop {
            let mut causes = floods.0.causes.lock();
            floods
                .0
                .dropped
                .wait_while(&mut causes, |causes| causes.by_key.values().all(|cause| cause.dropped == 0));
            drop(causes);
            std::thread::sleep(REPORT_EVERY);
            floods.report_now();
        };
        std::thread::Builder::new().name("log-floods".to_owned()).spawn(report).map(|_| ())
    }

    /// Logs how many records were dropped since the last call.
    pub(crate) fn report_now(&self) {
        for (count, Sample { brand, text, too_large }) in self.take_dropped(Instant::now()) {
            match too_large {
                Some(bytes) => tracing::warn!(
                    target: TARGET, brand, dropped = count,
                    "a record of more than {bytes} bytes was not logged; it began with: {text}"
                ),
                None => tracing::warn!(
                    target: TARGET, brand, dropped = count,
                    "{count} more records like this one were not logged: {text}"
                ),
            }
        }
    }

    fn take_dropped(&self, now: Instant) -> Vec<(u64, Sample)> {
        let mut causes = self.0.causes.lock();
        let mut taken = Vec::new();
        causes.by_key.retain(|_, cause| {
            if cause.dropped > 0 {
                taken.push((std::mem::take(&mut cause.dropped), std::mem::take(&mut cause.sample)));
                // The line that is logged now counts, so that there is one line a second.
                _ = cause.take(0.0, now);
                cause.records = cause.records.min(cause.rate.burst - 1.0);
                return true;
            }
            !cause.is_idle(now)
        });
        taken
    }

    /// Whether a record is logged.
    fn admits(&self, place: &Metadata<'_>, record: &dyn Fn(&mut Record), now: Instant) -> bool {
        let mut read = Record::new(self.0.hashes.build_hasher());
        record(&mut read);
        let is_too_large = read.bytes > RECORD_BYTES_MAX - FRAME_BYTES;
        // Operators turn these levels on to see everything.
        if !is_too_large && *place.level() > Level::INFO {
            return true;
        }
        let is_run = place.target() == RUNS_TARGET;
        let in_place = self.0.hashes.hash_one((place.callsite(), &read.brand));
        let same = self.0.hashes.hash_one((in_place, read.words.finish()));
        let mut causes = self.0.causes.lock();
        causes.make_room(now);
        let is_said_once = !is_run && *place.level() <= Level::WARN && causes.may_have(same, in_place, now);
        let mut taken_from = |key, rate| {
            let causes = &mut causes.by_key;
            // Causes that exceed the number share one.
            let key = if causes.len() >= CAUSES_MAX && !causes.contains_key(&key) { 0 } else { key };
            let cause = causes.entry(key).or_insert_with(|| Cause::new(rate, now));
            if !is_too_large && cause.take(read.bytes as f64, now) {
                return true;
            }
            if !self.0.is_counting {
                return false;
            }
            if cause.dropped == 0 {
                let too_large = is_too_large.then_some(RECORD_BYTES_MAX);
                cause.sample = Sample { brand: read.brand.clone(), text: read.sample.clone(), too_large };
            }
            cause.dropped += 1;
            false
        };
        let is_admitted = (!is_said_once || taken_from(same, SAME))
            && taken_from(in_place, if is_run { RUNS } else { PLACE });
        drop(causes);
        if !is_admitted {
            self.0.dropped.notify_one();
        }
        is_admitted
    }
}

impl Causes {
    /// Whether the words of a record are a cause of their own. If its place is flooded with other
    /// words, they are not, so that a visitor who makes up words does not use up the room of others.
    fn may_have(&self, same: u64, in_place: u64, now: Instant) -> bool {
        let causes = &self.by_key;
        causes.contains_key(&same)
            || causes.len() < CAUSES_MAX && causes.get(&in_place).is_none_or(|place| place.has_room(now))
    }

    /// Forgets idle causes if there are many, at most once a second.
    fn make_room(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.cleaned_at);
        if self.by_key.len() >= CAUSES_MAX && since >= REPORT_EVERY {
            self.by_key.retain(|_, cause| !cause.is_idle(now));
            self.cleaned_at = now;
        }
    }
}

impl<S> Filter<S> for Floods {
    fn enabled(&self, _meta: &Metadata<'_>, _cx: &Context<'_, S>) -> bool {
        true
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // The other filter decides.
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _cx: &Context<'_, S>) -> bool {
        let place = event.metadata();
        place.target() == TARGET || self.admits(place, &|record| event.record(record), Instant::now())
    }
}

/// What the filter reads of a record. It copies no more than the sample.
struct Record {
    /// The bytes of all values in JSON.
    bytes: usize,
    brand: String,
    /// The message and the error, without numbers and names that differ from record to record.
    words: std::hash::DefaultHasher,
    sample: String,
}

impl Record {
    fn new(words: std::hash::DefaultHasher) -> Self {
        Self { bytes: 0, brand: String::new(), words, sample: String::new() }
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Ends early if the record is too large.
        let _ = Part { record: self, field: field.name() }.write_str(value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(Part { record: self, field: field.name() }, "{value:?}");
    }
}

/// A value of a record, which may arrive in pieces.
struct Part<'a> {
    record: &'a mut Record,
    field: &'static str,
}

impl std::fmt::Write for Part<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let in_json = |byte: u8| match byte {
            b'"' | b'\\' => 2,
            0..=31 => 6,
            _ => 1,
        };
        let record = &mut *self.record;
        let keep = |kept: &mut String| {
            if kept.len() < SAMPLE_BYTES_MAX {
                let end = text.floor_char_boundary(SAMPLE_BYTES_MAX + 1);
                kept.push_str(text.get(..end).unwrap_or_default());
                bound(kept, SAMPLE_BYTES_MAX);
            }
        };
        match self.field {
            "brand" => keep(&mut record.brand),
            "message" => {
                record.words.write(text.as_bytes());
                keep(&mut record.sample);
            }
            "error" => record.words.write(text.as_bytes()),
            _ => {}
        }
        for byte in text.bytes() {
            record.bytes += in_json(byte);
            if record.bytes > RECORD_BYTES_MAX {
                return Err(std::fmt::Error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Counts the records that pass.
    #[derive(Clone, Default)]
    struct Passed(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Passed {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut read = Record::new(RandomState::new().build_hasher());
            event.record(&mut read);
            self.0.lock().push(format!("{}: {}", read.brand, read.sample));
        }
    }

    /// Logs with `work`, and returns what passed and what was dropped.
    fn log(work: impl FnOnce()) -> (Vec<String>, Vec<(u64, Sample)>) {
        use tracing_subscriber::Layer as _;
        let (floods, passed) = (Floods::counting(), Passed::default());
        let subscriber = tracing_subscriber::registry().with(passed.clone().with_filter(floods.clone()));
        tracing::subscriber::with_default(subscriber, work);
        let passed = std::mem::take(&mut *passed.0.lock());
        (passed, floods.take_dropped(Instant::now()))
    }

    #[test]
    fn logs_the_same_failure_once_and_counts_the_rest() {
        let (passed, dropped) = log(|| {
            for page in 0..100 {
                tracing::error!(brand = "a", page, error = "no database", "the session could not be saved");
            }
            tracing::error!(brand = "b", error = "no database", "the session could not be saved");
            tracing::error!(brand = "a", error = "disk full", "the session could not be saved");
        });
        assert_eq!(
            passed,
            ["a: ", "b: ", "a: "].map(|brand| format!("{brand}the session could not be saved"))
        );
        assert_eq!(dropped.len(), 1);
        assert_eq!((dropped[0].0, dropped[0].1.brand.as_str()), (99, "a"));
    }

    #[test]
    fn flood_of_a_brand_s_scripts_leaves_other_brands_alone() {
        let say = |brand: &str, text: &str| tracing::info!(target: RUNS_TARGET, brand, "console: {text}");
        let (passed, dropped) = log(|| {
            for number in 0..3_000 {
                say("loud", &number.to_string());
            }
            say("quiet", "hello");
        });
        assert!(passed.len() < 1_500, "{}", passed.len());
        assert_eq!(passed.last().unwrap(), "quiet: console: hello");
        let (count, sample) = &dropped[0];
        assert_eq!(passed.len() - 1 + usize::try_from(*count).unwrap(), 3_000);
        assert_eq!((dropped.len(), sample.brand.as_str()), (1, "loud"));
    }

    #[test]
    fn bounds_the_bytes_of_a_flood() {
        let text = "x".repeat(20_000);
        let (passed, _) = log(|| {
            for _ in 0..500 {
                tracing::warn!(target: RUNS_TARGET, brand = "a", "{text}");
            }
        });
        assert!((40..80).contains(&passed.len()), "{}", passed.len());
    }

    #[test]
    fn drops_records_of_more_than_64_kib_and_says_so() {
        let (largest, over) = ("x".repeat(60_000), "\n".repeat(12_000));
        let (passed, dropped) = log(|| {
            tracing::warn!("{largest}");
            tracing::warn!("{over}");
            tracing::debug!(text = "x".repeat(70_000), "debug");
        });
        assert_eq!(passed.len(), 1);
        assert_eq!(dropped.len(), 2);
        assert!(dropped.iter().all(|(count, sample)| *count == 1 && sample.too_large.is_some()));
        assert!(dropped.iter().all(|(_, sample)| sample.text.len() <= SAMPLE_BYTES_MAX));
    }

    #[test]
    fn cause_that_goes_on_gets_one_line_a_second() {
        let mut cause = Cause::new(SAME, Instant::now());
        let start = cause.at;
        let second = |number: u64| start + Duration::from_millis(number * 1_000);
        assert!(cause.take(1.0, start));
        assert!(!cause.take(1.0, start + Duration::from_millis(900)));
        assert!(cause.take(1.0, second(2)));
        assert!(cause.is_idle(second(4)) && !cause.is_idle(start + Duration::from_millis(2_500)));
    }

    #[test]
    fn remembers_a_bounded_number_of_causes() {
        let floods = Floods::counting();
        let subscriber = tracing_subscriber::registry().with({
            use tracing_subscriber::Layer as _;
            Passed::default().with_filter(floods.clone())
        });
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..2 * CAUSES_MAX {
                tracing::warn!(brand = format!("{number}"), "different");
            }
        });
        assert!(floods.0.causes.lock().by_key.len() <= CAUSES_MAX + 1);
    }
}
