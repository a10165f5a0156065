//! What good input gets.

use super::*;

#[test]
fn spellings_and_defaults() {
    let asked = |options: Value| {
        let fake = Fake::default();
        run(&fake, Call::GetField, options).unwrap();
        let at = fake.reads.lock().unwrap().remove(0);
        format!("{}/{}/{}", at.brand, at.reference.kind(), at.reference.id())
    };
    let own = json!({"slug": "leads", "fieldKey": "a"});
    assert_eq!(asked(own), "acme/customer/7");
    let snake = json!({"crm_entity_slug": "leads", "field_key": "a",
        "reference_type": "order", "reference_id": "9"});
    assert_eq!(asked(snake), "acme/order/9");
    let camel = json!({"crmEntitySlug": "leads", "fieldKey": "a",
        "referenceType": "order", "referenceId": null});
    assert_eq!(asked(camel), "acme/order/7");
    let both = json!({"slug": null, "crmEntitySlug": "leads", "fieldKey": null, "field_key": "a"});
    assert_eq!(asked(both), "acme/customer/7");
}

#[test]
fn results() {
    let fake = Fake { fields: vec![Some(json!(-0.0)), None], ..Fake::default() };
    let got = run(&fake, Call::GetField, good(Call::GetField)).unwrap();
    assert_eq!(got.to_string(), "-0.0");
    let keys = json!({"slug": "leads", "fieldKeys": ["__proto__", "b"]});
    let got = run(&fake, Call::GetFields, keys).unwrap();
    assert_eq!(got.to_string(), r#"{"__proto__":-0.0,"b":null}"#);
    let limit = |limit: Value| {
        let options = json!({"slug": "leads", "limit": limit});
        let got = run(&fake, Call::GetEntries, options).unwrap();
        got.as_array().unwrap().len()
    };
    assert_eq!((limit(json!(null)), limit(json!(2.9)), limit(json!(1e300))), (50, 2, 200));
    for (call, refused) in CALLS.map(|call| (call, call.refused_value().to_string())) {
        let expected = match call {
            Call::GetField | Call::GetFields => "null",
            Call::GetEntries => "[]",
            Call::SetField | Call::SetFields => "false",
        };
        assert_eq!(refused, expected);
    }
}

#[test]
fn writes() {
    let fake = Fake::default();
    let options = json!({"slug": "leads", "force": true, "fields": [
        {"fieldKey": "a", "value": 0}, {"field_key": "b", "value": false}, {"fieldKey": "a", "value": ""},
    ]});
    assert_eq!(run(&fake, Call::SetFields, options), Ok(json!(true)));
    let write = fake.writes.lock().unwrap().remove(0);
    let fields: Vec<_> = (write.fields.iter()).map(|(key, value)| (key.as_str(), value.clone())).collect();
    assert_eq!(fields, [("a", json!(0)), ("b", json!(false)), ("a", json!(""))]);
    assert_eq!(write.into, WriteInto::Newest);
    run(&fake, Call::SetField, good(Call::SetField)).unwrap();
    assert_eq!(fake.writes.lock().unwrap()[0].into, WriteInto::Holder);
}

#[test]
fn faults_of_the_store() {
    let explain = |fault| {
        let fake = Fake { fault: Some(fault), ..Fake::default() };
        run(&fake, Call::SetField, good(Call::SetField)).unwrap_err()
    };
    let refused = |what: &str| CrmError::Refused(format!("setCrmField: {what}"));
    assert_eq!(
        explain(CrmFault::Cap(CapReached::KeysAnEntry)),
        refused("the entry would have more than 256 keys")
    );
    assert_eq!(
        explain(CrmFault::Cap(CapReached::EntriesAReference)),
        refused("the reference would have more than 1000 entries")
    );
    assert_eq!(
        explain(CrmFault::Cap(CapReached::BrandBytes)),
        refused("the brand's CRM data would be over 1073741824 bytes")
    );
    let down = StoreError::Unavailable("locked".to_owned());
    assert_eq!(explain(CrmFault::Store(down.clone())), CrmError::Store(down));
}

#[test]
fn a_result_is_a_range_error_just_over_its_limit() {
    let fake = Fake { fields: vec![Some(json!("x".repeat(100)))], ..Fake::default() };
    let at = |result_bytes_max| {
        let mut caller = caller(Some("7"));
        caller.caps.result_bytes_max = result_bytes_max;
        run_as(&fake, Call::GetField, &good(Call::GetField), &caller)
    };
    assert!(at(102).is_ok());
    let message = "getCrmField: the result is larger than 101 bytes".to_owned();
    assert_eq!(at(101), Err(CrmError::Range(message)));
}
