//! Invalid input is rejected with exact messages, before the store is called.

use super::*;

/// The kind of the error, and the message without the call's name. The database is closed, so a
/// call that used it would fail with another error.
async fn rejection_of(call: Call, changes: Value) -> (&'static str, String) {
    let mut options = valid_options(call);
    for (name, value) in changes.as_object().unwrap() {
        options[name] = value.clone();
    }
    match Crm::closed().await.call(call, options).await.unwrap_err() {
        CrmError::Type { mistake, .. } => ("type", mistake.to_string()),
        CrmError::Refused { reason, .. } => (reason.refusal().code(), reason.to_string()),
        other => panic!("{other}"),
    }
}

/// Whether the call is about the entries of one reference, which defaults to the customer.
fn takes_reference(call: Call) -> bool {
    call.needs_visitor(&json!({})) && call != Call::Reassign
}

#[tokio::test]
async fn accepts_valid_options() {
    let mut crm = Crm::new().await;
    crm.quiz_visitor_id = Some("v1");
    for slug in ["leads", "deals"] {
        crm.set(slug, "a", json!(1)).await;
    }
    for call in CALLS {
        if call == Call::MoveToEntity {
            crm.set("leads", "a", json!(1)).await;
        }
        if call == Call::SetRelation {
            let message = "setCrmRelation: there is no entry with the id in targetId".to_owned();
            assert_eq!(crm.rejection(call, valid_options(call)).await, (Refusal::NoTarget, message));
            continue;
        }
        if matches!(call, Call::UpdateEntry | Call::DeleteEntry | Call::RemoveRelation) {
            let message = format!("{}: the entity has no entry with this id", call.name());
            assert_eq!(crm.rejection(call, valid_options(call)).await, (Refusal::NoEntry, message));
            continue;
        }
        crm.succeed(call, valid_options(call)).await;
    }
}

#[tokio::test]
async fn a_failed_database_is_not_a_rejection() {
    let mut crm = Crm::closed().await;
    crm.quiz_visitor_id = Some("v1");
    for call in CALLS {
        let error = crm.call(call, valid_options(call)).await.unwrap_err();
        assert!(matches!(error, CrmError::Store(StoreError::Unavailable(_))), "{call:?}: {error:?}");
    }
}

#[tokio::test]
async fn rejects_an_argument_that_is_not_an_object() {
    let crm = Crm::closed().await;
    for call in CALLS {
        for (argument, given) in
            [(json!(null), "null"), (json!([]), "an array"), (json!("leads"), "\"leads\"")]
        {
            let name = call.name();
            let message = format!("{name}: takes one options object, got {given}");
            assert_eq!(crm.type_error(call, argument).await, message);
        }
    }
}

#[tokio::test]
async fn rejects_missing_and_unknown_slugs() {
    let crm = Crm::new().await;
    for call in CALLS {
        for name in if call == Call::MoveToEntity { &["fromSlug", "toSlug"][..] } else { &["slug"] } {
            let missing = rejection_of(call, json!({ *name: null })).await;
            assert_eq!(missing, ("type", format!("{name} is required, got null")));
            if call == Call::EnsureEntity {
                continue;
            }
            let number = rejection_of(call, json!({ *name: 1 })).await;
            assert_eq!(number, ("type", format!("{name} must be a string, got 1")));
            let never = ("type", format!("{name} \"No Slug\" is not a CRM entity of this brand"));
            assert_eq!(rejection_of(call, json!({ *name: "No Slug" })).await, never);
            // Only the store knows whether a well-formed slug exists.
            let mut options = valid_options(call);
            options[name] = json!("nope");
            let crm = Crm { quiz_visitor_id: Some("v1"), ..Crm::new().await };
            let message = format!(
                "{}: {name} \"nope\" is not a CRM entity of this brand; it has deals, leads",
                call.name()
            );
            assert_eq!(crm.type_error(call, options).await, message);
        }
    }
    let (refusal, message) = crm.rejection(Call::EnsureEntity, json!({"slug": "No Slug"})).await;
    assert_eq!(refusal, Refusal::InvalidInput);
    assert!(message.starts_with(r#"ensureCrmEntity: slug "No Slug" does not match"#), "{message}");
}

/// As the product documents it: an unknown slug throws, whatever else is wrong.
#[tokio::test]
async fn an_unknown_slug_takes_precedence_over_everything_that_is_refused() {
    for call in CALLS.into_iter().filter(|call| *call != Call::EnsureEntity) {
        let mut options = valid_options(call);
        let name = if call == Call::MoveToEntity { "toSlug" } else { "slug" };
        let right = if call == Call::MoveToEntity { "deals" } else { "leads" };
        options[name] = json!(if call == Call::MoveToEntity { "daels" } else { "laeds" });
        for (changes, customer_id) in [
            (json!({}), None),
            (json!({"async": true, "id": "no id"}), None),
            (json!({"referenceId": "{"}), Some("7")),
            (json!({"fieldKey": "a b", "stageSlug": 5, "limit": 0, "force": 1}), Some("7")),
        ] {
            let crm = Crm { customer_id, ..Crm::new().await };
            let mut options = options.clone();
            for (name, value) in changes.as_object().unwrap() {
                if call.has_option(name) {
                    options[name] = value.clone();
                }
            }
            let wrong = options[name].clone();
            let message = format!(
                "{}: {name} {wrong} is not a CRM entity of this brand; did you mean \"{right}\"?",
                call.name()
            );
            assert_eq!(crm.type_error(call, options).await, message);
        }
    }
}

#[tokio::test]
async fn a_known_slug_is_looked_up_once() {
    let crm = Crm { customer_id: None, ..Crm::new().await };
    for call in CALLS.into_iter().filter(|call| takes_reference(*call)) {
        assert_eq!(crm.rejection(call, valid_options(call)).await.0, Refusal::NoReference);
    }
    crm.store.close().await;
    for call in CALLS.into_iter().filter(|call| takes_reference(*call)) {
        assert_eq!(crm.rejection(call, valid_options(call)).await.0, Refusal::NoReference);
    }
}

#[tokio::test]
async fn a_slug_that_a_script_or_another_host_created_is_known() {
    let crm = Crm { customer_id: None, ..Crm::new().await };
    let read = json!({"slug": "orders", "fieldKey": "a"});
    crm.type_error(Call::GetField, read.clone()).await;
    crm.succeed(Call::EnsureEntity, json!({"slug": "orders"})).await;
    assert_eq!(crm.rejection(Call::GetField, read).await.0, Refusal::NoReference);
    let other = SqliteStore::open(crm.options()).await.unwrap();
    other.apply_crm_schema("acme", CrmSchema::parse("[[entity]]\nslug='late'", "").unwrap()).await.unwrap();
    let read = json!({"slug": "late", "fieldKey": "a"});
    assert_eq!(crm.rejection(Call::GetField, read).await.0, Refusal::NoReference);
}

#[tokio::test]
async fn an_unknown_option_is_a_type_error_that_names_the_nearest() {
    let crm = Crm { customer_id: None, ..Crm::closed().await };
    for call in CALLS {
        let mut options = valid_options(call);
        options["asyncs"] = json!(true);
        let message = crm.type_error(call, options).await;
        let start = format!("{}: there is no option \"asyncs\"; ", call.name());
        assert!(message.starts_with(&start), "{message}");
        let meant = message.ends_with("did you mean \"async\"?");
        assert_eq!(meant, queued::can_wait(call), "{message}");
    }
    let message = crm.type_error(Call::GetField, json!({"slug": "leads", "fieldKey": "a", "x": 1})).await;
    assert!(message.ends_with("the options are slug, fieldKey, referenceType, referenceId"), "{message}");
}

#[tokio::test]
async fn a_missing_option_is_a_type_error() {
    let cases = [
        (Call::GetField, json!({"fieldKey": null}), "fieldKey is required, got null"),
        (Call::GetValues, json!({"fieldKey": null}), "fieldKey is required, got null"),
        (Call::GetFields, json!({"fieldKeys": null}), "fieldKeys is required, got null"),
        (Call::SetField, json!({"fieldKey": null}), "fieldKey is required, got null"),
        (Call::SetField, json!({"value": null}), "value is required, got null"),
        (Call::GetEntry, json!({"id": null}), "id is required, got null"),
        (Call::DeleteEntry, json!({"id": null}), "id is required, got null"),
        (Call::UpdateEntry, json!({"id": 5, "fields": null}), "fields is required, got null"),
        (Call::CreateEntry, json!({"fields": null}), "fields is required, got null"),
        (Call::SetRelation, json!({"targetId": null}), "targetId is required, got null"),
        (Call::AddValue, json!({"value": null}), "value is required, got null"),
        (Call::MoveToEntity, json!({"fieldMap": null}), "fieldMap is required, got null"),
        // Missing options are reported before invalid ones.
        (Call::SetField, json!({"fieldKey": "!", "value": null}), "value is required, got null"),
        (Call::SetFields, json!({"fields": null}), "fields is required, got null"),
        (
            Call::SetFields,
            json!({"fields": [{"fieldKey": "!", "value": 1}, {"value": 1}]}),
            "fields[1].fieldKey is required, got undefined",
        ),
        (
            Call::SetFields,
            json!({"fields": [1, {"fieldKey": "a"}]}),
            "fields[1].value is required, got undefined",
        ),
        (
            Call::SetFields,
            json!({"fields": [{"fieldKey": "a"}]}),
            "fields[0].value is required, got undefined",
        ),
    ];
    for (call, changes, message) in cases {
        assert_eq!(rejection_of(call, changes).await, ("type", message.to_owned()));
    }
}

#[tokio::test]
async fn rejects_invalid_options() {
    let many: Vec<_> = (0..257).map(|n| n.to_string()).collect();
    let many_mapped: serde_json::Map<_, _> = many.iter().map(|key| (key.clone(), json!("a"))).collect();
    let cases = [
        (Call::GetField, json!({"fieldKey": "a b"}), r#"fieldKey "a b" does not match"#),
        (Call::GetField, json!({"fieldKey": 5}), "fieldKey must be a string, got 5"),
        (Call::GetFields, json!({"fieldKeys": "a"}), r#"fieldKeys must be an array, got "a""#),
        (Call::GetFields, json!({"fieldKeys": ["a", ""]}), r#"fieldKeys[1] "" does not match"#),
        (Call::GetFields, json!({"fieldKeys": many}), "fieldKeys has 257 items; at most 256"),
        (Call::SetField, json!({"value": "x".repeat(10_001)}), "value is a string of 10001"),
        (Call::AddValue, json!({"value": "x".repeat(10_001)}), "value is a string of 10001"),
        (Call::SetField, json!({"value": ["x".repeat(10_240)]}), "value is 10244 bytes as JSON"),
        (Call::SetField, json!({"force": 1}), "force must be true or false, got 1"),
        (Call::SetFields, json!({"fields": {}}), "fields must be an array, got an object"),
        (Call::SetFields, json!({"fields": [1]}), "fields[0] must be an object"),
        (
            Call::SetFields,
            json!({"fields": [{"fieldKey": "a", "value": "x".repeat(10_001)}]}),
            "fields[0].value is a string of 10001",
        ),
        (Call::GetEntry, json!({"id": 5}), "id must be a string, got 5"),
        (Call::CreateEntry, json!({"fields": []}), "fields must be an object of values by key, got an array"),
        (Call::CreateEntry, json!({"fields": {"a b": 1}}), r#"a key of fields "a b" does not match"#),
        (
            Call::CreateEntry,
            json!({"fields": {"a": "x".repeat(10_001)}}),
            r#"fields["a"] is a string of 10001 characters"#,
        ),
        (Call::RemoveRelation, json!({"targetId": 5}), "targetId must be a string, got 5"),
        (Call::UpdateEntry, json!({"ifUpdatedAt": 5}), "ifUpdatedAt must be a string, got 5"),
        (Call::FindEntries, json!({"limit": 0}), "limit must be a number from 1 to 200, got 0"),
        (Call::FindEntries, json!({"referenceId": "{"}), "referenceId must not contain"),
        (Call::GetEntries, json!({"limit": 0}), "limit must be a number from 1 to 200, got 0"),
        (Call::GetValues, json!({"limit": "5"}), r#"limit must be a number from 1 to 200, got "5""#),
        (Call::MoveToStage, json!({"stageSlug": null}), "stageId or stageSlug is required"),
        (Call::MoveToStage, json!({"stageId": 1.5}), "stageId must be an integer, got 1.5"),
        (Call::MoveToStage, json!({"stageId": "1"}), r#"stageId must be an integer, got "1""#),
        (Call::MoveToStage, json!({"stageSlug": 1}), "stageSlug must be a string, got 1"),
        (Call::MoveToStage, json!({"allEntries": "yes"}), "allEntries must be true or false"),
        (Call::MoveToPipeline, json!({"pipelineSlug": null}), "pipelineId or pipelineSlug is required"),
        (Call::MoveLead, json!({"pipelineSlug": null}), "pipelineId or pipelineSlug is required"),
        (Call::MoveLead, json!({"stageSlug": null}), "stageId or stageSlug is required"),
        (Call::MoveToEntity, json!({"fieldMap": []}), "fieldMap must be an object, got an array"),
        (Call::MoveToEntity, json!({"fieldMap": {}}), "fieldMap has 0 keys; it may have 1 to 256"),
        (Call::MoveToEntity, json!({"fieldMap": many_mapped}), "fieldMap has 257 keys"),
        (Call::MoveToEntity, json!({"fieldMap": {"!": "a"}}), r#"a key of fieldMap "!" does not match"#),
        (Call::MoveToEntity, json!({"fieldMap": {"a": 1}}), r#"fieldMap["a"] must be a string, got 1"#),
        (Call::MoveToEntity, json!({"fieldMap": {"a": "t", "b": "t"}}), r#"fieldMap maps two keys to "t""#),
        (Call::MoveToEntity, json!({"toSlug": "leads"}), "fromSlug and toSlug are the same entity"),
        (Call::MoveToEntity, json!({"removeFromOld": 1}), "removeFromOld must be true or false"),
        (Call::Reassign, json!({"fromReferenceType": null}), "fromReferenceType is required"),
        (Call::Reassign, json!({"fromReferenceId": null}), "fromReferenceId is required"),
        (Call::Reassign, json!({"fromReferenceType": "a b"}), r#"referenceType "a b" does not match"#),
        (Call::EnsureEntity, json!({"name": ""}), "name must be one line"),
        (Call::EnsureEntity, json!({"mode": "dat"}), r#"unknown name "dat"; did you mean "data"?"#),
        (Call::EnsureEntity, json!({"fields": [1]}), "an item of fields must be a key or an object"),
        (Call::EnsureEntity, json!({"fields": [{}]}), "missing field `key`"),
        (
            Call::EnsureEntity,
            json!({"fields": [{"key": "a", "type": "nubmer"}]}),
            r#"unknown name "nubmer"; did you mean "number"?"#,
        ),
        (
            Call::EnsureEntity,
            json!({"fields": many.iter().map(|k| json!(k)).collect::<Value>()}),
            "fields has 257",
        ),
    ];
    for (call, changes, message) in cases {
        let (kind, got) = rejection_of(call, changes).await;
        assert_eq!(kind, "invalid_input", "{got}");
        assert!(got.starts_with(message), "{got}");
    }
}

#[tokio::test]
async fn async_must_be_a_boolean_and_is_checked_before_the_store_is_used() {
    for call in CALLS.into_iter().filter(|call| queued::can_wait(*call)) {
        let crm = Crm { quiz_visitor_id: Some("v1"), ..Crm::closed().await };
        let mut options = valid_options(call);
        options["async"] = json!("yes");
        let (refusal, message) = crm.rejection(call, options).await;
        assert_eq!(refusal, Refusal::InvalidInput);
        assert_eq!(message, format!("{}: async must be true or false, got \"yes\"", call.name()));
    }
}

#[tokio::test]
async fn rejects_invalid_and_missing_references() {
    for call in CALLS.into_iter().filter(|call| takes_reference(*call)) {
        for (changes, message) in [
            (json!({"referenceId": 5}), "referenceId must be a string, got 5"),
            (json!({"referenceId": "a{b"}), "referenceId must not contain"),
            (json!({"referenceId": ""}), "referenceId is empty"),
            (json!({"reference_id": "x".repeat(513)}), "referenceId is longer than 512"),
            (json!({"referenceType": "a.b"}), r#"referenceType "a.b" does not match"#),
            (json!({"reference_type": "x".repeat(65)}), "referenceType is longer than 64"),
        ] {
            let (kind, got) = rejection_of(call, changes).await;
            assert_eq!(kind, "invalid_input");
            assert!(got.starts_with(message), "{got}");
        }
        let crm = Crm { customer_id: None, ..Crm::closed().await };
        let message = format!("{}: no referenceId was given and nobody is logged in", call.name());
        assert_eq!(crm.rejection(call, valid_options(call)).await, (Refusal::NoReference, message));
    }
}

#[test]
fn rejected_calls_return_their_failure_value() {
    for call in CALLS {
        let value = call.refused_value(Refusal::NoEntry).to_string();
        let expected = match call {
            Call::GetField | Call::GetFields | Call::GetEntry => "null",
            Call::FindEntries => r#"{"entries":[],"next":null,"error":"no_entry"}"#,
            Call::CountEntries => r#"{"count":0,"complete":true,"error":"no_entry"}"#,
            Call::CreateEntry => r#"{"ok":false,"id":null,"error":"no_entry"}"#,
            Call::SetRelation | Call::RemoveRelation => r#"{"ok":false,"changed":false,"error":"no_entry"}"#,
            Call::UpdateEntry | Call::DeleteEntry => r#"{"ok":false,"error":"no_entry"}"#,
            Call::GetEntries | Call::GetValues => "[]",
            Call::SetField | Call::SetFields | Call::AddValue => "false",
            Call::Clear => r#"{"ok":false,"deleted":0,"error":"no_entry"}"#,
            Call::EnsureEntity => r#"{"ok":false,"id":null,"created":false,"error":"no_entry"}"#,
            _ => r#"{"ok":false,"moved":0,"error":"no_entry"}"#,
        };
        assert_eq!(value, expected);
    }
}

#[tokio::test]
async fn a_mistake_in_a_search_is_a_type_error() {
    let many: Vec<Value> = (0..33).map(|n| json!({"a": {"eq": n}})).collect();
    let deep = (0..9).fold(json!({"a": {"eq": 1}}), |inner, _| json!({"or": [inner]}));
    let deepest = (0..8).fold(json!({"a": {"eq": 1}}), |inner, _| json!({"or": [inner]}));
    let values: Vec<Value> = (0..101).map(|n| json!(n)).collect();
    for (filter, message) in [
        (json!([]), "where must be an object of conditions, got an array"),
        (json!("a"), r#"where must be an object of conditions, got "a""#),
        (json!({"a": 1}), "where.a needs an operator, such as { eq: … }, got 1"),
        (json!({"a": null}), "where.a needs an operator, such as { eq: … }, got null"),
        (json!({"and": {"eq": 1, "or": 2}}), "where.and.or is not an operator; the operators are eq, ne,"),
        (json!({"a": {}}), "where.a has no condition; undefined values are left out"),
        (json!({"or": [{}]}), "where.or[0] has no condition"),
        (json!({"or": [5]}), "where.or[0] must be an object of conditions, got 5"),
        (json!({"a b": {"eq": 1}}), r#"where.a b "a b" does not match"#),
        (json!({"a": {"equals": 1}}), "where.a.equals is not an operator; the operators are eq"),
        (
            json!({"a": {"startswith": ""}}),
            r#"where.a.startswith is not an operator; did you mean "startsWith"?"#,
        ),
        (json!({"a": {"eq": null}}), "where.a.eq must be a string, a number, true or false; to look for"),
        (json!({"a": {"eq": {"exists": true}}}), "where.a.eq must be a string, a number, true or false;"),
        (json!({"a": {"lt": true}}), "where.a.lt must be a number or a string, got true"),
        (json!({"a": {"in": 1}}), "where.a.in must be an array, got 1"),
        (json!({"a": {"in": [[1]]}}), "where.a.in must be a string, a number"),
        (
            json!({"a": {"in": values}}),
            "where.a.in has 101 values with those before it; a filter can have 100 in all its `in`",
        ),
        (json!({"a": {"startsWith": 1}}), "where.a.startsWith must be a string, got 1"),
        (json!({"a": {"exists": 1}}), "where.a.exists must be true or false, got 1"),
        (json!({"a": {"eq": "x".repeat(10_001)}}), "where.a.eq is longer than 10000 characters"),
        (json!({"and": many}), "where.and[32].a has more conditions than a filter may have, which is 32"),
        (deep, "where.or[0].or[0].or[0].or[0].or[0].or[0].or[0].or[0].or[0] has more than 8 levels"),
    ] {
        for call in [Call::FindEntries, Call::CountEntries] {
            let (kind, got) = rejection_of(call, json!({"where": filter})).await;
            assert_eq!(kind, "type", "{got}");
            assert!(got.starts_with(message), "{got}");
        }
    }
    let crm = Crm::new().await;
    for filter in [deepest, json!({"and": []}), json!({"in": {"in": []}, "or": {"exists": false}})] {
        crm.succeed(Call::CountEntries, json!({"slug": "leads", "where": filter})).await;
    }
    for (order, message) in [
        (json!("a"), r#"orderBy must be an object with one field and "asc" or "desc", got "a""#),
        (json!({"a": "asc", "b": "asc"}), "orderBy must be an object with one field"),
        (json!({"a": "down"}), "orderBy must be an object with one field"),
        (json!({"a b": "asc"}), r#"orderBy "a b" does not match"#),
    ] {
        let (kind, got) = rejection_of(Call::FindEntries, json!({"orderBy": order})).await;
        assert_eq!(kind, "type", "{got}");
        assert!(got.starts_with(message), "{got}");
    }
    let undeclared = json!({"slug": "leads", "orderBy": {"a": "asc"}});
    let message = crm.type_error(Call::FindEntries, undeclared).await;
    assert_eq!(
        message,
        r#"findCrmEntries: orderBy names no declared field: "a"; it declares friend, friends"#
    );
}

#[tokio::test]
async fn a_forged_cursor_is_a_type_error_and_reads_nothing_else() {
    let crm = Crm::new().await;
    for n in 0..3 {
        crm.add("leads", "a", json!(n)).await;
    }
    crm.add("deals", "a", json!(9)).await;
    let asked =
        |after: Value| json!({"slug": "leads", "where": {"a": {"gte": 0}}, "limit": 2, "after": after});
    let first = crm.succeed(Call::FindEntries, asked(json!(null))).await;
    let cursor = first["next"].as_str().unwrap();
    let rest = crm.succeed(Call::FindEntries, asked(json!(cursor))).await;
    assert_eq!((&rest["entries"][0]["values_flat"], &rest["next"]), (&json!({"a": 0}), &json!(null)));
    let other_key = format!("{}{}", if cursor.starts_with('0') { '1' } else { '0' }, &cursor[1..]);
    for forged in
        ["", "x", "00", "é", "ffff", &cursor[..46], &cursor.to_uppercase(), &other_key, &"0".repeat(1_000)]
    {
        let message = crm.type_error(Call::FindEntries, asked(json!(forged))).await;
        assert_eq!(
            message, "findCrmEntries: after is not the next of an earlier result of this search",
            "{forged}"
        );
    }
    let message = crm.type_error(Call::FindEntries, asked(json!(5))).await;
    assert_eq!(message, "findCrmEntries: after must be the next of an earlier result, got 5");
    // A cursor belongs to one search.
    let other = json!({"slug": "leads", "where": {"a": {"gte": 1}}, "limit": 2, "after": cursor});
    crm.type_error(Call::FindEntries, other).await;
    // The part of a cursor that is not checked is a position in the same entity.
    let moved = format!("{}{}", &cursor[..16], "f".repeat(400));
    let all = crm.succeed(Call::FindEntries, asked(json!(moved))).await;
    assert_eq!(all["entries"].as_array().unwrap().len(), 2);
}
