//! Ticks of schedules.

use sluice_queue::{JobId, LastJob, NewJob, QueueChoice, State, Tick, TickStart};

use super::{NOW, OpenStore, brand};
use crate::Store;

const MINUTE: i64 = 60_000;

fn tick(brand: &str, at: i64) -> Tick {
    let job = NewJob {
        id: JobId::random().unwrap(),
        module: "reports".to_owned(),
        function: "nightly".to_owned(),
        payload: vec![0xc0],
        due_at: at,
        tag: None,
        key: None,
    };
    Tick { brand: brand.to_owned(), name: "nightly".to_owned(), at, gap_ms: 1, job: Some(job) }
}

async fn start(store: &dyn Store, tick: Tick) -> TickStart {
    store.start_tick(tick, 9, NOW).await.unwrap()
}

pub(crate) async fn one_of_many_hosts_starts_a_tick(open: &OpenStore) {
    let (one, other, brand) = (open().await, open().await, brand("tick"));
    assert_eq!(one.see_schedule(&brand, "nightly", "0 3 * * * UTC", NOW).await, Ok(NOW));
    assert_eq!(other.see_schedule(&brand, "nightly", "0 3 * * * UTC", NOW + 9).await, Ok(NOW));
    assert_eq!(start(&*one, tick(&brand, NOW)).await, TickStart::Taken, "it was before the schedule");
    for at in [NOW + MINUTE, NOW + 2 * MINUTE] {
        let starts = (0..20).map(|index| {
            let (store, tick) = (if index % 2 == 0 { one.clone() } else { other.clone() }, tick(&brand, at));
            tokio::spawn(async move { start(&*store, tick).await })
        });
        let mut started = 0;
        for start in starts.collect::<Vec<_>>() {
            started += usize::from(start.await.unwrap() == TickStart::Started);
        }
        assert_eq!(started, 1);
    }
    assert_eq!(one.queued_jobs_of(&brand, 99).await, Ok(2));
    assert_eq!(start(&*other, tick(&brand, NOW + MINUTE)).await, TickStart::Taken, "an earlier one");
    assert_eq!(
        start(&*other, tick("another", NOW + 9 * MINUTE)).await,
        TickStart::Unknown,
        "nobody has seen it"
    );
    let claimed = other.claim_queued(&brand, NOW + MINUTE, i64::MAX).await.unwrap().unwrap();
    assert_eq!((claimed.module.as_str(), claimed.function.as_str()), ("reports", "nightly"));
    assert_eq!(claimed.scheduled_for, NOW + MINUTE);
}

pub(crate) async fn tick_of_a_brand_with_too_many_jobs_waits(open: &OpenStore) {
    let (store, brand) = (open().await, brand("tick-full"));
    store.see_schedule(&brand, "nightly", "r", NOW).await.unwrap();
    let first = tick(&brand, NOW + MINUTE);
    assert_eq!(store.start_tick(first.clone(), 0, NOW).await, Ok(TickStart::Full));
    assert_eq!(store.start_tick(first.clone(), 1, NOW).await, Ok(TickStart::Started));
    assert_eq!(store.start_tick(tick(&brand, NOW + MINUTE), 1, NOW).await, Ok(TickStart::Taken));
    let next = tick(&brand, NOW + 2 * MINUTE);
    assert_eq!(store.start_tick(next.clone(), 1, NOW).await, Ok(TickStart::Full));
    // Without a job, it is only noted.
    let skipped = Tick { job: None, ..next.clone() };
    assert_eq!(store.start_tick(skipped.clone(), 0, NOW).await, Ok(TickStart::Started));
    assert_eq!(store.start_tick(skipped, 0, NOW).await, Ok(TickStart::Taken));
    assert_eq!(store.start_tick(next, 9, NOW).await, Ok(TickStart::Taken));
    assert_eq!(store.queued_jobs_of(&brand, 9).await, Ok(1));
    // A gap keeps ticks apart.
    let apart = |at| Tick { gap_ms: 3 * MINUTE, ..tick(&brand, at) };
    assert_eq!(start(&*store, apart(NOW + 5 * MINUTE - 1)).await, TickStart::Taken);
    assert_eq!(start(&*store, apart(NOW + 5 * MINUTE)).await, TickStart::Started);
}

pub(crate) async fn schedule_with_another_rule_begins_anew(open: &OpenStore) {
    let (store, brand) = (open().await, brand("tick-rule"));
    let see = |rule: &'static str, from| store.see_schedule(&brand, "nightly", rule, from);
    assert_eq!(see("a", NOW).await, Ok(NOW));
    assert_eq!(see("a", NOW + 5).await, Ok(NOW));
    assert_eq!(see("b", NOW + 7).await, Ok(NOW + 7));
    assert_eq!(see("c", NOW + 6).await, Ok(NOW + 7), "by a host whose clock is behind");
}

pub(crate) async fn schedules_are_listed_with_their_last_job(open: &OpenStore) {
    let (store, brand) = (open().await, brand("tick-list"));
    store.see_schedule(&brand, "nightly", "r", NOW).await.unwrap();
    store.see_schedule(&brand, "hourly", "r", NOW).await.unwrap();
    let job = tick(&brand, NOW + MINUTE);
    let id = job.job.as_ref().unwrap().id.clone();
    start(&*store, job).await;
    let listed = store.list_schedules(Some(&brand)).await.unwrap();
    let names: Vec<_> = listed.iter().map(|one| (one.name.as_str(), one.last_tick)).collect();
    assert_eq!(names, [("hourly", NOW), ("nightly", NOW + MINUTE)]);
    let last = |state| LastJob { id: id.to_string(), tick: NOW + MINUTE, state };
    assert_eq!(listed[0].last_job, None);
    assert_eq!(listed[1].last_job, Some(last(Some(State::Pending))));
    // A tick that is only noted leaves the job.
    start(&*store, Tick { job: None, ..tick(&brand, NOW + 2 * MINUTE) }).await;
    store.drop_queued(QueueChoice::One(id.clone())).await.unwrap();
    let listed = store.list_schedules(None).await.unwrap();
    let ours: Vec<_> = listed.iter().filter(|one| one.brand == brand).collect();
    assert_eq!(ours[1].last_job, Some(last(None)));
    assert_eq!(ours[1].last_tick, NOW + 2 * MINUTE);
}

pub(crate) async fn schedules_of_earlier_times_are_forgotten(open: &OpenStore) {
    let (store, brand) = (open().await, brand("tick-tidy"));
    store.see_schedule(&brand, "hook:on-error", "", i64::MIN).await.unwrap();
    for n in 0..510 {
        store.see_schedule(&brand, &format!("s{n}"), "r", NOW + n).await.unwrap();
    }
    let listed = store.list_schedules(Some(&brand)).await.unwrap();
    let has = |name: &str| listed.iter().any(|one| one.name == name);
    assert_eq!(listed.len(), 501);
    assert!(has("hook:on-error") && has("s10") && has("s509") && !has("s9"));
    // Whoever still has the schedule learns it.
    let of = |name: &str, job| Tick { name: name.to_owned(), job, ..tick(&brand, NOW + MINUTE) };
    let job = tick(&brand, NOW).job;
    assert_eq!(start(&*store, of("s9", job.clone())).await, TickStart::Unknown);
    assert_eq!(start(&*store, of("s9", None)).await, TickStart::Unknown);
    assert_eq!(store.see_schedule(&brand, "s9", "r", NOW).await, Ok(NOW));
    assert_eq!(start(&*store, of("s9", job)).await, TickStart::Started);
}
