use sluice_kit::{BoxFuture, NoAnswer, StoreError};

use super::*;

/// Counts in memory, or fails.
#[derive(Default)]
struct Counter {
    counts: Mutex<HashMap<RateWindow, u32>>,
    calls: Mutex<u32>,
    fails: bool,
}

impl RateStore for Counter {
    fn count_request(&self, window: RateWindow) -> BoxFuture<'_, Result<u32, StoreError>> {
        *self.calls.lock() += 1;
        let mut counts = self.counts.lock();
        let count = counts.entry(window).or_default();
        *count += 1;
        let answer = if self.fails { Err(StoreError::Unavailable(NoAnswer::Closed)) } else { Ok(*count) };
        Box::pin(async move { answer })
    }

    fn delete_expired_rates(&self, _: i64, _: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async { Ok(0) })
    }
}

fn requester(address: &str) -> Requester<'static> {
    Requester { brand: "demo", page: "pages/a.html", address: Some(address.parse().unwrap()) }
}

const TWO_A_MINUTE: Rate = Rate { requests: 2, window: Duration::from_secs(60) };

#[test]
fn parses_a_number_and_a_unit() {
    assert_eq!(Rate::parse("2/m"), Some(TWO_A_MINUTE));
    assert_eq!(Rate::parse("1/d"), Some(Rate { requests: 1, window: Duration::from_secs(86_400) }));
    for bad in ["", "10", "10/w", "0/m", "-1/m", "m/10", "10/", "4294967296/m"] {
        assert_eq!(Rate::parse(bad), None, "{bad}");
    }
}

#[tokio::test]
async fn rejects_requests_over_the_rate_until_the_window_ends() {
    let store = Arc::new(Counter::default());
    let rates = Rates::new(Arc::clone(&store) as _);
    let visit =
        async |address: &str, now_ms: i64| rates.admit(TWO_A_MINUTE, requester(address), now_ms).await;
    assert_eq!(visit("10.0.0.1", 61_000).await, Ok(()));
    assert_eq!(visit("::ffff:10.0.0.1", 62_000).await, Ok(()));
    assert_eq!(visit("10.0.0.1", 90_500).await, Err(RateExceeded { retry_after_s: 29 }));
    assert_eq!(visit("10.0.0.2", 90_500).await, Ok(()), "another address is counted separately");
    let calls = *store.calls.lock();
    assert_eq!(visit("10.0.0.1", 119_999).await, Err(RateExceeded { retry_after_s: 1 }));
    assert_eq!(*store.calls.lock(), calls, "the request is rejected without the database");
    assert_eq!(visit("10.0.0.1", 120_000).await, Ok(()), "the next window");
}

#[tokio::test]
async fn addresses_of_one_ipv6_network_share_a_rate() {
    let rates = Rates::new(Arc::new(Counter::default()));
    for (address, expected) in [("2001:db8::1", true), ("2001:db8::2", true), ("2001:db8:0:0:ffff::3", false)]
    {
        assert_eq!(rates.admit(TWO_A_MINUTE, requester(address), 0).await.is_ok(), expected, "{address}");
    }
    assert!(rates.admit(TWO_A_MINUTE, requester("2001:db8:0:1::1"), 0).await.is_ok());
}

#[tokio::test]
async fn host_counts_its_own_requests_if_the_database_fails() {
    let rates = Rates::new(Arc::new(Counter { fails: true, ..Counter::default() }));
    for now_ms in [0, 60_000] {
        let visit = async |address: &str| rates.admit(TWO_A_MINUTE, requester(address), now_ms).await;
        for expected in [true, true, false, false] {
            assert_eq!(visit("10.0.0.1").await.is_ok(), expected);
        }
        assert_eq!(visit("10.0.0.2").await, Ok(()), "another address");
    }
}

#[test]
fn bounds_the_counts_in_memory() {
    let rates = Rates::new(Arc::new(Counter::default()));
    for n in 0..OWN_COUNTS_MAX as u128 + 10 {
        assert_eq!(rates.count_here(n.to_be_bytes(), 60_000, 0), 1);
    }
    assert!(rates.own.lock().len() <= OWN_COUNTS_MAX);
}
