//! A killed host loses no acknowledged write, and applies none twice.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::json;
use crate::harness::{Request, Server, ServerOptions, TestSite};

const CLIENTS: usize = 20;
const KILLS: usize = 20;

const PAGE: &str = "<script scope=\"backend\">
    const { line, n } = request.query;
    const own = { slug: 'log', referenceType: 'line', referenceId: line, fieldKey: 'n' };
    if (n) response.json(addCrmFieldValue({ ...own, value: Number(n), async: true }));
    response.json(getCrmFieldValues({ ...own, limit: 200 }));
</script>";

/// How many values of a line a page can read. Each client writes to its own line in each
/// round.
const WRITES_MAX: usize = 200;

#[test]
fn applies_every_acknowledged_write_once_and_in_order() {
    let data = tempfile::tempdir().unwrap();
    survives_kills(|site| ServerOptions::of(site).data(data.path()).start());
}

/// `start` starts a host on the same database each time.
pub(crate) fn survives_kills(start: impl Fn(&Path) -> Server) {
    let site = TestSite::with(&[("pages/index.html", PAGE), ("crm.toml", "[[entity]]\nslug = 'log'\n")]);
    // How many writes were acknowledged, for each round and client.
    let acknowledged: Vec<Vec<AtomicU64>> =
        (0..KILLS).map(|_| (0..CLIENTS).map(|_| AtomicU64::new(0)).collect()).collect();
    for (round, counts) in acknowledged.iter().enumerate() {
        let server = start(site.path());
        let address = server.address;
        std::thread::scope(|scope| {
            for (client, count) in counts.iter().enumerate() {
                scope.spawn(move || {
                    for n in 0..WRITES_MAX {
                        let path = format!("/?line={round}-{client}&n={n}");
                        let Ok(answer) = Request::get(&path).try_send(address) else { return };
                        assert_eq!((answer.status, &*answer.body), (200, "true"));
                        count.store(n as u64 + 1, Ordering::SeqCst);
                    }
                });
            }
            std::thread::sleep(random_moment());
            server.kill();
        });
    }
    let server = start(site.path());
    // Jobs are applied in the order of their creation, so after this job no other is waiting.
    assert_eq!(server.get("localhost", "/?line=last&n=0").body, "true");
    server.wait_until("the last job is done", || server.get("localhost", "/?line=last").body == "[0]");
    let mut total = 0;
    for (round, counts) in acknowledged.iter().enumerate() {
        for (client, count) in counts.iter().enumerate() {
            let count = count.load(Ordering::SeqCst);
            total += count;
            check_line(&server, &format!("{round}-{client}"), count);
        }
    }
    assert!(total > 0, "nothing was written before the kills");
    println!("{total} acknowledged writes");
}

/// Early enough that some jobs are still waiting, late enough that some are done.
fn random_moment() -> Duration {
    let mut byte = [0; 1];
    getrandom::fill(&mut byte).unwrap();
    Duration::from_millis(20 + u64::from(byte[0]))
}

/// Checks that the line has every acknowledged write once and in order. It may have one more
/// write, which the host stored but could not acknowledge before it was killed.
fn check_line(server: &Server, line: &str, acknowledged: u64) {
    let read = || -> Vec<u64> {
        let values = json(server, &format!("/?line={line}"));
        let values = values.as_array().unwrap().iter().rev();
        values.map(|value: &Value| value.as_u64().unwrap()).collect()
    };
    server
        .wait_until(&format!("{line} has its {acknowledged} writes"), || read().len() as u64 >= acknowledged);
    let found = read();
    let expected: Vec<u64> = (0..found.len() as u64).collect();
    assert_eq!(found, expected, "{line}");
    assert!(found.len() as u64 <= acknowledged + 1, "{line}: {acknowledged} acknowledged, {found:?}");
}
