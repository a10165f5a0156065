//! Jobs of scripts.

use sluice_queue::{
    Claim, ClaimedJob, Ending, JobId, NewJob, QueueChoice, QueueCommit, QueueCounts, State, Status,
};
use sluice_session::RunCommit;
use sluice_session::storage::SessionError;

use super::{NOW, OpenStore, brand};
use crate::Store;

const LEASE: i64 = 30_000;

fn job(module: &str, due_at: i64) -> NewJob {
    NewJob {
        id: JobId::random().unwrap(),
        module: module.to_owned(),
        function: "default".to_owned(),
        payload: vec![0xc0],
        due_at,
        tag: None,
        key: None,
    }
}

async fn try_commit(store: &dyn Store, brand: &str, queue: QueueCommit) -> Result<(), SessionError> {
    store.commit_run(RunCommit { queue, ..RunCommit::new(brand) }, NOW).await.map(drop)
}

async fn push(store: &dyn Store, brand: &str, jobs: Vec<NewJob>) {
    let queue = QueueCommit { jobs, jobs_max: u64::MAX, done: None };
    try_commit(store, brand, queue).await.unwrap();
}

async fn claim(store: &dyn Store, brand: &str, now: i64) -> Option<ClaimedJob> {
    store.claim_queued(brand, now, now + LEASE).await.unwrap()
}

async fn done(store: &dyn Store, brand: &str, claim: Claim) -> Result<(), SessionError> {
    try_commit(store, brand, QueueCommit { done: Some(claim), ..QueueCommit::default() }).await
}

async fn state(store: &dyn Store, brand: &str, id: &JobId) -> Option<State> {
    store.queued_status(brand, id).await.unwrap().map(|status| status.state)
}

fn parked() -> Ending {
    Ending::Parked {
        outcome: "fuel",
        error: "modules/a.js:1:2: it\0".to_owned(),
        console: "[log] x".to_owned(),
    }
}

fn retry(due_at: i64) -> Ending {
    Ending::Retry { outcome: "error", error: "no".to_owned(), console: String::new(), due_at }
}

pub(crate) async fn a_queued_job_is_claimed_when_it_is_due_and_done_once(open: &OpenStore) {
    let (store, other, brand) = (open().await, open().await, brand("queue"));
    let (first, second) = (job("a", NOW), job("b", NOW + 5));
    let stored = NewJob { payload: vec![0x81, 0xa1, b'x', 0xc3], function: "go".to_owned(), ..first.clone() };
    push(&*store, &brand, vec![second.clone(), stored]).await;
    assert_eq!(claim(&*store, &brand, NOW - 1).await, None);
    let claimed = claim(&*other, &brand, NOW).await.unwrap();
    assert_eq!((&claimed.id, claimed.module.as_str(), claimed.function.as_str()), (&first.id, "a", "go"));
    assert_eq!((claimed.attempt, claimed.scheduled_for, claimed.brand.as_str()), (1, NOW, brand.as_str()));
    assert_eq!(claimed.payload, [0x81, 0xa1, b'x', 0xc3]);
    assert_eq!(claim(&*store, &brand, NOW).await, None);
    let status = Status { state: State::Running, attempts: 1, scheduled_for: NOW };
    assert_eq!(store.queued_status(&brand, &first.id).await, Ok(Some(status)));
    done(&*store, &brand, claimed.claim).await.unwrap();
    assert_eq!(state(&*store, &brand, &first.id).await, Some(State::Done));
    assert!(matches!(done(&*store, &brand, claimed.claim).await, Err(SessionError::ClaimLost)));
    assert_eq!(claim(&*store, &brand, NOW + 5).await.unwrap().id, second.id);
    assert_eq!(state(&*store, "another", &first.id).await, None);
}

pub(crate) async fn an_added_job_counts_towards_the_jobs_of_its_brand(open: &OpenStore) {
    let (store, brand) = (open().await, brand("queue-add"));
    let keyed = NewJob { key: Some("k".to_owned()), ..job("a", NOW) };
    assert_eq!(store.add_queued(&brand, job("a", NOW), 2, NOW).await, Ok(true));
    assert_eq!(store.add_queued(&brand, keyed.clone(), 2, NOW).await, Ok(true));
    assert_eq!(store.add_queued(&brand, job("a", NOW), 2, NOW).await, Ok(false));
    assert_eq!(store.add_queued("another", job("a", NOW), 0, NOW).await, Ok(false));
    let again = NewJob { id: JobId::random().unwrap(), ..keyed };
    assert_eq!(store.add_queued(&brand, again, 3, NOW).await, Ok(true));
    assert_eq!(store.queued_jobs_of(&brand, 9).await, Ok(2), "a key replaces the pending job");
    assert_eq!(claim(&*store, &brand, NOW).await.unwrap().scheduled_for, NOW);
}

pub(crate) async fn one_of_many_parallel_claims_gets_a_job(open: &OpenStore) {
    let (one, other, brand) = (open().await, open().await, brand("queue-race"));
    let jobs: Vec<NewJob> = (0..10).map(|_| job("a", NOW)).collect();
    push(&*one, &brand, jobs.clone()).await;
    let claims = (0..40).map(|index| {
        let store = if index % 2 == 0 { one.clone() } else { other.clone() };
        let brand = brand.clone();
        tokio::spawn(async move { claim(&*store, &brand, NOW).await })
    });
    let mut got: Vec<String> = Vec::new();
    for claimed in claims.collect::<Vec<_>>() {
        got.extend(claimed.await.unwrap().map(|job| job.id.to_string()));
    }
    // A call may skip a job that another one was claiming, and find no other.
    while let Some(job) = claim(&*one, &brand, NOW).await {
        got.push(job.id.to_string());
    }
    got.sort();
    let mut all: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    all.sort();
    assert_eq!(got, all);
}

pub(crate) async fn a_claim_that_is_not_prolonged_goes_to_another_host(open: &OpenStore) {
    let (store, brand) = (open().await, brand("queue-lease"));
    push(&*store, &brand, vec![job("a", NOW)]).await;
    let first = claim(&*store, &brand, NOW).await.unwrap();
    store.renew_claims(vec![first.claim], NOW + 2 * LEASE).await.unwrap();
    assert_eq!(claim(&*store, &brand, NOW + LEASE).await, None);
    assert!(!store.due_brands(NOW + LEASE).await.unwrap().contains(&brand));
    let second = claim(&*store, &brand, NOW + 2 * LEASE).await.unwrap();
    assert_eq!((&second.id, second.attempt, second.scheduled_for), (&first.id, 2, NOW));
    // The first host cannot end, prolong or finish what it has lost.
    assert_eq!(store.end_claim(first.claim, parked(), NOW).await, Ok(false));
    assert!(matches!(done(&*store, &brand, first.claim).await, Err(SessionError::ClaimLost)));
    store.renew_claims(vec![first.claim], i64::MAX).await.unwrap();
    assert_eq!(claim(&*store, &brand, NOW + 3 * LEASE).await.unwrap().attempt, 3);
}

pub(crate) async fn a_job_is_done_together_with_what_it_changes(open: &OpenStore) {
    let (store, brand) = (open().await, brand("queue-commit"));
    push(&*store, &brand, vec![job("a", NOW)]).await;
    let claimed = claim(&*store, &brand, NOW).await.unwrap();
    let next = job("b", NOW);
    let queue = |jobs_max| QueueCommit { jobs: vec![next.clone()], jobs_max, done: Some(claimed.claim) };
    assert!(matches!(try_commit(&*store, &brand, queue(0)).await, Err(SessionError::QueueFull)));
    assert_eq!(state(&*store, &brand, &claimed.id).await, Some(State::Running));
    assert_eq!(state(&*store, &brand, &next.id).await, None);
    try_commit(&*store, &brand, queue(1)).await.unwrap();
    assert_eq!(state(&*store, &brand, &claimed.id).await, Some(State::Done));
    assert_eq!(state(&*store, &brand, &next.id).await, Some(State::Pending));
}

pub(crate) async fn a_key_replaces_the_pending_job(open: &OpenStore) {
    let (store, brand) = (open().await, brand("queue-key"));
    let keyed = |module: &str, due_at| NewJob { key: Some("k".to_owned()), ..job(module, due_at) };
    let (first, second, third) = (keyed("a", NOW + 9), keyed("b", NOW), keyed("c", NOW + 1));
    push(&*store, &brand, vec![first.clone()]).await;
    push(&*store, "another", vec![keyed("a", NOW)]).await;
    push(&*store, &brand, vec![second.clone()]).await;
    assert_eq!(state(&*store, &brand, &first.id).await, None);
    let claimed = claim(&*store, &brand, NOW).await.unwrap();
    assert_eq!((&claimed.id, claimed.module.as_str()), (&second.id, "b"));
    // A running job is not replaced, but it is not tried again either.
    push(&*store, &brand, vec![third.clone()]).await;
    assert_eq!(state(&*store, &brand, &second.id).await, Some(State::Running));
    assert_eq!(store.end_claim(claimed.claim, retry(NOW), NOW).await, Ok(true));
    assert_eq!(state(&*store, &brand, &second.id).await, None);
    assert_eq!(claim(&*store, &brand, NOW + 1).await.unwrap().id, third.id);
    assert_eq!(claim(&*store, &brand, NOW + 99).await, None);
}

pub(crate) async fn parallel_pushes_of_a_key_leave_one_job(open: &OpenStore) {
    let (one, other, brand) = (open().await, open().await, brand("queue-key-race"));
    let pushes = (0..20).map(|index| {
        let store = if index % 2 == 0 { one.clone() } else { other.clone() };
        let brand = brand.clone();
        tokio::spawn(async move {
            // In opposite orders.
            let mut keys = ["k", "l"];
            keys.rotate_left(index % 2);
            let jobs = keys.map(|key| NewJob { key: Some(key.to_owned()), ..job("a", NOW) });
            push(&*store, &brand, jobs.into()).await;
        })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await.unwrap();
    }
    assert_eq!(one.queued_jobs_of(&brand, 99).await, Ok(2));
}

pub(crate) async fn failed_jobs_wait_and_are_parked_for_an_operator(open: &OpenStore) {
    let (store, brand) = (open().await, brand("queue-parked"));
    push(&*store, &brand, vec![NewJob { tag: Some("t".to_owned()), ..job("a", NOW) }]).await;
    let claimed = claim(&*store, &brand, NOW).await.unwrap();
    assert_eq!(store.end_claim(claimed.claim, retry(NOW + 50), NOW).await, Ok(true));
    assert_eq!(claim(&*store, &brand, NOW + 49).await, None);
    let claimed = claim(&*store, &brand, NOW + 50).await.unwrap();
    // A release is no try.
    let released = Ending::Released { due_at: NOW + 60 };
    assert_eq!(store.end_claim(claimed.claim, released, NOW).await, Ok(true));
    let claimed = claim(&*store, &brand, NOW + 60).await.unwrap();
    assert_eq!(claimed.attempt, 2);
    assert_eq!(store.end_claim(claimed.claim, parked(), NOW + 70).await, Ok(true));
    assert_eq!(claim(&*store, &brand, NOW + 999_999).await, None);
    let listed = store.list_queued(Some(&brand), Some(State::Parked), 9).await.unwrap();
    let [job] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((job.attempts, job.payload_bytes, job.due_at, job.ended_at), (2, 1, None, Some(NOW + 70)));
    assert_eq!(job.payload_head, [0xc0]);
    let parked_of = |all: Vec<(String, u64)>| all.into_iter().find(|(one, _)| *one == brand);
    assert_eq!(store.count_parked_queued(500).await.map(parked_of), Ok(Some((brand.clone(), 1))));
    assert_eq!(store.count_parked_queued(0).await, Ok(Vec::new()));
    assert_eq!(job.last_error.as_deref(), Some("modules/a.js:1:2: it\u{fffd}"));
    assert_eq!((job.outcome.as_deref(), job.console.as_deref()), (Some("fuel"), Some("[log] x")));
    assert_eq!((job.tag.as_deref(), job.module.as_str()), (Some("t"), "a"));
    assert_eq!(store.find_queued(&claimed.id).await, Ok(Some(job.clone())));
    assert_eq!(store.queued_payload(&claimed.id).await, Ok(Some(vec![0xc0])));
    let one = || QueueChoice::One(claimed.id.clone());
    assert_eq!(store.retry_queued(one(), NOW + 80).await, Ok(1));
    assert_eq!(claim(&*store, &brand, NOW + 80).await.unwrap().attempt, 1);
    // A running job belongs to its host.
    assert_eq!(store.drop_queued(one()).await, Ok(0));
    assert_eq!(store.retry_queued(one(), NOW).await, Ok(0));
}

pub(crate) async fn operators_choose_jobs_of_a_brand(open: &OpenStore) {
    let (store, brand, other) = (open().await, brand("queue-choice"), brand("queue-choice-other"));
    let keyed = |due_at| NewJob { key: Some("k".to_owned()), ..job("a", due_at) };
    push(&*store, &other, vec![job("a", NOW)]).await;
    for _ in 0..2 {
        push(&*store, &brand, vec![keyed(NOW)]).await;
        let claimed = claim(&*store, &brand, NOW).await.unwrap();
        store.end_claim(claimed.claim, parked(), NOW).await.unwrap();
    }
    let of_brand = || QueueChoice::Parked { brand: Some(brand.clone()) };
    // Of two parked jobs with a key, only the later one is tried again.
    assert_eq!(store.retry_queued(of_brand(), NOW).await, Ok(1));
    assert_eq!(store.drop_queued(of_brand()).await, Ok(1));
    push(&*store, &brand, vec![job("b", NOW + 99)]).await;
    assert_eq!(store.drop_queued(QueueChoice::All { brand: brand.clone() }).await, Ok(2));
    assert_eq!(store.queued_jobs_of(&brand, 9).await, Ok(0));
    assert_eq!(store.queued_jobs_of(&other, 9).await, Ok(1));
}

pub(crate) async fn jobs_that_have_waited_the_longest_are_listed_first(open: &OpenStore) {
    let (store, brand) = (open().await, brand("queue-order"));
    let [far, late, soon] = [job("far", NOW + 99), job("late", NOW - 99), job("soon", NOW + 9)];
    push(&*store, &brand, vec![far, late, soon]).await;
    let listed = store.list_queued(Some(&brand), Some(State::Pending), 2).await.unwrap();
    let modules: Vec<&str> = listed.iter().map(|job| job.module.as_str()).collect();
    assert_eq!(modules, ["late", "soon"]);
    let all = store.list_queued(Some(&brand), None, 9).await.unwrap();
    assert_eq!(all.iter().map(|job| job.module.as_str()).collect::<Vec<_>>(), ["far", "late", "soon"]);
}

pub(crate) async fn a_tag_cancels_pending_jobs_of_its_brand(open: &OpenStore) {
    let (store, brand, other) = (open().await, brand("queue-tag"), brand("queue-tag-other"));
    let tagged = |tag: &str| NewJob { tag: Some(tag.to_owned()), ..job("a", NOW) };
    push(&*store, &brand, vec![tagged("t"), tagged("t"), tagged("t"), tagged("u")]).await;
    push(&*store, &other, vec![tagged("t")]).await;
    let running = claim(&*store, &brand, NOW).await.unwrap();
    assert_eq!(store.cancel_queued(&brand, "t").await, Ok(2));
    assert_eq!(store.cancel_queued(&brand, "t").await, Ok(0));
    assert_eq!(state(&*store, &brand, &running.id).await, Some(State::Running));
    assert_eq!(store.queued_jobs_of(&brand, 9).await, Ok(2));
    assert_eq!(store.queued_jobs_of(&other, 9).await, Ok(1));
}

pub(crate) async fn due_brands_are_found_behind_a_flood(open: &OpenStore) {
    let (store, brand) = (open().await, brand("queue-flood"));
    let (flood, late) = (format!("{brand}-a"), format!("{brand}-c"));
    push(&*store, &flood, (0..500).map(|_| job("a", NOW)).collect()).await;
    push(&*store, &format!("{brand}-b"), vec![job("a", NOW + 1)]).await;
    push(&*store, &late, vec![job("a", NOW)]).await;
    let mut due = store.due_brands(NOW).await.unwrap();
    due.retain(|due| due.starts_with(&brand));
    assert_eq!(due, [flood.clone(), late.clone()]);
    assert!(claim(&*store, &late, NOW).await.is_some());
    let counts = store.count_queued(NOW).await.unwrap();
    let QueueCounts { pending, running, oldest_due_at, .. } = counts;
    assert!(pending >= 501 && running >= 1 && oldest_due_at.is_some_and(|at| at <= NOW), "{counts:?}");
    assert_eq!(store.queued_jobs_of(&flood, 100).await, Ok(100));
    store.drop_queued(QueueChoice::All { brand: flood }).await.unwrap();
}

pub(crate) async fn finished_script_jobs_are_deleted_in_batches(open: &OpenStore) {
    let (store, brand) = (open().await, brand("queue-done"));
    push(&*store, &brand, (0..3).map(|_| job("a", NOW)).collect()).await;
    let mut last = String::new();
    for _ in 0..2 {
        let claimed = claim(&*store, &brand, NOW).await.unwrap();
        done(&*store, &brand, claimed.claim).await.unwrap();
        last = claimed.id.to_string();
    }
    while store.delete_finished_queued(NOW, 500).await.unwrap() > 0 {}
    assert_eq!(store.list_queued(Some(&brand), Some(State::Done), 9).await.unwrap().len(), 2);
    // Of those of another brand, too, so only what is kept is certain.
    while store.delete_excess_queued(1, 500).await.unwrap() > 0 {}
    let kept = store.list_queued(Some(&brand), Some(State::Done), 9).await.unwrap();
    assert_eq!(kept.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), [last.as_str()]);
    while store.delete_finished_queued(NOW + 1, 1).await.unwrap() > 0 {}
    assert_eq!(store.list_queued(Some(&brand), None, 9).await.unwrap().len(), 1);
}
