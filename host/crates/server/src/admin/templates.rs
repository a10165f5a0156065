//! The console's templates, and how they format numbers, times and CRM values.

use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderError, TemplateError,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use sluice_kit::clock::iso_utc;

pub(crate) mod amount;
mod saw;
mod stack;

use amount::{amount, exact};

const TEMPLATES: [(&str, &str); 46] = [
    ("live", include_str!("console/live.hbs")),
    ("layout", include_str!("console/layout.hbs")),
    ("login", include_str!("console/login.hbs")),
    ("problem", include_str!("console/problem.hbs")),
    ("overview", include_str!("console/overview.hbs")),
    ("search", include_str!("console/search.hbs")),
    ("calls", include_str!("console/calls.hbs")),
    ("callers", include_str!("console/callers.hbs")),
    ("host_name", include_str!("console/host_name.hbs")),
    ("rest", include_str!("console/rest.hbs")),
    ("changes", include_str!("console/changes.hbs")),
    ("reload_changes", include_str!("console/reload_changes.hbs")),
    ("by", include_str!("console/by.hbs")),
    ("pages", include_str!("console/pages.hbs")),
    ("page", include_str!("console/page.hbs")),
    ("runs", include_str!("console/runs.hbs")),
    ("run", include_str!("console/run.hbs")),
    ("crm", include_str!("console/crm.hbs")),
    ("entity", include_str!("console/entity.hbs")),
    ("entry", include_str!("console/entry.hbs")),
    ("entry_new", include_str!("console/entry_new.hbs")),
    ("entry_fields", include_str!("console/entry_fields.hbs")),
    ("entry_field", include_str!("console/entry_field.hbs")),
    ("entries_delete", include_str!("console/entries_delete.hbs")),
    ("jobs", include_str!("console/jobs.hbs")),
    ("jobs_drop", include_str!("console/jobs_drop.hbs")),
    ("range", include_str!("console/range.hbs")),
    ("failures", include_str!("console/failures.hbs")),
    ("failures_shown", include_str!("console/failures_shown.hbs")),
    ("failure_mark", include_str!("console/failure_mark.hbs")),
    ("failure_others", include_str!("console/failure_others.hbs")),
    ("run_row", include_str!("console/run_row.hbs")),
    ("run_error", include_str!("console/run_error.hbs")),
    ("run_console", include_str!("console/run_console.hbs")),
    ("source", include_str!("console/source.hbs")),
    ("term", include_str!("console/term.hbs")),
    ("terms", include_str!("console/terms.hbs")),
    ("fault_title", include_str!("console/fault_title.hbs")),
    ("fault_line", include_str!("console/fault_line.hbs")),
    ("fault", include_str!("console/fault.hbs")),
    ("broken", include_str!("console/broken.hbs")),
    ("brand_state", include_str!("console/brand_state.hbs")),
    ("loads", include_str!("console/loads.hbs")),
    ("load_pages", include_str!("console/load_pages.hbs")),
    ("load_parts", include_str!("console/load_parts.hbs")),
    ("limit", include_str!("console/limit.hbs")),
];

/// Tables and boards cut longer values.
const TEXT_CHARS_MAX: usize = 120;
/// What [`encode_query`] encodes: everything but RFC 3986's unreserved characters and `/`.
const ENCODED_IN_QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Formats a value. The second argument is its unit, or null.
type Write = fn(&Value, &Value) -> String;

/// All templates, parsed, with their helpers.
pub(crate) struct Templates(Handlebars<'static>);

impl Templates {
    /// # Errors
    /// A template cannot be parsed. This is a defect of this program.
    pub(crate) fn new() -> Result<Self, Box<TemplateError>> {
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(false);
        for (name, text) in TEMPLATES {
            handlebars.register_template_string(name, text).map_err(Box::new)?;
        }
        let helpers: [(&str, Write); 17] = [
            ("short", |value, _| handlebars::html_escape(&text(value))),
            ("number", |value, _| number(value.as_f64().unwrap_or(0.0))),
            ("grouped", |value, _| grouped(value.as_u64().unwrap_or(0))),
            ("bytes", |value, _| bytes(value.as_f64().unwrap_or(0.0))),
            ("time", |value, _| duration(value.as_f64().unwrap_or(0.0))),
            ("lag", |value, _| lag(value.as_u64().unwrap_or(0))),
            ("len", |value, _| value.as_array().map_or(0, Vec::len).to_string()),
            ("moment", |value, _| iso_utc(value.as_i64().unwrap_or(0))),
            ("query", |value, _| encode_query(value.as_str().unwrap_or_default())),
            ("exact", |value, unit| exact(value.as_u64().unwrap_or(0), unit.as_str().unwrap_or_default())),
            ("middle", |value, _| handlebars::html_escape(&middle(value.as_str().unwrap_or_default()))),
            ("wraps", |value, _| wraps(value.as_str().unwrap_or_default())),
            ("stack", |value, _| stack::html(value.as_str().unwrap_or_default())),
            ("saw", |run, _| saw::short(run)),
            ("saw_long", |run, _| saw::long(run)),
            ("status_of", |run, _| saw::status(run)),
            ("amount", |value, unit| amount(value.as_u64().unwrap_or(0), unit.as_str().unwrap_or_default())),
        ];
        for (name, write) in helpers {
            handlebars.register_helper(name, Box::new(Plain(write)));
        }
        Ok(Self(handlebars))
    }

    /// Renders a template with the data of `view`.
    ///
    /// # Errors
    /// There is no such template, or it cannot be rendered. Both are defects of this program.
    pub(crate) fn render(&self, template: &str, view: &impl Serialize) -> Result<String, RenderError> {
        self.0.render(template, view)
    }
}

/// A helper that formats its argument, as `{{time wall_us}}` or `{{amount quota unit}}`. Its output is written as it is, so text of authors and
/// visitors must be escaped in it.
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
        let argument = |index| helper.param(index).map_or(&null, |param| param.value());
        out.write(&(self.0)(argument(0), argument(1)))?;
        Ok(())
    }
}

/// The value of a CRM field as text, cut after [`TEXT_CHARS_MAX`] characters.
pub(crate) fn text(value: &Value) -> String {
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

/// A text that can be wrapped before its `@` and after its slashes, as HTML.
fn wraps(text: &str) -> String {
    handlebars::html_escape(text).replace('@', "<wbr>@").replace('/', "/<wbr>")
}

/// A longer message is cut in its middle, because its end often says what is special about it.
const MESSAGE_CHARS_MAX: usize = 110;
/// What stays of its end.
const MESSAGE_END_CHARS: usize = 45;

/// A message, cut in its middle.
pub(crate) fn middle(text: &str) -> String {
    let count = text.chars().count();
    if count <= MESSAGE_CHARS_MAX {
        return text.to_owned();
    }
    let begin = text.chars().take(MESSAGE_CHARS_MAX - MESSAGE_END_CHARS);
    let end = text.chars().skip(count.saturating_sub(MESSAGE_END_CHARS));
    begin.chain(['…']).chain(end).collect()
}

/// `text` for use in the query of a link.
pub(crate) fn encode_query(text: &str) -> String {
    utf8_percent_encode(text, ENCODED_IN_QUERY).to_string()
}

/// Formats a number with three digits and a unit prefix: `1.23 M`.
pub(crate) fn number(value: f64) -> String {
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

/// Formats a number with all its digits, in groups of three.
fn grouped(value: u64) -> String {
    sluice_limits::grouped(value)
}

/// Formats a size in bytes with three digits: `1.50 MB` is 1,572,864 bytes.
pub(crate) fn bytes(value: f64) -> String {
    match value {
        value if value >= 1_048_576.0 => format!("{} MB", three_digits(value / 1_048_576.0)),
        value if value >= 1_024.0 => format!("{} KB", three_digits(value / 1_024.0)),
        value => format!("{value:.0} B"),
    }
}

/// Formats a duration in microseconds with three digits: `1.50 ms`.
pub(crate) fn duration(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", three_digits(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", three_digits(us / 1e3)),
        us => format!("{us:.0} µs"),
    }
}

/// Formats a wait in milliseconds: `5 s`, `3 min`, `2 h`.
fn lag(ms: u64) -> String {
    match ms / 1_000 {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_numbers_with_three_digits() {
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
        assert_eq!([0, 119_999, 120_000, 7_200_000].map(lag), ["0 s", "119 s", "2 min", "2 h"]);
    }

    #[test]
    fn cuts_long_values() {
        assert_eq!(text(&Value::Null), "");
        assert_eq!(text(&serde_json::json!({"a": 1})), "{\"a\":1}");
        assert_eq!(text(&"ü".repeat(200).into()).chars().count(), TEXT_CHARS_MAX + 1);
    }

    #[test]
    fn addresses_wrap_at_their_signs() {
        assert_eq!(wraps("lena@mail.example <b>"), "lena<wbr>@mail.example &lt;b&gt;");
        assert_eq!(wraps("brands/shop/brand.toml"), "brands/<wbr>shop/<wbr>brand.toml");
    }

    #[test]
    fn messages_keep_their_begin_and_their_end() {
        assert_eq!(middle("short"), "short");
        let long = middle(&format!("begin {} é end", "x".repeat(300)));
        assert!(long.starts_with("begin x") && long.ends_with("x é end") && long.contains('…'), "{long}");
        assert_eq!(long.chars().count(), MESSAGE_CHARS_MAX + 1);
    }

    #[test]
    fn encodes_everything_but_unreserved_characters_and_slashes_in_queries() {
        assert_eq!(encode_query("/blog/{slug}-_.~?a=b&c ü"), "/blog/%7Bslug%7D-_.~%3Fa%3Db%26c%20%C3%BC");
    }

    #[test]
    fn parses_every_template_and_escapes_values() {
        let templates = Templates::new().unwrap();
        let view = serde_json::json!({ "title": "<b>", "reason": { "said": "<script>" } });
        let html = templates.render("problem", &view).unwrap();
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"), "{html}");
    }
}
