//! Sessions.

use std::sync::Arc;

use tokio::sync::oneshot;

use sluice_kit::keys::Keys;
use sluice_session::cookie::SessionId;
use sluice_session::quota::SessionQuota;
use sluice_session::storage::Sessions;
use sluice_session::{
    RunCommit, SessionAddress, SessionChange, SessionEdit, SessionKey, SessionKind, SessionRowId,
    SessionStamp, SessionUsage,
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
    let kind = SessionKind::Anonymous;
    let change = SessionChange::Issue { id_hash: [id; 32], sealed, expires_at: NOW + HOUR, kind };
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
        let (sealed, kind) = (b"new".to_vec(), SessionKind::Anonymous);
        SessionChange::Issue { id_hash: [2; 32], sealed, expires_at: late + HOUR, kind }
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
        kind: SessionKind::Anonymous,
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
            kind: SessionKind::Anonymous,
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

/// Issues a session whose content has 10 bytes.
async fn issue_kind(store: &dyn Store, brand: &str, id: u8, at_ms: i64, kind: SessionKind) -> SessionAddress {
    let at = new_address(brand);
    let edit = Box::new(move |_: Option<&_>| SessionChange::Issue {
        id_hash: [id; 32],
        sealed: vec![0; 10],
        expires_at: NOW + 10,
        kind,
    });
    store.commit_run(RunCommit::of_session(at.clone(), edit), at_ms).await.unwrap();
    at
}

pub(crate) async fn an_unconfirmed_session_lasts_once_it_is_confirmed(open: &OpenStore) {
    let store = open().await;
    let brand = brand("confirm");
    let unconfirmed = SessionKind::Unconfirmed { until: NOW + HOUR };
    let at = issue_kind(&*store, &brand, 1, NOW, unconfirmed).await;
    issue_kind(&*store, &brand, 2, NOW, unconfirmed).await;
    let load = |id, now_ms| store.load_session(key(&brand, id), now_ms);
    assert!(load(1, NOW).await.unwrap().unwrap().is_unconfirmed);
    let other = SessionAddress { brand: "other".to_owned(), ..at.clone() };
    store.confirm_session(other).await.unwrap();
    assert!(load(1, NOW).await.unwrap().unwrap().is_unconfirmed, "another brand cannot confirm it");
    store.confirm_session(at.clone()).await.unwrap();
    let row = load(1, NOW + 10).await.unwrap().unwrap();
    assert_eq!((row.is_unconfirmed, row.expires_at), (false, NOW + HOUR));
    assert_eq!(load(2, NOW + 10).await.unwrap(), None, "the cookie of this session did not come back");
    // A second confirmation and one of a session that lasts change nothing.
    store.confirm_session(at).await.unwrap();
    let customer = issue_kind(&*store, &brand, 3, NOW, SessionKind::Customer).await;
    store.confirm_session(customer).await.unwrap();
    assert_eq!(load(3, NOW).await.unwrap().unwrap().expires_at, NOW + 10);
}

pub(crate) async fn a_full_brand_loses_its_oldest_anonymous_sessions_first(open: &OpenStore) {
    let store = open().await;
    let (full, other) = (brand("full"), brand("beside"));
    let kinds = [
        (1, 5, SessionKind::Customer),
        (2, 6, SessionKind::Anonymous),
        (3, 4, SessionKind::Anonymous),
        (4, 9, SessionKind::Unconfirmed { until: NOW + HOUR }),
        (5, 8, SessionKind::Unconfirmed { until: NOW + HOUR }),
        (6, 3, SessionKind::Customer),
    ];
    for (id, at_ms, kind) in kinds {
        issue_kind(&*store, &full, id, at_ms, kind).await;
        issue_kind(&*store, &other, id, at_ms, kind).await;
    }
    let usage = || async {
        let all = store.session_usage().await.unwrap();
        let of = |brand: &str| all.iter().find(|(name, _)| name == brand).map(|(_, usage)| *usage);
        (of(&full), of(&other))
    };
    let six = SessionUsage { rows: 6, bytes: 60 };
    assert_eq!(usage().await, (Some(six), Some(six)));
    for (rows_max, left) in
        [(1, &[1, 2, 3, 4, 6][..]), (2, &[1, 2, 6]), (1, &[1, 6]), (1, &[1]), (9, &[]), (9, &[])]
    {
        let gone = store.evict_sessions(full.clone(), rows_max).await.unwrap();
        assert_eq!(gone.bytes, gone.rows * 10);
        let mut found = Vec::new();
        for id in 1..=6 {
            found.extend(store.load_session(key(&full, id), NOW).await.unwrap().map(|_| id));
        }
        assert_eq!(found, left);
    }
    assert_eq!(usage().await, (None, Some(six)), "the other brand keeps all");
    let quota = SessionQuota { rows_max: u64::MAX, bytes_max: 45 };
    for (id, at_ms, kind) in kinds {
        issue_kind(&*store, &full, id, at_ms, kind).await;
    }
    quota.enforce(&*store).await.unwrap();
    assert_eq!(usage().await.0, Some(SessionUsage { rows: 4, bytes: 40 }));
    SessionQuota { rows_max: 3, bytes_max: 40 }.enforce(&*store).await.unwrap();
    assert_eq!(usage().await.0, Some(SessionUsage { rows: 3, bytes: 30 }));
}

/// The session of a visitor, from the first request on.
pub(crate) async fn a_visitor_s_session_lasts_from_the_second_request_on(open: &OpenStore) {
    let store = open().await;
    let brand = brand("visitor");
    let keys = Keys::load(Some("0123456789abcdef0123456789abcdef"), None, None);
    let sessions = Sessions {
        store: store.clone() as _,
        keys: Arc::new(keys.unwrap()),
        lifetime: std::time::Duration::from_millis(3 * HOUR.unsigned_abs()),
        unconfirmed_lifetime: std::time::Duration::from_secs(600),
        quota: SessionQuota { rows_max: 9, bytes_max: 9_000 },
    };
    let limits = sluice_limits::Limits::default();
    let first = async |value: i64| {
        let mut session = sluice_session::Session::default();
        session.set("a", value.into(), &limits).unwrap();
        let issued =
            sessions.commit(&brand, &session, Default::default(), &limits, NOW).await.unwrap().unwrap();
        assert_eq!(issued.max_age, sessions.lifetime, "the browser keeps the cookie for the whole time");
        issued.id
    };
    let visit = async |id: &str, now_ms: i64| {
        let id = SessionId::find([("sluice_session", id)].into_iter(), false);
        let session = sessions.load(&brand, id.as_ref(), now_ms).await.unwrap();
        session.get("a").cloned()
    };
    let (bot, person) = (first(1).await, first(2).await);
    assert_eq!(visit(&person, NOW + 599_999).await, Some(2.into()));
    assert_eq!(visit(&bot, NOW + 600_000).await, None);
    assert_eq!(visit(&person, NOW + 3 * HOUR - 1).await, Some(2.into()));
    assert_eq!(visit(&person, NOW + 3 * HOUR).await, None);
}
