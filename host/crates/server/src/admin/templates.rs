//! The console's templates, and how they write numbers and times.

use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext};
use serde::Serialize;
use serde_json::Value;

use sluice_kit::clock::iso_utc;

const TEMPLATES: [(&str, &str); 13] = [
    ("layout", include_str!("console/layout.hbs")),
    ("login", include_str!("console/login.hbs")),
    ("problem", include_str!("console/problem.hbs")),
    ("overview", include_str!("console/overview.hbs")),
    ("pages", include_str!("console/pages.hbs")),
    ("page", include_str!("console/page.hbs")),
    ("runs", include_str!("console/runs.hbs")),
    ("run", include_str!("console/run.hbs")),
    ("crm", include_str!("console/crm.hbs")),
    ("entity", include_str!("console/entity.hbs")),
    ("jobs", include_str!("console/jobs.hbs")),
    ("run_row", include_str!("console/run_row.hbs")),
    ("run_body", include_str!("console/run_body.hbs")),
];

/// Longer values are cut in tables.
const TEXT_CHARS_MAX: usize = 120;

/// How a value is written.
type Write = fn(&Value) -> String;

pub struct Templates(Handlebars<'static>);

impl Templates {
    /// # Errors
    /// A template that cannot be parsed: a defect of this program.
    pub fn new() -> anyhow::Result<Self> {
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(false);
        for (name, text) in TEMPLATES {
            handlebars.register_template_string(name, text)?;
        }
        let helpers: [(&str, Write); 7] = [
            ("number", |value| number(value.as_f64().unwrap_or(0.0))),
            ("grouped", |value| grouped(value.as_u64().unwrap_or(0))),
            ("bytes", |value| bytes(value.as_f64().unwrap_or(0.0))),
            ("time", |value| duration(value.as_f64().unwrap_or(0.0))),
            ("len", |value| value.as_array().map_or(0, Vec::len).to_string()),
            ("moment", |value| iso_utc(value.as_i64().unwrap_or(0))),
            ("query", |value| super::console::encode(value.as_str().unwrap_or_default())),
        ];
        handlebars.register_helper("short", Box::new(Escaped(text)));
        for (name, write) in helpers {
            handlebars.register_helper(name, Box::new(Plain(write)));
        }
        Ok(Self(handlebars))
    }

    pub fn render(&self, template: &str, view: &impl Serialize) -> anyhow::Result<String> {
        Ok(self.0.render(template, view)?)
    }
}

/// A helper that writes its one argument; what it writes needs no escaping.
struct Plain(Write);

impl handlebars::HelperDef for Plain {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let null = Value::Null;
        let value = helper.param(0).map_or(&null, |param| param.value());
        out.write(&(self.0)(value))?;
        Ok(())
    }
}

/// A helper whose text may be anybody's.
struct Escaped(Write);

impl handlebars::HelperDef for Escaped {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let null = Value::Null;
        let value = helper.param(0).map_or(&null, |param| param.value());
        out.write(&handlebars::html_escape(&(self.0)(value)))?;
        Ok(())
    }
}

/// A value of a CRM field, in one short line.
pub fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Three digits and a unit: `1.23 M`.
pub fn number(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1e12 => (value / 1e12, " T"),
        value if value >= 1e9 => (value / 1e9, " G"),
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e3 => (value / 1e3, " k"),
        value => (value, ""),
    };
    format!("{}{unit}", three_digits(scaled))
}

fn three_digits(value: f64) -> String {
    match value {
        value if value.fract() == 0.0 && value < 1_000.0 => format!("{value:.0}"),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Every digit, in groups of three.
fn grouped(value: u64) -> String {
    sluice_limits::grouped(value)
}

pub fn bytes(value: f64) -> String {
    match value {
        value if value >= 1_048_576.0 => format!("{} MB", three_digits(value / 1_048_576.0)),
        value if value >= 1_024.0 => format!("{} KB", three_digits(value / 1_024.0)),
        value => format!("{value:.0} B"),
    }
}

/// Microseconds, in the unit that suits them.
pub fn duration(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", three_digits(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", three_digits(us / 1e3)),
        us => format!("{us:.0} µs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in
            [(0.0, "0"), (999.0, "999"), (1_000.0, "1 k"), (1_234.0, "1.23 k"), (45_678_901.0, "45.7 M")]
        {
            assert_eq!(number(value), text);
        }
        assert_eq!(bytes(8_388_608.0), "8 MB");
        assert_eq!(
            (duration(950.0), duration(1_500.0), duration(2e6)),
            ("950 µs".into(), "1.50 ms".into(), "2 s".into())
        );
    }

    #[test]
    fn values_are_short_text() {
        assert_eq!(text(&Value::Null), "");
        assert_eq!(text(&serde_json::json!({"a": 1})), "{\"a\":1}");
        assert_eq!(text(&"ü".repeat(200).into()).chars().count(), TEXT_CHARS_MAX + 1);
    }

    #[test]
    fn every_template_is_there_and_escapes() {
        let templates = Templates::new().unwrap();
        let view = serde_json::json!({ "title": "<b>", "reason": "<script>" });
        let html = templates.render("problem", &view).unwrap();
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"), "{html}");
    }
}
