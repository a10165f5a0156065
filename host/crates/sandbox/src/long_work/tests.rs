use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Work without an end, which pauses again and again.
async fn endless() {
    loop {
        pause().await;
    }
}

/// Puts work into the queue.
fn send(work: &Arc<LongWork>, brand: &'static str) -> BoxFuture<'static, Option<Done<()>>> {
    let work = Arc::clone(work);
    let mut waiting = async move { work.run(brand, endless()).await }.boxed();
    assert!((&mut waiting).now_or_never().is_none());
    waiting
}

/// Lets each turn last `used` instead of the time that it takes, and returns the brands that had them.
fn turns(work: &LongWork, count: usize, used: Duration) -> Vec<String> {
    let turn = |_| {
        let task = work.queue.next_now().unwrap();
        let brand = task.brand.to_string();
        work.queue.leave(&task.brand, used, Some((Arc::clone(&task), 0)));
        brand
    };
    (0..count).map(turn).collect()
}

#[tokio::test]
async fn brands_share_the_time_however_much_work_they_have() {
    let work = Arc::new(LongWork::on(2));
    let _flood: Vec<_> = (0..200).map(|_| send(&work, "flood")).collect();
    let _first = turns(&work, 50, MS);
    let _guest = send(&work, "guest");
    let all = turns(&work, 100, MS);
    let of_guest = all.iter().filter(|brand| *brand == "guest").count();
    assert!((49..=51).contains(&of_guest), "{of_guest} of 100 turns");
    assert!(all.iter().take(2).any(|brand| brand == "guest"), "it is next: {all:?}");
}

#[tokio::test]
async fn threads_are_left_for_other_brands() {
    let work = Arc::new(LongWork::on(4));
    let _flood: Vec<_> = (0..200).map(|_| send(&work, "flood")).collect();
    let running: Vec<_> = std::iter::from_fn(|| work.queue.next_now()).collect();
    assert_eq!(running.len(), 2);
    let _guest = send(&work, "guest");
    assert_eq!(&*work.queue.next_now().unwrap().brand, "guest");
}

#[tokio::test]
async fn new_work_of_a_brand_goes_before_its_long_work() {
    let work = Arc::new(LongWork::on(1));
    let long = send(&work, "a");
    let task = work.queue.next_now().unwrap();
    work.queue.leave(&task.brand, MS, Some((Arc::clone(&task), 1_000_000)));
    let _new = send(&work, "a");
    assert!(!Arc::ptr_eq(&work.queue.next_now().unwrap(), &task));
    drop(long);
}

#[tokio::test]
async fn long_work_gets_turns_while_new_work_arrives() {
    let work = Arc::new(LongWork::on(1));
    let _long = send(&work, "a");
    let long = work.queue.next_now().unwrap();
    work.queue.leave(&long.brand, MS, Some((Arc::clone(&long), 1_000_000)));
    let mut new = Vec::new();
    let turns = (0..9).filter(|_| {
        new.push(send(&work, "a"));
        let task = work.queue.next_now().unwrap();
        work.queue.leave(&task.brand, MS, None);
        Arc::ptr_eq(&task, &long)
    });
    assert_eq!(turns.count(), 1);
}

#[tokio::test]
async fn short_work_stays_on_its_thread() {
    let work = LongWork::start("test").unwrap();
    let here = thread::current().id();
    let done = work.run_if_long("a", async { thread::current().id() }).await.unwrap();
    assert_eq!(done.value, here);
    // Waiting is not work.
    let waits = async {
        tokio::time::sleep(MS).await;
        thread::current().id()
    };
    assert_eq!(work.run_if_long("a", waits).await.unwrap().value, here);
}

#[tokio::test]
async fn long_work_goes_on_elsewhere_and_can_wait_there() {
    let work = LongWork::start("test").unwrap();
    let here = thread::current().id();
    let pauses = async {
        pause().await;
        tokio::time::sleep(MS).await;
        tokio::task::yield_now().await;
        thread::current().id()
    };
    assert_ne!(work.run_if_long("a", pauses).await.unwrap().value, here);
}

#[tokio::test]
async fn brand_with_waiting_work_begins_on_the_threads() {
    let work = Arc::new(LongWork::on(1));
    assert!(!work.is_over_share("a"));
    let _waiting = send(&work, "a");
    assert!(work.is_over_share("a") && !work.is_over_share("b"));
}

#[tokio::test]
async fn panic_reaches_the_caller() {
    let work = LongWork::start("test").unwrap();
    let panics = AssertUnwindSafe(work.call("a", || panic!("{}", "on the way"))).catch_unwind();
    let payload: Box<dyn Any + Send> = panics.await.map(|_: Option<()>| ()).unwrap_err();
    assert_eq!(payload.downcast_ref::<String>().unwrap(), "on the way");
    assert_eq!(work.call("a", || 1).await, Some(1), "the thread survives");
}

#[tokio::test]
async fn cancelled_work_is_dropped() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let work = LongWork::start("test").unwrap();
    let dropped = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let counts = Counts(Arc::clone(&dropped));
        let endless = async move {
            let _counts = counts;
            endless().await;
        };
        let mut run = work.run("a", endless).boxed();
        assert!(futures_util::poll!(&mut run).is_pending());
    }
    while dropped.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn waking_during_the_first_poll_is_a_pause_and_later_wakes_the_caller() {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let caller = Arc::new(Count::default());
    let first = FirstPoll::new(Arc::clone(&caller).into());
    let waker = Waker::from(Arc::clone(&first));
    waker.wake_by_ref();
    assert!(first.has_paused());
    assert_eq!(caller.0.load(Ordering::SeqCst), 0);
    waker.wake();
    assert_eq!(caller.0.load(Ordering::SeqCst), 1);
}
