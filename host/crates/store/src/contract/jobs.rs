//! Jobs. Workers take due jobs of any brand, so each of these tests needs a database of its own.

use std::sync::Arc;

use serde_json::{Value, json};

use sluice_crm::WriteInto::{Holder, New};
use sluice_crm::{
    Address, CapReached, CapsOfBrand, CrmCaps, CrmFault, CrmWrite, Job, JobChoice, JobCounts, JobEnd, JobRun,
    JobState, Reference, Refusal, Slug,
};

use super::writes::{leads_and_deals, to_stage};
use super::{NOW, OpenStore, entries, get, key, leads, set, try_put, write};
use crate::Store;

fn caps() -> CapsOfBrand {
    Arc::new(|_| CrmCaps::default())
}

async fn run(store: &dyn Store, now_ms: i64) -> Vec<JobRun> {
    store.run_jobs(caps(), 1_000, now_ms).await.unwrap()
}

/// Runs jobs until no job is due. A backend may take a few jobs at a time.
async fn run_all(store: &dyn Store, now_ms: i64) -> Vec<JobRun> {
    let mut all = Vec::new();
    loop {
        let runs = run(store, now_ms).await;
        if runs.is_empty() {
            return all;
        }
        all.extend(runs);
    }
}

async fn queue(store: &dyn Store, at: &Address, write: CrmWrite, now_ms: i64) -> i64 {
    super::queue(store, &at.brand, write, CrmCaps::default(), now_ms).await.unwrap()
}

async fn queue_set(store: &dyn Store, at: &Address, field: &str, value: Value, now_ms: i64) -> i64 {
    queue(store, at, write(at, &[(field, value)], Holder), now_ms).await
}

async fn list(store: &dyn Store, at: &Address) -> Vec<Job> {
    store.list_jobs(Some(&at.brand), None, 1_000).await.unwrap()
}

pub(crate) async fn a_job_is_applied_once(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "once").await;
    let id = queue(&*store, &at, write(&at, &[("a", json!(1))], New), NOW).await;
    assert_eq!(get(&*store, &at, &["a"]).await, [None], "the write is only queued");
    let counts = store.count_jobs().await.unwrap();
    assert_eq!(counts, JobCounts { waiting: 1, parked: 0, oldest_waiting_at: Some(NOW) });

    let what = "addCrmFieldValue leads customer/7".to_owned();
    let brand = at.brand.clone();
    let done = JobRun { id, brand: brand.clone(), what: what.clone(), end: JobEnd::Done };
    assert_eq!(run(&*store, NOW + 1).await, [done]);
    assert_eq!(run(&*store, NOW + 1).await, []);
    assert_eq!(entries(&*store, &at).await.len(), 1);
    let job = Job {
        id,
        brand,
        what,
        state: JobState::Done,
        is_late: false,
        tries: 0,
        last_error: None,
        created_at: NOW,
        due_at: NOW,
        ended_at: Some(NOW + 1),
    };
    assert_eq!(list(&*store, &at).await, [job]);
    assert_eq!(store.count_jobs().await, Ok(JobCounts::default()));
}

/// With several workers on several hosts, each job runs once, and the jobs of a line run in order.
pub(crate) async fn jobs_of_a_line_keep_their_order(open: &OpenStore) {
    const JOBS: i64 = 40;
    let stores = [open().await, open().await];
    let at = leads(&*stores[0], "order").await;
    let lines =
        ["1", "2", "3"].map(|id| Address { reference: Reference::new("order", id).unwrap(), ..at.clone() });
    for n in 0..JOBS {
        for line in &lines {
            let add = write(line, &[("n", json!(n))], New);
            queue(&*stores[n as usize % 2], line, add, NOW).await;
        }
    }
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let store = stores[worker % 2].clone();
            // No job may be due while other workers hold the next ones, so run until all are done.
            tokio::spawn(async move {
                while store.count_jobs().await.unwrap().waiting > 0 {
                    store.run_jobs(caps(), 3, NOW).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let expected: Vec<Value> = (0..JOBS).rev().map(Value::from).collect();
    for line in &lines {
        let values = stores[0].get_values(line, &key("n"), 200, usize::MAX).await.unwrap();
        assert_eq!(values, expected);
    }
}

pub(crate) async fn a_job_is_due_although_the_clock_was_set_back(open: &OpenStore) {
    const HOUR: i64 = 3_600_000;
    let store = open().await;
    let at = leads(&*store, "clock").await;
    queue_set(&*store, &at, "a", json!("before"), NOW).await;
    queue_set(&*store, &at, "a", json!("after"), NOW - HOUR).await;
    let ends: Vec<_> = run_all(&*store, NOW - HOUR).await.into_iter().map(|run| run.end).collect();
    assert_eq!(ends, [JobEnd::Done, JobEnd::Done]);
    assert_eq!(get(&*store, &at, &["a"]).await, [Some(json!("after"))], "in the order of the calls");
}

/// `delay_first` lets the first job wait for its next try until a time. Jobs wait only after a try that
/// failed, and each backend has its own way to make one fail.
pub(crate) async fn a_job_waits_in_all_its_lines(open: &OpenStore, delay_first: impl AsyncFn(i64)) {
    let store = open().await;
    let (from, to) = leads_and_deals(&*store, "lines").await;
    let later = NOW + 10_000;
    queue_set(&*store, &from, "a", json!("first"), NOW).await;
    delay_first(later).await;
    let copy = CrmWrite::MoveToEntity {
        reference: from.reference.clone(),
        from: from.slug.clone(),
        to: to.slug.clone(),
        fields: vec![(key("a"), key("b"))],
        place: None,
        remove_from_old: false,
    };
    queue(&*store, &from, copy, NOW).await;
    // This job waits behind the copy in the copy's other line.
    queue_set(&*store, &to, "after", json!(1), NOW).await;
    let free = Address { reference: Reference::new("order", "1").unwrap(), ..from.clone() };
    queue_set(&*store, &free, "a", json!(1), NOW).await;

    assert_eq!(run_all(&*store, NOW).await.len(), 1, "only the job in a line of its own runs");
    assert_eq!(get(&*store, &free, &["a"]).await, [Some(json!(1))]);
    assert!(entries(&*store, &to).await.is_empty());
    // Synchronous calls do not wait for jobs.
    set(&*store, &from, "a", json!("now"), NOW).await;
    let ends: Vec<_> = run_all(&*store, later).await.into_iter().map(|run| run.end).collect();
    assert_eq!(ends, [JobEnd::Done, JobEnd::Done, JobEnd::Done]);
    assert_eq!(get(&*store, &to, &["b", "after"]).await, [Some(json!("first")), Some(json!(1))]);
}

pub(crate) async fn a_rejected_job_is_parked_and_frees_its_lines(open: &OpenStore) {
    let store = open().await;
    let (_, at) = leads_and_deals(&*store, "parks").await;
    set(&*store, &at, "a", json!(1), NOW).await;
    queue(&*store, &at, CrmWrite::Clear { at: at.line() }, NOW).await;
    let place = CrmWrite::Move { at: at.line(), to: to_stage("open"), all_entries: false };
    let parked = queue(&*store, &at, place, NOW).await;
    queue_set(&*store, &at, "a", json!(2), NOW).await;
    let ends: Vec<_> = run_all(&*store, NOW).await.into_iter().map(|run| run.end).collect();
    let error = Refusal::NoEntry.to_string();
    assert_eq!(ends, [JobEnd::Done, JobEnd::Parked { error: error.clone() }, JobEnd::Done]);
    assert_eq!(get(&*store, &at, &["a"]).await, [Some(json!(2))]);
    let jobs = store.list_jobs(None, Some(JobState::Parked), 10).await.unwrap();
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!((job.id, job.tries, job.last_error.as_deref()), (parked, 1, Some(&*error)));
    assert_eq!(store.count_jobs().await.unwrap().parked, 1);
    assert_eq!(store.count_parked_jobs(9).await, Ok(vec![(at.brand.clone(), 1)]));

    // Now there is an entry, so the job succeeds when the operator retries it. It runs late.
    assert_eq!(store.retry_jobs(JobChoice::One(parked), NOW + 7).await, Ok(1));
    assert_eq!(run_all(&*store, NOW + 7).await.len(), 1);
    let job = list(&*store, &at).await.into_iter().find(|job| job.id == parked).unwrap();
    assert_eq!((job.state, job.is_late, job.last_error), (JobState::Done, true, None));
    assert_eq!(entries(&*store, &at).await[0].placement.as_ref().unwrap().stage_slug, "open");
    assert_eq!(
        store.retry_jobs(JobChoice::One(parked), NOW).await,
        Ok(0),
        "a job that is done cannot be chosen"
    );
}

pub(crate) async fn operators_drop_and_retry_chosen_jobs(open: &OpenStore) {
    let store = open().await;
    let (_, at) = leads_and_deals(&*store, "choice").await;
    let (_, other) = leads_and_deals(&*store, "choice").await;
    for at in [&at, &at, &other] {
        queue(&*store, at, CrmWrite::Clear { at: at.line() }, NOW).await;
        let place = CrmWrite::Move { at: at.line(), to: to_stage("open"), all_entries: false };
        queue(&*store, at, place, NOW).await;
    }
    run_all(&*store, NOW).await;
    let waiting = queue_set(&*store, &at, "a", json!(1), NOW).await;
    let parked = |at: &Address| JobChoice::Parked { brand: Some(at.brand.clone()) };
    assert_eq!(store.retry_jobs(parked(&at), NOW).await, Ok(2));
    assert_eq!(store.count_jobs().await.unwrap().parked, 1);
    run_all(&*store, NOW).await;
    assert_eq!(get(&*store, &at, &["a"]).await, [Some(json!(1))]);
    assert_eq!(store.drop_jobs(parked(&at)).await, Ok(2));
    assert_eq!(store.drop_jobs(JobChoice::Parked { brand: None }).await, Ok(1));
    assert_eq!(store.drop_jobs(JobChoice::One(waiting)).await, Ok(0), "a job that is done cannot be chosen");
    let waiting = queue_set(&*store, &at, "a", json!(2), NOW).await;
    assert_eq!(store.drop_jobs(JobChoice::One(waiting)).await, Ok(1));
    assert_eq!(run(&*store, NOW).await, []);
    // A dropped job does not block its line.
    queue_set(&*store, &at, "a", json!(3), NOW).await;
    assert_eq!(run_all(&*store, NOW).await.len(), 1);
}

pub(crate) async fn queueing_rejects_what_writing_would_reject(open: &OpenStore) {
    let store = open().await;
    let (at, deals) = leads_and_deals(&*store, "refuses").await;
    let try_queue = |write: CrmWrite, caps| super::queue(&*store, &at.brand, write, caps, NOW);
    let all = CrmCaps::default();
    let nope = Address { slug: Slug::new("nope").unwrap(), ..at.clone() };
    let unknown = try_queue(write(&nope, &[("a", json!(1))], Holder), all).await;
    assert_eq!(unknown, Err(CrmFault::UnknownSlug("nope".to_owned())));
    let place = |slug| CrmWrite::Move { at: deals.line(), to: to_stage(slug), all_entries: false };
    assert_eq!(try_queue(place("open"), all).await, Err(CrmFault::Refused(Refusal::NoEntry)));
    assert_eq!(try_queue(place("nope"), all).await, Err(CrmFault::Refused(Refusal::UnknownStage)));
    let few = CrmCaps { entries_a_reference_max: 0, ..all };
    let one = || write(&at, &[("a", json!(1))], Holder);
    let full = try_queue(one(), few).await;
    assert_eq!(full, Err(CrmFault::Cap(CapReached::EntriesAReference)));
    assert_eq!(list(&*store, &at).await, []);
    // A job that exceeds a quota when it runs is parked.
    try_queue(one(), all).await.unwrap();
    let runs = store.run_jobs(Arc::new(move |_| few), 10, NOW).await.unwrap();
    assert!(matches!(&runs[..], [JobRun { end: JobEnd::Parked { .. }, .. }]), "{runs:?}");
}

pub(crate) async fn waiting_jobs_count_towards_the_brand_bytes(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "job-bytes").await;
    let limit = CrmCaps { brand_bytes_max: 3_000, ..CrmCaps::default() };
    let big = write(&at, &[("a", json!("x".repeat(1_000)))], Holder);
    let mut queued = 0;
    while super::queue(&*store, &at.brand, big.clone(), limit, NOW).await.is_ok() {
        queued += 1;
        assert!(queued < 10, "the quota does not bound the queue");
    }
    assert_eq!(queued, 2);
    run_all(&*store, NOW).await;
    super::queue(&*store, &at.brand, CrmWrite::Clear { at: at.line() }, limit, NOW).await.unwrap();
    run_all(&*store, NOW).await;
    // All bytes are free again: the smallest entry fits exactly.
    let bytes = sluice_crm::entry_bytes(&at.reference) + sluice_crm::value_bytes("a", 1);
    for (brand_bytes_max, fits) in [(bytes - 1, false), (bytes, true)] {
        let caps = CrmCaps { brand_bytes_max, ..CrmCaps::default() };
        let put = try_put(&*store, &at, &[("a", json!(1))], Holder, caps, NOW).await;
        assert_eq!(put.is_ok(), fits);
    }
}

pub(crate) async fn finished_jobs_are_deleted_in_batches(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "finished").await;
    for n in 0..5 {
        queue_set(&*store, &at, "a", json!(n), NOW).await;
        run_all(&*store, NOW + n).await;
    }
    queue_set(&*store, &at, "a", json!(5), NOW).await;
    let delete = |before, max| store.delete_finished_jobs(before, max);
    assert_eq!(delete(NOW, 10).await, Ok(0));
    assert_eq!(delete(NOW + 4, 3).await, Ok(3));
    assert_eq!(delete(NOW + 4, 3).await, Ok(1));
    assert_eq!(delete(i64::MAX, 10).await, Ok(1), "waiting jobs are kept");
    assert_eq!(list(&*store, &at).await.len(), 1);
}

/// Writes that were queued under the email's reference before the login are moved to the id.
pub(crate) async fn queued_writes_follow_a_login(open: &OpenStore) {
    let store = open().await;
    let mut at = leads(&*store, "follow").await;
    let (email, id) = (Reference::new("customer", "email:a@b").unwrap(), at.reference.clone());
    at.reference = email.clone();
    queue_set(&*store, &at, "a", json!(1), NOW).await;
    assert_eq!(store.adopt_reference(&at.brand, email, id.clone(), NOW).await, Ok(0));
    let ends: Vec<_> = run_all(&*store, NOW).await.into_iter().map(|run| run.end).collect();
    assert_eq!(ends, [JobEnd::Done, JobEnd::Done]);
    at.reference = id;
    assert_eq!(get(&*store, &at, &["a"]).await, [Some(json!(1))]);
}
