//! Certificates by ACME.

use sluice_acme::{Answer, Challenge, Holder, Issue, NameKey, OrderWindow, Pause, StoredCertificate};

use super::{NOW, OpenStore, brand};
use crate::Store;

const US: Holder = Holder([1; 16]);
const THEM: Holder = Holder([2; 16]);

/// A name that no other test has.
fn name(test: &str) -> NameKey {
    NameKey { directory: format!("https://{}/dir", brand(test)), name: "shop.example".into() }
}

fn certificate(revision: i64, not_after: i64) -> StoredCertificate {
    let issue = Issue { revision, not_before: NOW, not_after };
    StoredCertificate { issue, chain: b"chain".to_vec(), sealed_key: vec![0, 255, 7] }
}

async fn lease(store: &dyn Store, key: &NameKey, holder: Holder, seen: Option<i64>, now_ms: i64) -> bool {
    store.lease_name(key, holder, now_ms + 100, seen, now_ms).await.unwrap()
}

fn pause(failures: u32, next_at: i64, problem: &str) -> Pause {
    Pause { failures, next_at, problem: problem.into() }
}

async fn states(store: &dyn Store, key: &NameKey) -> Vec<(String, Option<Issue>, u32, i64)> {
    let all = store.acme_names().await.unwrap().into_iter();
    let own = all.filter(|state| state.key.directory == key.directory);
    let mut own: Vec<_> =
        own.map(|state| (state.key.name, state.issue, state.failures, state.next_at)).collect();
    own.sort_by(|one, other| one.0.cmp(&other.0));
    own
}

pub(crate) async fn one_account_is_kept_for_all_hosts(open: &OpenStore) {
    let (store, other) = (open().await, open().await);
    let directory = name("account").directory;
    assert_eq!(store.acme_account(&directory).await, Ok(None));
    let first = store.replace_acme_account(&directory, None, b"first".to_vec()).await;
    assert_eq!(first, Ok(b"first".to_vec()));
    let second = other.replace_acme_account(&directory, None, b"second".to_vec()).await;
    assert_eq!(second, Ok(b"first".to_vec()), "the account that was stored first is kept");
    let third = other.replace_acme_account(&directory, Some(b"first".to_vec()), b"third".to_vec()).await;
    assert_eq!(third, Ok(b"third".to_vec()));
    assert_eq!(store.acme_account(&directory).await, Ok(Some(b"third".to_vec())));
}

pub(crate) async fn one_host_works_on_a_name(open: &OpenStore) {
    let (store, other) = (open().await, open().await);
    let key = name("lease");
    assert!(lease(&*store, &key, US, None, NOW).await);
    assert!(!lease(&*other, &key, THEM, None, NOW + 99).await);
    assert!(!other.save_certificate(&key, THEM, certificate(1, NOW + 9)).await.unwrap());
    assert!(!other.postpone_name(&key, THEM, pause(1, NOW + 9, "")).await.unwrap());
    assert_eq!(states(&*store, &key).await, [("shop.example".into(), None, 0, 0)]);
    assert!(lease(&*other, &key, THEM, None, NOW + 100).await, "it expires by itself");
    assert!(!store.save_certificate(&key, US, certificate(1, NOW + 9)).await.unwrap());
    assert!(other.save_certificate(&key, THEM, certificate(2, NOW + 9)).await.unwrap());
    assert!(!lease(&*store, &key, US, None, NOW + 101).await, "it has another certificate than was seen");
    assert!(lease(&*store, &key, US, Some(2), NOW + 101).await);
    let elsewhere = NameKey { directory: format!("{}2", key.directory), ..key.clone() };
    assert!(lease(&*store, &elsewhere, THEM, None, NOW).await, "another authority's");
}

pub(crate) async fn one_of_many_parallel_leases_is_granted(open: &OpenStore) {
    let stores = [open().await, open().await];
    let key = name("lease-race");
    let tasks: Vec<_> = (0..20_u8)
        .map(|index| {
            let (store, key) = (stores[usize::from(index) % 2].clone(), key.clone());
            tokio::spawn(async move { lease(&*store, &key, Holder([index; 16]), None, NOW).await })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += usize::from(task.await.unwrap());
    }
    assert_eq!(granted, 1);
}

pub(crate) async fn certificates_are_stored_exactly_and_replaced(open: &OpenStore) {
    let store = open().await;
    let key = name("certificate");
    assert_eq!(store.certificate(&key).await, Ok(None));
    assert!(lease(&*store, &key, US, None, NOW).await);
    assert_eq!(store.certificate(&key).await, Ok(None), "a name without a certificate");
    for (seen, revision) in [(None, i64::MIN), (Some(i64::MIN), i64::MAX)] {
        assert!(seen.is_none() || lease(&*store, &key, US, seen, NOW).await);
        let stored = StoredCertificate { chain: vec![b'x'; 20_000], ..certificate(revision, NOW + 90) };
        assert!(store.save_certificate(&key, US, stored.clone()).await.unwrap());
        assert_eq!(open().await.certificate(&key).await, Ok(Some(stored)));
    }
    let issue = Issue { revision: i64::MAX, not_before: NOW, not_after: NOW + 90 };
    assert_eq!(states(&*store, &key).await, [("shop.example".into(), Some(issue), 0, 0)]);
}

pub(crate) async fn failures_are_remembered_and_keep_the_certificate(open: &OpenStore) {
    let store = open().await;
    let key = name("failures");
    assert!(lease(&*store, &key, US, None, NOW).await);
    assert!(store.save_certificate(&key, US, certificate(5, NOW + 90)).await.unwrap());
    assert!(lease(&*store, &key, US, Some(5), NOW).await);
    assert!(store.postpone_name(&key, US, pause(3, NOW + 50, "no 💥")).await.unwrap());
    let problems = async || {
        let all = store.acme_names().await.unwrap().into_iter();
        all.filter(|state| state.key.directory == key.directory)
            .map(|state| state.problem)
            .collect::<Vec<_>>()
    };
    assert_eq!(problems().await, ["no 💥"]);
    let issue = certificate(5, NOW + 90).issue;
    assert_eq!(states(&*store, &key).await, [("shop.example".into(), Some(issue), 3, NOW + 50)]);
    assert!(!lease(&*store, &key, THEM, Some(5), NOW + 49).await, "it is not time to try again");
    assert!(lease(&*store, &key, THEM, Some(5), NOW + 50).await);
    assert!(store.save_certificate(&key, THEM, certificate(6, NOW + 95)).await.unwrap());
    assert_eq!(problems().await, [""]);
    store.pause_authority(&key.directory, pause(2, NOW + 7, "away")).await.unwrap();
    store.pause_authority(&key.directory, pause(3, NOW + 9, "still away")).await.unwrap();
    assert!(problems().await.contains(&"still away".to_owned()));
    let issue = certificate(6, NOW + 95).issue;
    let expected = [(String::new(), None, 3, NOW + 9), ("shop.example".into(), Some(issue), 0, 0)];
    assert_eq!(states(&*store, &key).await, expected);
}

pub(crate) async fn answers_are_known_on_every_host_until_they_expire(open: &OpenStore) {
    let (store, other) = (open().await, open().await);
    let token = brand("token");
    let answer = |challenge, value: &[u8]| Answer {
        challenge,
        asked: token.clone(),
        value: value.to_vec(),
        expires_at: NOW + 50,
    };
    let own = async |now_ms| {
        let mut own = other.answers(now_ms, 1_000).await.unwrap();
        own.retain(|answer| answer.asked == token);
        own.sort_by_key(|answer| answer.challenge.as_str());
        own
    };
    store.put_answer(answer(Challenge::Http01, b"old")).await.unwrap();
    store.put_answer(answer(Challenge::Http01, b"new")).await.unwrap();
    store.put_answer(answer(Challenge::TlsAlpn01, &[0, 255])).await.unwrap();
    let both = [answer(Challenge::Http01, b"new"), answer(Challenge::TlsAlpn01, &[0, 255])];
    assert_eq!(own(NOW + 49).await, both);
    assert_eq!(own(NOW + 50).await, []);
    assert_eq!(other.answers(NOW, 1).await.unwrap().len(), 1);
    store.remove_answer(Challenge::Http01, &token).await.unwrap();
    assert_eq!(own(NOW).await, both[1..]);
}

pub(crate) async fn hosts_count_orders_together(open: &OpenStore) {
    let (here, there) = (open().await, open().await);
    let mut key = [0; 16];
    getrandom::fill(&mut key).unwrap();
    let window = OrderWindow { key, starts_at: NOW, ends_at: NOW + 60_000 };
    assert_eq!(here.count_order(window).await, Ok(1));
    assert_eq!(there.count_order(window).await, Ok(2));
    let next = OrderWindow { starts_at: NOW + 60_000, ends_at: NOW + 120_000, ..window };
    assert_eq!(there.count_order(next).await, Ok(1));
}

/// Deleting affects all names, so this test uses times long before those of other tests.
pub(crate) async fn unused_names_are_deleted_in_batches(open: &OpenStore) {
    let store = open().await;
    let own = name("unused");
    let key = |name: &str| NameKey { name: name.into(), ..own.clone() };
    for (name, not_after, next_at) in [("old", 100, 0), ("valid", NOW, 0), ("tried", 100, NOW)] {
        assert!(lease(&*store, &key(name), US, None, 0).await);
        assert!(store.save_certificate(&key(name), US, certificate(1, not_after)).await.unwrap());
        assert!(lease(&*store, &key(name), US, Some(1), 0).await);
        assert!(store.postpone_name(&key(name), US, pause(1, next_at, "")).await.unwrap());
    }
    assert!(lease(&*store, &key("leased"), US, None, NOW).await);
    let asked = brand("unused");
    let answer = Answer { challenge: Challenge::Http01, asked, value: Vec::new(), expires_at: 100 };
    store.put_answer(answer).await.unwrap();
    assert_eq!(store.delete_expired_answers(99, 10).await, Ok(0));
    assert_eq!(store.delete_expired_answers(100, 10).await, Ok(1));
    assert_eq!(store.delete_unused_names(99, 10).await, Ok(0));
    assert_eq!(store.delete_unused_names(100, 10).await, Ok(1), "the old name");
    let left: Vec<String> = states(&*store, &own).await.into_iter().map(|state| state.0).collect();
    assert_eq!(left, ["leased", "tried", "valid"]);
}
