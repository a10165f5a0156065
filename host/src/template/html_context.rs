//! Follows a page's literal HTML byte by byte and knows, at every `{{ }}`, what a browser
//! would be reading there. The states are those of the HTML standard's tokenizer, without
//! what makes no difference to escaping.

mod comment;
mod merge;
pub(super) mod names;
mod raw_text;
mod url;

use comment::Comment;
use raw_text::RawText;
pub(super) use url::UrlPhase;

/// Where a value would stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Between tags, or in `<title>` and `<textarea>`.
    Text,
    Comment,
    Script,
    Style,
    Attribute {
        quoted: bool,
        kind: ValueKind,
        begins_unquoted: bool,
    },
}

/// What an attribute's value means to the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueKind {
    Plain,
    /// With how much of the URL is already decided.
    Url {
        phase: UrlPhase,
        list: bool,
    },
    Script,
    Style,
    /// HTML in an attribute: `srcdoc`.
    Document,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    Double,
    Single,
    None,
}

/// Between the attributes of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// After white space: an attribute may begin.
    Spaced,
    AfterQuote,
    /// Branches met here, and only white space, `>` or (if it may) `/` means the same after
    /// each of them.
    Merged {
        slash: bool,
    },
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
    /// After `<!`, and after `<!-` when set.
    Markup {
        dash: bool,
    },
    BogusComment,
    Comment(Comment),
    Raw(RawText),
}

/// A tag that has just ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub name: String,
    pub closing: bool,
    pub self_closing: bool,
    /// Byte range in the text that was fed.
    pub start: usize,
    pub end: usize,
    pub condition: Option<Condition>,
}

/// A `v-if`, `v-else-if` or `v-else` attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub name: String,
    pub start: usize,
    /// Byte range of the value without its quotes, if it has one.
    pub value: Option<(usize, usize)>,
    pub end: usize,
}

/// The tokenizer.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    state: State,
    /// The current or last tag's name in lower case, and whether it is an end tag.
    element: String,
    closing: bool,
    attribute: String,
    tag_start: usize,
    attribute_start: usize,
    value_start: usize,
    condition: Option<Condition>,
    /// How many `<svg>` and `<math>` are open: in them `/>` closes any element.
    foreign: usize,
    /// Holes that turned out to stand where a URL's scheme does.
    scheme_holes: Vec<u32>,
}

/// Names are compared with short known ones; the rest of a long one does not matter.
const NAME_BYTES_MAX: usize = 64;

impl Machine {
    /// Text of a page.
    pub(super) fn new() -> Machine {
        Machine {
            state: State::Text,
            element: String::new(),
            closing: false,
            attribute: String::new(),
            tag_start: 0,
            attribute_start: 0,
            value_start: 0,
            condition: None,
            foreign: 0,
            scheme_holes: Vec::new(),
        }
    }

    /// Whether this is inside a `<script>` or `<style>`.
    pub(super) fn in_code(&self) -> bool {
        matches!(self.state, State::Raw(_)) && matches!(self.element.as_str(), "script" | "style")
    }

    /// Whether this is inside the value of a `v-if` or one of its kin.
    pub(super) fn in_condition_value(&self) -> bool {
        matches!(self.state, State::Value { .. } | State::BeforeValue)
            && is_condition(&self.attribute)
            && !self.closing
    }

    pub(super) fn take_scheme_holes(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.scheme_holes)
    }

    /// Reads one byte of literal text at an offset. Errors are messages for the author.
    pub(super) fn step(&mut self, byte: u8, at: usize) -> Result<Option<Tag>, String> {
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
                b'>' => return Ok(self.end_tag(at, false)),
                b'/' => self.state = State::SelfClosing,
                _ if space => self.state = State::Gap(Gap::Spaced),
                _ => push(&mut self.element, byte),
            },
            State::Gap(gap) => match (byte, *gap) {
                (b'>', _) => return Ok(self.end_tag(at, false)),
                (b'/', Gap::Merged { slash: false }) => return Err(after_branches("\"/\"")),
                (b'/', _) => self.state = State::SelfClosing,
                (_, Gap::Merged { .. }) if space => *gap = Gap::MergedSpaced,
                (_, Gap::MergedSpaced) if space => {}
                _ if space => *gap = Gap::Spaced,
                (b'=', Gap::MergedSpaced) => return Err(after_branches("\"=\"")),
                (_, Gap::Merged { .. }) => return Err(after_branches("this")),
                _ => self.begin_attribute(byte, at),
            },
            State::AttributeName => match byte {
                b'>' | b'/' => {
                    self.end_bare_attribute(at);
                    return self.leave_attribute(byte, at);
                }
                b'=' => self.begin_value(),
                _ if space => {
                    self.end_bare_attribute(at);
                    self.state = State::AfterAttributeName;
                }
                _ => push(&mut self.attribute, byte),
            },
            State::AfterAttributeName => match byte {
                b'=' => self.begin_value(),
                b'>' | b'/' => return self.leave_attribute(byte, at),
                _ if space => {}
                _ => self.begin_attribute(byte, at),
            },
            State::BeforeValue => match byte {
                b'"' => self.enter_value(Quote::Double, at + 1),
                b'\'' => self.enter_value(Quote::Single, at + 1),
                b'>' => return Ok(self.end_tag(at, false)),
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
                    let hole = url::step(kind, byte)?;
                    self.scheme_holes.extend(hole);
                    return Ok(None);
                }
                let quoted = *quote != Quote::None;
                self.end_value(at, at + usize::from(quoted));
                self.state = State::Gap(if quoted { Gap::AfterQuote } else { Gap::Spaced });
                if byte == b'>' && !quoted {
                    return Ok(self.end_tag(at, false));
                }
            }
            State::SelfClosing => match byte {
                b'>' => return Ok(self.end_tag(at, true)),
                b'/' => {}
                _ if space => self.state = State::Gap(Gap::Spaced),
                _ => self.begin_attribute(byte, at),
            },
            State::Markup { dash } => match byte {
                b'-' if *dash => self.state = State::Comment(Comment::Start),
                b'-' => *dash = true,
                b'>' => self.state = State::Text,
                _ => self.state = State::BogusComment,
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

    /// A value stands here. `id` names it, should it turn out to be a URL's scheme.
    pub(super) fn hole(&mut self, id: u32) -> Result<Place, String> {
        const IN_NAME: &str = "{{ }} cannot stand in a tag or attribute name";
        match &mut self.state {
            State::Text => Ok(Place::Text),
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
                let kind = names::value_kind(&self.element, &self.attribute);
                self.state = State::Value { quote: Quote::None, kind };
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
            | State::Markup { .. } => Err(IN_NAME.to_owned()),
        }
    }

    fn value_hole(&mut self, id: u32, begins_unquoted: bool) -> Result<Place, String> {
        let State::Value { quote, kind } = &mut self.state else {
            return Err("no attribute value is open".to_owned());
        };
        let quoted = *quote != Quote::None;
        let place = Place::Attribute { quoted, kind: kind.clone(), begins_unquoted };
        url::hole(kind, id);
        Ok(place)
    }

    /// A key for this context, for what is compiled once for each context it is used in.
    pub(super) fn key(&self) -> String {
        format!("{:?} {} {} {}", self.state, self.element, self.closing, self.attribute)
    }

    /// Where this is, for the author.
    pub(super) fn describe(&self) -> String {
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
            State::Raw(_) => format!("in a <{}> element", self.element),
        }
    }

    fn begin_tag(&mut self, byte: u8, closing: bool) {
        self.element.clear();
        self.closing = closing;
        self.condition = None;
        push(&mut self.element, byte);
        self.state = State::TagName;
    }

    fn begin_attribute(&mut self, byte: u8, at: usize) {
        self.attribute.clear();
        self.attribute_start = at;
        push(&mut self.attribute, byte);
        self.state = State::AttributeName;
    }

    fn begin_value(&mut self) {
        self.state = State::BeforeValue;
    }

    fn enter_value(&mut self, quote: Quote, at: usize) {
        let kind = names::value_kind(&self.element, &self.attribute);
        self.value_start = at;
        self.state = State::Value { quote, kind };
    }

    fn end_value(&mut self, value_end: usize, end: usize) {
        self.note_condition(Some((self.value_start, value_end)), end);
    }

    fn end_bare_attribute(&mut self, at: usize) {
        self.note_condition(None, at);
    }

    fn note_condition(&mut self, value: Option<(usize, usize)>, end: usize) {
        // Of an attribute that is given twice a browser takes the first, too.
        if is_condition(&self.attribute) && self.condition.is_none() {
            self.condition =
                Some(Condition { name: self.attribute.clone(), start: self.attribute_start, value, end });
        }
    }

    fn leave_attribute(&mut self, byte: u8, at: usize) -> Result<Option<Tag>, String> {
        if byte == b'>' {
            return Ok(self.end_tag(at, false));
        }
        self.state = State::SelfClosing;
        Ok(None)
    }

    fn end_tag(&mut self, at: usize, self_closing: bool) -> Option<Tag> {
        let foreign = matches!(self.element.as_str(), "svg" | "math");
        if self.closing {
            self.foreign = self.foreign.saturating_sub(usize::from(foreign));
        } else if !self_closing {
            self.foreign += usize::from(foreign);
        }
        let closed_at_once = self.foreign > 0 && self_closing;
        let raw = !self.closing && !closed_at_once && names::is_raw_text(&self.element);
        self.state = match raw {
            true => State::Raw(RawText::new()),
            false => State::Text,
        };
        Some(Tag {
            name: self.element.clone(),
            closing: self.closing,
            self_closing,
            start: self.tag_start,
            end: at + 1,
            condition: self.condition.take(),
        })
    }
}

fn is_condition(attribute: &str) -> bool {
    matches!(attribute, "v-if" | "v-else-if" | "v-else")
}

fn after_branches(what: &str) -> String {
    format!("{what} would mean something else after each branch; put a space before it")
}

fn push(name: &mut String, byte: u8) {
    if name.len() < NAME_BYTES_MAX {
        // Only ASCII names are ever compared with; other bytes just must not vanish.
        name.push(char::from(byte.to_ascii_lowercase()));
    }
}

#[cfg(test)]
mod tests;
