use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct World {
    cache: Arc<PageCache<&'static str>>,
    owner: Arc<dyn Any + Send + Sync>,
    rules: Arc<CacheRules>,
    began: Instant,
}

impl World {
    fn new(bytes_max: u64, brand_bytes_max: u64) -> Self {
        let rules = CacheRules {
            ttl: 60 * SECOND,
            stale: 600 * SECOND,
            tags: vec!["posts".into()],
            ..CacheRules::default()
        };
        Self {
            cache: Arc::new(PageCache::new(bytes_max, brand_bytes_max)),
            owner: Arc::new(()),
            rules: Arc::new(rules),
            began: Instant::now(),
        }
    }

    fn roomy() -> Self {
        Self::new(1 << 20, 1 << 20)
    }

    fn find(&self, brand: &str, path: &str, after: u32) -> Found<&'static str> {
        let now = self.began + after * SECOND;
        let (owner, rules) = (&self.owner, &self.rules);
        self.cache.find(&Asked { brand, key: &key(path), owner, rules, now })
    }

    /// Makes an answer that takes this many bytes.
    fn fill(&self, brand: &str, path: &str, bytes: u64, after: u32) -> bool {
        let Found::Fill(fill) = self.find(brand, path, after) else { panic!("{path} is not to be made") };
        fill.keep(&Arc::new("answer"), bytes, self.began + after * SECOND).is_ok()
    }

    fn has(&self, brand: &str, path: &str) -> bool {
        matches!(self.find(brand, path, 0), Found::Fresh(_))
    }

    fn usage(&self, brand: &str) -> Usage {
        self.cache.usage().into_iter().find(|(id, _)| id == brand).map(|(_, usage)| usage).unwrap_or_default()
    }
}

fn key(path: &str) -> Key {
    let parts = crate::KeyParts { is_https: false, host: "h", path, query: "" };
    Key::new(parts, std::iter::empty()).unwrap()
}

#[test]
fn answers_are_fresh_then_stale_then_gone() {
    let world = World::roomy();
    assert!(world.fill("b", "/", 10, 0));
    for after in [0, 59] {
        let Found::Fresh(hit) = world.find("b", "/", after) else { panic!("{after}") };
        assert_eq!(hit.age, after * SECOND);
    }
    let Found::Refresh(fill, stale) = world.find("b", "/", 60) else { panic!("not to be made again") };
    assert_eq!((*stale.answer, stale.age), ("answer", 60 * SECOND));
    // Others get the old answer meanwhile.
    assert!(matches!(world.find("b", "/", 61), Found::Stale(_)));
    assert!(fill.keep(&Arc::new("new"), 10, world.began + 62 * SECOND).is_ok());
    let Found::Fresh(hit) = world.find("b", "/", 62) else { panic!("not kept") };
    assert_eq!(*hit.answer, "new");
    let Found::Fill(_) = world.find("b", "/", 62 + 660) else { panic!("an old answer was found") };
}

#[test]
fn old_answer_survives_failures_for_its_stale_time() {
    let world = World::roomy();
    assert!(world.fill("b", "/", 10, 0));
    for after in [60, 62] {
        let Found::Refresh(fill, _) = world.find("b", "/", after) else { panic!("{after}") };
        fill.refuse(&Dependence::Failed, world.began + after * SECOND);
        // The next request does not try at once.
        assert!(matches!(world.find("b", "/", after), Found::Stale(_)));
    }
    let Found::Refresh(fill, _) = world.find("b", "/", 64) else { panic!("not to be made again") };
    // The page has begun to depend on the visitor.
    fill.refuse(&Dependence::Cookies, world.began + 64 * SECOND);
    assert!(matches!(world.find("b", "/", 64), Found::Refused(_)));
}

#[tokio::test]
async fn one_request_makes_the_answer_and_the_others_wait() {
    let world = World::roomy();
    let Found::Fill(fill) = world.find("b", "/", 0) else { panic!("not to be made") };
    let waiting: Vec<_> = (0..3)
        .map(|_| match world.find("b", "/", 0) {
            Found::Wait(waiting) => tokio::spawn(waiting.until_over()),
            _ => panic!("nobody waits"),
        })
        .collect();
    assert!(matches!(world.find("b", "/other", 0), Found::Fill(..)));
    tokio::task::yield_now().await;
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    assert_eq!(fill.keep(&Arc::new("answer"), 10, world.began), Ok(()));
    for waiting in waiting {
        waiting.await.unwrap();
    }
    assert!(world.has("b", "/"));
}

#[tokio::test]
async fn what_cannot_be_kept_is_remembered_for_a_while() {
    let world = World::roomy();
    let Found::Fill(fill) = world.find("b", "/", 0) else { panic!("not to be made") };
    let Found::Wait(waiting) = world.find("b", "/", 0) else { panic!("nobody waits") };
    fill.refuse(&Dependence::Session, world.began);
    waiting.until_over().await;
    for after in [0, 59] {
        assert!(matches!(world.find("b", "/", after), Found::Refused(_)));
    }
    let Found::Fill(fill) = world.find("b", "/", 60) else { panic!("remembered for too long") };
    // A request that ends without a word has failed.
    drop(fill);
    assert!(matches!(world.find("b", "/", 60), Found::Refused(_) | Found::Fill(..)));
}

#[test]
fn keeps_within_the_bytes_of_a_brand() {
    let one = entry_bytes(&key("/1")) + 1_000;
    let world = World::new(100 * one, 4 * one);
    for path in ["/1", "/2", "/3", "/4"] {
        assert!(world.fill("b", path, 1_000, 0));
    }
    assert_eq!(world.usage("b"), Usage { bytes: 4 * one, answers: 4 });
    assert!(world.has("b", "/1"));
    assert!(world.fill("b", "/5", 1_000, 0));
    // The least recently used one is gone.
    assert!(matches!(world.find("b", "/2", 0), Found::Fill(..)));
    assert!(world.has("b", "/1"));
    assert_eq!(world.usage("b").bytes, 4 * one);
    assert!(!world.fill("b", "/large", 1_001, 0));
    assert!(!world.has("b", "/large"));
}

#[test]
fn full_cache_drops_from_the_brand_with_the_most() {
    let one = entry_bytes(&key("/1")) + 1_000;
    let world = World::new(8 * one, 8 * one);
    for path in ["/1", "/2", "/3", "/4", "/5", "/6", "/7"] {
        assert!(world.fill("a", path, 1_000, 0));
    }
    for path in ["/1", "/2", "/3"] {
        assert!(world.fill("b", path, 1_000, 0));
    }
    assert_eq!((world.usage("a").answers, world.usage("b").answers), (5, 3));
    assert!(world.has("b", "/1"));
}

#[test]
fn purges_drop_what_has_the_tag_and_what_is_being_made() {
    let world = World::roomy();
    assert!(world.fill("b", "/", 10, 0));
    assert!(world.fill("other", "/", 10, 0));
    world.cache.purge("b", "news");
    assert!(world.has("b", "/"));
    let Found::Fill(fill) = world.find("b", "/new", 0) else { panic!("not to be made") };
    world.cache.purge("b", "posts");
    let kept = fill.keep(&Arc::new("made before the purge"), 10, world.began);
    assert_eq!(kept, Err(Dependence::Outdated));
    assert!(matches!(world.find("b", "/new", 0), Found::Fill(..)));
    assert!(matches!(world.find("b", "/", 0), Found::Fill(..)));
    assert!(world.has("other", "/"));
    world.cache.purge("other", ALL_TAGS);
    assert_eq!(world.usage("other").answers, 0);
}

#[test]
fn reload_forgets_everything() {
    let world = World::roomy();
    assert!(world.fill("b", "/", 10, 0));
    assert!(world.cache.is_news("b", "pages/index.html", "cookies"));
    assert!(!world.cache.is_news("b", "pages/index.html", "cookies"));
    let Found::Fill(fill) = world.find("b", "/new", 0) else { panic!("not to be made") };
    world.cache.forget();
    let kept = fill.keep(&Arc::new("made before the reload"), 10, world.began);
    assert_eq!(kept, Err(Dependence::Outdated));
    assert_eq!(world.usage("b"), Usage::default());
    assert!(matches!(world.find("b", "/", 0), Found::Fill(..)));
    assert!(world.cache.is_news("b", "pages/index.html", "cookies"));
}

#[test]
fn another_version_of_a_page_has_its_own_answers() {
    let mut world = World::roomy();
    assert!(world.fill("b", "/", 10, 0));
    let Found::Fill(old) = world.find("b", "/slow", 0) else { panic!("not to be made") };
    world.owner = Arc::new(());
    assert!(matches!(world.find("b", "/slow", 0), Found::Fill(..)));
    assert_eq!(old.keep(&Arc::new("of the old page"), 10, world.began), Err(Dependence::Outdated));
    assert!(world.fill("b", "/", 10, 0));
    assert_eq!(world.usage("b").answers, 1);
}

#[test]
fn what_is_refused_takes_a_small_part_of_the_room() {
    let one = entry_bytes(&key("/100"));
    let world = World::new(64 * one, 64 * one);
    assert!(world.fill("b", "/answer", 10, 0));
    for path in 100..200 {
        let Found::Fill(fill) = world.find("b", &format!("/{path}"), 0) else { panic!("{path}") };
        fill.refuse(&Dependence::Session, world.began);
    }
    let usage = world.usage("b");
    assert_eq!((usage.answers, usage.bytes <= 6 * one), (1, true), "{usage:?}");
    assert!(world.has("b", "/answer"));
    assert!(matches!(world.find("b", "/199", 0), Found::Refused(Dependence::Session)));
    assert!(matches!(world.find("b", "/100", 0), Found::Fill(..)));
}

#[test]
fn few_old_answers_of_a_brand_are_made_again_at_once() {
    let world = World::roomy();
    let find = |at: usize| world.find("b", &format!("/{at}"), 60);
    (0..100).for_each(|at| assert!(world.fill("b", &format!("/{at}"), 10, 0)));
    let begun: Vec<_> = (0..100).map(find).filter(|found| matches!(found, Found::Refresh(..))).collect();
    assert!(!begun.is_empty() && begun.len() < 100, "{}", begun.len());
    assert!(matches!(find(99), Found::Stale(_)));
    drop(begun);
    assert!(matches!(find(99), Found::Refresh(..)));
}
