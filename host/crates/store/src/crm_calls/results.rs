//! The results of valid calls.

use sluice_crm::EntityMode;

use super::*;

#[tokio::test]
async fn accepts_every_spelling_and_defaults_to_the_customer() {
    let crm = Crm::new().await;
    for (kind, id) in [("customer", "7"), ("order", "9"), ("order", "7")] {
        let options = json!({"slug": "leads", "fieldKey": "a", "value": format!("{kind}/{id}"),
            "referenceType": kind, "referenceId": id});
        crm.succeed(Call::SetField, options).await;
    }
    for (options, reference) in [
        (json!({"slug": "leads", "fieldKey": "a"}), "customer/7"),
        (
            json!({"crm_entity_slug": "leads", "field_key": "a", "reference_type": "order",
                "reference_id": "9"}),
            "order/9",
        ),
        (
            json!({"crmEntitySlug": "leads", "fieldKey": "a", "referenceType": "order",
                "referenceId": null}),
            "order/7",
        ),
        (json!({"slug": null, "crmEntitySlug": "leads", "fieldKey": null, "field_key": "a"}), "customer/7"),
    ] {
        assert_eq!(crm.succeed(Call::GetField, options).await, json!(reference));
    }
}

#[tokio::test]
async fn reads_return_exact_values() {
    let crm = Crm::new().await;
    crm.set("leads", "__proto__", json!(-0.0)).await;
    let got = crm.succeed(Call::GetField, json!({"slug": "leads", "fieldKey": "__proto__"})).await;
    assert_eq!(got.to_string(), "-0.0");
    let keys = json!({"slug": "leads", "fieldKeys": ["__proto__", "b"]});
    let got = crm.succeed(Call::GetFields, keys).await;
    assert_eq!(got.to_string(), r#"{"__proto__":-0.0,"b":null}"#);
}

#[tokio::test]
async fn lists_are_limited() {
    let crm = Crm::new().await;
    for n in 0..201 {
        crm.add("leads", "n", json!(n)).await;
    }
    for call in [Call::GetEntries, Call::GetValues] {
        for (limit, count) in [(json!(null), 50), (json!(2.9), 2), (json!(1e300), 200)] {
            let mut options = valid_options(call);
            options["limit"] = limit;
            if call == Call::GetValues {
                options["fieldKey"] = json!("n");
            }
            assert_eq!(crm.succeed(call, options).await.as_array().unwrap().len(), count);
        }
    }
    let newest = json!({"slug": "leads", "fieldKey": "n", "limit": 3});
    assert_eq!(crm.succeed(Call::GetValues, newest).await, json!([200, 199, 198]));
}

#[tokio::test]
async fn writes_change_entries() {
    let crm = Crm::new().await;
    let fields = json!([{"fieldKey": "a", "value": 0}, {"field_key": "b", "value": false},
        {"fieldKey": "a", "value": ""}]);
    let options = json!({"slug": "leads", "fields": fields});
    assert_eq!(crm.succeed(Call::SetFields, options.clone()).await, json!(true));
    assert_eq!(crm.entries("leads").await, json!([[{"a": "", "b": false}, null]]));
    crm.add("leads", "c", json!([])).await;
    crm.set("leads", "b", json!(2)).await;
    assert_eq!(crm.entries("leads").await, json!([[{"c": []}, null], [{"a": "", "b": 2}, null]]));
    let mut forced = options;
    forced["force"] = json!(true);
    crm.succeed(Call::SetFields, forced).await;
    let expected = json!([[{"a": "", "b": false, "c": []}, null], [{"a": "", "b": 2}, null]]);
    assert_eq!(crm.entries("leads").await, expected);
    let cleared = crm.succeed(Call::Clear, json!({"slug": "leads"})).await;
    assert_eq!(cleared, json!({"ok": true, "deleted": 2}));
    assert_eq!(crm.entries("leads").await, json!([]));
    let cleared = crm.succeed(Call::Clear, json!({"slug": "leads"})).await;
    assert_eq!(cleared, json!({"ok": true, "deleted": 0}));
}

#[tokio::test]
async fn rejects_writes_over_a_quota() {
    let caps = CrmCaps::default();
    for (caps, what) in [
        (CrmCaps { keys_an_entry_max: 0, ..caps }, "the entry would have more than 0 keys"),
        (CrmCaps { entries_a_reference_max: 0, ..caps }, "the reference would have more than 0 entries"),
        (CrmCaps { brand_bytes_max: 9, ..caps }, "the brand's CRM data would be over 9 bytes"),
    ] {
        let crm = Crm { caps, ..Crm::new().await };
        let refused = crm.rejection(Call::SetField, valid_options(Call::SetField)).await;
        assert_eq!(refused, (Refusal::NotAllowed, format!("setCrmField: {what}")));
    }
}

#[tokio::test]
async fn a_result_just_over_its_limit_is_a_range_error() {
    let mut crm = Crm::new().await;
    crm.set("leads", "a", json!("x".repeat(100))).await;
    for (call, bytes) in [(Call::GetField, 102), (Call::GetValues, 103)] {
        crm.caps.result_bytes_max = bytes;
        crm.succeed(call, valid_options(call)).await;
        crm.caps.result_bytes_max = bytes - 1;
        let error = crm.call(call, valid_options(call)).await.unwrap_err();
        assert_eq!(error, CrmError::TooLarge { call, bytes_max: bytes - 1 });
        let message = format!("{}: the result is larger than {} bytes", call.name(), bytes - 1);
        assert_eq!(error.to_string(), message);
    }
}

#[tokio::test]
async fn ensuring_an_entity_adds_what_is_missing() {
    let crm = Crm::new().await;
    let asked = json!({"slug": "orders", "name": "Orders", "fields": [
        "total", {"fieldKey": "note", "label": "Note", "type": "textarea"},
    ]});
    let first = crm.succeed(Call::EnsureEntity, asked.clone()).await;
    let id = first["id"].clone();
    assert!(id.is_i64());
    let expected = json!({"id": id, "slug": "orders", "created": true,
        "fields_added": 2, "fields_skipped": 0,
        "fields_added_keys": ["total", "note"], "fields_skipped_keys": []});
    assert_eq!(first, expected);
    crm.set("orders", "total", json!(1)).await;

    let more = json!({"crmEntitySlug": "orders", "name": "Other", "fields": [
        {"key": "note", "type": "number"}, "extra",
    ]});
    let second = crm.succeed(Call::EnsureEntity, more).await;
    let expected = json!({"id": id, "slug": "orders", "created": false,
        "fields_added": 1, "fields_skipped": 1,
        "fields_added_keys": ["extra"], "fields_skipped_keys": ["note"]});
    assert_eq!(second, expected);
    let stored = crm.store.list_entities("acme").await.unwrap();
    let orders = stored.iter().find(|entity| entity.slug == "orders").unwrap();
    assert_eq!(orders.name, "Orders", "the existing entity keeps its name");
    let fields: Vec<_> = orders.fields.iter().map(|(at, f)| (*at, &*f.key, f.kind.as_str())).collect();
    assert_eq!(fields, [(0, "total", "text"), (1, "note", "textarea"), (2, "extra", "text")]);

    let pipelines = json!({"slug": "deals", "pipelines": [
        {"slug": "sales", "stages": [{"slug": "new"}, {"slug": "lost"}]}, {"slug": "returns"},
    ]});
    crm.succeed(Call::EnsureEntity, pipelines.clone()).await;
    crm.succeed(Call::EnsureEntity, pipelines).await;
    let stored = crm.store.list_entities("acme").await.unwrap();
    let deals = stored.iter().find(|entity| entity.slug == "deals").unwrap();
    let slugs: Vec<_> = deals.pipelines.iter().map(|pipeline| &*pipeline.slug).collect();
    assert_eq!(slugs, ["sales", "support", "empty", "returns"]);
    let stages: Vec<_> = deals.pipelines[0].stages.iter().map(|stage| &*stage.spec.slug).collect();
    assert_eq!(stages, ["new", "won", "lost"]);
    let none = json!({"slug": "leads", "pipelines": [{"slug": "sales"}]});
    assert_eq!(crm.rejection(Call::EnsureEntity, none).await.0, Refusal::NotCrmMode);
}

#[tokio::test]
async fn ensuring_an_entity_keeps_options_and_settings_as_they_were_given() {
    let crm = Crm::new().await;
    let options = json!({"source": null, "list": [1, {"label": "Two", "value": 2}, [-0.0]], "nul": "\0"});
    let asked = json!({"slug": "orders", "entityMode": "crm", "visibleToTeamIds": [4, 5], "fields": [
        {"key": "phone", "type": "tel", "ui_editable": false, "validationRules": ["required", null],
            "visible_to_team_ids": [1], "reportingConfig": {"metric": "sum"}, "options": options},
        {"key": "text", "type": "wysiwyg", "options": null, "ui_editable": null},
    ]});
    let ensured = crm.succeed(Call::EnsureEntity, asked).await;
    assert_eq!(ensured["fields_added"], 2);
    let stored = crm.store.list_entities("acme").await.unwrap();
    let orders = stored.iter().find(|entity| entity.slug == "orders").unwrap();
    assert_eq!(orders.mode, EntityMode::Crm);
    assert_eq!(Value::Object(orders.settings.clone()), json!({"visible_to_team_ids": [4, 5]}));
    let [(_, phone), (_, text)] = orders.fields.as_slice() else { panic!("{orders:?}") };
    assert_eq!(phone.options.to_string(), options.to_string());
    let settings = json!({"ui_editable": false, "reporting_config": {"metric": "sum"},
        "validation_rules": ["required", null], "visible_to_team_ids": [1]});
    assert_eq!(Value::Object(phone.settings.clone()), settings);
    assert_eq!((&text.options, text.settings.len()), (&json!([]), 0));
    // What exists is not changed.
    crm.succeed(Call::EnsureEntity, json!({"slug": "orders", "uiEditable": true, "fields": ["phone"]})).await;
    assert_eq!(crm.store.list_entities("acme").await.unwrap(), stored);
}

#[tokio::test]
async fn options_and_settings_of_an_entity_are_bounded_together() {
    let crm = Crm::new().await;
    let field = |key: &str, bytes: usize| json!({"slug": "orders", "fields": [{"key": key, "options": "x".repeat(bytes - 2)}]});
    crm.succeed(Call::EnsureEntity, field("a", 30_000)).await;
    crm.succeed(Call::EnsureEntity, field("b", 2_768)).await;
    let (refusal, message) = crm.rejection(Call::EnsureEntity, field("c", 2)).await;
    assert_eq!(refusal, Refusal::NotAllowed);
    assert!(message.ends_with("would be over 32768 bytes as JSON"), "{message}");
    crm.succeed(Call::EnsureEntity, json!({"slug": "orders", "fields": ["c"]})).await;
    let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let asked = |value: Value| json!({"slug": "deep", "fields": [{"key": "a", "options": value}]});
    crm.succeed(Call::EnsureEntity, asked(deep(64))).await;
    let (refusal, message) = crm.rejection(Call::EnsureEntity, asked(deep(65))).await;
    assert_eq!(refusal, Refusal::InvalidInput);
    let expected = "ensureCrmEntity: fields[0].options has more than 64 levels of arrays and objects";
    assert_eq!(message, expected);
    assert_eq!(crm.store.list_entities("acme").await.unwrap().len(), 4, "the deep entity can be read");
}

#[tokio::test]
async fn ensuring_entities_is_bounded_by_quotas() {
    let mut crm = Crm::new().await;
    crm.caps.entities_a_brand_max = 3;
    crm.caps.fields_an_entity_max = 2;
    let orders = |fields: Value| json!({"slug": "orders", "fields": fields});
    let (refusal, message) = crm.rejection(Call::EnsureEntity, orders(json!(["a", "b", "c"]))).await;
    assert_eq!(refusal, Refusal::NotAllowed);
    assert!(message.contains("more than 3 entities, or the entity more than 2 fields"), "{message}");
    crm.succeed(Call::EnsureEntity, orders(json!(["a", "b"]))).await;
    crm.succeed(Call::EnsureEntity, orders(json!(["a", "b"]))).await;
    crm.rejection(Call::EnsureEntity, orders(json!(["c"]))).await;
    crm.rejection(Call::EnsureEntity, json!({"slug": "fourth"})).await;
    crm.rejection(Call::EnsureEntity, json!({"slug": "deals", "pipelines": [{"slug": "fourth"}]})).await;
    let stages = json!([{"slug": "sales", "stages": [{"slug": "third"}]}]);
    crm.rejection(Call::EnsureEntity, json!({"slug": "deals", "pipelines": stages})).await;
}

#[tokio::test]
async fn entries_are_made_found_changed_and_deleted() {
    let crm = Crm::new().await;
    let make = |fields: Value| json!({"slug": "leads", "fields": fields, "referenceType": "order", "referenceId": "1"});
    let made = crm.succeed(Call::CreateEntry, make(json!({"name": "Ann", "score": 1, "none": null}))).await;
    let id = &made["id"];
    assert_eq!(made, json!({"ok": true, "id": id}));
    let one = json!({"slug": "leads", "id": id});
    let entry = crm.succeed(Call::GetEntry, one.clone()).await;
    assert_eq!((&entry["title"], &entry["reference_id"]), (&json!("Ann"), &json!("1")));
    assert_eq!(entry["values_flat"], json!({"name": "Ann", "score": 1}));
    let update = |fields: Value, version: &Value| json!({"slug": "leads", "id": id, "fields": fields, "ifUpdatedAt": version});
    let updated =
        crm.succeed(Call::UpdateEntry, update(json!({"name": null, "score": 2}), &entry["updated_at"])).await;
    let conflict = crm.rejection(Call::UpdateEntry, update(json!({"score": 3}), &entry["updated_at"])).await;
    assert_eq!(conflict.0, Refusal::Conflict);
    let after = crm.succeed(Call::GetEntry, one.clone()).await;
    assert_eq!(updated, json!({"ok": true, "updated_at": after["updated_at"]}));
    assert_eq!(after["values_flat"], json!({"score": 2}));
    let search = json!({"slug": "leads", "where": {"score": {"gt": 1}}});
    let found = crm.succeed(Call::FindEntries, search.clone()).await;
    assert_eq!(found, json!({"entries": [after], "next": null}));
    assert_eq!(crm.succeed(Call::CountEntries, search).await, json!({"count": 1, "complete": true}));
    assert_eq!(crm.succeed(Call::DeleteEntry, one.clone()).await, json!({"ok": true}));
    assert_eq!(crm.succeed(Call::GetEntry, one).await, json!(null));
    let text = json!({"slug": "leads", "id": "no id"});
    assert_eq!(crm.rejection(Call::GetEntry, text).await.0, Refusal::NoEntry);
}

#[tokio::test]
async fn relations_lead_to_entries_that_exist() {
    let crm = Crm::new().await;
    let make = |slug: &str| json!({"slug": slug, "fields": {}});
    let mut ids = Vec::new();
    for slug in ["leads", "leads", "deals", "deals"] {
        ids.push(crm.succeed(Call::CreateEntry, make(slug)).await["id"].clone());
    }
    let relation = |key: &str, target: &Value| json!({"slug": "leads", "id": ids[0], "fieldKey": key, "targetId": target});
    let values = || async {
        crm.succeed(Call::GetEntry, json!({"slug": "leads", "id": ids[0]})).await["values_flat"].clone()
    };
    let changed = |is: bool| json!({"ok": true, "changed": is});

    assert_eq!(crm.succeed(Call::SetRelation, relation("friend", &ids[1])).await, changed(true));
    assert_eq!(crm.succeed(Call::SetRelation, relation("friend", &ids[1])).await, changed(false));
    for target in [&ids[2], &ids[3], &ids[2]] {
        crm.succeed(Call::SetRelation, relation("friends", target)).await;
    }
    assert_eq!(values().await, json!({"friend": ids[1], "friends": [ids[2], ids[3]]}));
    // The target must be in the entity that the field or the call names.
    for (key, target) in [("friend", &ids[2]), ("friends", &ids[1]), ("friend", &json!("no id"))] {
        assert_eq!(crm.rejection(Call::SetRelation, relation(key, target)).await.0, Refusal::NoTarget);
    }
    let mut other = relation("friend", &ids[2]);
    other["targetSlug"] = json!("deals");
    assert_eq!(crm.succeed(Call::SetRelation, other.clone()).await, changed(true));
    other["targetSlug"] = json!("daels");
    assert!(crm.type_error(Call::SetRelation, other).await.ends_with("did you mean \"deals\"?"));
    let message = crm.type_error(Call::SetRelation, relation("name", &ids[1])).await;
    let expected =
        "setCrmRelation: fieldKey \"name\" is not declared with the type reference or multi_reference";
    assert_eq!(message, expected);

    assert_eq!(crm.succeed(Call::RemoveRelation, relation("friend", &ids[1])).await, changed(false));
    assert_eq!(crm.succeed(Call::RemoveRelation, relation("friends", &ids[2])).await, changed(true));
    assert_eq!(values().await, json!({"friend": ids[2], "friends": [ids[3]]}));
    crm.succeed(Call::RemoveRelation, relation("friends", &ids[3])).await;
    crm.succeed(Call::RemoveRelation, json!({"slug": "leads", "id": ids[0], "fieldKey": "friend"})).await;
    assert_eq!(values().await, json!({}));
    crm.succeed(Call::DeleteEntry, json!({"slug": "leads", "id": ids[0]})).await;
    assert_eq!(crm.rejection(Call::SetRelation, relation("friend", &ids[1])).await.0, Refusal::NoEntry);
}
