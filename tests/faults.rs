//! Faults happen while clients write, and nothing that was acknowledged is lost, duplicated or reordered.
//!
//! `client` writes and notes what it was told. `table` lists the faults. `checker` compares what was
//! acknowledged with what is found. `make test` runs a round of each fault; `make faults` runs all of them
//! for an hour and prints a table.

mod checker;
mod client;
mod disk;
mod history;
mod journey;
mod power;
mod proxy;
mod reader;
mod report;
mod round;
mod seeds;
mod store;
mod table;
mod world;

use std::time::{Duration, Instant};

use report::Row;
use table::{FAULTS, Fault};
use world::{Stage, World};

/// The rounds of one fault, in one world.
struct Rounds {
    count: usize,
    /// The seed of the first round.
    seed: u64,
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number: {text}")))
}

/// Runs rounds in a new world.
fn run(fault: &Fault, stage: Stage, rounds: &Rounds, row: &mut Row) {
    if let Some(why) = stage.missing() {
        println!("{} on {} was not run: {why}", fault.name, stage.database());
        return;
    }
    let mut world = World::start(stage);
    world.wait_until_served();
    let mut over = Vec::new();
    for index in 0..rounds.count as u64 {
        let round = round::run(&mut world, fault, rounds.seed.wrapping_add(index));
        row.add(&round.check(&world, fault, stage));
        over.push(round);
    }
    // The later rounds have not harmed what the earlier ones have written.
    over.pop();
    for round in over {
        row.add_again(&round.check(&world, fault, stage));
    }
}

/// One short round of a fault.
fn loses_nothing(name: &str, stage: Stage) {
    let fault = FAULTS.iter().find(|fault| fault.name == name && fault.stages.contains(&stage)).unwrap();
    let seed = number("FAULT_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("FAULT_SEED={seed}");
    let mut row = Row::new(name, stage.database());
    run(fault, stage, &Rounds { count: 1, seed }, &mut row);
    println!("{}", report::table(std::slice::from_ref(&row)));
    assert!(row.is_clean(), "the lines above name the history");
    assert!(row.acknowledged > 0 || row.rounds == 0, "the clients wrote nothing");
}

/// Makes a test of each fault and stage.
macro_rules! rounds {
    ($(fn $test:ident() => $fault:literal, $stage:ident;)*) => {
        mod loses_nothing {
            $(
                #[test]
                fn $test() {
                    super::loses_nothing($fault, super::Stage::$stage);
                }
            )*
        }

        #[test]
        fn each_fault_has_a_test() {
            let tests = [$(($fault, Stage::$stage)),*];
            let all = FAULTS.iter().flat_map(|fault| fault.stages.iter().map(move |stage| (fault.name, *stage)));
            let missing: Vec<_> = all.filter(|row| !tests.contains(row)).collect();
            assert!(missing.is_empty(), "add to the list in tests/faults.rs: {missing:?}");
        }
    };
}

rounds! {
    fn when_a_host_on_sqlite_is_killed() => "kill host", Sqlite;
    fn when_a_host_on_postgres_is_killed() => "kill host", Postgres;
    fn when_a_host_on_sqlite_hangs() => "stop host", Sqlite;
    fn when_a_host_on_postgres_hangs() => "stop host", Postgres;
    fn when_a_host_on_sqlite_stops() => "SIGTERM", Sqlite;
    fn when_a_host_on_postgres_stops() => "SIGTERM", Postgres;
    fn when_a_host_on_sqlite_reloads() => "SIGHUP", Sqlite;
    fn when_hosts_on_postgres_reload() => "SIGHUP", Postgres;
    fn when_sqlite_is_locked() => "locked table", Sqlite;
    fn when_a_table_of_postgres_is_locked() => "locked table", Postgres;
    fn when_the_disk_of_sqlite_is_full() => "full disk", Sqlite;
    fn when_the_disk_of_postgres_is_full() => "full disk", SmallDisk;
    fn when_postgres_is_killed() => "kill database", Server;
    fn when_postgres_hangs() => "stop database", Server;
    fn when_the_network_to_postgres_fails() => "partition", Proxy;
    fn when_a_standby_is_promoted() => "failover", Pair;
    fn when_pgbouncer_is_killed() => "kill PgBouncer", Bouncer;
    fn when_the_clock_of_a_host_on_sqlite_jumps() => "clock jump", SqliteClock;
    fn when_the_clocks_of_hosts_on_postgres_jump() => "clock jump", PostgresClock;
}

/// The long form: all faults in turn, for `FAULT_SECONDS` or for `FAULT_ROUNDS` rounds of each.
/// `FAULT_ONLY` selects faults by a part of their name and database.
#[test]
#[ignore = "make faults runs it for an hour"]
fn table_of_all_faults() {
    /// The rounds in one world, so that a database gets older than a round.
    const ROUNDS_OF_WORLD: usize = 10;
    let started = Instant::now();
    let seconds = Duration::from_secs(number("FAULT_SECONDS").unwrap_or(3_600));
    let rounds = number("FAULT_ROUNDS").map(|rounds| rounds as usize);
    let only = std::env::var("FAULT_ONLY").unwrap_or_default();
    let mut seed = number("FAULT_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("FAULT_SEED={seed}");
    let all = FAULTS.iter().flat_map(|fault| fault.stages.iter().map(move |stage| (fault, *stage)));
    let chosen =
        all.filter(|(fault, stage)| format!("{} on {}", fault.name, stage.database()).contains(&only));
    let mut rows: Vec<_> =
        chosen.map(|(fault, stage)| (fault, stage, Row::new(fault.name, stage.database()))).collect();
    let is_over = |row: &Row| match rounds {
        Some(rounds) => row.rounds >= rounds,
        None => started.elapsed() > seconds,
    };
    while rows.iter().any(|(_, stage, row)| stage.missing().is_none() && !is_over(row)) {
        for (fault, stage, row) in &mut rows {
            if is_over(row) {
                continue;
            }
            let count = rounds.map_or(ROUNDS_OF_WORLD, |rounds| ROUNDS_OF_WORLD.min(rounds - row.rounds));
            run(fault, *stage, &Rounds { count, seed }, row);
            seed = seed.wrapping_add(count as u64);
        }
        let rows: Vec<Row> = rows.iter().map(|(_, _, row)| row.clone()).collect();
        println!("after {} s:\n\n{}", started.elapsed().as_secs(), report::table(&rows));
    }
    assert!(rows.iter().all(|(_, _, row)| row.is_clean()), "the lines above name the histories");
}
