//! Where a value stands.

use super::comment::{Cdata, Comment};
use super::{Machine, State, ValueKind, url};

/// Where a value would stand.
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
        begins_unquoted: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quote {
    Double,
    Single,
    None,
}

impl Place {
    /// In an element whose tags are read as such, though its text may be code.
    fn of_text(code: Option<&str>) -> Place {
        match code {
            Some("script") => Place::Script,
            Some("style") => Place::Style,
            _ => Place::Text,
        }
    }
}

impl Machine {
    /// A value stands here. `id` names it, should it turn out to be a URL's scheme.
    pub(crate) fn hole(&mut self, id: u32) -> Result<Place, String> {
        const IN_NAME: &str = "{{ }} cannot stand in a tag or attribute name";
        match &mut self.state {
            State::Text | State::Cdata(Cdata::Body) => Ok(Place::of_text(self.tree.code())),
            State::Cdata(_) => Err("{{ }} cannot stand right after \"]\" in a CDATA section".to_owned()),
            State::BogusComment => Ok(Place::Comment),
            State::Comment(Comment::DashDash | Comment::Bang) => {
                Err("{{ }} cannot stand right after \"--\" in a comment".to_owned())
            }
            State::Comment(comment) => {
                // What is printed into a comment is never empty and has no "-" or ">".
                *comment = Comment::Body;
                Ok(Place::Comment)
            }
            State::BeforeValue => {
                self.state = State::Value { quote: Quote::None, kind: self.value_kind() };
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
            | State::Markup { .. } => Err(IN_NAME.to_owned()),
        }
    }

    fn value_hole(&mut self, id: u32, begins_unquoted: bool) -> Result<Place, String> {
        let State::Value { quote, kind } = &mut self.state else {
            return Err("no attribute value is open".to_owned());
        };
        let place = Place::Attribute { quote: *quote, kind: kind.clone(), begins_unquoted };
        match kind {
            ValueKind::Url(url) => url::hole(url, id)?,
            ValueKind::Document(document) => document.hole()?,
            ValueKind::Plain | ValueKind::Script | ValueKind::Style => {}
        }
        Ok(place)
    }

    /// A key for this context, for what is compiled once for each context it is used in.
    pub(crate) fn key(&self) -> String {
        format!("{:?} {} {} {} {:?}", self.state, self.element, self.closing, self.attribute, self.tree)
    }

    /// Where this is, for the author.
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
