use serde_json::json;

use super::*;
use crate::{Entity, Pipeline};

const EXAMPLE: &str = r##"
[[entity]]
slug = "pattern-tracker"
name = "Pattern tracker"
mode = "crm"

[[entity.field]]
key = "current_weight"
label = "Current weight"
type = "number"

[[entity.pipeline]]
slug = "sales"
name = "Sales"
stages = [
  { slug = "new", name = "New" },
  { slug = "proposal-sent", name = "Proposal sent", color = "#3b82f6", status = "active" },
]
"##;

fn error(text: &str) -> String {
    CrmSchema::parse(text, "crm.toml").unwrap_err().to_string()
}

#[test]
fn parses_the_documented_example() {
    let schema = CrmSchema::parse(EXAMPLE, "crm.toml").unwrap();
    let [entity] = &schema.entities[..] else { panic!("{schema:?}") };
    assert_eq!((&*entity.slug, entity.mode), ("pattern-tracker", EntityMode::Crm));
    assert_eq!(entity.fields[0].kind, FieldType::Number);
    let stages = &entity.pipelines[0].stages;
    assert_eq!(stages[1].color.as_deref(), Some("#3b82f6"));
    assert_eq!(stages[1].status.as_deref(), Some("active"));
    assert_eq!(stages[0].color, None);
}

#[test]
fn fills_in_defaults() {
    let text = "[[entity]]\nslug='a'\n[[entity.field]]\nkey='K.1'\noptions=['x', {value='1', label='One'}]";
    let schema = CrmSchema::parse(text, "crm.toml").unwrap();
    let entity = &schema.entities[0];
    assert_eq!((&*entity.name, entity.mode), ("a", EntityMode::Data));
    assert_eq!(&*entity.fields[0].label, "K.1");
    assert_eq!(entity.fields[0].kind, FieldType::Text);
    assert_eq!(entity.fields[0].options, json!(["x", {"value": "1", "label": "One"}]));
    assert_eq!(CrmSchema::parse("", "crm.toml").unwrap(), CrmSchema::default());
}

#[test]
fn every_type_has_one_name() {
    for name in "text textarea rich_text wysiwyg email phone tel url number integer decimal currency date \
        datetime time boolean checkbox select multiselect radio color image file json reference \
        multi_reference"
        .split_whitespace()
    {
        assert_eq!(FieldType::from_name(name).unwrap().as_str(), name);
    }
}

#[test]
fn unknown_names_have_a_place_and_a_suggestion() {
    assert_eq!(
        error("[[entity]]\nslgu = 'a'\n"),
        r#"crm.toml:2:1: unknown key "slgu"; did you mean "slug"?"#
    );
    assert_eq!(
        error("[[entity]]\nslug = 'a'\n[[entity.field]]\nkey = 'k'\ntype = 'numbr'\n"),
        r#"crm.toml:5:8: unknown name "numbr"; did you mean "number"?"#
    );
    assert_eq!(
        error("[[entity]]\nslug = 'a'\nmode = 'both'\n"),
        r#"crm.toml:3:8: unknown name "both"; the known names are crm, data"#
    );
    assert_eq!(error("[[entities]]\n"), r#"crm.toml:1:3: unknown key "entities"; did you mean "entity"?"#);
}

#[test]
fn wrong_values_have_a_place() {
    for (text, expected) in [
        ("é = 1 =", "1:1: "),
        ("[[entity]]\nname = 'a'", "1:1: missing field `slug`"),
        ("[[entity]]\nslug = 'É'", "2:8: slug \"É\" does not match"),
        ("[[entity]]\nslug = ''", "2:8: slug \"\" does not match"),
        ("[[entity]]\nslug = 1", "2:8: invalid type"),
        ("[[entity]]\nslug='a'\n[[entity]]\nslug='a'", "4:6: entity \"a\" is declared twice"),
        ("[[entity]]\nslug='a'\nname=''", "3:6: name must be one line"),
        ("[[entity]]\nslug='a'\nname=\"a\\u0000\"", "3:6: name must be one line"),
        ("[[entity]]\nslug='a'\nfield=[{key='a b'}]", "3:13: key \"a b\" does not match"),
        ("[[entity]]\nslug='a'\nfield=[{key='k'},{key='k'}]", "3:23: field \"k\" is declared twice"),
        ("[[entity]]\nslug='a'\nmode='data'\npipeline=[{slug='p'}]", "3:6: entity \"a\" has mode"),
        (
            "[[entity]]\nslug='a'\npipeline=[{slug='p',stages=[{slug='s',color='red;x'}]}]",
            "3:45: color \"red;x\"",
        ),
        (
            "[[entity]]\nslug='a'\nui_editable=[1, nan]",
            "3:13: ui_editable must not contain nan or inf; write",
        ),
        ("[[entity]]\nslug='a'\nfield=[{key='k',options={a=[-inf]}}]", "3:25: options must not contain nan"),
        (
            "[[entity]]\nslug='a'\npipeline=[{slug='p',stages=[{slug='s'},{slug='s'}]}]",
            "3:46: stage \"s\" is declared twice",
        ),
    ] {
        let got = error(text);
        let rest = got.strip_prefix("crm.toml:").unwrap();
        // The TOML parser decides about the column of a syntax error.
        let expected = expected.strip_suffix(": ").map_or(expected, |place| &place[..1]);
        assert!(rest.starts_with(expected), "{got} should be {expected}");
    }
}

#[test]
fn json_from_scripts_follows_the_same_rules() {
    let entity = |json: Value| CrmSchema::entity_of_json(&json);
    let same = entity(serde_json::json!({
        "slug": "leads", "name": null, "field": [{"key": "a", "type": "select", "options": ["x",
            {"value": "y", "label": "Y"}]}],
        "pipeline": [{"slug": "sales", "stages": [{"slug": "new", "color": "#fff"}]}],
    }));
    let text = "[[entity]]\nslug = 'leads'\n[[entity.field]]\nkey = 'a'\ntype = 'select'
        options = ['x', { value = 'y', label = 'Y' }]\n[[entity.pipeline]]\nslug = 'sales'
        stages = [{ slug = 'new', color = '#fff' }]";
    assert_eq!(same.unwrap(), CrmSchema::parse(text, "").unwrap().entities[0]);
    for (json, message) in [
        (serde_json::json!({"slug": "leads", "nmae": "x"}), r#"unknown key "nmae"; did you mean "name"?"#),
        (serde_json::json!({"slug": "Leads"}), r#"slug "Leads" does not match"#),
        (serde_json::json!({"slug": "a", "field": [{"key": "\""}]}), r#"key "\"" does not match"#),
        (serde_json::json!({"slug": "a\"\n[[entity]]\nslug = \"b"}), "slug "),
        (serde_json::json!({"slug": 1}), "invalid type: integer `1`, expected a string"),
    ] {
        let error = entity(json).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn options_and_settings_of_any_kind_survive_an_export() {
    let text = "[[entity]]\nslug = 'a'\nvisible_to_team_ids = [1, 'x']\nreporting_config = { by = 'day' }
        [[entity.field]]\nkey = 'k'\ntype = 'tel'\noptions = { from = 1, list = [true, 1.5] }
        ui_editable = false\nvalidation_rules = { max = 3 }\n[[entity.field]]\nkey = 'l'\noptions = 'text'
        [[entity.pipeline]]\nslug = 'p'";
    let spec = CrmSchema::parse(text, "").unwrap().entities.remove(0);
    assert_eq!(spec.fields[0].options, json!({"from": 1, "list": [true, 1.5]}));
    assert_eq!(spec.fields[0].settings["validation_rules"], json!({"max": 3}));
    let entity = Entity {
        id: 1,
        slug: spec.slug.clone(),
        name: spec.name.clone(),
        mode: spec.mode,
        settings: spec.settings.clone(),
        fields: spec.fields.iter().map(|field| (0, field.clone())).collect(),
        pipelines: vec![Pipeline {
            id: 1,
            position: 0,
            slug: "p".to_owned(),
            name: "p".to_owned(),
            stages: Vec::new(),
        }],
    };
    let exported = export(&[entity]).unwrap();
    assert_eq!(CrmSchema::parse(&exported, "").unwrap().entities, [spec], "{exported}");
    assert_eq!(
        error("[[entity]]\nslug = 'a'\nui_editabel = false"),
        r#"crm.toml:3:1: unknown key "ui_editabel"; did you mean "ui_editable"?"#
    );
}
