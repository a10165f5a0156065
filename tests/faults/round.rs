//! One round: clients write, a fault happens, the clients go on, and the checker compares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use super::checker::{Expected, Verdict};
use super::client::Client;
use super::history::{self, Event};
use super::reader;
use super::report;
use super::table::Fault;
use super::world::{Stage, World};

const CLIENTS: usize = 6;

/// Sets a flag at the end of its scope, and when the test panics, so that clients stop.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A round that is over.
pub(crate) struct Round {
    seed: u64,
    history: Vec<Event>,
}

impl Round {
    /// Compares what was acknowledged with what is stored. If something is wrong, the history is saved, and
    /// its place and the seed are printed.
    pub(crate) fn check(&self, world: &World, fault: &Fault, stage: Stage) -> Verdict {
        let verdict = reader::compare(&*world.hosts, &Expected::of(&self.history));
        if !verdict.is_clean() {
            let what = format!("{} on {}", fault.name, stage.database());
            report::save(&what, self.seed, &history::lines(&self.history), &verdict);
        }
        verdict
    }
}

/// Runs a round, and waits until queued writes are applied.
pub(crate) fn run(world: &mut World, fault: &Fault, seed: u64) -> Round {
    let mut rng = Rng::with_seed(seed);
    let prefix = format!("{seed:x}");
    let stop = AtomicBool::new(false);
    let hosts = Arc::clone(&world.hosts);
    let histories = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = Client::new(&*hosts, &prefix, number, rng.fork());
                let stop = &stop;
                scope.spawn(move || client.run(|| stop.load(Ordering::SeqCst)))
            })
            .collect();
        let stopping = StopOnDrop(&stop);
        thread::sleep(Duration::from_millis(rng.u64(20..300)));
        (fault.inject)(world, &mut rng);
        world.wait_until_served();
        thread::sleep(Duration::from_millis(rng.u64(20..150)));
        drop(stopping);
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    world.settle();
    Round { seed, history: histories.concat() }
}
