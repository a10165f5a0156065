//! The history of an entry's stages.

use serde_json::json;

use sluice_crm::WriteInto::New;
use sluice_crm::edit::{self, Edit};
use sluice_crm::{
    Address, CapReached, CrmCaps, CrmFault, CrmWrite, CrmWritten, EntryId, Refusal, STAGE_MOVES_MAX, Slug,
    StageHistory, entry_bytes, stage_history_bytes, value_bytes,
};
use sluice_kit::clock::iso_utc;

use super::writes::{copy, leads_and_deals, to_stage};
use super::{NOW, OpenStore, entries, key, put, set, try_put};
use crate::Store;

async fn move_to(
    store: &dyn Store,
    at: &Address,
    (stage, all_entries): (&str, bool),
    caps: CrmCaps,
    now_ms: i64,
) -> Result<CrmWritten, CrmFault> {
    let to = CrmWrite::Move { at: at.line(), to: to_stage(stage), all_entries };
    store.write_crm(&at.brand, to, caps, now_ms).await
}

async fn history(store: &dyn Store, at: &Address, id: EntryId) -> StageHistory {
    store.stage_history(&at.brand, at.slug.clone(), id).await.unwrap().unwrap()
}

/// The stages and the time of each line, such as `("support/open", "sales/new", 5)`, newest first.
fn lines(history: &StageHistory) -> Vec<(String, String, i64)> {
    let name = |at: &sluice_crm::Placement| format!("{}/{}", at.pipeline_slug, at.stage_slug);
    let line = |line: &sluice_crm::StageMove| {
        let from = line.from.as_ref().map_or_else(|| "none".to_owned(), name);
        (from, name(&line.to), line.moved_at - NOW)
    };
    history.newest.iter().map(line).collect()
}

fn line(from: &str, to: &str, at: i64) -> (String, String, i64) {
    (from.to_owned(), to.to_owned(), at)
}

pub(crate) async fn each_move_to_another_stage_is_a_line_of_history(open: &OpenStore) {
    let store = open().await;
    let (leads, at) = leads_and_deals(&*store, "history").await;
    let caps = CrmCaps::default();
    let to = |stage, all, now| move_to(&*store, &at, (stage, all), caps, NOW + now);
    for n in 0..2 {
        put(&*store, &at, &[("n", json!(n))], New, NOW).await;
    }
    let [newer, older] = &entries(&*store, &at).await[..] else { panic!() };
    assert_eq!(history(&*store, &at, newer.id).await, StageHistory { total: 0, newest: vec![] });
    to("open", false, 1).await.unwrap();
    to("open", false, 2).await.unwrap();
    assert!(to("nope", false, 3).await.is_err());
    to("new", true, 4).await.unwrap();
    to("open", true, 4).await.unwrap();
    let newest = history(&*store, &at, newer.id).await;
    let expected = [line("sales/new", "support/open", 4), line("support/open", "sales/new", 4)];
    assert_eq!(lines(&newest)[..2], expected, "newest first, also within a millisecond");
    assert_eq!(lines(&newest)[2..], [line("none", "support/open", 1)]);
    let oldest = history(&*store, &at, older.id).await;
    assert_eq!(lines(&oldest), [line("sales/new", "support/open", 4), line("none", "sales/new", 4)]);
    let stage = entries(&*store, &at).await[0].placement.clone();
    assert_eq!(Some(&newest.newest[0].to), stage.as_ref());

    // A copy of fields moves the newest entry of the target, or makes one in the stage.
    set(&*store, &leads, "a", json!(1), NOW).await;
    for (stage, now) in [("new", 6), ("new", 7)] {
        let copy = copy(&leads, &at, Some(to_stage(stage)), false);
        store.write_crm(&at.brand, copy, caps, NOW + now).await.unwrap();
    }
    let newest = history(&*store, &at, newer.id).await;
    assert_eq!((newest.total, lines(&newest)[0].clone()), (4, line("support/open", "sales/new", 6)));
    store.write_crm(&at.brand, CrmWrite::Clear { at: at.line() }, caps, NOW).await.unwrap();
    let copy = copy(&leads, &at, Some(to_stage("new")), false);
    store.write_crm(&at.brand, copy, caps, NOW + 8).await.unwrap();
    let made = entries(&*store, &at).await[0].id;
    assert_eq!(lines(&history(&*store, &at, made).await), [line("none", "sales/new", 8)]);
}

pub(crate) async fn an_edit_moves_its_entry_in_the_same_transaction(open: &OpenStore) {
    let store = open().await;
    let (leads, at) = leads_and_deals(&*store, "edit").await;
    let reference = || at.reference.clone();
    let field = |value: i64| (key("n"), json!(value));
    let make = async |at: &Address, edit: Edit, now: i64| {
        edit::edit(&*store, &at.brand, &at.slug, edit, CrmCaps::default(), NOW + now).await
    };
    let create = |place| Edit::Create { reference: reference(), fields: vec![field(1)], place };
    let made = make(&at, create(Some(to_stage("open"))), 1).await;
    let Ok(CrmWritten::Created { id }) = made else { panic!("{made:?}") };
    assert_eq!(lines(&history(&*store, &at, id).await), [line("none", "support/open", 1)]);
    // Another entry of the reference is newer, and stays where it is.
    let Ok(CrmWritten::Created { id: newer }) = make(&at, create(None), 2).await else { panic!() };
    let update = |n: i64, stage: Option<&str>, seen: i64| Edit::Update {
        id,
        fields: vec![(key("n"), Some(json!(n)))],
        if_updated_at: Some(iso_utc(NOW + seen)),
        place: stage.map(to_stage),
    };
    let moved = [line("support/open", "sales/new", 3), line("none", "support/open", 1)];
    assert_eq!(
        make(&at, update(2, Some("new"), 1), 3).await,
        Ok(CrmWritten::Updated { updated_at: NOW + 3 })
    );
    // Neither the fields nor the stage are changed if one of them cannot be, or if another change came first.
    for (stage, seen, why) in [("lost", 3, Refusal::UnknownStage), ("open", 1, Refusal::Conflict)] {
        assert_eq!(make(&at, update(9, Some(stage), seen), 4).await, Err(why.into()));
    }
    // The stage in which it is already is no move.
    make(&at, update(3, Some("new"), 3), 5).await.unwrap();
    assert_eq!(lines(&history(&*store, &at, id).await), moved);
    assert_eq!(history(&*store, &at, newer).await.total, 0);
    let values: Vec<_> = entries(&*store, &at).await.into_iter().map(|entry| entry.values).collect();
    assert_eq!(values, [[("n".to_owned(), json!(1))], [("n".to_owned(), json!(3))]]);
    let data = Edit::Create { reference: reference(), fields: vec![], place: Some(to_stage("new")) };
    assert_eq!(make(&leads, data, 6).await, Err(Refusal::NotCrmMode.into()));
    assert_eq!(entries(&*store, &leads).await, []);
    for id in [id, newer] {
        assert_eq!(make(&at, Edit::Delete { id }, 7).await, Ok(CrmWritten::Deleted));
        assert_eq!(make(&at, Edit::Delete { id }, 7).await, Err(Refusal::NoEntry.into()));
    }
    // All bytes are free again.
    let bytes = entry_bytes(&at.reference) + value_bytes("n", 1);
    let caps = CrmCaps { brand_bytes_max: bytes, ..CrmCaps::default() };
    try_put(&*store, &at, &[("n", json!(1))], New, caps, NOW).await.unwrap();
}

pub(crate) async fn the_newest_moves_are_kept_and_all_are_counted(open: &OpenStore) {
    let store = open().await;
    let (_, at) = leads_and_deals(&*store, "kept").await;
    set(&*store, &at, "n", json!(1), NOW).await;
    let moves = i64::from(STAGE_MOVES_MAX) + 3;
    for n in 1..=moves {
        let stage = if n % 2 == 0 { "open" } else { "new" };
        move_to(&*store, &at, (stage, false), CrmCaps::default(), NOW + n).await.unwrap();
    }
    let id = entries(&*store, &at).await[0].id;
    let kept = history(&*store, &at, id).await;
    assert_eq!((kept.total, kept.newest.len()), (moves.unsigned_abs(), STAGE_MOVES_MAX as usize));
    let times: Vec<i64> = kept.newest.iter().map(|line| line.moved_at - NOW).collect();
    assert_eq!(times, (4..=moves).rev().collect::<Vec<_>>());
}

pub(crate) async fn a_history_counts_in_the_quota_and_ends_with_its_entry(open: &OpenStore) {
    let store = open().await;
    let (_, at) = leads_and_deals(&*store, "quota").await;
    let capped = |bytes| CrmCaps { brand_bytes_max: bytes, ..CrmCaps::default() };
    let entry = entry_bytes(&at.reference) + value_bytes("n", 1);
    let over = Err(CrmFault::Cap(CapReached::BrandBytes));
    let to = |stage, bytes| move_to(&*store, &at, (stage, false), capped(bytes), NOW);
    set(&*store, &at, "n", json!(1), NOW).await;
    assert_eq!(to("new", entry + stage_history_bytes(1) - 1).await, over);
    let id = entries(&*store, &at).await[0].id;
    assert_eq!(history(&*store, &at, id).await.total, 0, "a rejected move leaves no line");
    assert!(to("new", entry + stage_history_bytes(1)).await.is_ok());
    assert!(to("new", 0).await.is_ok(), "the entry is there already");
    assert_eq!(to("open", entry + stage_history_bytes(1)).await, over);
    for n in 0..STAGE_MOVES_MAX {
        to(if n % 2 == 0 { "open" } else { "new" }, u64::MAX).await.unwrap();
    }
    let full = entry + stage_history_bytes(u64::MAX);
    assert!(to("open", full).await.is_ok(), "a line that replaces the oldest takes no more room");

    // All bytes are free again: the smallest entry fits exactly.
    let clear = CrmWrite::Clear { at: at.line() };
    store.write_crm(&at.brand, clear, CrmCaps::default(), NOW).await.unwrap();
    let one = |bytes| {
        let (store, at) = (&store, &at);
        async move { try_put(&**store, at, &[("n", json!(1))], New, capped(bytes), NOW).await }
    };
    assert!(one(entry - 1).await.is_err());
    assert_eq!(one(entry).await, Ok(()));
    assert_eq!(store.stage_history(&at.brand, at.slug.clone(), id).await, Ok(None));

    // So they are if the entry is deleted because its last field is moved away, or by its id.
    to("new", u64::MAX).await.unwrap();
    let (from, into) = (at.clone(), Address { slug: Slug::new("leads").unwrap(), ..at.clone() });
    let away = CrmWrite::MoveToEntity {
        reference: from.reference.clone(),
        from: from.slug.clone(),
        to: into.slug.clone(),
        fields: vec![(key("n"), key("n"))],
        place: None,
        remove_from_old: true,
    };
    store.write_crm(&at.brand, away, CrmCaps::default(), NOW).await.unwrap();
    assert!(entries(&*store, &at).await.is_empty());
    let left = entries(&*store, &into).await[0].id;
    let delete = CrmWrite::DeleteEntry { at: into.line(), id: left };
    store.write_crm(&at.brand, delete, CrmCaps::default(), NOW).await.unwrap();
    assert!(one(entry - 1).await.is_err());
    assert_eq!(one(entry).await, Ok(()));
    to("new", u64::MAX).await.unwrap();
    let last = entries(&*store, &at).await[0].id;
    let delete = CrmWrite::DeleteEntry { at: at.line(), id: last };
    store.write_crm(&at.brand, delete, CrmCaps::default(), NOW).await.unwrap();
    assert_eq!(one(entry).await, Ok(()));
}

pub(crate) async fn parallel_moves_are_all_in_the_history(open: &OpenStore) {
    let stores = [open().await, open().await];
    let (_, at) = leads_and_deals(&*stores[0], "parallel").await;
    set(&*stores[0], &at, "n", json!(1), NOW).await;
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let (store, at) = (stores[task % 2].clone(), at.clone());
            let stage = ["new", "open"][task / 2 % 2];
            tokio::spawn(async move { move_to(&*store, &at, (stage, false), CrmCaps::default(), NOW).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let id = entries(&*stores[0], &at).await[0].id;
    let history = history(&*stores[0], &at, id).await;
    assert_eq!(history.total as usize, history.newest.len());
    // Each line begins where the one before it ended.
    for pair in history.newest.windows(2) {
        assert_eq!(pair[0].from.as_ref(), Some(&pair[1].to));
        assert_ne!(pair[0].from.as_ref(), Some(&pair[0].to));
    }
    assert_eq!(history.newest.last().map(|line| line.from.clone()), Some(None));
}

pub(crate) async fn a_brand_cannot_read_the_history_of_another(open: &OpenStore) {
    let store = open().await;
    let (leads, ours) = leads_and_deals(&*store, "ours").await;
    let (_, theirs) = leads_and_deals(&*store, "theirs").await;
    set(&*store, &ours, "n", json!(1), NOW).await;
    let refused = move_to(&*store, &ours, ("won", false), CrmCaps::default(), NOW).await;
    assert_eq!(refused, Err(CrmFault::Refused(Refusal::AmbiguousStage)));
    move_to(&*store, &ours, ("new", false), CrmCaps::default(), NOW).await.unwrap();
    let id = entries(&*store, &ours).await[0].id;
    let read = |at: &Address| store.stage_history(&at.brand, at.slug.clone(), id);
    assert_eq!(read(&ours).await.unwrap().unwrap().total, 1);
    assert_eq!(read(&theirs).await, Ok(None));
    assert_eq!(read(&leads).await, Ok(None));
    let nobody = Address { slug: Slug::new("nope").unwrap(), ..ours.clone() };
    assert_eq!(read(&nobody).await, Err(CrmFault::UnknownSlug("nope".to_owned())));
}
