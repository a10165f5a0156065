//! Values as JSON text.
//!
//! This is our own code and not `serde_json`'s because the size of the text is charged while it is
//! written, numbers print as in JavaScript, and deep values must not use up the stack.

use crate::budget::{Budget, Limited};
use crate::value::Val;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// As `JSON.stringify(value)`.
    Compact,
    /// Like `Compact`, but `<`, `-->`, U+2028 and U+2029 are escaped, so that the text is safe in
    /// a script.
    Script,
    /// Indented by two spaces.
    Indented,
}

/// An array or a record that is being written, and the index of the next entry.
enum OpenValue<'a> {
    Array(Val<'a>, usize),
    Record(Vec<(&'a str, Val<'a>)>, usize),
}

/// The JSON of a value. Undefined becomes `null`. An explicit stack replaces recursion, because a
/// script's value may nest very deep.
pub(super) fn write(value: &Val<'_>, layout: Layout, budget: &mut Budget) -> Limited<String> {
    let mut writer = Writer { text: String::new(), layout, bytes_max: budget.made_bytes_left() };
    let mut stack: Vec<OpenValue<'_>> = Vec::new();
    let mut next = Some(value.clone());
    loop {
        budget.steps(1)?;
        budget.check_room(writer.text.len())?;
        if let Some(value) = next.take() {
            stack.extend(writer.scalar_or_open(value, budget)?);
        }
        if layout == Layout::Indented {
            budget.read(2 * stack.len())?;
        }
        let depth = stack.len();
        let Some(top) = stack.last_mut() else { break };
        let (entry, index, close) = match top {
            OpenValue::Array(array, index) => {
                let item = array.items().and_then(|items| items.get(*index));
                (item.map(|v| (None, v)), index, ']')
            }
            OpenValue::Record(fields, index) => {
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
                    writer.string(key, budget)?;
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
    /// A longer text is over the limit anyway.
    bytes_max: usize,
}

impl Writer {
    /// Writes a scalar, or begins an array or a record and returns it.
    fn scalar_or_open<'a>(&mut self, value: Val<'a>, budget: &Budget) -> Limited<Option<OpenValue<'a>>> {
        match value {
            Val::Undefined | Val::Null => self.text.push_str("null"),
            Val::Bool(flag) => self.text.push_str(if flag { "true" } else { "false" }),
            Val::Number(number) if number.is_finite() => {
                self.text.push_str(ryu_js::Buffer::new().format_finite(number));
            }
            Val::Number(_) => self.text.push_str("null"),
            Val::Text(text) => self.string(text, budget)?,
            Val::Made(text) | Val::Json(text) => self.string(&text, budget)?,
            array @ (Val::Array(_) | Val::List(_)) => {
                self.text.push('[');
                return Ok(Some(OpenValue::Array(array, 0)));
            }
            record @ (Val::Object(_) | Val::Dict(_) | Val::Loop(_)) => {
                self.text.push('{');
                budget.steps(record.entries())?;
                let mut fields = record.fields().unwrap_or_default();
                fields.retain(|(_, value)| !matches!(value, Val::Undefined));
                return Ok(Some(OpenValue::Record(fields, 0)));
            }
        }
        Ok(None)
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

    fn string(&mut self, text: &str, budget: &Budget) -> Limited<()> {
        budget.check_room(text.len())?;
        budget.walk(text.len())?;
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
            if self.text.len() > self.bytes_max {
                return budget.check_room(self.text.len());
            }
            match short {
                "" => {
                    c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push_escape(*unit, &mut self.text));
                }
                short => self.text.push_str(short),
            }
        }
        self.text.push_str(text.get(plain..).unwrap_or(""));
        self.text.push('"');
        Ok(())
    }
}

/// Rewrites JSON so that its texts consist only of letters, digits, space, `_ - . , : @` and
/// `\uXXXX`. JavaScript reads the same value. Nothing in a text can end a string, a template
/// literal, an element or a CDATA section, or be a character reference or a percent-encoding.
pub(super) fn for_scripts(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 4);
    let mut in_text = false;
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        let meant = match c {
            '"' => {
                in_text = !in_text;
                out.push('"');
                continue;
            }
            '\\' => match chars.next() {
                Some('u') => {
                    out.push_str("\\u");
                    continue;
                }
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some(c) => c,
                None => break,
            },
            c if !in_text || is_harmless(c) => {
                out.push(c);
                continue;
            }
            c => c,
        };
        for unit in meant.encode_utf16(&mut [0; 2]) {
            push_escape(*unit, &mut out);
        }
    }
    out
}

/// Writes a UTF-16 unit as `\uXXXX`.
fn push_escape(unit: u16, into: &mut String) {
    into.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        into.extend(char::from_digit(u32::from(unit >> shift) & 15, 16));
    }
}

fn is_harmless(c: char) -> bool {
    c.is_alphabetic() || c.is_ascii_digit() || matches!(c, ' ' | '_' | '-' | '.' | ',' | ':' | '@')
}

/// Whether the `>` at an offset ends `-->`, which has a meaning in a script after `<!--`.
fn ends_comment(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.ends_with("--"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::LimitError;
    use crate::limits::TemplateLimits;
    use serde_json::{Value, json};

    fn written(value: &Value, layout: Layout) -> Limited<String> {
        write(&Val::of(value), layout, &mut Budget::of(&TemplateLimits::default()))
    }

    #[test]
    fn writes_what_serde_json_writes() {
        let value = json!({"a": [1, 2.5, [], {}], "b\"": "x\n\u{1}é", "c": {"d": null, "e": [true]}});
        assert_eq!(written(&value, Layout::Compact).ok(), serde_json::to_string(&value).ok());
        assert_eq!(written(&value, Layout::Indented).ok(), serde_json::to_string_pretty(&value).ok());
    }

    #[test]
    fn script_layout_escapes_what_could_end_a_script() {
        let value = json!(["</script><!--\u{2028}-->"]);
        let expected = r#"["\u003c/script>\u003c!--\u2028--\u003e"]"#;
        assert_eq!(written(&value, Layout::Script).as_deref(), Ok(expected));
    }

    #[test]
    fn for_scripts_keeps_the_value_and_escapes_its_texts() {
        let nasty: String = (0..0x250).chain([0x2028, 0x2029, 0x1f600]).filter_map(char::from_u32).collect();
        let value =
            json!({nasty.clone(): [nasty, 1.5, null, true, {"a-b": "x, y: ada@example.org"}], "k`": ""});
        let text = for_scripts(&written(&value, Layout::Script).unwrap_or_default());
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
        assert!(text.ends_with(r#"{"a-b":"x, y: ada@example.org"}],"k\u0060":""}"#), "{text}");
        for forbidden in "<>&%'`$/\n\u{2028}\u{2029}();=!*+#?|~^".chars() {
            assert!(!text.contains(forbidden), "{forbidden:?} in {text}");
        }
        assert_eq!(for_scripts(r#"["]}\"\\"]"#), r#"["\u005d\u007d\u0022\u005c"]"#);
        assert_eq!(for_scripts("[1,{\"a\":-1e-7}]"), "[1,{\"a\":-1e-7}]");
    }

    #[test]
    fn writes_deep_values_without_recursion() {
        let mut value = json!(1);
        for _ in 0..100_000 {
            value = Value::Array(vec![value]);
        }
        let text = written(&value, Layout::Compact).unwrap_or_default();
        assert_eq!(text.len(), 200_001);
        // Dropping such a value would recurse; taking it apart does not.
        while let Value::Array(mut items) = value {
            value = items.pop().unwrap_or(Value::Null);
        }
    }

    #[test]
    fn stops_writing_at_the_limit() {
        let limits = TemplateLimits { made_bytes_max: 100, ..TemplateLimits::default() };
        let value = json!(vec!["0123456789"; 1000]);
        let result = write(&Val::of(&value), Layout::Compact, &mut Budget::of(&limits));
        assert_eq!(result, Err(LimitError::MadeBytes(100)));
    }
}
