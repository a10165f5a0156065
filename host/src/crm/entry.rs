//! An entry and the shape in which scripts see it.

use serde_json::{Map, Value};

use super::EntryId;

/// An entry as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Ascends with creation.
    pub id: EntryId,
    /// Where it stands; `None` until it is moved.
    pub placement: Option<Placement>,
    /// By key, in byte order of the keys.
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
    /// `{id, title, reference_type, reference_id, values_flat, pipeline_id,
    /// pipeline_slug, stage_id, stage_slug, created_at, updated_at}`; times are
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

/// `2026-01-31T23:59:59.999Z` from unix milliseconds; years over 9999 or under 0
/// have as many digits as they need.
pub fn iso_utc(unix_ms: i64) -> String {
    const DAY_MS: i64 = 86_400_000;
    let (days, ms) = (unix_ms.div_euclid(DAY_MS), unix_ms.rem_euclid(DAY_MS));
    // Civil date from a day number: years start in March, so that the leap day is a
    // year's last; an era is 400 years.
    let day = days + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, milli) = (ms / 1_000 % 60, ms % 1_000);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dates() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_utc(ms), text);
        }
        // The ends of the type must not overflow.
        assert!(iso_utc(i64::MIN).ends_with('Z') && iso_utc(i64::MAX).ends_with('Z'));
    }

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
    fn the_shape() {
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
    fn the_title_is_title_else_name_else_email() {
        let (email, name) = (("email", json!("e")), ("name", json!("n")));
        let title = ("title", json!(0));
        assert_eq!(entry(&[])["title"], json!(null));
        assert_eq!(entry(&[email.clone(), name.clone()])["title"], json!("n"));
        assert_eq!(entry(&[email, name, title])["title"], json!(0));
    }
}
