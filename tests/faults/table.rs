//! The faults, as a table. While clients write, each fault interrupts a part of the world, waits, and
//! repairs it.

use std::process::Command;
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use super::proxy::{Mode, Proxy};
use super::world::{Backend, FILE_BYTES_MAX, Stage, World};

/// A fault.
pub(crate) struct Fault {
    pub name: &'static str,
    /// Where it is injected.
    pub stages: &'static [Stage],
    /// Interrupts and repairs. The duration is random.
    pub inject: fn(&mut World, &mut Rng),
}

const BOTH: &[Stage] = &[Stage::Sqlite, Stage::Postgres];

pub(crate) const FAULTS: &[Fault] = &[
    Fault { name: "kill host", stages: BOTH, inject: kill_host },
    Fault { name: "stop host", stages: BOTH, inject: stop_host },
    Fault { name: "SIGTERM", stages: BOTH, inject: terminate_host },
    Fault { name: "SIGHUP", stages: BOTH, inject: reload_host },
    Fault { name: "locked table", stages: BOTH, inject: lock_tables },
    Fault { name: "full disk", stages: &[Stage::Sqlite, Stage::SmallDisk], inject: fill_disk },
    Fault { name: "kill database", stages: &[Stage::Server], inject: kill_database },
    Fault { name: "stop database", stages: &[Stage::Server], inject: stop_database },
    Fault { name: "partition", stages: &[Stage::Proxy], inject: partition },
    Fault { name: "failover", stages: &[Stage::Pair], inject: fail_over },
    Fault { name: "kill PgBouncer", stages: &[Stage::Bouncer], inject: kill_bouncer },
    Fault { name: "clock jump", stages: &[Stage::SqliteClock, Stage::PostgresClock], inject: set_clocks },
];

/// Waits for a random time, in milliseconds.
fn pause(rng: &mut Rng, ms: std::ops::Range<u64>) {
    thread::sleep(Duration::from_millis(rng.u64(ms)));
}

fn any_host(world: &World, rng: &mut Rng) -> usize {
    rng.usize(0..world.host_count())
}

fn kill_host(world: &mut World, rng: &mut Rng) {
    let host = any_host(world, rng);
    world.kill_host(host);
    pause(rng, 0..50);
    world.start_host(host);
}

fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

fn stop_host(world: &mut World, rng: &mut Rng) {
    let process = world.server(any_host(world, rng)).process_id();
    signal(process, "-STOP");
    pause(rng, 50..1_500);
    signal(process, "-CONT");
}

fn terminate_host(world: &mut World, rng: &mut Rng) {
    let host = any_host(world, rng);
    world.terminate_host(host);
    pause(rng, 0..50);
    world.start_host(host);
}

fn reload_host(world: &mut World, rng: &mut Rng) {
    for version in 0..rng.u32(1..5) {
        world.site.write("brands/demo/pages/other.html", &format!("<p>{version}</p>"));
        for host in 0..world.host_count() {
            world.server(host).ask_to_reload();
        }
        pause(rng, 10..150);
    }
}

/// Another process locks what hosts write to, often for longer than a host waits.
fn lock_tables(world: &mut World, rng: &mut Rng) {
    let ms = rng.u64(200..7_000);
    if let Backend::Sqlite = world.backend {
        let lock = rusqlite::Connection::open(world.database_file()).unwrap();
        lock.busy_timeout(Duration::from_secs(60)).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        thread::sleep(Duration::from_millis(ms));
        lock.execute_batch("ROLLBACK").unwrap();
        return;
    }
    let tables = ["session", "job", "used_token", "crm_value", "crm_entry"];
    let table = tables[rng.usize(0..tables.len())];
    let mode = if rng.bool() { "ACCESS EXCLUSIVE" } else { "SHARE" };
    let seconds = ms as f64 / 1e3;
    world.sql(&format!("BEGIN; LOCK TABLE {table} IN {mode} MODE; SELECT pg_sleep({seconds}); COMMIT"));
}

/// On SQLite, the files of the host cannot grow; on PostgreSQL, the disk is full.
fn fill_disk(world: &mut World, rng: &mut Rng) {
    if let Backend::Sqlite = world.backend {
        let process = world.server(0).process_id();
        let log = world.database_file().with_extension("db-wal");
        let size = std::fs::metadata(log).unwrap().len();
        let limit = |bytes: u64| {
            let process = process.to_string();
            let set =
                Command::new("prlimit").args(["--pid", &process, &format!("--fsize={bytes}:")]).status();
            assert!(set.unwrap().success());
        };
        limit(size + rng.u64(0..20_000));
        pause(rng, 100..1_000);
        limit(FILE_BYTES_MAX);
        return;
    }
    let Backend::Own { server, disk: Some(disk) } = &world.backend else { panic!("no small disk") };
    disk.fill();
    if rng.bool() {
        // The next segment of the log does not fit, so the server stops.
        let _ = world.backend.try_sql("SELECT pg_switch_wal()");
    }
    pause(rng, 100..1_000);
    disk.empty();
    server.ensure_running();
}

fn kill_database(world: &mut World, rng: &mut Rng) {
    let Backend::Own { server, .. } = &world.backend else { panic!("no own server") };
    server.kill();
    pause(rng, 0..300);
    server.restart();
}

fn stop_database(world: &mut World, rng: &mut Rng) {
    let Backend::Own { server, .. } = &world.backend else { panic!("no own server") };
    server.signal("STOP");
    pause(rng, 100..6_000);
    server.signal("CONT");
}

fn proxy(world: &World) -> &Proxy {
    let Backend::Proxied { proxy, .. } = &world.backend else { panic!("no proxy") };
    proxy
}

/// The network between hosts and database fails in one of several ways.
fn partition(world: &mut World, rng: &mut Rng) {
    let modes = [Mode::Closed, Mode::Silent, Mode::HoldsAnswers];
    for _ in 0..rng.u32(1..4) {
        let mode = modes[rng.usize(0..modes.len())];
        proxy(world).set(mode);
        pause(rng, 20..3_000);
        // What was held back arrives late, or never.
        if rng.bool() {
            proxy(world).close_connections();
        }
        proxy(world).set(Mode::Open);
        pause(rng, 20..200);
    }
}

fn fail_over(world: &mut World, rng: &mut Rng) {
    let Backend::Pair(pair) = &mut world.backend else { panic!("no standby") };
    pair.fail_over();
    pause(rng, 0..500);
    pair.join_standby();
}

fn kill_bouncer(world: &mut World, rng: &mut Rng) {
    let Backend::Bouncer { bouncer, .. } = &world.backend else { panic!("no PgBouncer") };
    bouncer.kill();
    pause(rng, 0..500);
    bouncer.restart();
}

/// The clocks of hosts jump, and differ, by less than the ten minutes for which used tokens are remembered
/// after they have expired.
fn set_clocks(world: &mut World, rng: &mut Rng) {
    const SECONDS_MAX: i64 = 290;
    for _ in 0..rng.u32(1..5) {
        let host = any_host(world, rng);
        world.set_clock(host, rng.i64(-SECONDS_MAX..SECONDS_MAX));
        pause(rng, 20..300);
    }
    // A write that was queued at a later time waits until then.
    for host in 0..world.host_count() {
        world.set_clock(host, SECONDS_MAX);
    }
}
