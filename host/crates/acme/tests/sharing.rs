//! Several hosts on one database.

use sluice_acme::{Answer, Challenge, Holder, Pause};

use crate::world::{DAY, MINUTE, World};

const NAME: &str = "shop.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_get_one_certificate_between_them() {
    let world = World::new().await;
    let (one, other) = (world.host(&[("a", NAME)]).await, world.host(&[("a", NAME)]).await);
    let got = tokio::join!(one.keeper.pass(), other.keeper.pass());
    assert_eq!(got.0 + got.1, 1);
    // The other one finds it in the database.
    assert_eq!(tokio::join!(one.keeper.pass(), other.keeper.pass()), (0, 0));
    assert_eq!(world.pebble.issued(), 1);
    assert!(one.installed(NAME).is_some());
    assert_eq!(one.installed(NAME), other.installed(NAME));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_start_together_make_one_account() {
    let world = World::new().await;
    let one = world.host(&[("a", "a.example"), ("b", "b.example")]).await;
    let other = world.host(&[("c", "c.example"), ("d", "d.example")]).await;
    assert_eq!(tokio::join!(one.keeper.pass(), other.keeper.pass()), (2, 2));
    assert_eq!(world.pebble.logged("accounts in memory"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_renew_a_certificate_once() {
    let world = World::new().await;
    let (one, other) = (world.host(&[("a", NAME)]).await, world.host(&[("a", NAME)]).await);
    let old = one.store_old(NAME, world.now() - 61 * DAY, world.now() + 29 * DAY).await;
    let got = tokio::join!(one.keeper.pass(), other.keeper.pass());
    assert_eq!(got.0 + got.1, 1);
    tokio::join!(one.keeper.pass(), other.keeper.pass());
    assert_eq!(world.pebble.issued(), 1);
    assert_ne!(one.installed(NAME), Some(old));
    assert_eq!(one.installed(NAME), other.installed(NAME));
    let outcomes = [one.outcomes.lock().clone(), other.outcomes.lock().clone()].concat();
    assert_eq!(outcomes, ["renewed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_not_renewed_before_two_thirds() {
    let world = World::new().await;
    let host = world.host(&[("a", NAME)]).await;
    let old = host.store_old(NAME, world.now() - 55 * DAY, world.now() + 35 * DAY).await;
    assert_eq!(host.keeper.pass().await, 0);
    assert_eq!(host.installed(NAME), Some(old), "it is installed from the database");
    assert_eq!(world.front.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_host_answers_for_the_one_that_orders() {
    let world = World::new().await;
    let (orders, answers) = (world.host(&[("a", NAME)]).await, world.host(&[]).await);
    world.lead_to(&[&answers]);
    assert_eq!(orders.keeper.pass().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_of_a_host_that_was_killed_expires() {
    let world = World::new().await;
    let host = world.host(&[("a", NAME)]).await;
    let killed = Holder([1; 16]);
    let until = world.now() + 8 * MINUTE;
    assert_eq!(host.store.lease_name(&host.key(NAME), killed, until, None, world.now()).await, Ok(true));
    assert_eq!(host.keeper.pass().await, 0);
    assert_eq!(world.front.requests(), 0);
    world.pass_time(8 * MINUTE);
    assert_eq!(host.keeper.pass().await, 1);
    let pause = Pause { failures: 9, next_at: i64::MAX, problem: String::new() };
    assert_eq!(
        host.store.postpone_name(&host.key(NAME), killed, pause).await,
        Ok(false),
        "the killed host, which was only frozen, changes nothing any more"
    );
}

/// An attacker asks for random tokens: that must not reach the database each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_tokens_cost_at_most_one_read_a_second() {
    let world = World::new().await;
    let host = world.host(&[]).await;
    let began = std::time::Instant::now();
    assert_eq!(host.answers.http_01("unknown").await, None);
    let answer = Answer {
        challenge: Challenge::Http01,
        asked: "token".into(),
        value: b"token.print".to_vec(),
        expires_at: world.now() + MINUTE,
    };
    host.store.put_answer(answer).await.unwrap();
    let at_once = host.answers.http_01("token").await;
    // On a machine that is so slow, the second may be over.
    assert!(at_once.is_none() || began.elapsed().as_millis() > 900);
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(host.answers.http_01("token").await.as_deref(), Some("token.print"));
    for wrong in ["", "token/../token", "tok en", &"x".repeat(200)] {
        assert_eq!(host.answers.http_01(wrong).await, None);
    }
    world.pass_time(MINUTE);
    assert_eq!(host.answers.http_01("token").await, None, "it has expired");
}
