//! What bad input gets, with its exact words; the store is never asked.

use super::*;

/// The call's message without its name, after checking that nobody asked the store.
fn refusal(call: Call, changes: Value) -> (&'static str, String) {
    let mut options = good(call);
    for (name, value) in changes.as_object().unwrap() {
        options[name] = value.clone();
    }
    let fake = Fake::default();
    let (kind, message) = match run(&fake, call, options).unwrap_err() {
        CrmError::Type(message) => ("type", message),
        CrmError::Range(message) => ("range", message),
        CrmError::Refused(message) => ("refused", message),
        CrmError::Store(error) => panic!("{error}"),
    };
    assert_eq!(fake.asked(), 0, "{message}");
    let message = message.strip_prefix(call.name()).unwrap();
    (kind, message.strip_prefix(": ").unwrap().to_owned())
}

#[test]
fn good_input_is_good() {
    for call in CALLS {
        assert!(run(&Fake::default(), call, good(call)).is_ok(), "{call:?}");
    }
}

#[test]
fn the_argument_is_one_plain_object() {
    for call in CALLS {
        for (argument, given) in
            [(json!(null), "null"), (json!([]), "an array"), (json!("leads"), "\"leads\"")]
        {
            let name = call.name();
            let message = format!("{name}: takes one options object, got {given}");
            let got = run(&Fake::default(), call, argument);
            assert_eq!(got, Err(CrmError::Type(message)));
        }
    }
}

#[test]
fn slugs() {
    for call in CALLS {
        let slug = |slug| refusal(call, json!({ "slug": slug }));
        let type_error = |message: &str| ("type", message.to_owned());
        assert_eq!(slug(json!(null)), type_error("slug is required, got null"));
        assert_eq!(slug(json!(1)), type_error("slug must be a string, got 1"));
        let never = r#"slug "No Slug" is not a CRM entity of this brand"#;
        assert_eq!(slug(json!("No Slug")), type_error(never));
        // Of the right form, but unknown: only the store knows.
        let mut options = good(call);
        options["slug"] = json!("nope");
        let message = format!("{}: slug \"nope\" is not a CRM entity of this brand", call.name());
        assert_eq!(run(&Fake::default(), call, options), Err(CrmError::Type(message)));
    }
}

#[test]
fn what_is_missing_is_a_type_error() {
    let cases = [
        (Call::GetField, json!({"fieldKey": null}), "fieldKey is required, got null"),
        (Call::GetFields, json!({"fieldKeys": null}), "fieldKeys is required, got null"),
        (Call::SetField, json!({"fieldKey": null}), "fieldKey is required, got null"),
        (Call::SetField, json!({"value": null}), "value is required, got null"),
        // Missing comes before wrong.
        (Call::SetField, json!({"fieldKey": "!", "value": null}), "value is required, got null"),
        (Call::SetFields, json!({"fields": null}), "fields is required, got null"),
        (
            Call::SetFields,
            json!({"fields": [{"fieldKey": "!", "value": 1}, {"value": 1}]}),
            "fields[1].fieldKey is required, got undefined",
        ),
        (
            Call::SetFields,
            json!({"fields": [{"fieldKey": "a"}]}),
            "fields[0].value is required, got undefined",
        ),
    ];
    for (call, changes, message) in cases {
        assert_eq!(refusal(call, changes), ("type", message.to_owned()));
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let many: Vec<_> = (0..257).map(|n| n.to_string()).collect();
    let cases = [
        (Call::GetField, json!({"fieldKey": "a b"}), r#"fieldKey "a b" does not match"#),
        (Call::GetField, json!({"fieldKey": 5}), "fieldKey must be a string, got 5"),
        (Call::GetFields, json!({"fieldKeys": "a"}), r#"fieldKeys must be an array, got "a""#),
        (Call::GetFields, json!({"fieldKeys": ["a", ""]}), r#"fieldKeys[1] "" does not match"#),
        (Call::GetFields, json!({"fieldKeys": many}), "fieldKeys has 257 items; at most 256"),
        (Call::SetField, json!({"value": "x".repeat(10_001)}), "value is a string of 10001"),
        (Call::SetField, json!({"value": ["x".repeat(10_240)]}), "value is 10244 bytes as JSON"),
        (Call::SetField, json!({"force": 1}), "force must be true or false, got 1"),
        (Call::SetFields, json!({"fields": {}}), "fields must be an array, got an object"),
        (Call::SetFields, json!({"fields": [1]}), "fields[0] must be an object"),
        (
            Call::SetFields,
            json!({"fields": [{"fieldKey": "a", "value": "x".repeat(10_001)}]}),
            "fields[0].value is a string of 10001",
        ),
        (Call::GetEntries, json!({"limit": 0}), "limit must be a number from 1 to 200, got 0"),
        (Call::GetEntries, json!({"limit": "5"}), r#"limit must be a number from 1 to 200, got "5""#),
    ];
    for (call, changes, message) in cases {
        let (kind, got) = refusal(call, changes);
        assert_eq!(kind, "refused");
        assert!(got.starts_with(message), "{got}");
    }
}

#[test]
fn references() {
    for call in CALLS {
        for (changes, message) in [
            (json!({"referenceId": 5}), "referenceId must be a string, got 5"),
            (json!({"referenceId": "a{b"}), "referenceId has one of"),
            (json!({"referenceId": ""}), "referenceId is empty"),
            (json!({"reference_id": "x".repeat(513)}), "referenceId is longer than 512"),
            (json!({"referenceType": "a.b"}), r#"referenceType "a.b" does not match"#),
            (json!({"reference_type": "x".repeat(65)}), "referenceType is longer than 64"),
        ] {
            let (kind, got) = refusal(call, changes);
            assert_eq!(kind, "refused");
            assert!(got.starts_with(message), "{got}");
        }
        let fake = Fake::default();
        let message = "no referenceId was given and nobody is logged in";
        let message = format!("{}: {message}", call.name());
        let got = run_as(&fake, call, &good(call), &caller(None));
        assert_eq!(got, Err(CrmError::Refused(message)));
        assert_eq!(fake.asked(), 0);
    }
}
