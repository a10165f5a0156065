//! Steps over a value, and tells the place that it is printed at.

use super::comment::{Cdata, Comment};
use super::{ContextError, Machine, State, ValueKind, url};

/// A place at which a value can be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between tags, or in `<title>` and `<textarea>`.
    Text,
    Comment,
    Script,
    Style,
    Attribute {
        quote: Quote,
        kind: ValueKind,
        /// The value is the first part of an attribute value without quotes.
        begins_unquoted: bool,
    },
}

/// The quotes around an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quote {
    Double,
    Single,
    None,
}

impl Place {
    /// The place in text, or in a foreign `<script>` or `<style>`.
    fn of_text(code: Option<&str>) -> Place {
        match code {
            Some("script") => Place::Script,
            Some("style") => Place::Style,
            _ => Place::Text,
        }
    }
}

impl Machine {
    /// Steps over a value. `id` is its number, in case it turns out to be a URL's scheme.
    pub(crate) fn hole(&mut self, id: u32) -> Result<Place, ContextError> {
        match &mut self.state {
            State::Text | State::Cdata(Cdata::Body) => Ok(Place::of_text(self.tree.code())),
            State::Cdata(_) => Err(ContextError::ValueAfterBracket),
            State::BogusComment => Ok(Place::Comment),
            State::Comment(Comment::DashDash | Comment::Bang) => Err(ContextError::ValueAfterDashes),
            State::Comment(comment) => {
                // A value in a comment is never printed empty, and never with "-" or ">".
                *comment = Comment::Body;
                Ok(Place::Comment)
            }
            State::BeforeValue => {
                self.state = State::Value { quote: Quote::None, kind: self.value_kind() };
                self.refresh.begin_value(&self.element, &self.attribute);
                self.value_hole(id, true)
            }
            State::Value { .. } => self.value_hole(id, false),
            State::Raw(raw) => raw.hole(&self.element),
            State::TagOpen
            | State::EndTagOpen
            | State::TagName
            | State::Gap(_)
            | State::AttributeName
            | State::AfterAttributeName
            | State::SelfClosing
            | State::CdataOpen(_)
            | State::Markup { .. } => Err(ContextError::ValueInName),
        }
    }

    fn value_hole(&mut self, id: u32, begins_unquoted: bool) -> Result<Place, ContextError> {
        let State::Value { quote, kind } = &mut self.state else {
            return Err(ContextError::ValueInName);
        };
        self.refresh.hole(&self.element, &self.attribute);
        let place = Place::Attribute { quote: *quote, kind: kind.clone(), begins_unquoted };
        match kind {
            ValueKind::Url(url) => url::hole(url, id)?,
            ValueKind::Document(document) => document.hole()?,
            ValueKind::Plain | ValueKind::Script | ValueKind::Style => {}
        }
        Ok(place)
    }

    /// A key for this context. A component is compiled once for each context.
    pub(crate) fn key(&self) -> String {
        format!(
            "{:?} {} {} {} {:?} {:?}",
            self.state, self.element, self.closing, self.attribute, self.refresh, self.tree
        )
    }

    /// The place in words, for the author.
    pub(crate) fn describe(&self) -> String {
        match &self.state {
            State::Text => "in text".to_owned(),
            State::TagOpen | State::EndTagOpen | State::TagName => "in a tag name".to_owned(),
            State::Gap(_) | State::SelfClosing => format!("in a <{}> tag", self.element),
            State::AttributeName | State::AfterAttributeName => {
                format!("in the attribute name \"{}\"", self.attribute)
            }
            State::BeforeValue | State::Value { .. } => {
                format!("in the value of \"{}\"", self.attribute)
            }
            State::Markup { .. } | State::BogusComment | State::Comment(_) => "in a comment".to_owned(),
            State::CdataOpen(_) | State::Cdata(_) => "in a CDATA section".to_owned(),
            State::Raw(_) => format!("in a <{}> element", self.element),
        }
    }
}
