//! Finds tags by a plain text search, without regard to how an HTML parser reads the text
//! around them.

use std::collections::HashMap;
use std::ops::Range;

/// The start and end tags of one name.
pub(super) struct Tags {
    /// Where each start tag begins.
    starts: Vec<usize>,
    /// Each end tag up to the next `>`, or to the end of the text.
    ends: Vec<Range<usize>>,
    text_end: usize,
}

impl Tags {
    /// Finds the tags with this name, which is in lower case. Reads `text` once.
    pub(super) fn named(name: &str, text: &str) -> Self {
        let mut tags = Self { starts: Vec::new(), ends: Vec::new(), text_end: text.len() };
        let mut closed = 0;
        let mut from = 0;
        while let Some(at) = find(text, from, '<') {
            from = at + 1;
            let inside = text.get(from..).unwrap_or_default();
            match inside.strip_prefix('/') {
                None if begins_with_name(inside, name) => tags.starts.push(at),
                Some(inside) if begins_with_name(inside, name) => {
                    // The search starts again only after the last `>` that it found, so
                    // that the time stays linear.
                    if closed <= at {
                        closed = find(text, at, '>').map_or(text.len(), |at| at + 1);
                    }
                    tags.ends.push(at..closed);
                }
                None | Some(_) => {}
            }
        }
        tags
    }

    /// The first end tag at or after `from`. If there is none, the empty range at the end
    /// of the text.
    pub(super) fn end_after(&self, from: usize) -> Range<usize> {
        let end = self.ends.get(self.ends.partition_point(|end| end.start < from));
        end.cloned().unwrap_or(self.text_end..self.text_end)
    }

    /// The end of the first end tag at or after `from`, unless a start tag comes first.
    /// Such an end tag closes an element that began before `from`.
    pub(super) fn own_end_after(&self, from: usize) -> Option<usize> {
        let start = self.starts.get(self.starts.partition_point(|start| *start < from));
        let end = self.end_after(from);
        (end.start < start.copied().unwrap_or(self.text_end)).then_some(end.end)
    }
}

fn find(text: &str, from: usize, c: char) -> Option<usize> {
    Some(from + text.get(from..)?.find(c)?)
}

fn begins_with_name(text: &str, name: &str) -> bool {
    let bytes = text.as_bytes();
    let is_name = bytes.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
    is_name && bytes.get(name.len()).is_none_or(|byte| *byte == b'>' || separates(*byte))
}

/// Whether a byte separates attributes.
fn separates(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'/'
}

/// Every `<script … scope=backend …>` of a text in order, whether or not the tag is closed.
pub(super) fn backend_scripts(text: &str, scripts: &Tags) -> Vec<Range<usize>> {
    let mut attributes = Attributes { text, known: HashMap::new(), unquoted: 0..0 };
    let mut found = Vec::new();
    for &start in &scripts.starts {
        let (end, is_backend) = attributes.of_tag(start + "<script".len());
        if is_backend {
            found.push(start..end);
        }
    }
    found
}

/// Reads the attributes of start tags as HTML does. A tag that is not closed reaches into
/// the next one. So results are remembered: otherwise the rest of the text would be read
/// once per tag.
struct Attributes<'a> {
    text: &'a str,
    /// By the offset of an attribute: where its tag ends, and whether this attribute or one
    /// after it makes the tag a backend script.
    known: HashMap<usize, (usize, bool)>,
    /// The last unquoted value.
    unquoted: Range<usize>,
}

impl Attributes<'_> {
    /// The end of the tag whose name ends at `at`, and whether it is a backend script.
    fn of_tag(&mut self, mut at: usize) -> (usize, bool) {
        let mut read = Vec::new();
        let (end, mut is_backend) = loop {
            at = self.find(at, |byte| !separates(byte));
            if let Some(known) = self.known.get(&at) {
                break *known;
            }
            match self.byte(at) {
                None => break (at, false),
                Some(b'>') => break (at + 1, false),
                Some(_) => {}
            }
            let (makes_backend, after) = self.attribute(at);
            read.push((at, makes_backend));
            at = after;
        };
        for (at, makes_backend) in read.into_iter().rev() {
            is_backend |= makes_backend;
            self.known.insert(at, (end, is_backend));
        }
        (end, is_backend)
    }

    /// Whether the attribute at `start` is `scope=backend`, and where the attribute ends.
    fn attribute(&mut self, start: usize) -> (bool, usize) {
        let name_end = self.find(start + 1, |byte| matches!(byte, b'=' | b'>') || separates(byte));
        let equals = self.find(name_end, |byte| !byte.is_ascii_whitespace());
        if self.byte(equals) != Some(b'=') {
            return (false, name_end);
        }
        let value = self.find(equals + 1, |byte| !byte.is_ascii_whitespace());
        let (value, end) = match self.byte(value) {
            Some(quote @ (b'"' | b'\'')) => {
                let end = self.find(value + 1, |byte| byte == quote);
                (value + 1..end, (end + 1).min(self.text.len()))
            }
            _ => {
                let end = self.unquoted_end(value);
                (value..end, end)
            }
        };
        let part = |range: Range<usize>| self.text.get(range).unwrap_or_default();
        (part(start..name_end).eq_ignore_ascii_case("scope") && is_backend(part(value)), end)
    }

    fn unquoted_end(&mut self, start: usize) -> usize {
        if !self.unquoted.contains(&start) {
            let end = self.find(start, |byte| byte.is_ascii_whitespace() || byte == b'>');
            self.unquoted = start..end;
        }
        self.unquoted.end
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The first byte at or after `from` for which `is_it` holds, or the end of the text.
    fn find(&self, from: usize, is_it: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        rest.iter().position(|byte| is_it(*byte)).map_or(self.text.len(), |at| from + at)
    }
}

/// Whether the value of a `scope` attribute, as it is written in the file, means `backend`.
/// Stops reading at the first difference.
pub(super) fn is_backend(scope: &str) -> bool {
    let mut rest = scope;
    let mut expected = "backend".chars().peekable();
    let mut has_begun = false;
    while let Some((c, after)) = next_char(rest) {
        rest = after;
        match expected.peek() {
            Some(wanted) if c.eq_ignore_ascii_case(wanted) => {
                expected.next();
                has_begun = true;
            }
            Some(_) if has_begun => return false,
            None | Some(_) if c.is_whitespace() => {}
            None | Some(_) => return false,
        }
    }
    expected.peek().is_none()
}

/// The first character of an attribute's value, and the rest. A character may be written by
/// number. HTML's named characters need no support: none of them is a letter of `backend`.
fn next_char(value: &str) -> Option<(char, &str)> {
    let plain = value.chars().next()?;
    let plain = (plain, value.get(plain.len_utf8()..)?);
    let Some(number) = value.strip_prefix("&#") else { return Some(plain) };
    let (number, radix) = match number.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => (hexadecimal, 16),
        None => (number, 10),
    };
    let (digits, rest) = number.split_at(number.find(|c: char| !c.is_digit(radix)).unwrap_or(number.len()));
    if digits.is_empty() {
        return Some(plain);
    }
    let code = u32::from_str_radix(digits, radix).ok();
    let c = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some((c, rest.strip_prefix(';').unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(text: &str) -> Vec<&str> {
        let found = backend_scripts(text, &Tags::named("script", text));
        found.into_iter().map(|tag| &text[tag]).collect()
    }

    #[test]
    fn finds_a_start_tag_in_every_spelling() {
        for tag in [
            "<script scope=backend>",
            "<SCRIPT\n\tSCOPE = ' Backend ' async>",
            "<script/scope=backend>",
            "<script a=\"'>\" b='\">' scope=\"backend\"/>",
            "<script a= scope=x scope=backend x=>",
            "<script scope='back&#101;nd'>",
            "<script scope=&#x62;ackend>",
            "<script scope=&#X62;ackend>",
            "<script scope=&#98&#97&#99&#107&#101&#110&#100>",
            "<script scope='&#32;&#0000000000098;ackend&#10;'>",
        ] {
            assert_eq!(backend(&format!("ü<{tag}ü")), [tag], "{tag}");
        }
        for other in [
            "<script>",
            "<scripts scope=backend>",
            "<script scope=back end>",
            "<script scope=backend/>",
            "<script scope='b&#;ackend'>",
            "<script scope='&#x110000;backend'>",
            "<script scope='&amp;#98;ackend'>",
            "<script scope='backen'>",
            "<script scope=''>",
            "<script a='scope=backend'>",
            "<script scope>=backend",
            "</script scope=backend>",
        ] {
            assert_eq!(backend(other), Vec::<&str>::new(), "{other}");
        }
        assert_eq!(backend("<script scope=backend a='>"), ["<script scope=backend a='>"]);
        // One tag may be inside the attribute of another. Both readings are found.
        assert_eq!(backend("<script a=\"<script scope=backend>"), ["<script scope=backend>"]);
        let both = ["<script x<script scope=backend>", "<script scope=backend>"];
        assert_eq!(backend(both[0]), both);
    }

    #[test]
    fn matches_only_whole_names_of_end_tags() {
        let text = "</scripts></SCRIPT\n a></script";
        let tags = Tags::named("script", text);
        assert_eq!((tags.end_after(0), tags.end_after(11)), (10..22, 22..30));
        assert_eq!((tags.end_after(23), tags.own_end_after(23)), (30..30, None));
        let tags = Tags::named("title", "</title><title></title>");
        assert_eq!((tags.own_end_after(0), tags.own_end_after(1)), (Some(8), None));
    }
}
