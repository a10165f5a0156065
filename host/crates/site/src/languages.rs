//! The languages of a brand and its texts in them: `default_language` and `[translations]` of
//! `brand.toml`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use sluice_template::Language;

/// The languages of a brand.
#[derive(Debug, Default)]
pub struct Languages {
    default: String,
    /// The codes of all languages, as templates see them.
    codes: Vec<Value>,
    /// The texts of each language by their keys.
    texts: BTreeMap<String, Map<String, Value>>,
}

impl Languages {
    /// Reads `[translations]`. A table in the table of a language makes keys with dots. The language
    /// of visitors whose language is missing is `default`, or else `en`, or else the first one.
    pub fn new(translations: &BTreeMap<String, Map<String, Value>>, default: Option<&str>) -> Self {
        let texts: BTreeMap<_, _> =
            translations.iter().map(|(code, texts)| (normal(code), flat(texts))).collect();
        let wanted = [default.map(normal), Some("en".to_owned())];
        let known = wanted.into_iter().flatten().find(|code| texts.contains_key(code));
        let default = known.or_else(|| texts.keys().next().cloned()).unwrap_or_default();
        let codes = texts.keys().map(|code| Value::from(code.as_str())).collect();
        Self { default, codes, texts }
    }

    /// Whether the brand has no texts in any language.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The first language of the brand that one of the hints names, or the default language.
    pub fn choose<'h>(&self, hints: impl IntoIterator<Item = &'h str>) -> &str {
        self.named(hints).unwrap_or(&self.default)
    }

    /// The first language of the brand that one of the hints names.
    pub fn named<'h>(&self, hints: impl IntoIterator<Item = &'h str>) -> Option<&str> {
        let known = |hint: &str| self.texts.get_key_value(&normal(hint)).map(|(code, _)| code.as_str());
        hints.into_iter().find_map(known)
    }

    /// The texts in a language. `None` if the brand has none.
    pub fn texts(&self, code: &str) -> Option<Language<'_>> {
        let (code, texts) = self.texts.get_key_value(code)?;
        let fallback = self.texts.get(&self.default)?;
        Some(Language { code, texts, fallback, default: &self.default, codes: &self.codes })
    }
}

/// The languages of an `Accept-Language` header in their order: each range, and then its language
/// without the region.
pub fn accepted(header: &str) -> impl Iterator<Item = &str> {
    let ranges = header.split(',').filter_map(|range| range.split(';').next()).map(str::trim);
    ranges.flat_map(|range| [Some(range), range.split_once('-').map(|(language, _)| language)]).flatten()
}

/// `pt-br` for `pt_BR`.
fn normal(code: &str) -> String {
    code.trim().replace('_', "-").to_lowercase()
}

/// The texts by their whole keys: `hero.title`. Recurses as deep as the file nests, which the TOML
/// parser limits.
pub fn flat(texts: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in texts {
        match value {
            Value::Object(inner) => {
                out.extend(flat(inner).into_iter().map(|(rest, text)| (format!("{key}.{rest}"), text)));
            }
            value => drop(out.insert(key.clone(), value.clone())),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn languages(default: Option<&str>) -> Languages {
        let texts = |value: Value| value.as_object().cloned().unwrap_or_default();
        let translations = BTreeMap::from([
            ("en".to_owned(), texts(json!({"hero": {"title": "Hello"}, "a.b": "x"}))),
            ("pt_BR".to_owned(), texts(json!({"hero.title": "Olá"}))),
            ("de".to_owned(), texts(json!({}))),
        ]);
        Languages::new(&translations, default)
    }

    #[test]
    fn chooses_the_first_known_language() {
        let known = languages(Some("DE"));
        for (hints, expected) in [
            (vec![], "de"),
            (vec!["fr", "pt-br", "en"], "pt-br"),
            (vec!["PT_br"], "pt-br"),
            (vec!["pt"], "de"),
            (vec!["", "\0", "en"], "en"),
        ] {
            assert_eq!(known.choose(hints.clone()), expected, "{hints:?}");
        }
        assert_eq!(languages(None).choose([]), "en");
        assert_eq!(languages(Some("xx")).choose([]), "en");
        assert_eq!(Languages::default().choose(["en"]), "");
        assert!(Languages::default().texts("").is_none());
        let accepted: Vec<&str> = accepted("fr-CH, de;q=0.8 ,*").collect();
        assert_eq!(accepted, ["fr-CH", "fr", "de", "*"]);
    }

    #[test]
    fn joins_the_names_of_nested_tables() {
        let known = languages(None);
        let texts = known.texts("en").map(|language| language.texts.clone());
        assert_eq!(texts.map(Value::Object), Some(json!({"hero.title": "Hello", "a.b": "x"})));
        assert_eq!(known.texts("pt-br").map(|language| language.fallback.len()), Some(2));
    }
}
