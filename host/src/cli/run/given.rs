//! Reads the values of flags: files, JSON text, and pairs of names and values.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

/// Reads the value of `--body`.
///
/// # Errors
/// The file or standard input cannot be read.
pub(crate) fn body(given: &str) -> anyhow::Result<Vec<u8>> {
    if given == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("--body: standard input")?;
        return Ok(bytes);
    }
    if is_json(given) {
        return Ok(given.as_bytes().to_vec());
    }
    let is_form = given.contains('=') && !Path::new(given).is_file();
    read(given, "--body").map_err(|error| match is_form {
        true => {
            error.context("use --form to send text such as `name=Ann&age=4`; without it, this names a file")
        }
        false => error,
    })
}

/// Reads the value of `--body` with `--form`: text such as `name=Ann&age=4`, a file with such
/// text, or a JSON object whose members become the fields.
///
/// # Errors
/// The file cannot be read, or a member is not a string, number or boolean.
pub(crate) fn form(given: &str) -> anyhow::Result<Vec<u8>> {
    let is_file = given == "-" || Path::new(given).is_file();
    let bytes = if given.contains('=') && !is_file { given.as_bytes().to_vec() } else { body(given)? };
    if !bytes.trim_ascii_start().starts_with(b"{") && !bytes.trim_ascii_start().starts_with(b"[") {
        return Ok(bytes);
    }
    let Value::Object(fields) =
        serde_json::from_slice(&bytes).context("--body: this is neither a form nor JSON")?
    else {
        bail!("--body: a form needs names and values, such as name=Ann&age=4");
    };
    let fields = fields.iter().map(|(name, value)| match value {
        Value::String(text) => Ok(format!("{}={}", encoded(name), encoded(text))),
        Value::Number(_) | Value::Bool(_) => Ok(format!("{}={}", encoded(name), encoded(&value.to_string()))),
        _ => bail!("--body: a form can only send strings, numbers and booleans; `{name}` is none of these"),
    });
    Ok(fields.collect::<anyhow::Result<Vec<_>>>()?.join("&").into_bytes())
}

/// Reads a JSON object from a file, or from the flag's value itself.
///
/// # Errors
/// The file cannot be read, or the text is not a JSON object.
pub(crate) fn object(given: Option<&str>, flag: &str) -> anyhow::Result<Option<Map<String, Value>>> {
    let Some(given) = given else { return Ok(None) };
    let (text, name) = if is_json(given) {
        (given.as_bytes().to_vec(), flag.to_owned())
    } else {
        (read(given, flag)?, format!("{flag} {given}"))
    };
    match serde_json::from_slice(&text) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => bail!("{name}: this must be one JSON object, such as {{\"email\": \"ann@example.com\"}}"),
        Err(error) => bail!("{name}: this is not JSON: {error}"),
    }
}

fn read(file: &str, flag: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(Path::new(file)).with_context(|| format!("{flag}: {file} cannot be read"))
}

/// Whether the value is JSON text. A file whose name begins like this must be given as `./{…`.
fn is_json(given: &str) -> bool {
    given.starts_with(['{', '['])
}

/// Splits each value at the first `between` into a name and a value.
///
/// # Errors
/// A value has no name or no `between`. The message shows the right `form`.
pub(crate) fn pairs(
    given: &[String],
    between: char,
    flag: &str,
    form: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let pair = |text: &String| match text.split_once(between) {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => bail!("{flag}: {text:?} must be written as \"{form}\""),
    };
    given.iter().map(pair).collect()
}

/// Adds query parameters to an address.
///
/// # Errors
/// A parameter has no name.
pub(crate) fn with_query(address: &str, query: &[String]) -> anyhow::Result<String> {
    let mut out = address.to_owned();
    for (name, value) in pairs(query, '=', "--query", "NAME=VALUE")? {
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(&format!("{}={}", encoded(&name), encoded(&value)));
    }
    Ok(out)
}

/// Percent-encodes text for a query or a form.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_parameters_to_those_in_the_address() {
        let query = ["a b=1&2".to_owned(), "ü=".to_owned()];
        assert_eq!(with_query("/x", &query).unwrap(), "/x?a%20b=1%262&%C3%BC=");
        assert_eq!(with_query("/x?y=1", &query[..1]).unwrap(), "/x?y=1&a%20b=1%262");
        assert!(with_query("/x", &["=1".into()]).is_err());
    }

    #[test]
    fn reads_forms_as_text_or_as_json() {
        let sent = |given: &str| form(given).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(sent("name=Ann&age=4").unwrap(), "name=Ann&age=4");
        assert_eq!(sent("{\"name\": \"A & B\", \"age\": 4}").unwrap(), "name=A%20%26%20B&age=4");
        let refused = |given: &str| format!("{:#}", form(given).unwrap_err());
        assert!(refused("{\"name\": [1]}").contains("`name` is none of these"));
        assert!(refused("{\"name\": }").contains("line 1 column 10"));
        assert!(refused("gone.txt").contains("gone.txt cannot be read"));
        assert!(refused("[1]").contains("names and values"));
    }

    #[test]
    fn names_the_place_of_a_mistake_in_json() {
        let refused = |text: &str| object(Some(text), "--session").err().unwrap().to_string();
        assert!(refused("[1]").contains("one JSON object"));
        assert!(refused("{\"a\": }").contains("line 1 column 7"));
        assert!(refused("missing.json").contains("--session: missing.json cannot be read"));
    }
}
