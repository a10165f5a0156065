//! Follows a page's literal HTML byte by byte and tells, at every `{{ }}`, what a browser would be
//! reading there. The states are those of the HTML standard's tokenizer, without those that make
//! no difference to escaping.
//!
//! `html5ever` and `lol_html` need the complete text in order. This tokenizer steps over values,
//! merges branches, and reports ambiguous text as an error.

mod comment;
mod document;
mod error;
mod foreign;
mod hole;
mod merge;
pub(super) mod names;
mod raw_text;
pub(super) mod reference;
mod refresh;
mod url;

use comment::{Cdata, Comment};
pub(super) use document::Document;
pub(super) use error::ContextError;
use foreign::{Reading, Tree};
pub(super) use hole::{Place, Quote};
use raw_text::RawText;
use refresh::Refresh;
pub(super) use url::{Separator, Url, UrlPhase};

/// What an attribute's value means to the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueKind {
    Plain,
    /// With the part of the URL that is already decided.
    Url(Url),
    Script,
    Style,
    /// The HTML of a `srcdoc` attribute, with its own state.
    Document(Box<Document>),
}

/// Between the attributes of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// After white space: an attribute may begin.
    Spaced,
    AfterQuote,
    /// Branches meet here. Only white space, `>` and, if `slash` is set, `/` mean the same after
    /// each of them.
    Merged {
        slash: bool,
    },
    /// After white space that follows `Merged`.
    MergedSpaced,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Text,
    TagOpen,
    EndTagOpen,
    TagName,
    Gap(Gap),
    AttributeName,
    AfterAttributeName,
    BeforeValue,
    Value {
        quote: Quote,
        kind: ValueKind,
    },
    SelfClosing,
    /// After `<!`, or after `<!-` if `dash` is set.
    Markup {
        dash: bool,
    },
    BogusComment,
    Comment(Comment),
    /// After `<![` and this many bytes of "CDATA[".
    CdataOpen(usize),
    Cdata(Cdata),
    Raw(RawText),
}

const CDATA: &[u8] = b"CDATA[";

/// A tag that has just ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub name: String,
    pub closing: bool,
    /// Whether it ends with a `/` that closes the element. In HTML the `/` does not.
    pub self_closing: bool,
    /// The byte range of the tag in the text.
    pub start: usize,
    pub end: usize,
    pub condition: Option<Condition>,
}

/// A `v-if`, `v-else-if` or `v-else` attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub name: String,
    pub start: usize,
    /// The byte range of the value without its quotes, if there is a value.
    pub value: Option<(usize, usize)>,
    pub end: usize,
}

/// The tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    state: State,
    /// The current or last tag's name in lower case; `closing` tells whether it is an end tag.
    element: String,
    closing: bool,
    attribute: String,
    tag_start: usize,
    attribute_start: usize,
    attribute_end: usize,
    value_start: usize,
    condition: Option<Condition>,
    refresh: Refresh,
    tree: Tree,
    /// This is the document of a `srcdoc` attribute. Documents in its own attributes are not followed.
    inner: bool,
    /// The numbers of values that turned out to be a URL's scheme.
    scheme_holes: Vec<u32>,
}

/// Names are compared with known names, which are short; the rest of a long name does not matter.
const NAME_BYTES_MAX: usize = 64;

impl Machine {
    /// At the beginning of a page.
    pub(super) fn new() -> Machine {
        Machine {
            state: State::Text,
            element: String::new(),
            closing: false,
            attribute: String::new(),
            tag_start: 0,
            attribute_start: 0,
            attribute_end: 0,
            value_start: 0,
            condition: None,
            refresh: Refresh::default(),
            tree: Tree::new(),
            inner: false,
            scheme_holes: Vec::new(),
        }
    }

    /// Whether the position is inside a `<script>` or `<style>`.
    pub(super) fn in_code(&self) -> bool {
        let element = match self.state {
            State::Raw(_) => Some(self.element.as_str()),
            _ => self.tree.code(),
        };
        matches!(element, Some("script" | "style"))
    }

    /// Whether the position is inside the value of a `v-if`, `v-else-if` or `v-else`.
    pub(super) fn in_condition_value(&self) -> bool {
        matches!(self.state, State::Value { .. } | State::BeforeValue)
            && is_condition(&self.attribute)
            && !self.closing
    }

    /// The numbers of values that turned out to be a URL's scheme since the last call.
    pub(super) fn take_scheme_holes(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.scheme_holes)
    }

    /// Reads one byte of literal text, at an offset. Returns the tag that ends with it.
    pub(super) fn step(&mut self, byte: u8, at: usize) -> Result<Option<Tag>, ContextError> {
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c');
        match &mut self.state {
            State::Text => {
                if byte == b'<' {
                    self.tag_start = at;
                    self.state = State::TagOpen;
                }
            }
            State::TagOpen => match byte {
                b'/' => self.state = State::EndTagOpen,
                b'!' => self.state = State::Markup { dash: false },
                b'?' => self.state = State::BogusComment,
                b'<' => self.tag_start = at,
                _ if byte.is_ascii_alphabetic() => self.begin_tag(byte, false),
                _ => self.state = State::Text,
            },
            State::EndTagOpen => match byte {
                b'>' => self.state = State::Text,
                _ if byte.is_ascii_alphabetic() => self.begin_tag(byte, true),
                _ => self.state = State::BogusComment,
            },
            State::TagName => match byte {
                b'>' => return self.end_tag(at, false),
                b'/' => self.state = State::SelfClosing,
                _ if space => self.state = State::Gap(Gap::Spaced),
                _ => push(&mut self.element, byte),
            },
            State::Gap(gap) => match (byte, *gap) {
                (b'>', _) => return self.end_tag(at, false),
                (b'/', Gap::Merged { slash: false }) => return Err(ContextError::AfterBranches("\"/\"")),
                (b'/', _) => self.state = State::SelfClosing,
                (_, Gap::Merged { .. }) if space => *gap = Gap::MergedSpaced,
                (_, Gap::MergedSpaced) if space => {}
                _ if space => *gap = Gap::Spaced,
                (b'=', Gap::MergedSpaced) => return Err(ContextError::AfterBranches("\"=\"")),
                (_, Gap::Merged { .. }) => return Err(ContextError::AfterBranches("this")),
                _ => self.begin_attribute(byte, at),
            },
            State::AttributeName => match byte {
                b'=' => self.state = State::BeforeValue,
                b'>' | b'/' => {
                    self.attribute_end = at;
                    return self.leave_attribute(byte, at);
                }
                _ if space => {
                    self.attribute_end = at;
                    self.state = State::AfterAttributeName;
                }
                _ => push(&mut self.attribute, byte),
            },
            // Only here it is certain whether the attribute has a value.
            State::AfterAttributeName => match byte {
                b'=' => self.state = State::BeforeValue,
                b'>' | b'/' => return self.leave_attribute(byte, at),
                _ if space => {}
                _ => {
                    self.note_condition(None, self.attribute_end);
                    self.begin_attribute(byte, at);
                }
            },
            State::BeforeValue => match byte {
                b'"' => self.enter_value(Quote::Double, at + 1),
                b'\'' => self.enter_value(Quote::Single, at + 1),
                b'>' => return self.end_tag(at, false),
                _ if space => {}
                _ => {
                    self.enter_value(Quote::None, at);
                    return self.step(byte, at);
                }
            },
            State::Value { quote, kind } => {
                let ends = match quote {
                    Quote::Double => byte == b'"',
                    Quote::Single => byte == b'\'',
                    Quote::None => space || byte == b'>',
                };
                if !ends {
                    match kind {
                        ValueKind::Url(_) => self.scheme_holes.extend(url::step(kind, byte)?),
                        ValueKind::Document(document) => document.step(byte)?,
                        ValueKind::Plain | ValueKind::Script | ValueKind::Style => {}
                    }
                    self.refresh.step(byte);
                    return Ok(None);
                }
                let quoted = *quote != Quote::None;
                self.refresh.end_value()?;
                self.note_condition(Some((self.value_start, at)), at + usize::from(quoted));
                self.state = State::Gap(if quoted { Gap::AfterQuote } else { Gap::Spaced });
                if byte == b'>' && !quoted {
                    return self.end_tag(at, false);
                }
            }
            State::SelfClosing => match byte {
                b'>' => return self.end_tag(at, true),
                b'/' => {}
                _ if space => self.state = State::Gap(Gap::Spaced),
                _ => self.begin_attribute(byte, at),
            },
            State::Markup { dash } => match byte {
                b'-' if *dash => self.state = State::Comment(Comment::Start),
                b'-' => *dash = true,
                b'>' => self.state = State::Text,
                b'[' if !*dash && self.tree.cdata() != Reading::Html => self.state = State::CdataOpen(0),
                _ => self.state = State::BogusComment,
            },
            State::CdataOpen(matched) => match CDATA.get(*matched) {
                Some(expected) if *expected == byte && *matched + 1 < CDATA.len() => *matched += 1,
                Some(expected) if *expected == byte => match self.tree.cdata() {
                    Reading::Unsure => return Err(ContextError::Ambiguous("a CDATA section")),
                    _ => self.state = State::Cdata(Cdata::Body),
                },
                _ if byte == b'>' => self.state = State::Text,
                _ => self.state = State::BogusComment,
            },
            State::Cdata(cdata) => match cdata.step(byte) {
                Some(next) => *cdata = next,
                None => self.state = State::Text,
            },
            State::BogusComment => {
                if byte == b'>' {
                    self.state = State::Text;
                }
            }
            State::Comment(comment) => match comment.step(byte) {
                Some(next) => *comment = next,
                None => self.state = State::Text,
            },
            State::Raw(raw) => match raw.step(byte, at, &self.element)? {
                None => {}
                Some(start) => {
                    self.closing = true;
                    self.tag_start = start;
                    self.state = State::TagName;
                    return self.step(byte, at);
                }
            },
        }
        Ok(None)
    }

    fn begin_tag(&mut self, byte: u8, closing: bool) {
        self.element.clear();
        self.closing = closing;
        self.condition = None;
        self.refresh = Refresh::default();
        push(&mut self.element, byte);
        self.state = State::TagName;
    }

    fn begin_attribute(&mut self, byte: u8, at: usize) {
        self.attribute.clear();
        self.attribute_start = at;
        push(&mut self.attribute, byte);
        self.state = State::AttributeName;
    }

    fn enter_value(&mut self, quote: Quote, at: usize) {
        self.value_start = at;
        self.state = State::Value { quote, kind: self.value_kind() };
        self.refresh.begin_value(&self.element, &self.attribute);
    }

    fn value_kind(&self) -> ValueKind {
        match names::value_kind(&self.element, &self.attribute) {
            // Documents in documents would take as much stack as the author writes levels.
            ValueKind::Document(_) if self.inner => ValueKind::Plain,
            ValueKind::Plain if self.refresh.applies_to(&self.element, &self.attribute) => {
                ValueKind::Url(Url::of_refresh())
            }
            kind => kind,
        }
    }

    fn note_condition(&mut self, value: Option<(usize, usize)>, end: usize) {
        // If an attribute is given twice, the first one counts, as in browsers.
        if is_condition(&self.attribute) && self.condition.is_none() {
            self.condition =
                Some(Condition { name: self.attribute.clone(), start: self.attribute_start, value, end });
        }
    }

    fn leave_attribute(&mut self, byte: u8, at: usize) -> Result<Option<Tag>, ContextError> {
        self.note_condition(None, self.attribute_end);
        if byte == b'>' {
            return self.end_tag(at, false);
        }
        self.state = State::SelfClosing;
        Ok(None)
    }

    fn end_tag(&mut self, at: usize, slash: bool) -> Result<Option<Tag>, ContextError> {
        let reading = match self.closing {
            true => {
                self.tree.end(&self.element);
                Reading::Html
            }
            false => self.tree.start(&self.element, slash),
        };
        let is_raw = !self.closing && names::is_raw_text(&self.element);
        self.state = match reading {
            Reading::Html if is_raw => State::Raw(RawText::new()),
            Reading::Unsure if is_raw && slash => {
                return Err(ContextError::Ambiguous("the end of this element"));
            }
            Reading::Unsure if is_raw => State::Raw(RawText::without_tags()),
            _ => State::Text,
        };
        Ok(Some(Tag {
            name: self.element.clone(),
            closing: self.closing,
            // The file may be a part of an image, with the <svg> in another file.
            self_closing: slash && (reading == Reading::Foreign || names::is_shape(&self.element)),
            start: self.tag_start,
            end: at + 1,
            condition: self.condition.take(),
        }))
    }
}

fn is_condition(attribute: &str) -> bool {
    matches!(attribute, "v-if" | "v-else-if" | "v-else")
}

fn push(name: &mut String, byte: u8) {
    if name.len() < NAME_BYTES_MAX {
        // All known names are ASCII. Other bytes are kept so that they make a name unknown.
        name.push(char::from(byte.to_ascii_lowercase()));
    }
}

#[cfg(test)]
mod tests;
