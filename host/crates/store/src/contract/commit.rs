//! What one request changes is stored as a whole or not at all.

use serde_json::json;

use sluice_crm::WriteInto::Holder;
use sluice_crm::{Address, CapReached, CrmFault, CrmWrite};
use sluice_queue::{JobId, NewJob, QueueCommit};
use sluice_session::storage::SessionError;
use sluice_session::{
    RunCommit, SessionChange, SessionCommit, SessionKey, SessionKind, SessionRow, SessionRowId, UsedToken,
};

use super::{NOW, OpenStore, leads, write};
use crate::Store;

const TOKEN: [u8; 16] = [7; 16];

/// A login by token that queues a small and a large write. The session's cookie id is `id`.
fn login(at: &Address, row_id: SessionRowId, id: u8) -> RunCommit {
    let change = SessionChange::Issue {
        id_hash: [id; 32],
        sealed: vec![id],
        expires_at: NOW + 1_000,
        kind: SessionKind::Customer,
    };
    with_change(at, row_id, change)
}

fn with_change(at: &Address, row_id: SessionRowId, change: SessionChange) -> RunCommit {
    let write = |text: &str| -> CrmWrite { write(at, &[("a", json!(text))], Holder) };
    RunCommit {
        session: Some(SessionCommit { row_id, edit: Box::new(move |_: Option<&SessionRow>| change) }),
        tokens: vec![UsedToken { token_id: TOKEN, remember_until: NOW + 1_000 }],
        jobs: vec![write("small"), write(&"x".repeat(1_000))],
        queue: QueueCommit { jobs: vec![pushed()], jobs_max: 9, done: None },
        ..RunCommit::new(at.brand.as_str())
    }
}

fn pushed() -> NewJob {
    NewJob {
        id: JobId::random().unwrap(),
        module: "mail".to_owned(),
        function: "default".to_owned(),
        payload: vec![0xc0],
        due_at: NOW,
        tag: Some("t".to_owned()),
        key: Some("k".to_owned()),
    }
}

/// The session content under a cookie id, whether the token is used, and the number of writes and jobs.
async fn stored(store: &dyn Store, at: &Address, id: u8) -> (Option<Vec<u8>>, bool, usize) {
    let key = SessionKey { brand: at.brand.clone(), id_hash: [id; 32] };
    let session = store.load_session(key, NOW).await.unwrap().map(|row| row.sealed);
    let is_used = store.is_token_used(&at.brand, TOKEN).await.unwrap();
    let writes = store.list_jobs(Some(&at.brand), None, 10).await.unwrap().len();
    let jobs = store.list_queued(Some(&at.brand), None, 10).await.unwrap().len();
    (session, is_used, writes + jobs)
}

pub(crate) async fn stores_session_token_and_jobs_together(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "commit").await;
    let committed = store.commit_run(login(&at, SessionRowId::random().unwrap(), 1), NOW).await.unwrap();
    assert_eq!(committed.session.unwrap().id_hash, [1; 32]);
    assert_eq!(stored(&*store, &at, 1).await, (Some(vec![1]), true, 3));
    let jobs = store.list_jobs(Some(&at.brand), None, 10).await.unwrap();
    assert_eq!(committed.jobs, [jobs[0].id, jobs[1].id], "the jobs are in order");
}

pub(crate) async fn a_rejected_job_leaves_nothing(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "commit-quota").await;
    let row_id = SessionRowId::random().unwrap();
    let mut commit = login(&at, row_id, 1);
    commit.caps.brand_bytes_max = 1_000;
    let refused = store.commit_run(commit, NOW).await;
    assert!(matches!(refused, Err(SessionError::Job(CrmFault::Cap(CapReached::BrandBytes)))), "{refused:?}");
    assert_eq!(stored(&*store, &at, 1).await, (None, false, 0));
    store.commit_run(login(&at, row_id, 1), NOW).await.unwrap();
    assert_eq!(stored(&*store, &at, 1).await, (Some(vec![1]), true, 3), "the token still works");
}

/// The session before the login is another person's. It ends with the login, or not at all.
pub(crate) async fn a_used_token_leaves_nothing(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "commit-token").await;
    let (mine, theirs) = (SessionRowId::random().unwrap(), SessionRowId::random().unwrap());
    store.commit_run(RunCommit { tokens: vec![], jobs: vec![], ..login(&at, mine, 1) }, NOW).await.unwrap();
    store.commit_run(login(&at, theirs, 2), NOW).await.unwrap();
    let refused = store.commit_run(login(&at, mine, 3), NOW).await;
    assert!(matches!(refused, Err(SessionError::TokenUsed)), "{refused:?}");
    assert_eq!(stored(&*store, &at, 3).await, (None, true, 3));
    assert_eq!(stored(&*store, &at, 1).await.0, Some(vec![1]), "the session is as it was");
    let again = RunCommit { tokens: vec![], ..login(&at, mine, 3) };
    store.commit_run(again, NOW).await.unwrap();
    assert_eq!(stored(&*store, &at, 3).await, (Some(vec![3]), true, 5));
    assert_eq!(stored(&*store, &at, 1).await.0, None, "the earlier person's session has ended");
}

pub(crate) async fn a_failed_edit_leaves_nothing(open: &OpenStore) {
    let store = open().await;
    let at = leads(&*store, "commit-edit").await;
    let change = SessionChange::Fail(SessionError::Random(getrandom::Error::UNSUPPORTED));
    let refused = store.commit_run(with_change(&at, SessionRowId::random().unwrap(), change), NOW).await;
    assert!(matches!(refused, Err(SessionError::Random(_))), "{refused:?}");
    assert_eq!(stored(&*store, &at, 1).await, (None, false, 0));
}
