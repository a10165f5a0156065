//! Whatever fails, the old certificate stays and the next attempt waits.

use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use crate::front::Fault;
use crate::world::{DAY, Host, MINUTE, World};

const NAME: &str = "shop.example";
const REFUSED: &str = r#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"not\nthis one"}"#;
const LIMITED: &str = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}"#;

/// The chain of a certificate.
type Old = Vec<Vec<u8>>;

/// A world with a certificate that has to be renewed.
async fn with_old() -> (World, Host, Old) {
    let world = World::new().await;
    let host = world.host(&[("a", NAME)]).await;
    let old = host.store_old(NAME, world.now() - 61 * DAY, world.now() + 29 * DAY).await;
    (world, host, old)
}

/// Checks that the failed attempt changed nothing, that nobody is asked meanwhile, and that the certificate
/// is renewed afterwards.
async fn check(world: &World, host: &Host, old: Old, outcome: &str, pause_min: i64) {
    assert_eq!(host.keeper.pass().await, 0);
    assert_eq!(*host.outcomes.lock(), [outcome]);
    assert_eq!(host.installed(NAME).as_ref(), Some(&old), "the old certificate is in use");
    let state = host.state(NAME).await.unwrap();
    assert!(!state.problem.is_empty() && host.keeper.report().names[0].pause.problem == state.problem);
    let paused = host.state("").await.map_or(0, |authority| authority.next_at).max(state.next_at);
    assert!(paused >= world.now() + pause_min - MINUTE / 2, "{paused}");
    let asked = world.front.requests();
    assert_eq!(host.keeper.pass().await, 0);
    // Another host, or this one after a restart, waits as long.
    let other = world.host(&[("a", NAME)]).await;
    assert_eq!(other.keeper.pass().await, 0);
    assert_eq!(world.front.requests(), asked, "nobody is asked before it is time");
    world.front.fail(None);
    world.pass_time(paused - world.now() + 1);
    assert_eq!(host.keeper.pass().await, 1);
    assert_ne!(host.installed(NAME), Some(old));
    let authority = host.state("").await;
    assert!(authority.is_none_or(|authority| (authority.failures, authority.next_at) == (0, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_away_is_asked_later() {
    let (world, host, old) = with_old().await;
    world.pebble.kill();
    let healed = async {
        assert_eq!(host.keeper.pass().await, 0);
        assert_eq!(host.keeper.pass().await, 0);
        assert_eq!(*host.outcomes.lock(), ["unavailable"]);
        assert_eq!(host.installed(NAME).as_ref(), Some(&old));
        assert_eq!(host.state(NAME).await.unwrap().failures, 0, "that is not the name's fault");
        for failures in 1..4 {
            let authority = host.state("").await.unwrap();
            assert_eq!(authority.failures, failures);
            let pause = authority.next_at - world.now();
            let longest = MINUTE << (failures - 1);
            assert!((longest / 2..=longest).contains(&pause), "{failures}: {pause}");
            world.pass_time(pause + 1);
            assert_eq!(host.keeper.pass().await, 0);
        }
    };
    healed.await;
    world.pebble.restart();
    world.pass_time(10 * MINUTE);
    assert_eq!(host.keeper.pass().await, 1);
    assert_ne!(host.installed(NAME), Some(old));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_does_not_answer_is_asked_later() {
    let (world, host, old) = with_old().await;
    world.front.fail(Some(Fault::Hangs));
    check(&world, &host, old, "unavailable", MINUTE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_not_read() {
    let (world, host, old) = with_old().await;
    world.front.fail(Some(Fault::Floods));
    check(&world, &host, old, "unavailable", MINUTE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_fails_is_asked_when_it_says_so() {
    let (world, host, old) = with_old().await;
    let fault = Fault::Says { path: "/order-plz", status: 503, body: "busy", retry_after: Some("7200") };
    world.front.fail(Some(fault));
    check(&world, &host, old, "unavailable", 120 * MINUTE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limit_is_kept() {
    let (world, host, old) = with_old().await;
    let fault = Fault::Says { path: "/order-plz", status: 429, body: LIMITED, retry_after: Some("7200") };
    world.front.fail(Some(fault));
    check(&world, &host, old, "limited", 120 * MINUTE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_refused_is_tried_later() {
    let (world, host, old) = with_old().await;
    world.front.fail(Some(Fault::Says { path: "/order-plz", status: 400, body: REFUSED, retry_after: None }));
    check(&world, &host, old, "refused", MINUTE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_the_authority_cannot_check_is_tried_later() {
    let world = World::new().await;
    let wanted = [("a", NAME)];
    let host = world.host_with(&wanted, |options| options.has_check = false).await;
    let old = host.store_old(NAME, world.now() - 61 * DAY, world.now() + 29 * DAY).await;
    world.lead_to(&[]);
    let log = logged(async {
        assert_eq!(host.keeper.pass().await, 0);
    });
    let log = log.await;
    assert_eq!(*host.outcomes.lock(), ["refused"]);
    assert!(log.contains("404") && log.contains("unauthorized"), "the log has the authority's reason: {log}");
    assert_eq!(host.installed(NAME).as_ref(), Some(&old));
    assert_eq!(host.state(NAME).await.unwrap().failures, 1);
    world.lead_to(&[&host]);
    world.pass_time(2 * MINUTE);
    assert_eq!(host.keeper.pass().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_away_uses_up_no_quota() {
    let world = World::new().await;
    let host = world.host_with(&[("a", NAME)], |options| options.brand_orders_per_day_max = 1).await;
    world.pebble.kill();
    for _ in 0..2 {
        assert_eq!(host.keeper.pass().await, 0);
        world.pass_time(10 * MINUTE);
    }
    world.pebble.restart();
    assert_eq!(host.keeper.pass().await, 1);
    assert_eq!(*host.outcomes.lock(), ["unavailable", "unavailable", "issued"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_fails_is_not_the_names_fault() {
    let world = World::new().await;
    let host = world.host_with(&[("a", NAME)], |options| options.has_check = false).await;
    let database = rusqlite::Connection::open(world.dir.path().join("sluice.db")).unwrap();
    database.execute("ALTER TABLE acme_answer RENAME TO gone", []).unwrap();
    assert_eq!(host.keeper.pass().await, 0);
    assert_eq!(*host.outcomes.lock(), ["unavailable"]);
    assert_eq!(host.state(NAME).await.unwrap().failures, 0);
    assert!(host.state("").await.is_none_or(|authority| authority.failures == 0), "nor the authority's");
    database.execute("ALTER TABLE gone RENAME TO acme_answer", []).unwrap();
    assert_eq!(host.keeper.pass().await, 1, "it is tried at the next pass");
}

/// A limit that two brands meet is one of the account: the names of the others are not tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_the_account_stops_every_order() {
    let world = World::new().await;
    let wanted = ["a", "b", "c", "d", "e", "f"].map(|brand| (brand, format!("{brand}.example")));
    let wanted: Vec<(&str, &str)> = wanted.iter().map(|(brand, name)| (*brand, name.as_str())).collect();
    let host = world.host(&wanted).await;
    world.front.fail(Some(Fault::Says { path: "/order-plz", status: 429, body: LIMITED, retry_after: None }));
    assert_eq!(host.keeper.pass().await, 0);
    assert_eq!(host.state("").await.unwrap().failures, 1);
    let tried = host.outcomes.lock().len();
    assert!((2..=5).contains(&tried), "those that were in progress: {tried}");
    assert_eq!(host.keeper.pass().await, 0);
    assert_eq!(host.outcomes.lock().len(), tried);
}

/// Writes what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What is logged, at every level, while `work` is done.
pub(crate) async fn logged(work: impl Future<Output = ()>) -> String {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    work.await;
    drop(guard);
    let log = log.0.lock().clone();
    String::from_utf8(log).unwrap()
}

#[tokio::test]
async fn private_keys_are_neither_in_the_database_nor_in_the_log() {
    let world = World::new().await;
    let host = world.host(&[("a", NAME)]).await;
    let log = logged(async {
        assert_eq!(host.keeper.pass().await, 1);
        world.front.fail(Some(Fault::Says {
            path: "/order-plz",
            status: 400,
            body: REFUSED,
            retry_after: None,
        }));
        world.pass_time(70 * DAY);
        assert_eq!(host.keeper.pass().await, 0);
    });
    let log = log.await;
    assert!(log.contains("a certificate was issued") && log.contains(r"not\nthis one"), "{log}");
    let key = host.private_key(NAME).await;
    host.store.close().await;
    let mut files = Vec::new();
    for file in std::fs::read_dir(world.dir.path()).unwrap() {
        match std::fs::read(file.unwrap().path()) {
            Ok(bytes) => files.extend(bytes),
            // SQLite removes its log when the last connection is closed, which can be now.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
        }
    }
    let found = |text: &[u8]| files.windows(text.len()).any(|bytes| bytes == text);
    // The private number of a P-256 key in PKCS #8.
    let secret = &key[36..68];
    assert!(found(NAME.as_bytes()) && found(b"BEGIN CERTIFICATE"), "the files were searched");
    assert!(!found(secret), "the key is in clear");
    assert!(!found(b"PRIVATE KEY") && !found(b"key_pkcs8"), "a key is in clear");
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!log.contains("PRIVATE KEY") && !log.contains("key_pkcs8") && !log.contains(&hex[..16]), "{log}");
    assert!(!log.contains(&format!("{:?}", &secret[..8]).trim_matches(['[', ']']).to_owned()));
}
