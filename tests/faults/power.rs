//! Hosts on a disk that fails or loses power. Clients write through the whole journey, the host is stopped
//! and started once, and at the end the power is cut. What was acknowledged must be found afterwards.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;

use super::checker::{self, Expected, Verdict};
use super::client::{Answer, Client, Site};
use super::disk::{self, Call, Plan};
use super::history;
use super::journey::{self, Journey, Loaded};
use super::number;
use super::reader;
use super::report::{self, Row};

/// The requests of a client between two starts.
const STEPS: usize = 25;
/// How long a request waits for the database.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// The calls that a short run lets fail.
const SHORT_CALLS: usize = 60;

/// The journey on the database that is open at the moment.
#[derive(Default)]
struct Current(Mutex<Option<Arc<Journey>>>);

impl Current {
    fn get(&self) -> Option<Arc<Journey>> {
        self.0.lock().unwrap().clone()
    }

    fn set(&self, journey: Option<Journey>) {
        *self.0.lock().unwrap() = journey.map(Arc::new);
    }
}

impl Site for Current {
    fn get(&self, path: &str, cookie: Option<&str>) -> Option<Answer> {
        Self::get(self)?.get(path, cookie)
    }
}

fn open(loaded: &Loaded, folder: &Path) -> Option<Journey> {
    Some(loaded.on(loaded.open(folder).ok()?, WAIT_MAX))
}

/// What a scenario has done.
struct Done {
    verdict: Verdict,
    history: String,
    /// How often SQLite asked the disk.
    calls: u64,
    failed: Option<Call>,
}

/// Runs the scenario.
fn scenario(loaded: &Loaded, plan: Plan, seed: u64) -> Done {
    let (before, after) = (journey::folder(), journey::folder());
    let _turn = disk::begin(before.path(), plan, seed);
    let mut rng = Rng::with_seed(seed);
    let current = Current::default();
    let mut client = Client::new(&current, &format!("{seed:x}"), 0, rng.fork());
    let fails_once = matches!(plan, Plan::Works | Plan::FailsOnce(_));
    for is_last in [false, true] {
        // An operator, or systemd, starts a host again.
        let journey = open(loaded, before.path()).or_else(|| open(loaded, before.path()));
        assert!(journey.is_some() || !fails_once, "the host starts if the disk works again");
        current.set(journey);
        for _ in 0..STEPS {
            client.step();
            if let Some(journey) = current.get().filter(|_| rng.u32(0..4) == 0) {
                journey.run_jobs();
            }
        }
        // A disk that failed once does not make the host fail for ever.
        let recovers = client.step() || client.step() || client.step() || !fails_once;
        assert!(recovers, "the host works again after {plan:?}");
        if let Some(journey) = current.get().filter(|_| !is_last) {
            journey.close();
        }
    }
    let history = client.into_history();
    disk::cut_power(after.path());
    current.set(None);
    let (calls, failed) = disk::end();

    let expected = Expected::of(&history);
    let journey = open(loaded, after.path());
    let journey =
        journey.unwrap_or_else(|| panic!("the host starts after the power cut: {plan:?}, seed {seed}"));
    journey.settle();
    let found = reader::read(&journey, &expected).expect("the database answers after the power cut");
    journey.close();
    let verdict = checker::check(&expected, &found);
    Done { verdict, history: history::lines(&history), calls, failed }
}

/// Runs the scenario for chosen calls. Returns the row of the table.
fn run(name: &str, plan: fn(u64) -> Plan, count: Option<usize>) -> Row {
    let loaded = Loaded::new();
    let seed = number("FAULT_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("FAULT_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let calls = scenario(&loaded, Plan::Works, seed).calls;
    let chosen: Vec<u64> = match (number("FAULT_CALL"), count) {
        (Some(call), _) => vec![call],
        (None, Some(count)) => (0..count).map(|_| rng.u64(1..=calls)).collect(),
        (None, None) => (1..=calls).collect(),
    };
    let mut row = Row::new(name, "SQLite");
    for call in chosen {
        // What a replay needs is the seed of the choices above; each scenario has the same requests.
        let done = scenario(&loaded, plan(call), seed);
        row.add(&done.verdict);
        if !done.verdict.is_clean() {
            println!("FAULT_CALL={call}: {:?} failed", done.failed);
            report::save(name, seed, &done.history, &done.verdict);
        }
    }
    println!("{calls} calls of the disk\n\n{}", report::table(std::slice::from_ref(&row)));
    row
}

#[test]
fn loses_nothing_when_a_call_of_the_disk_fails() {
    assert!(run("failing call", Plan::FailsOnce, Some(SHORT_CALLS)).is_clean());
}

#[test]
fn loses_nothing_when_the_power_is_cut() {
    assert!(run("power cut", Plan::LosesPower, Some(SHORT_CALLS)).is_clean());
}

#[test]
#[ignore = "make faults runs it"]
fn each_call_of_the_disk_may_fail() {
    assert!(run("failing call", Plan::FailsOnce, None).is_clean());
}

#[test]
#[ignore = "make faults runs it"]
fn power_may_be_cut_at_each_call_of_the_disk() {
    assert!(run("power cut", Plan::LosesPower, None).is_clean());
}

/// The bench finds it if a database acknowledges what is not on the disk.
#[test]
fn finds_what_a_disk_without_sync_loses() {
    let loaded = Loaded::new();
    let calls = scenario(&loaded, Plan::Works, 1).calls;
    let mut seeds = 1..=50;
    let lost = seeds.any(|seed| !scenario(&loaded, Plan::Lies(calls * 9 / 10), seed).verdict.lost.is_empty());
    assert!(lost, "the log was not synced, and nothing is missing after 50 power cuts");
}
