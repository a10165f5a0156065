//! Counts the parts of a request before any of them is decoded. A part takes far more memory in a
//! script than in the request: an empty array in JSON has two bytes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use sluice_limits::Limits;

use super::{Body, PageRequest};

/// What a request has too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooManyParts {
    /// More than `query_parameters_max`.
    #[error("The address has too many parameters")]
    QueryParameters,
    /// More than `request_cookies_max`.
    #[error("The request has too many cookies")]
    Cookies,
    /// More than `body_nodes_max`.
    #[error("The request body has too many values")]
    BodyNodes,
}

impl PageRequest {
    /// Counts the query parameters, the cookies and the values of the body as far as it was read. `form_bodies` is the
    /// brand's setting: whether scripts see the bodies of HTML forms.
    ///
    /// # Errors
    /// There are more than `limits` allow.
    pub fn count_parts(&self, limits: &Limits, form_bodies: bool) -> Result<(), TooManyParts> {
        if has_more(pairs(self.raw_query.as_bytes()), limits.query_parameters_max) {
            return Err(TooManyParts::QueryParameters);
        }
        if has_more(self.cookies(), limits.request_cookies_max) {
            return Err(TooManyParts::Cookies);
        }
        let nodes_max = limits.body_nodes_max;
        let is_too_much = match &self.body {
            Body::Json(bytes) => has_more_nodes(bytes, nodes_max),
            Body::Form(bytes) => form_bodies && has_more(pairs(bytes), nodes_max),
            Body::Upload(received) => has_more(received.fields.iter(), nodes_max),
            Body::None | Body::Other(_) | Body::OtherType | Body::Announced(_) | Body::Dropped => false,
        };
        if is_too_much { Err(TooManyParts::BodyNodes) } else { Ok(()) }
    }
}

fn has_more<T>(mut parts: impl Iterator<Item = T>, most: usize) -> bool {
    parts.nth(most).is_some()
}

/// The pairs of a query string or a form, still encoded.
fn pairs(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty())
}

/// Whether a JSON text has more than `most` values. What follows a mistake in the text does not
/// count, because scripts get `null` instead of such a body.
fn has_more_nodes(json: &[u8], most: usize) -> bool {
    let mut left = most;
    let mut exceeded = false;
    let count = Count { left: &mut left, exceeded: &mut exceeded };
    // The result only says whether the text is valid.
    let _ = count.deserialize(&mut serde_json::Deserializer::from_slice(json));
    exceeded
}

/// Counts the values of a JSON text down, and stops when there are too many.
struct Count<'a> {
    left: &'a mut usize,
    exceeded: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.left.checked_sub(1) {
            Some(left) => *self.left = left,
            None => {
                *self.exceeded = true;
                return Err(D::Error::custom("too many values"));
            }
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Count { left: self.left, exceeded: self.exceeded })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_key::<serde::de::IgnoredAny>()?.is_some() {
            members.next_value_seed(Count { left: self.left, exceeded: self.exceeded })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_value_of_a_json_text() {
        for (json, nodes) in [
            ("[]", 1),
            ("1.5e3", 1),
            ("[[],[]]", 3),
            ("{\"a\":{\"b\":[1,\"\\n\",null,true]}}", 7),
            ("{\"a\":1,\"a\":2}", 3),
        ] {
            assert!(!has_more_nodes(json.as_bytes(), nodes), "{json}");
            assert!(has_more_nodes(json.as_bytes(), nodes - 1), "{json}");
        }
        // A text that is not JSON is counted up to the mistake, and then `null` for scripts.
        assert!(!has_more_nodes(b"[[], oops, [], []]", 3));
        let deep = "[".repeat(100_000);
        assert!(!has_more_nodes(deep.as_bytes(), 1_000));
    }

    #[test]
    fn counts_the_pairs_of_a_query_or_form() {
        let pairs = |text: &'static str| pairs(text.as_bytes()).count();
        assert_eq!((pairs(""), pairs("a"), pairs("a&&b=1&"), pairs("&&&")), (0, 1, 2, 0));
        assert!(has_more([1, 2, 3].into_iter(), 2));
        assert!(!has_more([1, 2, 3].into_iter(), 3));
    }
}
