//! Tokens that work once.

use sluice_session::storage::SessionError;
use sluice_session::{RunCommit, UsedToken};

use super::{NOW, OpenStore, brand};
use crate::Store;

const ID: [u8; 16] = [7; 16];

/// Uses a token. Returns false if it was used before.
async fn uses(store: &dyn Store, brand: &str, token_id: [u8; 16], remember_until: i64) -> bool {
    let tokens = vec![UsedToken { token_id, remember_until }];
    match store.commit_run(RunCommit { tokens, ..RunCommit::new(brand) }, NOW).await {
        Ok(_) => true,
        Err(SessionError::TokenUsed) => false,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn a_token_can_be_used_once(open: &OpenStore) {
    let store = open().await;
    let (ours, theirs) = (brand("token"), brand("token"));
    assert_eq!(store.is_token_used(&ours, ID).await, Ok(false));
    assert!(uses(&*store, &ours, ID, NOW).await);
    assert_eq!(store.is_token_used(&ours, ID).await, Ok(true));
    assert!(!uses(&*store, &ours, ID, NOW + 1).await);
    assert!(uses(&*store, &ours, [8; 16], NOW).await);
    assert_eq!(store.is_token_used(&theirs, ID).await, Ok(false));
    assert!(uses(&*store, &theirs, ID, NOW).await, "another brand's token of the same id");
    let elsewhere = open().await;
    assert_eq!(elsewhere.is_token_used(&ours, ID).await, Ok(true), "on another host");
    assert!(!uses(&*elsewhere, &ours, ID, NOW).await, "on another host");
}

pub(crate) async fn one_of_many_parallel_uses_succeeds(open: &OpenStore) {
    let stores = [open().await, open().await];
    let brand = brand("token-race");
    let tasks: Vec<_> = (0..40usize)
        .map(|index| {
            let (store, brand) = (stores[index % 2].clone(), brand.clone());
            tokio::spawn(async move { uses(&*store, &brand, ID, NOW).await })
        })
        .collect();
    let mut used = 0;
    for task in tasks {
        used += usize::from(task.await.unwrap());
    }
    assert_eq!(used, 1);
}

/// Deleting affects all brands, so this test uses times long before those of other tests.
pub(crate) async fn expired_tokens_are_deleted_in_batches(open: &OpenStore) {
    let store = open().await;
    let brand = brand("token-expiry");
    for id in 0..5u8 {
        assert!(uses(&*store, &brand, [id; 16], 1_000 + i64::from(id)).await);
    }
    assert_eq!(store.delete_expired_tokens(999, 10).await, Ok(0));
    assert_eq!(store.delete_expired_tokens(1_003, 3).await, Ok(3));
    assert_eq!(store.delete_expired_tokens(1_003, 3).await, Ok(1));
    assert!(!uses(&*store, &brand, [4; 16], 1_004).await, "the token has not expired");
    assert_eq!(store.delete_expired_tokens(1_004, 3).await, Ok(1));
}
