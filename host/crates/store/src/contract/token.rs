//! Tokens that work once.

use super::{NOW, OpenStore, brand};

const ID: [u8; 16] = [7; 16];

pub(crate) async fn a_token_can_be_spent_once(open: &OpenStore) {
    let store = open().await;
    let (ours, theirs) = (brand("token"), brand("token"));
    assert_eq!(store.spend_token(&ours, ID, NOW).await, Ok(true));
    assert_eq!(store.spend_token(&ours, ID, NOW + 1).await, Ok(false));
    assert_eq!(store.spend_token(&ours, [8; 16], NOW).await, Ok(true));
    assert_eq!(store.spend_token(&theirs, ID, NOW).await, Ok(true), "another brand's token of the same id");
    let elsewhere = open().await;
    assert_eq!(elsewhere.spend_token(&ours, ID, NOW).await, Ok(false), "on another host");
}

pub(crate) async fn one_of_many_parallel_spends_succeeds(open: &OpenStore) {
    let stores = [open().await, open().await];
    let brand = brand("token-race");
    let tasks: Vec<_> = (0..40usize)
        .map(|index| {
            let (store, brand) = (stores[index % 2].clone(), brand.clone());
            tokio::spawn(async move { store.spend_token(&brand, ID, NOW).await.unwrap() })
        })
        .collect();
    let mut spent = 0;
    for task in tasks {
        spent += usize::from(task.await.unwrap());
    }
    assert_eq!(spent, 1);
}

/// Deleting affects all brands, so this test uses times long before those of other tests.
pub(crate) async fn expired_tokens_are_deleted_in_batches(open: &OpenStore) {
    let store = open().await;
    let brand = brand("token-expiry");
    for id in 0..5u8 {
        assert_eq!(store.spend_token(&brand, [id; 16], 1_000 + i64::from(id)).await, Ok(true));
    }
    assert_eq!(store.delete_expired_tokens(999, 10).await, Ok(0));
    assert_eq!(store.delete_expired_tokens(1_003, 3).await, Ok(3));
    assert_eq!(store.delete_expired_tokens(1_003, 3).await, Ok(1));
    assert_eq!(store.spend_token(&brand, [4; 16], 1_004).await, Ok(false), "the token has not expired");
    assert_eq!(store.delete_expired_tokens(1_004, 3).await, Ok(1));
}
