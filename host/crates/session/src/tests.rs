//! Tests of what a session accepts and changes.

use serde_json::json;

use super::*;

#[test]
fn reserved_keys_can_be_neither_read_nor_written() {
    let mut session = Session::default();
    for key in RESERVED.iter().copied().chain(["_own", "_"]) {
        let refused = session.set(key, json!(1), &Limits::default());
        assert_eq!(refused, Err(SessionRefusal::Reserved(key.into())));
        assert_eq!(session.get(key), None);
    }
}

#[test]
fn rejects_keys_and_bytes_just_over_the_limits() {
    let limits = Limits { session_keys_max: 2, session_bytes_max: 2_008, ..Limits::default() };
    let text = |bytes| json!("x".repeat(bytes));
    let mut session = Session::default();
    // 1 byte of key, 3 + 1,000 of text: 1,004 bytes each.
    assert_eq!(session.set("a", text(1_000), &limits), Ok(()));
    assert_eq!(session.set("b", text(1_001), &limits), Err(SessionRefusal::Bytes(2_009, 2_008)));
    assert_eq!(session.set("b", text(1_000), &limits), Ok(()));
    assert_eq!(session.set("c", json!(1), &limits), Err(SessionRefusal::Keys(3, 2)));
    assert_eq!(session.set("a", Value::Null, &limits), Ok(()));
    assert_eq!(session.set("c", json!("cccc"), &limits), Ok(()));
}

fn ann() -> Identity {
    Identity::merged(None, &json!({"email": "ann@example.com"})).unwrap()
}

#[test]
fn handoff_removes_values_of_another_customer() {
    let limits = Limits::default();
    let mut session = Session::default();
    for key in ["cart", "note"] {
        session.set(key, json!("before"), &limits).unwrap();
    }
    let token = UsedToken { token_id: [1; 16], remember_until: 0 };
    let handed = HandedOver { identity: ann(), token };
    session.hand_over(handed.clone(), &limits).unwrap();
    assert_eq!(session.hand_over(handed, &limits), Err(SessionRefusal::TokenUsed));
    assert_eq!(session.used_tokens(), [token]);
    session.set("after", json!(1), &limits).unwrap();
    assert_eq!((session.get("cart"), session.get("note")), (Some(&json!("before")), None));
    let mut row = SessionData::default();
    row.values.insert("locale".into(), json!("de"));
    row.values.insert("secret".into(), json!("of somebody else"));
    row.apply(session.changes());
    assert_eq!(Value::Object(row.values), json!({"locale": "de", "cart": "before", "after": 1}));
    assert_eq!(row.identity, Some(ann()));
}

#[test]
fn parallel_requests_together_stay_within_the_limits() {
    let limits = Limits { session_keys_max: 3, ..Limits::default() };
    let mut session = Session::default();
    for key in ["a", "b", "c"] {
        session.set(key, json!(1), &limits).unwrap();
    }
    let mut row = SessionData::default();
    row.values.insert("b".into(), json!(0));
    row.values.insert("d".into(), json!(0));
    assert_eq!(row.apply_within(session.changes(), &limits), ["c"]);
    assert_eq!(Value::Object(row.values), json!({"b": 1, "d": 0, "a": 1}));
}

#[test]
fn setting_what_is_there_changes_nothing() {
    let limits = Limits::default();
    let mut session = Session::default();
    let kept = json!({"a": 0.0, "b": [1, "x"]});
    session.now.values.insert("kept".into(), kept.clone());
    session.set("kept", kept, &limits).unwrap();
    session.set("missing", Value::Null, &limits).unwrap();
    assert!(session.changes().is_empty());
    for (key, value) in
        [("kept", json!({"b": [1, "x"], "a": 0.0})), ("zero", json!(0.0)), ("zero", json!(-0.0))]
    {
        session.changes = SessionChanges::default();
        session.set(key, value, &limits).unwrap();
        assert!(!session.changes().is_empty(), "{key}");
    }
}

#[test]
fn changes_are_applied_to_the_row_as_it_is_at_the_end() {
    let mut session = Session::default();
    session.now.values.insert("gone".into(), json!(2));
    session.set("mine", json!(1), &Limits::default()).unwrap();
    session.set("gone", Value::Null, &Limits::default()).unwrap();
    let mut row = SessionData::default();
    row.values.insert("theirs".into(), json!(2));
    row.values.insert("gone".into(), json!(3));
    row.apply(session.changes());
    assert_eq!(Value::Object(row.values), json!({"theirs": 2, "mine": 1}));
}
