//! Calls with `async: true`.

use std::sync::Arc;

use sluice_crm::{JobEnd, JobStore as _};

use super::*;

/// Whether the call can be queued.
pub(super) fn can_wait(call: Call) -> bool {
    !matches!(
        call,
        Call::GetField | Call::GetFields | Call::GetEntries | Call::GetValues | Call::EnsureEntity
    )
}

/// Runs the jobs. Returns how each of them ended.
async fn run_jobs(crm: &Crm) -> Vec<JobEnd> {
    let caps = crm.caps;
    let runs = crm.store.run_jobs(Arc::new(move |_: &str| caps), 100, 2_000).await.unwrap();
    runs.into_iter().map(|run| run.end).collect()
}

#[tokio::test]
async fn every_write_can_be_queued() {
    for call in CALLS.into_iter().filter(|call| can_wait(*call)) {
        let crm = Crm { quiz_visitor_id: Some("v1"), ..Crm::new().await };
        crm.set("leads", "a", json!(0)).await;
        crm.set("deals", "a", json!(0)).await;
        let before = (crm.entries("leads").await, crm.entries("deals").await);
        let mut options = valid_options(call);
        options["async"] = json!(true);
        let queued = crm.succeed(call, options).await;
        match call {
            Call::SetField | Call::SetFields | Call::AddValue => assert_eq!(queued, json!(true)),
            _ => assert_eq!(queued, json!({"ok": true, "queued": true})),
        }
        let bell = std::pin::pin!(crm.bell.notified());
        assert!(futures_util::FutureExt::now_or_never(bell).is_some(), "the call wakes the workers");
        let waiting = (crm.entries("leads").await, crm.entries("deals").await);
        assert_eq!(waiting, before, "the write is only queued");
        assert_eq!(run_jobs(&crm).await, [JobEnd::Done]);
        if call != Call::Reassign {
            let after = (crm.entries("leads").await, crm.entries("deals").await);
            assert_ne!(after, before, "{call:?}");
        }
    }
}

#[tokio::test]
async fn queueing_rejects_invalid_writes_at_once() {
    let crm = Crm::new().await;
    let unknown = json!({"slug": "nope", "fieldKey": "a", "value": 1, "async": true});
    assert!(matches!(crm.call(Call::SetField, unknown).await, Err(CrmError::Type { .. })));
    let stage = |slug: &str| json!({"slug": "deals", "stageSlug": slug, "async": true});
    assert_eq!(crm.rejection(Call::MoveToStage, stage("nope")).await.0, Refusal::UnknownStage);
    assert_eq!(crm.rejection(Call::MoveToStage, stage("new")).await.0, Refusal::NoEntry);
    assert_eq!(run_jobs(&crm).await, []);

    // Behind a queued write that makes the entry, a move is accepted. A stage that does not exist
    // is still rejected.
    let first = json!({"slug": "deals", "fieldKey": "a", "value": 1, "async": true});
    assert_eq!(crm.succeed(Call::SetField, first).await, json!(true));
    assert_eq!(crm.rejection(Call::MoveToStage, stage("nope")).await.0, Refusal::UnknownStage);
    crm.succeed(Call::MoveToStage, stage("new")).await;
    assert_eq!(run_jobs(&crm).await, [JobEnd::Done, JobEnd::Done]);
    assert_eq!(crm.entries("deals").await, json!([[{"a": 1}, "new"]]));
}

#[tokio::test]
async fn reassigning_is_authorised_when_it_is_queued() {
    let mut crm = Crm::new().await;
    let set = json!({"slug": "leads", "fieldKey": "q", "value": 1, "referenceType": "quiz_visitor",
        "referenceId": "v1", "async": true});
    crm.succeed(Call::SetField, set).await;
    let mut options = valid_options(Call::Reassign);
    options["async"] = json!(true);
    assert_eq!(crm.rejection(Call::Reassign, options.clone()).await.0, Refusal::NotAllowed);
    crm.quiz_visitor_id = Some("v1");
    crm.succeed(Call::Reassign, options).await;
    crm.quiz_visitor_id = None;
    assert_eq!(run_jobs(&crm).await, [JobEnd::Done, JobEnd::Done]);
    assert_eq!(crm.entries("leads").await, json!([[{"q": 1}, null]]));
}
