//! Settings files: finds every mistake, with its position.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;

use sluice_crm::{CrmSchema, SchemaMistake};
use sluice_kit::toml_text;
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_text::source::{Position, Source};
use sluice_text::suggest::nearest;

use super::MISTAKES_MAX;

struct Mistake {
    place: Position,
    /// Whether only a key is missing. It may be one in which a mistake was found.
    is_missing_key: bool,
    /// The last line that the mistake concerns.
    last_line: u32,
    message: String,
    help: Option<String>,
    /// Whether the file may be valid without this key.
    can_go_on: bool,
}

/// Reads a settings file and reports its mistakes. Keys that are unknown or have an invalid value
/// are ignored: if the file is valid TOML, its other settings are usable.
pub(crate) fn read<T: DeserializeOwned>(source: &Source) -> (Option<T>, Vec<Diagnostic>) {
    collect(Rule::Settings, source, |source| {
        toml_text::parse(&source.text).map_err(|error| of_toml(source, &error))
    })
}

/// The same for a `crm.toml`.
pub(crate) fn read_crm(source: &Source) -> (Option<CrmSchema>, Vec<Diagnostic>) {
    collect(Rule::CrmToml, source, |source| {
        CrmSchema::parse(&source.text, &source.file).map_err(|error| {
            let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            Mistake {
                place: Position { line: number(error.line), column: number(error.column) },
                is_missing_key: false,
                last_line: number(error.line),
                help: error.mistake.help().or_else(|| Some(remedy_of_crm(&error.mistake.to_string()))),
                message: error.mistake.to_string(),
                can_go_on: matches!(error.mistake, SchemaMistake::UnknownKey { .. }),
            }
        })
    })
}

/// Parses a file again and again, each time without the keys in which a mistake was found.
fn collect<T>(
    rule: Rule,
    source: &Source,
    parse: impl Fn(&Source) -> Result<T, Mistake>,
) -> (Option<T>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut rest = source.clone();
    for _ in 0..MISTAKES_MAX {
        let mistake = match parse(&rest) {
            Ok(parsed) => return (Some(parsed), found),
            Err(mistake) => mistake,
        };
        let can_go_on = mistake.can_go_on;
        let lines = mistake.place.line as usize..=mistake.last_line as usize;
        if found.is_empty() || !mistake.is_missing_key {
            found.push(
                Diagnostic::at_position(rule, source, mistake.place, mistake.message)
                    .maybe_help(mistake.help),
            );
        }
        if !can_go_on {
            break;
        }
        let before = rest.text.len();
        rest.text = without(&rest.text, &lines);
        if rest.text.len() == before || toml_text::parse::<toml::Table>(&rest.text).is_err() {
            break;
        }
    }
    (None, found)
}

/// Blanks lines of `text`. If one of them is the head of a section, blanks the whole section.
fn without(text: &str, lines: &RangeInclusive<usize>) -> String {
    let mut in_section = false;
    let mut out = String::with_capacity(text.len());
    for (index, content) in text.split_inclusive('\n').enumerate() {
        let is_head = content.trim_start().starts_with('[');
        let is_meant = lines.contains(&(index + 1));
        in_section = (in_section && !is_head) || (is_meant && is_head);
        if is_meant || in_section {
            out.push('\n');
        } else {
            out.push_str(content);
        }
    }
    out
}

fn of_toml(source: &Source, error: &toml::de::Error) -> Mistake {
    let span = error.span().unwrap_or(0..0);
    let place = source.position(span.start);
    let last_line = source.position(span.end.saturating_sub(1).max(span.start)).line;
    // Without a line that is no TOML, the lines after it may mean something else.
    let can_go_on = toml_text::parse::<toml::Table>(&source.text).is_ok();
    let text = error.message().trim().replace('\n', "; ");
    let is_missing_key = text.starts_with("missing field");
    let (message, help) = match Complaint::of_serde(&text) {
        Complaint::UnknownField { name, known } => {
            let help = did_you_mean(name, &known)
                .unwrap_or_else(|| format!("the settings here are {}", known.join(", ")));
            (format!("there is no setting `{name}`"), Some(help))
        }
        Complaint::UnknownVariant { name, known } => {
            let help = did_you_mean(name, &known).unwrap_or_else(|| match known.as_slice() {
                [only] => format!("the only allowed value is {only}"),
                several => format!("the allowed values are {}", several.join(", ")),
            });
            (format!("`{name}` is not an allowed value"), Some(help))
        }
        Complaint::MissingField { name } => {
            (format!("the setting `{name}` is missing"), Some(format!("add `{name} = …`")))
        }
        Complaint::Other => (text.clone(), Some(remedy(&text).to_owned())),
    };
    Mistake { place, is_missing_key, last_line, message, help, can_go_on }
}

/// What to do about a mistake in `crm.toml`.
fn remedy_of_crm(text: &str) -> String {
    match Complaint::of_serde(text) {
        Complaint::MissingField { name } => format!("add `{name} = …`"),
        _ if text.contains("does not match") => "use small letters, digits, `_` and `-`".to_owned(),
        _ => "docs/crm.md describes the settings of crm.toml".to_owned(),
    }
}

/// What to do about a complaint of the TOML parser or of a setting's type.
fn remedy(text: &str) -> &'static str {
    const REMEDIES: [(&str, &str); 8] = [
        ("invalid basic string", "put the value into quotes that end on the same line: `key = \"value\"`"),
        ("string values must be quoted", "put the value into quotes: `key = \"value\"`"),
        ("duplicate key", "remove one of the two lines"),
        ("expected a boolean", "write `true` or `false`, without quotes"),
        ("expected a sequence", "put the values into brackets: `[\"one\", \"two\"]`"),
        ("expected a string", "put the value into quotes: `key = \"value\"`"),
        ("expected", "write a value of this kind; docs/configuration.md describes each setting"),
        ("key with no value", "write a value: `key = \"value\"`"),
    ];
    let known = REMEDIES.iter().find(|(part, _)| text.contains(part));
    known.map_or("correct the value; docs/configuration.md describes each setting", |(_, remedy)| remedy)
}

fn did_you_mean(name: &str, known: &[&str]) -> Option<String> {
    nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"))
}

/// What serde complains about. The `toml` crate gives only serde's sentence and the
/// position, so the sentence has to be parsed. It is serde's own (`serde::de::Error`): the
/// default texts of `unknown_field`, `unknown_variant` and `missing_field`.
enum Complaint<'a> {
    UnknownField { name: &'a str, known: Vec<&'a str> },
    UnknownVariant { name: &'a str, known: Vec<&'a str> },
    MissingField { name: &'a str },
    Other,
}

impl<'a> Complaint<'a> {
    fn of_serde(text: &'a str) -> Self {
        let mut names = text.split('`').skip(1).step_by(2);
        let name = names.next().unwrap_or_default();
        let known = names.collect();
        if text.starts_with("unknown field") {
            Self::UnknownField { name, known }
        } else if text.starts_with("unknown variant") {
            Self::UnknownVariant { name, known }
        } else if text.starts_with("missing field") {
            Self::MissingField { name }
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only what serde says of it counts")]
    struct File {
        name: String,
        color: Option<Color>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Color {
        Red,
        Blue,
    }

    /// Message and help of the first mistake.
    fn first(text: &str) -> (String, String) {
        let source = Source { file: "x.toml".into(), text: text.into() };
        let first = read::<File>(&source).1.remove(0);
        (first.message, first.help.unwrap_or_default())
    }

    #[test]
    fn recognizes_each_complaint_of_serde() {
        for (text, message, help) in [
            ("nmae = 'a'", "there is no setting `nmae`", "did you mean `name`?"),
            ("zzzzzzz = 'a'", "there is no setting `zzzzzzz`", "the settings here are name, color"),
            ("color = 'red'", "the setting `name` is missing", "add `name = …`"),
            ("name = 'a'\ncolor = 'rad'", "`rad` is not an allowed value", "did you mean `red`?"),
            (
                "name = 'a'\ncolor = 'green'",
                "`green` is not an allowed value",
                "the allowed values are red, blue",
            ),
        ] {
            assert_eq!(first(text), (message.to_owned(), help.to_owned()), "{text}");
        }
    }

    #[test]
    fn reports_every_unknown_key() {
        let source = Source { file: "x.toml".into(), text: "name = 'a'\nb = 1\n[c]\nd = 1\n".into() };
        let (read, found) = read::<File>(&source);
        assert_eq!(read.unwrap().name, "a");
        assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [2, 3]);
    }
}
