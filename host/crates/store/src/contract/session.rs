//! Sessions.

use std::sync::Arc;

use tokio::sync::oneshot;

use sluice_session::{
    RunCommit, SessionAddress, SessionChange, SessionEdit, SessionKey, SessionRowId, SessionStamp,
};

use super::{NOW, OpenStore, brand};
use crate::Store;

const HOUR: i64 = 3_600_000;

fn key(brand: &str, id: u8) -> SessionKey {
    SessionKey { brand: brand.to_owned(), id_hash: [id; 32] }
}

fn new_address(brand: &str) -> SessionAddress {
    SessionAddress { brand: brand.to_owned(), row_id: SessionRowId::random().unwrap() }
}

async fn commit(store: &dyn Store, at: &SessionAddress, edit: SessionEdit) -> Option<SessionStamp> {
    store.commit_run(RunCommit::of_session(at.clone(), edit), NOW).await.unwrap().session
}

async fn issue(store: &dyn Store, at: &SessionAddress, id: u8, sealed: &[u8]) -> SessionStamp {
    let sealed = sealed.to_vec();
    let change = SessionChange::Issue { id_hash: [id; 32], sealed, expires_at: NOW + HOUR };
    let edit = Box::new(move |_: Option<&_>| change);
    commit(store, at, edit).await.unwrap()
}

/// Appends a byte to the stored content.
async fn append(store: &dyn Store, at: &SessionAddress, byte: u8) -> Option<SessionStamp> {
    let edit = Box::new(move |row: Option<&sluice_session::SessionRow>| {
        let mut sealed = row.map(|row| row.sealed.clone()).unwrap_or_default();
        sealed.push(byte);
        SessionChange::Write { sealed }
    });
    commit(store, at, edit).await
}

pub(crate) async fn sessions_load_until_they_expire(open: &OpenStore) {
    let store = open().await;
    let brand = brand("load");
    assert_eq!(store.load_session(key(&brand, 1), NOW).await, Ok(None));
    let at = new_address(&brand);
    let stamp = issue(&*store, &at, 1, b"\0box").await;
    assert_eq!((stamp.created_at, stamp.expires_at), (NOW, NOW + HOUR));

    let row = store.load_session(key(&brand, 1), NOW + HOUR - 1).await;
    let row = row.unwrap().unwrap();
    assert_eq!((row.row_id, row.id_hash), (at.row_id, [1; 32]));
    assert_eq!(row.sealed, b"\0box");
    assert_eq!((row.created_at, row.expires_at), (NOW, NOW + HOUR));

    let late = NOW + HOUR;
    assert_eq!(store.load_session(key(&brand, 1), late).await, Ok(None));
    // A commit does not see the expired row and may replace it.
    let edit = Box::new(move |row: Option<&sluice_session::SessionRow>| {
        assert!(row.is_none());
        SessionChange::Issue { id_hash: [2; 32], sealed: b"new".to_vec(), expires_at: late + HOUR }
    });
    store.commit_run(RunCommit::of_session(at, edit), late).await.unwrap();
    assert_eq!(store.load_session(key(&brand, 1), NOW).await, Ok(None));
    let row = store.load_session(key(&brand, 2), late).await.unwrap();
    assert_eq!(row.unwrap().sealed, b"new");
}

pub(crate) async fn parallel_commits_are_all_kept(open: &OpenStore) {
    let stores = [open().await, open().await];
    let at = new_address(&brand("parallel"));
    issue(&*stores[0], &at, 1, b"").await;
    let tasks: Vec<_> = (0..100u8)
        .map(|byte| {
            let (store, at) = (stores[byte as usize % 2].clone(), at.clone());
            tokio::spawn(async move { append(&*store, &at, byte).await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().is_some());
    }
    let row = stores[0].load_session(key(&at.brand, 1), NOW).await.unwrap();
    let mut bytes = row.unwrap().sealed;
    bytes.sort_unstable();
    assert_eq!(bytes, (0..100).collect::<Vec<u8>>());
}

pub(crate) async fn a_new_id_replaces_the_old_one(open: &OpenStore) {
    let store = open().await;
    let at = new_address(&brand("rename"));
    issue(&*store, &at, 1, b"a").await;
    issue(&*store, &at, 2, b"b").await;
    assert_eq!(store.load_session(key(&at.brand, 1), NOW).await, Ok(None));
    let row = store.load_session(key(&at.brand, 2), NOW).await.unwrap();
    let row = row.unwrap();
    assert_eq!((row.row_id, &row.sealed[..]), (at.row_id, &b"b"[..]));
}

pub(crate) async fn a_commit_after_login_finds_the_row(open: &OpenStore) {
    let store: Arc<dyn Store> = open().await;
    let at = new_address(&brand("login"));
    issue(&*store, &at, 1, b"a").await;
    let loaded = store.load_session(key(&at.brand, 1), NOW).await.unwrap();
    let loaded = loaded.unwrap();
    // Meanwhile another request logs in.
    issue(&*store, &at, 2, b"b").await;
    let (tell, told) = oneshot::channel();
    let edit = Box::new(move |row: Option<&sluice_session::SessionRow>| {
        let row = row.unwrap();
        tell.send(row.id_hash != loaded.id_hash).unwrap();
        let sealed = [&row.sealed[..], b"+"].concat();
        SessionChange::Write { sealed }
    });
    let stamp = commit(&*store, &at, edit).await;
    assert!(told.await.unwrap(), "the edit must see that the id changed");
    assert_eq!(stamp.unwrap().id_hash, [2; 32]);
    let row = store.load_session(key(&at.brand, 2), NOW).await.unwrap();
    assert_eq!(row.unwrap().sealed, b"b+");
    assert_eq!(store.load_session(key(&at.brand, 1), NOW).await, Ok(None));
}

pub(crate) async fn an_ended_session_stays_ended(open: &OpenStore) {
    let store = open().await;
    let at = new_address(&brand("ended"));
    issue(&*store, &at, 1, b"a").await;
    let delete = Box::new(|_: Option<&_>| SessionChange::Delete);
    assert_eq!(commit(&*store, &at, delete).await, None);
    assert_eq!(append(&*store, &at, 1).await, None);
    assert_eq!(store.load_session(key(&at.brand, 1), NOW).await, Ok(None));
    let keep = Box::new(|row: Option<&_>| {
        assert!(row.is_none());
        SessionChange::Keep
    });
    assert_eq!(commit(&*store, &at, keep).await, None);
}

pub(crate) async fn a_brand_cannot_reach_sessions_of_another(open: &OpenStore) {
    let store = open().await;
    let (ours, theirs) = (brand("ours"), brand("theirs"));
    let at = new_address(&ours);
    issue(&*store, &at, 1, b"a").await;
    assert_eq!(store.load_session(key(&theirs, 1), NOW).await, Ok(None));
    let other = SessionAddress { brand: theirs.clone(), row_id: at.row_id };
    assert_eq!(append(&*store, &other, 1).await, None);
    let take = Box::new(|_: Option<&_>| SessionChange::Issue {
        id_hash: [9; 32],
        sealed: Vec::new(),
        expires_at: NOW + HOUR,
    });
    assert!(store.commit_run(RunCommit::of_session(other.clone(), take), NOW).await.is_err());
    let delete = Box::new(|_: Option<&_>| SessionChange::Delete);
    store.commit_run(RunCommit::of_session(other, delete), NOW).await.unwrap();
    let row = store.load_session(key(&ours, 1), NOW).await.unwrap();
    assert_eq!(row.unwrap().sealed, b"a");
}

/// Deleting affects all brands, so this test uses times long before those of other tests.
pub(crate) async fn expired_rows_are_deleted_in_batches(open: &OpenStore) {
    let store = open().await;
    let brand = brand("expired");
    for id in 0..5 {
        let edit = Box::new(move |_: Option<&_>| SessionChange::Issue {
            id_hash: [id; 32],
            sealed: Vec::new(),
            expires_at: 1_000 + i64::from(id),
        });
        let at = new_address(&brand);
        store.commit_run(RunCommit::of_session(at, edit), 0).await.unwrap();
    }
    let delete = |now, max| store.delete_expired_sessions(now, max);
    assert_eq!(delete(999, 10).await, Ok(0));
    assert_eq!(delete(1_003, 3).await, Ok(3));
    assert_eq!(delete(1_003, 3).await, Ok(1));
    assert!(store.load_session(key(&brand, 4), 0).await.unwrap().is_some());
    assert_eq!(delete(1_004, 3).await, Ok(1));
}
