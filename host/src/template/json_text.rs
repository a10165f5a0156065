//! Values as JSON text.

use super::budget::Budget;
use super::value::Val;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// As `JSON.stringify(value)`.
    Compact,
    /// The same, fit for a `<script>`: no `<`, no `-->`, no U+2028 or U+2029.
    Script,
    /// Indented by two spaces.
    Indented,
}

/// An array or a record that is being written, and how far.
enum Open<'a> {
    Array(Val<'a>, usize),
    Record(Vec<(&'a str, Val<'a>)>, usize),
}

/// The JSON of a value; undefined is `null`. An explicit stack keeps deep values off ours.
pub(super) fn write(value: &Val<'_>, layout: Layout, budget: &mut Budget) -> Result<String, String> {
    let mut writer = Writer { text: String::new(), layout };
    let mut stack: Vec<Open<'_>> = Vec::new();
    let mut next = Some(value.clone());
    loop {
        budget.operations(1)?;
        if writer.text.len() > budget.made_bytes_left() {
            budget.make(writer.text.len())?;
        }
        if let Some(value) = next.take() {
            stack.extend(writer.scalar_or_open(value));
        }
        let depth = stack.len();
        let Some(top) = stack.last_mut() else { break };
        let (entry, index, close) = match top {
            Open::Array(array, index) => {
                let item = array.items().and_then(|items| items.get(*index));
                (item.map(|v| (None, v)), index, ']')
            }
            Open::Record(fields, index) => {
                let field = fields.get(*index).cloned();
                (field.map(|(key, v)| (Some(key), v)), index, '}')
            }
        };
        let first = *index == 0;
        *index += 1;
        match entry {
            Some((key, value)) => {
                writer.separate(first, depth);
                if let Some(key) = key {
                    writer.string(key);
                    writer.text.push_str(if layout == Layout::Indented { ": " } else { ":" });
                }
                next = Some(value);
            }
            None => {
                stack.pop();
                if !first {
                    writer.new_line(depth - 1);
                }
                writer.text.push(close);
            }
        }
    }
    budget.make(writer.text.len())?;
    Ok(writer.text)
}

struct Writer {
    text: String,
    layout: Layout,
}

impl Writer {
    fn scalar_or_open<'a>(&mut self, value: Val<'a>) -> Option<Open<'a>> {
        match value {
            Val::Undefined | Val::Null => self.text.push_str("null"),
            Val::Bool(flag) => self.text.push_str(if flag { "true" } else { "false" }),
            Val::Number(number) if number.is_finite() => {
                self.text.push_str(ryu_js::Buffer::new().format_finite(number));
            }
            Val::Number(_) => self.text.push_str("null"),
            Val::Text(text) => self.string(text),
            Val::Made(text) => self.string(&text),
            array @ (Val::Array(_) | Val::List(_)) => {
                self.text.push('[');
                return Some(Open::Array(array, 0));
            }
            record @ (Val::Object(_) | Val::Dict(_) | Val::Loop(_)) => {
                self.text.push('{');
                let mut fields = record.fields().unwrap_or_default();
                fields.retain(|(_, value)| !matches!(value, Val::Undefined));
                return Some(Open::Record(fields, 0));
            }
        }
        None
    }

    fn separate(&mut self, first: bool, depth: usize) {
        if !first {
            self.text.push(',');
        }
        self.new_line(depth);
    }

    fn new_line(&mut self, depth: usize) {
        if self.layout == Layout::Indented {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n("  ", depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            let short = match c {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\u{8}' => "\\b",
                '\u{c}' => "\\f",
                '\0'..='\u{1f}' => "",
                '<' | '\u{2028}' | '\u{2029}' if self.layout == Layout::Script => "",
                '>' if self.layout == Layout::Script && ends_comment(text, at) => "",
                _ => continue,
            };
            self.text.push_str(text.get(plain..at).unwrap_or(""));
            plain = at + c.len_utf8();
            match short {
                "" => self.text.push_str(&format!("\\u{:04x}", u32::from(c))),
                short => self.text.push_str(short),
            }
        }
        self.text.push_str(text.get(plain..).unwrap_or(""));
        self.text.push('"');
    }
}

/// Whether the `>` at an offset ends `-->`, which in a script after `<!--` has a meaning.
fn ends_comment(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.ends_with("--"))
}

#[cfg(test)]
mod tests {
    use super::super::TemplateLimits;
    use super::*;
    use serde_json::{Value, json};

    fn written(value: &Value, layout: Layout) -> Result<String, String> {
        write(&Val::of(value), layout, &mut Budget::new(TemplateLimits::default()))
    }

    #[test]
    fn agrees_with_serde_json_on_both_layouts() {
        let value = json!({"a": [1, 2.5, [], {}], "b\"": "x\n\u{1}é", "c": {"d": null, "e": [true]}});
        assert_eq!(written(&value, Layout::Compact).ok(), serde_json::to_string(&value).ok());
        assert_eq!(written(&value, Layout::Indented).ok(), serde_json::to_string_pretty(&value).ok());
    }

    #[test]
    fn script_layout_has_nothing_that_ends_a_script() {
        let value = json!(["</script><!--\u{2028}-->"]);
        let expected = r#"["\u003c/script>\u003c!--\u2028--\u003e"]"#;
        assert_eq!(written(&value, Layout::Script).as_deref(), Ok(expected));
    }

    #[test]
    fn deep_values_do_not_use_up_the_stack() {
        let mut value = json!(1);
        for _ in 0..100_000 {
            value = Value::Array(vec![value]);
        }
        let text = written(&value, Layout::Compact).unwrap_or_default();
        assert_eq!(text.len(), 200_001);
        // Dropping such a value recurses; taking it apart does not.
        while let Value::Array(mut items) = value {
            value = items.pop().unwrap_or(Value::Null);
        }
    }

    #[test]
    fn the_size_is_bounded_while_writing() {
        let limits = TemplateLimits { made_bytes_max: 100, ..TemplateLimits::default() };
        let value = json!(vec!["0123456789"; 1000]);
        let result = write(&Val::of(&value), Layout::Compact, &mut Budget::new(limits));
        assert!(result.is_err_and(|message| message.contains("made_bytes_max")));
    }
}
