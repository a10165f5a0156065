//! Tokens that work once.

use super::{NOW, Open, brand};

const ID: [u8; 16] = [7; 16];

pub async fn a_token_is_spent_once(open: &Open) {
    let store = open().await;
    let (ours, theirs) = (brand("token"), brand("token"));
    assert_eq!(store.spend_token(&ours, ID, NOW).await, Ok(true));
    assert_eq!(store.spend_token(&ours, ID, NOW + 1).await, Ok(false));
    assert_eq!(store.spend_token(&ours, [8; 16], NOW).await, Ok(true));
    assert_eq!(store.spend_token(&theirs, ID, NOW).await, Ok(true), "another brand's token of the same id");
    let elsewhere = open().await;
    assert_eq!(elsewhere.spend_token(&ours, ID, NOW).await, Ok(false), "on another host");
}

pub async fn of_many_who_spend_at_once_one_does(open: &Open) {
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

/// Deleting goes across brands, so this one uses times long before all others'.
pub async fn expired_tokens_go_in_batches(open: &Open) {
    let store = open().await;
    let brand = brand("token-expiry");
    for id in 0..5u8 {
        assert_eq!(store.spend_token(&brand, [id; 16], 1_000 + i64::from(id)).await, Ok(true));
    }
    assert_eq!(store.delete_expired_tokens(999, 10).await, Ok(0));
    assert_eq!(store.delete_expired_tokens(1_003, 3).await, Ok(3));
    assert_eq!(store.delete_expired_tokens(1_003, 3).await, Ok(1));
    assert_eq!(store.spend_token(&brand, [4; 16], 1_004).await, Ok(false), "not yet forgotten");
    assert_eq!(store.delete_expired_tokens(1_004, 3).await, Ok(1));
}
