//! Settings files: every mistake with its place.

use serde::de::DeserializeOwned;

use sluice_crm::CrmSchema;
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_text::source::{Position, Source};

/// Mistakes of one file that are reported at most.
const MISTAKES_MAX: usize = 20;

/// What is wrong, where, and whether a line less would put it right.
struct Mistake {
    place: Position,
    message: String,
    help: Option<String>,
    is_unknown_key: bool,
}

/// Reads a settings file. What is left when unknown keys are taken away is given, too, if
/// that can be used.
pub(super) fn read<T: DeserializeOwned>(source: &Source) -> (Option<T>, Vec<Diagnostic>) {
    collect(Rule::Settings, source, |source| {
        toml::from_str(&source.text).map_err(|error| of_toml(source, &error))
    })
}

/// The same for a `crm.toml`.
pub(super) fn read_crm(source: &Source) -> (Option<CrmSchema>, Vec<Diagnostic>) {
    collect(Rule::CrmToml, source, |source| {
        CrmSchema::parse(&source.text, &source.file).map_err(|error| {
            let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let (message, help) = match error.message.split_once("; ") {
                Some((message, help)) if help.starts_with("did you mean") => (message, Some(help)),
                Some((message, help)) if help.starts_with("known are") => (message, Some(help)),
                _ => (error.message.as_str(), None),
            };
            Mistake {
                place: Position { line: number(error.line), column: number(error.column) },
                message: message.to_owned(),
                help: help.map(str::to_owned),
                is_unknown_key: error.message.starts_with("unknown key"),
            }
        })
    })
}

fn collect<T>(
    rule: Rule,
    source: &Source,
    parse: impl Fn(&Source) -> Result<T, Mistake>,
) -> (Option<T>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut rest = source.clone();
    while found.len() < MISTAKES_MAX {
        let mistake = match parse(&rest) {
            Ok(parsed) => return (Some(parsed), found),
            Err(mistake) => mistake,
        };
        let is_unknown_key = mistake.is_unknown_key;
        let line = mistake.place.line as usize;
        found.push(
            Diagnostic::at_position(rule, source, mistake.place, mistake.message).maybe_help(mistake.help),
        );
        if !is_unknown_key {
            break;
        }
        rest.text = without(&rest.text, line);
        if rest.text.parse::<toml::Table>().is_err() {
            break;
        }
    }
    (None, found)
}

/// `text` with a line blank, and with what belongs to it where it is a section's head.
fn without(text: &str, line: usize) -> String {
    let mut in_section = false;
    let mut out = String::with_capacity(text.len());
    for (index, content) in text.split_inclusive('\n').enumerate() {
        let is_head = content.trim_start().starts_with('[');
        let is_meant = index + 1 == line;
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
    let place = source.position(error.span().map_or(0, |span| span.start));
    let text = error.message().trim().replace('\n', "; ");
    let mut names = text.split('`').skip(1).step_by(2);
    let name = names.next().unwrap_or_default();
    let (message, help) = if text.starts_with("unknown field") || text.starts_with("unknown variant") {
        let what = if text.starts_with("unknown field") { "there is no setting" } else { "this cannot be" };
        let known: Vec<&str> = names.collect();
        let near = sluice_text::suggest::nearest(name, known.iter().copied());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it can be {}", known.join(", ")),
        };
        (format!("{what} `{name}`"), Some(help))
    } else if text.starts_with("missing field") {
        (format!("`{name}` is missing"), Some(format!("add `{name} = …`")))
    } else {
        (text.clone(), None)
    };
    Mistake { place, message, help, is_unknown_key: text.starts_with("unknown field") }
}
