//! Tests plans without a database.

use serde_json::json;

use super::*;
use crate::{
    CapReached, CrmCaps, CrmFault, EntityMode, EntryId, Pipeline, Stage, StageSpec, entry_bytes, value_bytes,
};

fn id(n: u8) -> EntryId {
    EntryId::from_bytes([n; 16])
}

fn key(text: &str) -> FieldKey {
    FieldKey::new(text).unwrap()
}

fn line(slug: &str) -> Line {
    Line { slug: Slug::new(slug).unwrap(), reference: Reference::new("customer", "7").unwrap() }
}

fn entry(n: u8, keys: u32) -> EntryRow {
    let bytes = u64::from(keys) * value_bytes("a", 1);
    EntryRow { id: id(n), stage_id: None, stage_moves: 0, updated_at: 0, keys, bytes }
}

fn held(text: &str, entry: u8) -> Held {
    Held { key: key(text), entry: id(entry), stored_bytes: 1, value: vec![entry] }
}

fn rows(entries: &[EntryRow], held: &[Held]) -> LineRows {
    LineRows {
        mode: EntityMode::Crm,
        pipelines: Vec::new(),
        indexes: Vec::new(),
        count: entries.len() as u32,
        entries: entries.to_vec(),
        held: held.to_vec(),
    }
}

fn set(fields: &[(&str, Value)], into: WriteInto) -> CrmWrite {
    let fields = fields.iter().map(|(text, value)| (key(text), value.clone())).collect();
    CrmWrite::SetFields { at: line("leads"), fields, into }
}

fn plan(write: &CrmWrite, rows: &[LineRows]) -> Result<Plan, CrmFault> {
    write.plan(rows, CrmCaps::default(), 1)
}

/// The entry and the key of each planned value.
fn written(plan: &Plan) -> Vec<(EntryId, &str)> {
    plan.values.iter().map(|new| (new.entry, new.key.as_str())).collect()
}

#[test]
fn fields_of_a_reference_without_entries_make_one_entry() {
    let plan = plan(&set(&[("a", json!(1)), ("b", json!(2))], WriteInto::Holder), &[rows(&[], &[])]);
    let plan = plan.unwrap();
    let [new] = plan.new_entries[..] else { panic!("{plan:?}") };
    assert_eq!(written(&plan), [(new.id, "a"), (new.id, "b")]);
    assert!(plan.touched.is_empty(), "a new entry needs no update");
    let bytes = entry_bytes(&line("leads").reference) + value_bytes("a", 1) + value_bytes("b", 1);
    assert_eq!(plan.bytes, bytes as i64);
}

#[test]
fn writes_each_field_to_the_entry_that_has_its_key() {
    let found = rows(&[entry(3, 1), entry(2, 1), entry(1, 1)], &[held("a", 1), held("b", 2)]);
    let fields = [("a", json!(1)), ("new", json!(1)), ("b", json!(1))];
    let holder = plan(&set(&fields, WriteInto::Holder), std::slice::from_ref(&found)).unwrap();
    assert_eq!(written(&holder), [(id(1), "a"), (id(3), "new"), (id(2), "b")]);
    assert_eq!(holder.touched, [id(1), id(3), id(2)]);
    let newest = plan(&set(&fields, WriteInto::Newest), std::slice::from_ref(&found)).unwrap();
    assert_eq!(written(&newest), [(id(3), "a"), (id(3), "new"), (id(3), "b")]);
    let new = plan(&set(&fields, WriteInto::New), &[found]).unwrap();
    assert!(new.new_entries[0].id > id(3));
    assert_eq!(new.values.len(), 3);
}

#[test]
fn writes_only_the_last_of_two_equal_keys() {
    let twice = set(&[("a", json!(1)), ("b", json!(1)), ("a", json!("longer"))], WriteInto::Holder);
    let plan = plan(&twice, &[rows(&[entry(1, 1)], &[held("a", 1)])]).unwrap();
    assert_eq!(written(&plan), [(id(1), "b"), (id(1), "a")]);
    let grown = value_bytes("a", 7) - value_bytes("a", 1) + value_bytes("b", 1);
    assert_eq!(plan.bytes, grown as i64);
}

#[test]
fn rejects_writes_just_over_the_quotas() {
    let caps = CrmCaps { keys_an_entry_max: 2, entries_a_reference_max: 2, ..CrmCaps::default() };
    let one_more = set(&[("b", json!(1))], WriteInto::Holder);
    assert!(one_more.plan(&[rows(&[entry(1, 1)], &[])], caps, 1).is_ok());
    let over = one_more.plan(&[rows(&[entry(1, 2)], &[])], caps, 1).unwrap_err();
    assert_eq!(over, CrmFault::Cap(CapReached::KeysAnEntry));
    let new = set(&[("b", json!(1))], WriteInto::New);
    assert!(new.plan(&[rows(&[entry(1, 1)], &[])], caps, 1).is_ok());
    let over = new.plan(&[rows(&[entry(2, 1), entry(1, 1)], &[])], caps, 1).unwrap_err();
    assert_eq!(over, CrmFault::Cap(CapReached::EntriesAReference));
}

#[test]
fn clearing_frees_all_bytes() {
    let clear = CrmWrite::Clear { at: line("leads") };
    let plan = plan(&clear, &[rows(&[entry(2, 3), entry(1, 0)], &[])]).unwrap();
    assert_eq!(plan.deleted_entries, [id(2), id(1)]);
    let bytes = 2 * entry_bytes(&line("leads").reference) + 3 * value_bytes("a", 1);
    assert_eq!(plan.bytes, -(bytes as i64));
    assert_eq!(plan.written, CrmWritten::Cleared { deleted: 2 });
}

fn pipeline(pipeline: i64, slug: &str, stages: &[(i64, &str)]) -> Pipeline {
    let stage = |(id, slug): &(i64, &str)| Stage {
        id: *id,
        position: 0,
        spec: StageSpec { slug: (*slug).to_owned(), name: (*slug).to_owned(), color: None, status: None },
    };
    Pipeline {
        id: pipeline,
        position: 0,
        slug: slug.to_owned(),
        name: slug.to_owned(),
        stages: stages.iter().map(stage).collect(),
    }
}

#[test]
fn moving_all_entries_keeps_each_in_its_pipeline() {
    let mut found = rows(&[entry(3, 1), entry(2, 1), entry(1, 1)], &[]);
    found.pipelines = vec![
        pipeline(10, "sales", &[(11, "new"), (12, "won")]),
        pipeline(20, "support", &[(21, "open"), (22, "won")]),
    ];
    for (row, stage) in found.entries.iter_mut().zip([22, 21, 11]) {
        row.stage_id = Some(stage);
    }
    let won = Named { id: None, slug: Slug::new("won") };
    let to = Destination { pipeline: None, stage: Some(won) };
    let write = CrmWrite::Move { at: line("leads"), to, all_entries: true };
    let plan = plan(&write, &[found]).unwrap();
    assert_eq!(plan.placed, [(id(2), 22), (id(1), 12)]);
    assert_eq!(plan.touched, [id(2), id(1)]);
    let written = CrmWritten::Moved { moved: 3, matched: 3, pipeline_id: 20, stage_id: 22 };
    assert_eq!(plan.written, written);
}

#[test]
fn moving_fields_deletes_empty_entries() {
    let write = CrmWrite::MoveToEntity {
        reference: line("leads").reference,
        from: Slug::new("leads").unwrap(),
        to: Slug::new("deals").unwrap(),
        fields: vec![(key("a"), key("x")), (key("b"), key("y")), (key("a"), key("z"))],
        place: None,
        remove_from_old: true,
    };
    let from = rows(&[entry(3, 2), entry(1, 1)], &[held("a", 3), held("b", 1)]);
    let plan = plan(&write, &[from, rows(&[], &[])]).unwrap();
    let target = plan.new_entries[0].id;
    assert_eq!(written(&plan), [(target, "x"), (target, "y"), (target, "z")]);
    assert_eq!(plan.values[0].value, [3], "the stored bytes are copied unchanged");
    assert_eq!(plan.removed_values, [(id(3), key("a")), (id(1), key("b"))]);
    assert_eq!(plan.deleted_entries, [id(1)]);
    assert_eq!(plan.touched, [id(3)]);
    assert_eq!(plan.written, CrmWritten::Copied { fields: 3, removed: 2 });
    let [from, to] = write.wants().try_into().unwrap();
    assert_eq!(from.keys, [key("a"), key("b")], "each key is wanted once");
    assert!(from.values && !to.values);
    assert_eq!(write.lines(), [line("deals"), line("leads")], "in the order of locking");
}

#[test]
fn reassigning_counts_the_longer_reference() {
    let reference = |id: &str| Reference::new("customer", id).unwrap();
    let slug = Slug::new("leads").unwrap();
    let write = CrmWrite::Reassign { slug, from: reference("7"), to: reference("1234567") };
    let given = plan(&write, &[rows(&[entry(1, 1), entry(2, 1)], &[]), rows(&[], &[])]).unwrap();
    assert_eq!((given.bytes, given.reassigned), (2 * 2 * 6, Some((0, 1))));
    let nothing = plan(&write, &[rows(&[], &[]), rows(&[entry(1, 1)], &[])]).unwrap();
    assert_eq!((nothing.bytes, nothing.reassigned), (0, None));
    assert_eq!(nothing.written, CrmWritten::Reassigned { moved: 0 });
}

/// A later version must be able to read the jobs that this one stored.
#[test]
fn stored_form_of_a_write_is_stable() {
    let write = set(&[("__proto__", json!({"a": [-0.0, u64::MAX, "\0"]}))], WriteInto::New);
    let bytes = rmp_serde::to_vec_named(&write).unwrap();
    let back: CrmWrite = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(back, write);
    let CrmWrite::SetFields { fields, .. } = back else { panic!() };
    assert_eq!(fields[0].1.to_string(), r#"{"a":[-0.0,18446744073709551615,"\u0000"]}"#);
    let text = serde_json::to_string(&CrmWrite::Reassign {
        slug: Slug::new("leads").unwrap(),
        from: Reference::new("quiz_visitor", "v").unwrap(),
        to: Reference::new("customer", "7").unwrap(),
    });
    let expected = r#"{"Reassign":{"slug":"leads","from":["quiz_visitor","v"],"to":["customer","7"]}}"#;
    assert_eq!(text.unwrap(), expected);
    // A stored job is untrusted like any row, so its parts are checked again.
    let forged = expected.replace("leads", "Not A Slug");
    assert!(serde_json::from_str::<CrmWrite>(&forged).is_err());
}

#[test]
fn display_of_a_write_has_no_values() {
    let secret = set(&[("a", json!("secret"))], WriteInto::Holder);
    assert_eq!(secret.to_string(), "setCrmField leads customer/7");
    let reassign = CrmWrite::Reassign {
        slug: Slug::new("leads").unwrap(),
        from: Reference::new("quiz_visitor", "v\n").unwrap(),
        to: Reference::new("customer", "7").unwrap(),
    };
    assert_eq!(reassign.to_string(), "reassignCrmReference leads quiz_visitor/v\\n → customer/7");
}
