use serde_json::Map;

use super::*;

fn field(kind: &'static str, options: Value) -> FieldView {
    FieldView {
        key: "k".to_owned(),
        label: "K".to_owned(),
        kind,
        options,
        settings: Map::new(),
        is_indexed: false,
        is_unique: false,
    }
}

fn all_kinds() -> Vec<&'static str> {
    let kinds = "text textarea rich_text wysiwyg email phone tel url number integer decimal currency date datetime time \
         boolean checkbox select multiselect radio color image file json reference multi_reference";
    kinds.split(' ').collect()
}

/// What hostile scripts may have stored.
fn values() -> Vec<Value> {
    let texts =
        ["", "a", " a ", "a\r\nb", "\n", "1e400", "<b>\"'", "2026-02-31", "a@b", "http://x y", "true"];
    let mut all: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    all.extend([json!(null), json!(-0.0), json!(1e300), json!(u64::MAX), json!(true), json!([]), json!({})]);
    all.extend([json!(["a", "b"]), json!(["", "x\ny"]), json!([1, [2]]), json!({"a": {"b": null}})]);
    all.push(json!((0..100).map(|n| format!("v{n}")).collect::<Vec<_>>()));
    all
}

#[test]
fn form_that_nobody_touches_means_the_same_text_again() {
    for kind in all_kinds() {
        for options in [json!([]), json!(["a", {"value": 1, "label": "One"}]), json!({"a": "A"}), json!(7)] {
            for stored in values() {
                let editor = Editor::of(&field(kind, options.clone()), &stored);
                let shown = editor.shown(&stored);
                let view = editor.view(&shown);
                let sent: Vec<String> = match view["options"].as_array() {
                    Some(options) => {
                        let chosen = options.iter().filter(|one| one["is_chosen"] == true);
                        chosen.map(|one| one["text"].as_str().unwrap().to_owned()).collect()
                    }
                    None => vec![view["text"].as_str().unwrap().to_owned()],
                };
                // A choice without a value is the first option, which is empty.
                let sent =
                    if sent.is_empty() && !editor.can_be_silent() { vec![String::new()] } else { sent };
                assert_eq!(mark(&sent), mark(&shown), "{kind} {options} {stored}");
            }
        }
    }
}

#[test]
fn text_becomes_a_value_of_the_declared_type() {
    let read = |kind, options: Value, sent: &[&str], stored: Value| {
        let sent: Vec<String> = sent.iter().map(|text| (*text).to_owned()).collect();
        Editor::of(&field(kind, options), &stored).read(&sent, &stored)
    };
    let sizes = || json!(["s", {"value": 2, "label": "Two"}]);
    for (kind, options, sent, stored, value) in [
        ("text", json!([]), &["7"][..], json!(null), json!("7")),
        ("text", json!([]), &[""], json!("x"), json!(null)),
        ("number", json!([]), &[" 7 "], json!(null), json!(7)),
        ("number", json!([]), &["-1.5e3"], json!("seven"), json!(-1500.0)),
        ("integer", json!([]), &["12"], json!(1.5), json!(12)),
        ("boolean", json!([]), &["true"], json!(null), json!(true)),
        ("boolean", json!([]), &["no way"], json!("no way"), json!("no way")),
        ("select", sizes(), &["2"], json!("s"), json!(2)),
        ("select", sizes(), &["gone"], json!("gone"), json!("gone")),
        ("select", json!([]), &["free"], json!(null), json!("free")),
        ("multiselect", sizes(), &["s", "2", "old"], json!(["old", "s"]), json!(["old", "s", 2])),
        ("multiselect", sizes(), &[], json!(["s"]), json!(null)),
        ("multi_reference", json!([]), &["a\n\nb"], json!(null), json!(["a", "b"])),
        ("json", json!([]), &["{\"a\": [1]}"], json!(null), json!({"a": [1]})),
        ("text", json!([]), &["[1]"], json!([2]), json!([1])),
    ] {
        assert_eq!(read(kind, options, sent, stored.clone()), Ok(value), "{kind} {sent:?} {stored}");
    }
    for (kind, options, sent, why) in [
        ("number", json!([]), "many", "\"many\" is not a number"),
        ("number", json!([]), "1,5", "is not a number"),
        ("number", json!([]), "NaN", "is not a number"),
        ("number", json!([]), "inf", "is not a number"),
        ("number", json!([]), "1e999", "is not a number"),
        ("integer", json!([]), "1.5", "is not a whole number"),
        ("boolean", json!([]), "maybe", "is none of the options"),
        ("select", sizes(), "xl", "\"xl\" is none of the options"),
        ("multiselect", sizes(), "xl", "is none of the options"),
        ("json", json!([]), "{", "this is not JSON"),
    ] {
        let said = read(kind, options, &[sent], json!(null)).unwrap_err();
        assert!(said.contains(why), "{kind} {sent}: {said}");
    }
}

#[test]
fn input_has_its_type_only_if_a_browser_keeps_the_text() {
    for (kind, text, shown) in [
        ("email", "", "email"),
        ("email", "ann@example.com", "email"),
        ("email", "ann@exämple.com", "text"),
        ("email", " ann@example.com", "text"),
        ("url", "https://example.com/?a=b", "url"),
        ("url", "javascript:alert(1)", "text"),
        ("date", "2024-02-29", "date"),
        ("date", "2023-02-29", "text"),
        ("date", "2026-1-1", "text"),
        ("datetime", "2026-01-31T10:00", "datetime-local"),
        ("datetime", "2026-01-31T10:00:00.000Z", "text"),
        ("time", "24:00", "text"),
        ("color", "", "text"),
        ("tel", "+49 1", "tel"),
        ("number", "1.5", "number"),
        ("number", "1e400", "text"),
        ("number", "abc", "text"),
    ] {
        let stored = json!(text);
        let editor = Editor::of(&field(kind, json!([])), &stored);
        assert_eq!(editor.view(&editor.shown(&stored))["type"], shown, "{kind} {text}");
    }
    let long = json!("x".repeat(200));
    let editor = Editor::of(&field("text", json!([])), &long);
    assert_eq!(editor.view(&editor.shown(&long))["is_area"], true);
}

#[test]
fn text_that_a_browser_would_change_is_not_put_into_a_form() {
    for (text, is_changed) in [("a\tb\nc", false), ("\0", true), ("a\u{b}", true), ("ü🙂\u{7f}", false)] {
        assert_eq!(is_changed_by_forms(&[text.to_owned()]), is_changed, "{text:?}");
    }
}
