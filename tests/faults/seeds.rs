//! The whole journey on a store that fails by seed. Each seed is one client with a few requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use sluice_store::Store;
use sluice_test_support::postgres::Database;
use tempfile::TempDir;

use super::checker::{self, Expected, Verdict};
use super::client::Client;
use super::history::{self, Event};
use super::journey::{self, Loaded};
use super::number;
use super::reader;
use super::report::{self, Row};
use super::store::FailingStore;
use super::world::Stage;

/// The requests of a seed.
const STEPS: usize = 8;
/// The seeds of a short run.
const SHORT_SEEDS: u64 = 1_500;
/// The seeds of a long run.
const LONG_SEEDS: u64 = 10_000;
/// How long a request waits for the database. A hanging call takes all of it.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// The same for the requests that read what is stored.
const READ_MAX: Duration = Duration::from_secs(30);
/// How long calls for which nobody waits may take.
const LATE_MAX: Duration = Duration::from_secs(10);

/// Runs the client of a seed on the failing store, and then reads without failures.
fn run_seed(loaded: &Loaded, own: &Arc<dyn Store>, seed: u64) -> (Vec<Event>, Verdict) {
    let failing = loaded.on(Arc::new(FailingStore::new(Arc::clone(own), seed)), WAIT_MAX);
    let mut rng = Rng::with_seed(seed);
    let mut client = Client::new(&failing, &format!("{seed:x}"), 0, rng.fork());
    for _ in 0..STEPS {
        client.step();
        if rng.u32(0..4) == 0 {
            failing.run_jobs();
        }
    }
    let history = client.into_history();
    let expected = Expected::of(&history);
    let working = loaded.on(Arc::clone(own), READ_MAX);
    let began = Instant::now();
    loop {
        working.settle();
        let found = reader::read(&working, &expected).expect("the store answers");
        let verdict = checker::check(&expected, &found);
        // On PostgreSQL, calls for which nobody waits may begin late.
        if verdict.is_clean() || began.elapsed() > LATE_MAX {
            return (history, verdict);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A database of its own, as long as this value exists.
enum Place {
    Sqlite(TempDir),
    Postgres(Database),
}

impl Place {
    fn new(stage: Stage) -> Self {
        match stage {
            Stage::Sqlite => Self::Sqlite(journey::folder()),
            _ => Self::Postgres(Database::create()),
        }
    }

    fn open(&self, loaded: &Loaded) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(folder) => loaded.open(folder.path()).unwrap(),
            Self::Postgres(database) => loaded.open_postgres(&database.url()),
        }
    }
}

fn run(stage: Stage, count: u64) {
    const THREADS: usize = 2;
    let loaded = Loaded::new();
    let (first, count) = match number("FAULT_SEED") {
        Some(seed) => (seed, 1),
        None => (fastrand::u64(..u64::MAX - LONG_SEEDS), count),
    };
    println!("the first seed is {first}");
    let next = AtomicU64::new(0);
    let work = || {
        let mut row = Row::new("failing store", stage.database());
        let place = Place::new(stage);
        let own = place.open(&loaded);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return row;
            }
            let (history, verdict) = run_seed(&loaded, &own, first + index);
            row.add(&verdict);
            if !verdict.is_clean() {
                report::save("failing store", first + index, &history::lines(&history), &verdict);
            }
        }
    };
    let rows: Vec<Row> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    println!("{}", report::table(&rows));
    assert!(rows.iter().all(Row::is_clean), "FAULT_SEED=… runs a seed again");
}

#[test]
fn loses_nothing_when_the_store_fails_by_seed() {
    run(Stage::Sqlite, SHORT_SEEDS);
}

#[test]
fn loses_nothing_when_a_store_on_postgres_fails_by_seed() {
    run(Stage::Postgres, SHORT_SEEDS / 5);
}

#[test]
#[ignore = "make faults runs it"]
fn loses_nothing_with_ten_thousand_seeds_of_a_failing_store() {
    run(Stage::Sqlite, LONG_SEEDS);
}

#[test]
#[ignore = "make faults runs it"]
fn loses_nothing_with_ten_thousand_seeds_of_a_failing_store_on_postgres() {
    run(Stage::Postgres, LONG_SEEDS);
}
