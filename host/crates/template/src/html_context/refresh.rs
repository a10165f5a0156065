//! `<meta http-equiv="refresh" content="5; url=/next">` leads visitors to another address, so values in
//! its `content` are checked like URLs.

use super::ContextError;

/// What is known about the `http-equiv` attribute of the current tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refresh {
    /// Whether the tag is, or could be, a refresh.
    is_refresh: bool,
    /// The attribute's value so far, while it is read.
    reading: Option<String>,
    /// Whether a value is printed in `content` before the tag is known to be a refresh.
    has_unchecked_content: bool,
}

const REFRESH: &str = "refresh";

impl Refresh {
    /// Whether the attribute is the `content` of a refresh.
    pub(super) fn applies_to(&self, element: &str, attribute: &str) -> bool {
        self.is_refresh && is_content(element, attribute)
    }

    /// Begins an attribute's value.
    pub(super) fn begin_value(&mut self, element: &str, attribute: &str) {
        self.reading = (element == "meta" && attribute == "http-equiv").then(String::new);
    }

    /// Reads a literal byte of an attribute's value.
    pub(super) fn step(&mut self, byte: u8) {
        match &mut self.reading {
            // It could be a character reference.
            Some(_) if byte == b'&' => self.is_refresh = true,
            Some(value) if value.len() <= REFRESH.len() => value.push(char::from(byte.to_ascii_lowercase())),
            _ => {}
        }
    }

    /// Steps over a value that is printed in an attribute.
    pub(super) fn hole(&mut self, element: &str, attribute: &str) {
        if self.reading.is_some() {
            self.is_refresh = true;
        }
        self.has_unchecked_content |= !self.is_refresh && is_content(element, attribute);
    }

    /// Ends an attribute's value.
    ///
    /// # Errors
    /// The tag is a refresh, and a value was already printed in its `content` as plain text.
    pub(super) fn end_value(&mut self) -> Result<(), ContextError> {
        let Some(value) = self.reading.take() else { return Ok(()) };
        self.is_refresh |= value == REFRESH;
        match self.is_refresh && self.has_unchecked_content {
            true => Err(ContextError::ContentBeforeRefresh),
            false => Ok(()),
        }
    }

    /// The state after either of two branches.
    pub(super) fn merge(&self, other: &Self) -> Self {
        Self {
            is_refresh: self.is_refresh || other.is_refresh,
            // Branches that end inside the value count as a printed value.
            reading: self.reading.clone().or_else(|| other.reading.clone()),
            has_unchecked_content: self.has_unchecked_content || other.has_unchecked_content,
        }
        .unsure_if(self.reading != other.reading)
    }

    fn unsure_if(mut self, unsure: bool) -> Self {
        self.is_refresh |= unsure;
        self
    }
}

fn is_content(element: &str, attribute: &str) -> bool {
    element == "meta" && attribute == "content"
}
