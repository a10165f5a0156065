//! An entry, and the object that scripts see for it.

use serde_json::{Map, Value};

use sluice_kit::clock::iso_utc;

use super::EntryId;

/// A stored entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// A later entry has a greater id.
    pub id: EntryId,
    /// Its stage, or `None` until it is moved to one.
    pub placement: Option<Placement>,
    /// Keys and values, in byte order of the keys.
    pub values: Vec<(String, Value)>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds of the last write to any of its values or its placement.
    pub updated_at: i64,
}

/// A stage of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The pipeline's id.
    pub pipeline_id: i64,
    /// The pipeline's slug.
    pub pipeline_slug: String,
    /// The stage's id.
    pub stage_id: i64,
    /// The stage's slug.
    pub stage_slug: String,
}

impl Entry {
    /// Makes the object for scripts: `{id, title, reference_type, reference_id, values_flat,
    /// pipeline_id, pipeline_slug, stage_id, stage_slug, created_at, updated_at}`. Times are
    /// ISO 8601 in UTC, as `Date.prototype.toISOString` writes them.
    pub fn into_json(self, reference_type: &str, reference_id: &str) -> Value {
        let title = ["title", "name", "email"]
            .iter()
            .find_map(|wanted| self.values.iter().find(|(key, _)| key == wanted))
            .map_or(Value::Null, |(_, value)| value.clone());
        let (pipeline_id, pipeline_slug, stage_id, stage_slug) = match self.placement {
            Some(at) => (
                Value::from(at.pipeline_id),
                Value::from(at.pipeline_slug),
                Value::from(at.stage_id),
                Value::from(at.stage_slug),
            ),
            None => Default::default(),
        };
        let values: Map<String, Value> = self.values.into_iter().collect();
        let mut entry = Map::new();
        let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
        put("id", self.id.to_string().into());
        put("title", title);
        put("reference_type", reference_type.into());
        put("reference_id", reference_id.into());
        put("values_flat", values.into());
        put("pipeline_id", pipeline_id);
        put("pipeline_slug", pipeline_slug);
        put("stage_id", stage_id);
        put("stage_slug", stage_slug);
        put("created_at", iso_utc(self.created_at).into());
        put("updated_at", iso_utc(self.updated_at).into());
        Value::Object(entry)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(values: &[(&str, Value)]) -> Value {
        let entry = Entry {
            id: EntryId::from_bytes([0; 16]),
            placement: None,
            values: values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            created_at: 0,
            updated_at: 1,
        };
        entry.into_json("customer", "7")
    }

    #[test]
    fn scripts_see_all_properties_in_order() {
        assert_eq!(
            entry(&[("__proto__", json!(1)), ("email", json!("a@b"))]).to_string(),
            concat!(
                r#"{"id":"00000000-0000-0000-0000-000000000000","title":"a@b","#,
                r#""reference_type":"customer","reference_id":"7","#,
                r#""values_flat":{"__proto__":1,"email":"a@b"},"#,
                r#""pipeline_id":null,"pipeline_slug":null,"stage_id":null,"stage_slug":null,"#,
                r#""created_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:00.001Z"}"#
            )
        );
    }

    #[test]
    fn title_defaults_to_name_and_then_email() {
        let (email, name) = (("email", json!("e")), ("name", json!("n")));
        let title = ("title", json!(0));
        assert_eq!(entry(&[])["title"], json!(null));
        assert_eq!(entry(&[email.clone(), name.clone()])["title"], json!("n"));
        assert_eq!(entry(&[email, name, title])["title"], json!(0));
    }
}
