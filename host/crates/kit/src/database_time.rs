//! How long one request may wait for the database, in all. `journey` sets the limit, and `store`
//! counts the time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

tokio::task_local! {
    static REQUEST: Arc<Mutex<RequestTime>>;
}

struct RequestTime {
    left: Duration,
    /// Kept for storing what the request changed, so that a script which waited for long can
    /// still store it.
    for_commit: Duration,
}

/// Runs `request`. Its calls of the database may take `total` together.
pub async fn limited<F: Future>(total: Duration, request: F) -> F::Output {
    let for_commit = total / 5;
    let time = RequestTime { left: total.saturating_sub(for_commit), for_commit };
    REQUEST.scope(Arc::new(Mutex::new(time)), request).await
}

/// Lets `work` continue on another task. Its time is that of the current request.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let time = REQUEST.try_with(Arc::clone).ok();
    async move {
        match time {
            Some(time) => REQUEST.scope(time, work).await,
            None => work.await,
        }
    }
}

/// From now on the request may use the time that was kept for storing what it changed.
pub fn begin_commit() {
    // Work that belongs to no request has no limit.
    let _ = REQUEST.try_with(|time| {
        let mut time = time.lock();
        time.left = time.left.saturating_add(std::mem::take(&mut time.for_commit));
    });
}

/// How long the next call of the database may take. `None` if there is no limit.
pub fn left() -> Option<Duration> {
    REQUEST.try_with(|time| time.lock().left).ok()
}

/// Counts the time of a call.
pub fn spend(took: Duration) {
    let _ = REQUEST.try_with(|time| {
        let mut time = time.lock();
        time.left = time.left.saturating_sub(took);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn keeps_a_share_for_the_commit() {
        limited(SECOND * 5, async {
            assert_eq!(left(), Some(SECOND * 4));
            let elsewhere = carried(async { spend(SECOND * 9) });
            tokio::spawn(elsewhere).await.unwrap();
            assert_eq!(left(), Some(Duration::ZERO));
            begin_commit();
            begin_commit();
            assert_eq!(left(), Some(SECOND));
        })
        .await;
        spend(SECOND);
        assert_eq!(left(), None, "outside of a request there is no limit");
    }
}
