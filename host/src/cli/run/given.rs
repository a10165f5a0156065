//! What a command line gives: files, JSON as it is, names with values.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

/// The bytes of a body.
///
/// # Errors
/// It cannot be read.
pub fn body(given: &str) -> anyhow::Result<Vec<u8>> {
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
        true => error.context("with --form, `name=Ann&age=4` is the body itself; without it this is a file"),
        false => error,
    })
}

/// The bytes of a form's body: `name=Ann&age=4` as it is or from a file, or the members of
/// a JSON object.
///
/// # Errors
/// It cannot be read, or holds what no form can send.
pub fn form(given: &str) -> anyhow::Result<Vec<u8>> {
    let is_file = given == "-" || Path::new(given).is_file();
    let bytes = if given.contains('=') && !is_file { given.as_bytes().to_vec() } else { body(given)? };
    if !bytes.trim_ascii_start().starts_with(b"{") && !bytes.trim_ascii_start().starts_with(b"[") {
        return Ok(bytes);
    }
    let Value::Object(fields) =
        serde_json::from_slice(&bytes).context("--body: this is neither a form nor JSON")?
    else {
        bail!("--body: a form has names and values, such as name=Ann&age=4");
    };
    let fields = fields.iter().map(|(name, value)| match value {
        Value::String(text) => Ok(format!("{}={}", encoded(name), encoded(text))),
        Value::Number(_) | Value::Bool(_) => Ok(format!("{}={}", encoded(name), encoded(&value.to_string()))),
        _ => bail!("--body: a form sends texts; `{name}` is none"),
    });
    Ok(fields.collect::<anyhow::Result<Vec<_>>>()?.join("&").into_bytes())
}

/// A JSON object, from a file or as it is.
///
/// # Errors
/// It cannot be read, or is none; with line and column.
pub fn object(given: Option<&str>, flag: &str) -> anyhow::Result<Option<Map<String, Value>>> {
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

/// No file's name begins like this, unless `./` stands before it.
fn is_json(given: &str) -> bool {
    given.starts_with(['{', '['])
}

/// Names and values, around the first `between`.
///
/// # Errors
/// One without a name or without `between`.
pub fn pairs(
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

/// `address` with further parameters.
///
/// # Errors
/// A parameter without a name.
pub fn with_query(address: &str, query: &[String]) -> anyhow::Result<String> {
    let mut out = address.to_owned();
    for (name, value) in pairs(query, '=', "--query", "NAME=VALUE")? {
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(&format!("{}={}", encoded(&name), encoded(&value)));
    }
    Ok(out)
}

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
    fn parameters_are_added_to_those_that_are_there() {
        let query = ["a b=1&2".to_owned(), "ü=".to_owned()];
        assert_eq!(with_query("/x", &query).unwrap(), "/x?a%20b=1%262&%C3%BC=");
        assert_eq!(with_query("/x?y=1", &query[..1]).unwrap(), "/x?y=1&a%20b=1%262");
        assert!(with_query("/x", &["=1".into()]).is_err());
    }

    #[test]
    fn forms_are_given_as_they_are_sent_or_as_json() {
        let sent = |given: &str| form(given).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(sent("name=Ann&age=4").unwrap(), "name=Ann&age=4");
        assert_eq!(sent("{\"name\": \"A & B\", \"age\": 4}").unwrap(), "name=A%20%26%20B&age=4");
        let refused = |given: &str| format!("{:#}", form(given).unwrap_err());
        assert!(refused("{\"name\": [1]}").contains("`name` is none"));
        assert!(refused("{\"name\": }").contains("line 1 column 10"));
        assert!(refused("gone.txt").contains("gone.txt cannot be read"));
        assert!(refused("[1]").contains("names and values"));
    }

    #[test]
    fn what_is_wrong_with_json_is_said_where_it_is() {
        let refused = |text: &str| object(Some(text), "--session").err().unwrap().to_string();
        assert!(refused("[1]").contains("one JSON object"));
        assert!(refused("{\"a\": }").contains("line 1 column 7"));
        assert!(refused("missing.json").contains("--session: missing.json cannot be read"));
    }
}
