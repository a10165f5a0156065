//! Calls with `async: true`.

use std::sync::Arc;

use sluice_crm::access::CrmAccess;
use sluice_crm::{JobEnd, JobStore as _, QUEUED_BYTES_MAX};

use super::*;

/// Whether the call can be queued.
pub(super) fn can_wait(call: Call) -> bool {
    !matches!(
        call,
        Call::GetField
            | Call::GetFields
            | Call::GetEntries
            | Call::GetValues
            | Call::GetEntry
            | Call::FindEntries
            | Call::CountEntries
            | Call::SetRelation
            | Call::RemoveRelation
            | Call::EnsureEntity
    )
}

/// Ends the run and runs the jobs. Returns how each of them ended.
async fn run_jobs(crm: &Crm) -> Vec<JobEnd> {
    crm.commit().await;
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
        if options.get("id").is_some() {
            let entries = crm.succeed(Call::GetEntries, json!({"slug": "leads"})).await;
            options["id"] = entries[0]["id"].clone();
        }
        let queued = crm.succeed(call, options).await;
        match call {
            Call::SetField | Call::SetFields | Call::AddValue => assert_eq!(queued, json!(true)),
            _ => assert_eq!(queued, json!({"ok": true, "queued": true})),
        }
        assert_eq!(crm.store.count_jobs().await.unwrap().waiting, 0, "the end of the run makes the job");
        crm.commit().await;
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

#[tokio::test]
async fn bounds_the_bytes_that_a_run_queues() {
    let crm = Crm::new().await;
    let text = "x".repeat(10_000);
    let fields: Vec<Value> = (0..200).map(|n| json!({"fieldKey": format!("k{n}"), "value": text})).collect();
    let options = json!({"slug": "leads", "fields": fields, "async": true});
    assert_eq!(crm.succeed(Call::SetFields, options.clone()).await, json!(true));
    assert_eq!(crm.succeed(Call::SetFields, options.clone()).await, json!(true));
    let (refusal, message) = crm.rejection(Call::SetFields, options.clone()).await;
    assert_eq!(refusal, Refusal::NotAllowed);
    assert_eq!(message, format!("setCrmFields: the run would queue more than {QUEUED_BYTES_MAX} bytes"));
    crm.commit().await;
    crm.succeed(Call::SetFields, options).await;
}

#[tokio::test]
async fn queued_writes_of_a_run_count_together_for_the_quota() {
    let mut crm = Crm::new().await;
    crm.caps.brand_bytes_max = 2_500;
    let options = json!({"slug": "leads", "fieldKey": "a", "value": "x".repeat(1_000), "async": true});
    crm.succeed(Call::SetField, options.clone()).await;
    crm.succeed(Call::SetField, options.clone()).await;
    assert_eq!(crm.rejection(Call::SetField, options).await.0, Refusal::NotAllowed);
}

#[tokio::test]
async fn queued_writes_follow_a_login_in_the_same_run() {
    let crm = Crm { customer_id: Some("email:a@b"), ..Crm::new().await };
    let options = json!({"slug": "leads", "fieldKey": "a", "value": 1, "async": true});
    crm.succeed(Call::SetField, options).await;
    let store = Arc::new(SqliteStore::open(crm.options()).await.unwrap());
    let access = CrmAccess::new(store, Arc::default(), "acme");
    let mut queued = crm.queued.lock().await;
    access.adopt_customer("email:a@b", "7", &mut queued, 1_000).await.unwrap();
    drop(queued);
    assert_eq!(run_jobs(&crm).await, [JobEnd::Done, JobEnd::Done]);
    let crm = Crm { customer_id: Some("7"), ..crm };
    assert_eq!(crm.entries("leads").await, json!([[{"a": 1}, null]]));
}
