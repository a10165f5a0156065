//! How a form shows a field of an entry, and which value the text means that it sends. Scripts may have stored any value
//! in any field, so the stored value decides as well as the declared type.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use sluice_crm::FieldType;

use crate::admin::templates::text;
use crate::admin::views::crm::FieldView;

/// Check boxes for stored values that are no option. A list with more of them is edited as JSON.
const EXTRA_BOXES_MAX: usize = 20;
/// Longer texts get an area of several lines.
const LINE_CHARS_MAX: usize = 120;

/// How a value is edited.
#[derive(Debug, PartialEq)]
pub(super) enum Editor {
    /// A text.
    Text(FieldType),
    /// A number.
    Number { is_integer: bool },
    /// One of these values, or none.
    Choice(Vec<Choice>),
    /// Some of these values.
    Boxes(Vec<Choice>),
    /// A list of texts, one in a line.
    Lines,
    /// Any value.
    Json,
}

/// A value that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    /// What the form sends for it.
    text: String,
    label: String,
    value: Value,
}

impl Choice {
    fn of(value: &Value, label: Option<&str>) -> Option<Self> {
        let text = plain(value).filter(|text| !text.is_empty())?;
        let label = label.unwrap_or(&text).to_owned();
        Some(Self { text, label, value: value.clone() })
    }

    fn view(&self, chosen: &[String]) -> Value {
        let label = text(&Value::from(self.label.as_str()));
        json!({ "text": self.text, "label": label, "is_chosen": chosen.contains(&self.text) })
    }
}

/// Line ends as forms are compared by: browsers change them.
pub(super) fn with_plain_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The text of a value that is neither a list nor an object.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(with_plain_lines(text)),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// The options of a field: `["small", { value = "big", label = "Over 500" }]`, or labels by value.
fn choices(options: &Value) -> Vec<Choice> {
    let mut all: Vec<Choice> = Vec::new();
    let mut add = |choice: Option<Choice>| {
        if let Some(choice) = choice.filter(|choice| all.iter().all(|known| known.text != choice.text)) {
            all.push(choice);
        }
    };
    match options {
        Value::Array(options) => options.iter().for_each(|option| match option {
            Value::Object(option) => {
                let label = option.get("label").and_then(Value::as_str);
                add(option.get("value").and_then(|value| Choice::of(value, label)));
            }
            option => add(Choice::of(option, None)),
        }),
        Value::Object(options) => {
            options.iter().for_each(|(value, label)| {
                add(Choice::of(&Value::from(value.as_str()), label.as_str()));
            });
        }
        _ => {}
    }
    all
}

/// The items of a stored value as a list.
fn items(stored: &Value) -> &[Value] {
    match stored {
        Value::Null => &[],
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

impl Editor {
    /// The editor of a field that has this value. `null` stands for none.
    pub(super) fn of(field: &FieldView, stored: &Value) -> Self {
        use FieldType::{
            Boolean, Checkbox, Currency, Decimal, Integer, Json, MultiReference, Multiselect, Number, Radio,
            Select, Text,
        };
        let kind = FieldType::from_name(field.kind).unwrap_or(Text);
        match kind {
            Multiselect | MultiReference => Self::of_list(choices(&field.options), stored),
            Json => Self::Json,
            _ if plain(stored).is_none() => Self::Json,
            Number | Decimal | Currency => Self::Number { is_integer: false },
            Integer => Self::Number { is_integer: true },
            Boolean | Checkbox => {
                let flag = |flag: bool, label| Choice::of(&Value::Bool(flag), Some(label));
                Self::of_choices([flag(true, "yes"), flag(false, "no")].into_iter().flatten(), stored)
            }
            Select | Radio => match choices(&field.options) {
                options if options.is_empty() => Self::Text(Text),
                options => Self::of_choices(options, stored),
            },
            kind => Self::Text(kind),
        }
    }

    fn of_choices(options: impl IntoIterator<Item = Choice>, stored: &Value) -> Self {
        let mut all: Vec<Choice> = options.into_iter().collect();
        let own = Choice::of(stored, None).filter(|own| all.iter().all(|known| known.text != own.text));
        all.extend(own);
        Self::Choice(all)
    }

    fn of_list(options: Vec<Choice>, stored: &Value) -> Self {
        let is_line = |item: &Value| {
            item.as_str().is_some_and(|item| !item.trim().is_empty() && !item.contains(['\n', '\r']))
        };
        if options.is_empty() {
            return if items(stored).iter().all(is_line) { Self::Lines } else { Self::Json };
        }
        let own: Option<Vec<Choice>> = items(stored).iter().map(|item| Choice::of(item, None)).collect();
        let Some(own) = own else { return Self::Json };
        let mut all = options;
        let declared = all.len();
        for choice in own {
            if all.iter().all(|known| known.text != choice.text) {
                all.push(choice);
            }
        }
        if all.len() > declared + EXTRA_BOXES_MAX { Self::Json } else { Self::Boxes(all) }
    }

    /// What a form sends that nobody has touched.
    pub(super) fn shown(&self, stored: &Value) -> Vec<String> {
        match self {
            Self::Boxes(_) => {
                let mut texts: Vec<String> = items(stored).iter().filter_map(plain).collect();
                texts.sort_unstable();
                texts.dedup();
                texts
            }
            Self::Lines => vec![items(stored).iter().filter_map(plain).collect::<Vec<_>>().join("\n")],
            Self::Json if stored.is_null() => vec![String::new()],
            Self::Json => vec![format!("{stored:#}")],
            Self::Text(_) | Self::Number { .. } | Self::Choice(_) => {
                vec![plain(stored).unwrap_or_default()]
            }
        }
    }

    /// Whether the form sends nothing if nothing is chosen.
    pub(super) fn can_be_silent(&self) -> bool {
        matches!(self, Self::Boxes(_))
    }

    /// The value that the sent texts mean. `null` stands for none.
    ///
    /// # Errors
    /// They mean none. The text says why.
    pub(super) fn read(&self, sent: &[String], stored: &Value) -> Result<Value, String> {
        let first = sent.first().map(String::as_str).unwrap_or_default();
        let no_option = |text: &str| format!("{} is none of the options", shortened(text));
        match self {
            Self::Boxes(choices) => {
                if let Some(other) = sent.iter().find(|text| choices.iter().all(|known| known.text != **text))
                {
                    return Err(no_option(other));
                }
                let is_sent = |value: &Value| plain(value).is_some_and(|text| sent.contains(&text));
                let mut kept: Vec<Value> =
                    items(stored).iter().filter(|item| is_sent(item)).cloned().collect();
                for choice in choices.iter().filter(|choice| sent.contains(&choice.text)) {
                    if kept.iter().all(|known| plain(known).as_ref() != Some(&choice.text)) {
                        kept.push(choice.value.clone());
                    }
                }
                Ok(if kept.is_empty() { Value::Null } else { Value::Array(kept) })
            }
            Self::Lines => {
                let lines: Vec<Value> =
                    first.lines().filter(|line| !line.trim().is_empty()).map(Value::from).collect();
                Ok(if lines.is_empty() { Value::Null } else { Value::Array(lines) })
            }
            _ if first.is_empty() => Ok(Value::Null),
            Self::Text(_) => Ok(Value::from(first)),
            Self::Number { is_integer } => number(first.trim(), *is_integer),
            Self::Choice(choices) => {
                let chosen = choices.iter().find(|choice| choice.text == first);
                chosen.map(|choice| choice.value.clone()).ok_or_else(|| no_option(first))
            }
            Self::Json => serde_json::from_str(first).map_err(|error| format!("this is not JSON: {error}")),
        }
    }

    /// The control with these texts.
    pub(super) fn view(&self, texts: &[String]) -> Value {
        let first = texts.first().map(String::as_str).unwrap_or_default();
        match self {
            Self::Boxes(choices) => {
                json!({ "is_boxes": true, "options": choices.iter().map(|one| one.view(texts)).collect::<Vec<_>>() })
            }
            Self::Choice(choices) => {
                let mut options: Vec<Value> = choices.iter().map(|one| one.view(texts)).collect();
                // What was sent stays, even if it is no option.
                if !first.is_empty() && choices.iter().all(|known| known.text != first) {
                    options.push(
                        json!({ "text": first, "label": text(&Value::from(first)), "is_chosen": true }),
                    );
                }
                json!({ "is_select": true, "options": options })
            }
            Self::Number { is_integer } if !first.contains('\n') => {
                let (kind, step) = match is_html_number(first) {
                    true if *is_integer && !first.contains(['.', 'e', 'E']) => ("number", Some("1")),
                    true => ("number", Some("any")),
                    false => ("text", None),
                };
                json!({ "is_input": true, "type": kind, "step": step, "text": first })
            }
            Self::Text(kind) if is_line(*kind, first) => {
                json!({ "is_input": true, "type": input_type(*kind, first), "text": first })
            }
            _ => {
                let rows = first.lines().count().clamp(3, 12);
                let hint = match self {
                    Self::Lines => Some("one value in a line"),
                    Self::Json => Some("as JSON"),
                    _ => None,
                };
                json!({ "is_area": true, "text": first, "rows": rows, "hint": hint })
            }
        }
    }
}

/// A text in quotes for a message.
fn shortened(typed: &str) -> String {
    format!("{:?}", text(&Value::from(typed)))
}

fn number(typed: &str, is_integer: bool) -> Result<Value, String> {
    if let Ok(number) = typed.parse::<i64>() {
        return Ok(number.into());
    }
    if is_integer {
        return Err(format!("{} is not a whole number", shortened(typed)));
    }
    let number = typed.parse::<f64>().ok().filter(|_| !typed.ends_with(|c: char| c.is_alphabetic()));
    let number = number.and_then(serde_json::Number::from_f64);
    number
        .map(Value::Number)
        .ok_or_else(|| format!("{} is not a number, such as 12 or -1.5", shortened(typed)))
}

fn is_line(kind: FieldType, text: &str) -> bool {
    let is_short = !text.contains('\n') && text.chars().nth(LINE_CHARS_MAX).is_none();
    is_short && !matches!(kind, FieldType::Textarea | FieldType::RichText | FieldType::Wysiwyg)
}

/// The type of an `<input>` with this text. Browsers empty an input whose text does not have the form that its type asks
/// for, and the value would be lost. Such a text gets an input for any text.
fn input_type(kind: FieldType, text: &str) -> &'static str {
    let fits = text.is_empty()
        || match kind {
            FieldType::Email => {
                let part = |part: &str| {
                    !part.is_empty()
                        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
                };
                let domain = |name: &str| {
                    let fits = |label: &str| !label.contains(['_', '+']) && !label.starts_with('-');
                    name.split('.').all(|label| part(label) && fits(label) && !label.ends_with('-'))
                };
                text.split_once('@').is_some_and(|(local, host)| part(local) && domain(host))
            }
            FieldType::Url => {
                let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
                let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
                let is_host =
                    |host: &str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
                let is_plain = text.is_ascii() && !text.contains(|c: char| c.is_whitespace());
                is_plain && is_host(host) && host.starts_with(|c: char| c.is_ascii_alphabetic())
            }
            FieldType::Phone | FieldType::Tel => true,
            FieldType::Date => is_date(text),
            FieldType::Time => is_time(text),
            FieldType::Datetime => {
                text.split_once('T').is_some_and(|(date, time)| is_date(date) && is_time(time))
            }
            _ => false,
        };
    match kind {
        _ if !fits => "text",
        FieldType::Email => "email",
        FieldType::Url => "url",
        FieldType::Phone | FieldType::Tel => "tel",
        FieldType::Date => "date",
        FieldType::Time => "time",
        FieldType::Datetime => "datetime-local",
        _ => "text",
    }
}

/// Two digits that are a number from `least` to `most`.
fn digits(text: &str, least: u32, most: u32) -> Option<u32> {
    let is_number = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && (least..=most).contains(number))
}

/// `2026-01-31`
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let year = year.filter(|year| year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()));
    let year = year.and_then(|year| year.parse::<u32>().ok()).filter(|year| *year > 0);
    let (Some(year), Some(month), None) = (year, month.and_then(|month| digits(month, 1, 12)), parts.next())
    else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    day.is_some_and(|day| digits(day, 1, days).is_some())
}

/// `09:30`. Browsers would shorten a time with seconds.
fn is_time(text: &str) -> bool {
    let parts = text.split_once(':');
    parts.is_some_and(|(hour, minute)| digits(hour, 0, 23).is_some() && digits(minute, 0, 59).is_some())
}

/// Whether a browser keeps the text in an input for numbers.
fn is_html_number(text: &str) -> bool {
    let has_form = text.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && !text.starts_with('+')
        && !text.ends_with('.')
        && !text.contains(".e")
        && !text.contains(".E");
    text.is_empty() || has_form && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Why a form cannot hold the texts: a browser would send others.
pub(super) fn is_changed_by_forms(texts: &[String]) -> bool {
    texts.iter().any(|text| text.chars().any(|c| c < ' ' && c != '\n' && c != '\t'))
}

/// A short mark of what a form showed, by which the server knows whether somebody has touched it.
pub(super) fn mark(texts: &[String]) -> String {
    let mut sorted: Vec<&String> = texts.iter().collect();
    sorted.sort_unstable();
    let mut hash = Sha256::new();
    for text in sorted {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    let hash: [u8; 32] = hash.finalize().into();
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
