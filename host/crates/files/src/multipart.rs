//! Reads `multipart/form-data` as it arrives. Holds no more than a part's headers and one chunk.

use memchr::memmem::Finder;

/// The headers of one part cannot have more bytes.
const HEAD_BYTES_MAX: usize = 4 << 10;
/// RFC 2046 allows no longer boundary.
const BOUNDARY_BYTES_MAX: usize = 70;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A part begins.
    Part(PartHead),
    /// Some bytes of the part.
    Data(Vec<u8>),
    /// The part is complete.
    PartEnd,
    /// The body is complete. What follows is ignored.
    End,
}

/// What the headers of a part say.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PartHead {
    /// The name of the field.
    pub name: String,
    /// The name of the file, if the part is one.
    pub filename: Option<String>,
    /// The type that the sender claims, in lower case and without parameters.
    pub claimed_type: String,
}

/// The body is not `multipart/form-data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// After a boundary.
    Boundary,
    Head,
    Data,
    End,
}

/// Reads one body.
pub struct Parser {
    /// Two dashes and the boundary.
    boundary: Vec<u8>,
    /// A line end before that.
    delimiter: Finder<'static>,
    state: State,
    buffer: Vec<u8>,
    /// Where the unread bytes of the buffer begin.
    start: usize,
}

/// The boundary that a `Content-Type` names. `None` if the type is another one, or it names none.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (media, parameters) = content_type.split_once(';')?;
    if !media.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim())
    })?;
    let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let is_valid = (1..=BOUNDARY_BYTES_MAX).contains(&bare.len())
        && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte));
    is_valid.then_some(bare)
}

impl Parser {
    /// Reads a body with this boundary.
    pub fn new(boundary: &str) -> Self {
        let delimiter = format!("\r\n--{boundary}");
        Self {
            boundary: format!("--{boundary}").into_bytes(),
            delimiter: Finder::new(&delimiter).into_owned(),
            state: State::Start,
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// Adds bytes that have arrived. Call [`Parser::next_event`] until it has nothing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.state != State::End {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether the body is complete.
    pub fn is_complete(&self) -> bool {
        self.state == State::End
    }

    /// What the bytes say next. `None` if that needs more bytes.
    ///
    /// # Errors
    /// The body is malformed.
    pub fn next_event(&mut self) -> Result<Option<Event>, Malformed> {
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            match self.state {
                State::Start => {
                    let begins = rest.iter().zip(&self.boundary).all(|(one, other)| one == other);
                    if !begins {
                        return Err(Malformed("the body does not begin with its boundary"));
                    }
                    if rest.len() < self.boundary.len() {
                        return Ok(None);
                    }
                    self.start += self.boundary.len();
                    self.state = State::Boundary;
                }
                State::Boundary => match rest {
                    [b'\r', b'\n', ..] => {
                        // A part without headers has an empty line at once, so this line end stays.
                        self.state = State::Head;
                    }
                    [b'-', b'-', ..] => {
                        self.state = State::End;
                        self.buffer = Vec::new();
                        self.start = 0;
                        return Ok(Some(Event::End));
                    }
                    [] | [b'\r' | b'-'] => return Ok(None),
                    _ => return Err(Malformed("a boundary does not end with its line")),
                },
                State::Head => {
                    let window = rest.get(..HEAD_BYTES_MAX).unwrap_or(rest);
                    let Some(end) = memchr::memmem::find(window, b"\r\n\r\n") else {
                        return match rest.len() >= HEAD_BYTES_MAX {
                            true => Err(Malformed("the headers of a part are too large")),
                            false => Ok(None),
                        };
                    };
                    let head = head(window.get(2..end).unwrap_or_default())?;
                    self.start += end + 4;
                    self.state = State::Data;
                    return Ok(Some(Event::Part(head)));
                }
                State::Data => {
                    if let Some(at) = self.delimiter.find(rest) {
                        if at > 0 {
                            let data = rest.get(..at).unwrap_or_default().to_vec();
                            self.start += at;
                            return Ok(Some(Event::Data(data)));
                        }
                        self.start += self.delimiter.needle().len();
                        self.state = State::Boundary;
                        return Ok(Some(Event::PartEnd));
                    }
                    // The end may be the beginning of a delimiter.
                    let sure = rest.len().saturating_sub(self.delimiter.needle().len() - 1);
                    if sure == 0 {
                        return Ok(None);
                    }
                    let data = rest.get(..sure).unwrap_or_default().to_vec();
                    self.start += sure;
                    return Ok(Some(Event::Data(data)));
                }
                State::End => return Ok(None),
            }
        }
    }
}

/// The headers of a part.
fn head(bytes: &[u8]) -> Result<PartHead, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed("the headers of a part are not UTF-8"))?;
    let mut head = None;
    let mut claimed_type = String::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(Malformed("a header of a part has no colon"))?;
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" => head = Some(disposition(value)?),
            "content-type" => {
                let media = value.split(';').next().unwrap_or_default();
                claimed_type = media.trim().to_ascii_lowercase();
            }
            _ => {}
        }
    }
    let head: PartHead = head.ok_or(Malformed("a part has no content-disposition"))?;
    Ok(PartHead { claimed_type, ..head })
}

/// `form-data; name="a"; filename="b"`, as browsers write it: quotes and line ends in a name are
/// percent-encoded.
fn disposition(value: &str) -> Result<PartHead, Malformed> {
    let malformed = Malformed("a content-disposition is malformed");
    let mut rest = value.trim().strip_prefix("form-data").ok_or(malformed)?.trim_start();
    let mut head = PartHead::default();
    let mut has_name = false;
    while let Some(parameter) = rest.strip_prefix(';') {
        let (name, after) = parameter.split_once('=').ok_or(malformed)?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or(malformed)?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "name" => {
                head.name = unescaped(value);
                has_name = true;
            }
            "filename" => head.filename = Some(unescaped(value)),
            _ => {}
        }
        rest = after.trim_start();
    }
    if has_name && rest.is_empty() { Ok(head) } else { Err(malformed) }
}

fn unescaped(text: &str) -> String {
    text.replace("%22", "\"").replace("%0D%0A", "\n").replace("%0A", "\n").replace("%0D", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--B\r\n\
        content-disposition: form-data; name=\"f%22\"; filename=\"x;y.png\"\r\nContent-Type: Image/PNG; x=1\r\n\r\n\
        \r\n--C\r\n--\r\n--B\r\nContent-Disposition: form-data; name=e\r\n\r\n\r\n--B--\r\nepilogue";

    type Parts = Vec<(PartHead, Vec<u8>)>;

    fn parsed(body: &[u8], chunk: usize) -> Result<(Parts, bool), Malformed> {
        let mut parser = Parser::new("B");
        let mut parts = Parts::new();
        for bytes in body.chunks(chunk) {
            parser.push(bytes);
            while let Some(event) = parser.next_event()? {
                match event {
                    Event::Part(head) => parts.push((head, Vec::new())),
                    Event::Data(data) => parts.last_mut().unwrap().1.extend(data),
                    Event::PartEnd | Event::End => {}
                }
            }
        }
        Ok((parts, parser.is_complete()))
    }

    #[test]
    fn parts_are_the_same_however_they_arrive() {
        for chunk in 1..BODY.len() {
            let (parts, is_complete) = parsed(BODY.as_bytes(), chunk).unwrap();
            assert!(is_complete);
            let seen: Vec<_> =
                parts.iter().map(|(head, data)| (head.name.as_str(), data.as_slice())).collect();
            assert_eq!(seen, [("a", &b"one"[..]), ("f\"", b"\r\n--C\r\n--"), ("e", b"")], "{chunk}");
            let file = &parts[1].0;
            assert_eq!(
                (file.filename.as_deref(), file.claimed_type.as_str()),
                (Some("x;y.png"), "image/png")
            );
        }
    }

    #[test]
    fn body_that_ends_early_is_not_complete() {
        let end = BODY.find("--B--").unwrap() + 5;
        for length in 0..end {
            assert!(!parsed(&BODY.as_bytes()[..length], 7).unwrap().1, "{length}");
        }
        assert!(parsed(&BODY.as_bytes()[..end], 7).unwrap().1);
    }

    #[test]
    fn malformed_bodies_are_rejected() {
        let long = format!("--B\r\nContent-Disposition: form-data; name=\"{}", "a".repeat(HEAD_BYTES_MAX));
        for body in [
            "x--B\r\n",
            "--Bx\r\n",
            "--B\r\n\r\n",
            "--B\r\nno colon\r\n\r\n",
            "--B\r\nContent-Type: text/plain\r\n\r\n",
            "--B\r\nContent-Disposition: attachment; name=a\r\n\r\n",
            "--B\r\nContent-Disposition: form-data\r\n\r\n",
            "--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\n",
            "--B\r\nContent-Disposition: form-data; name=\"a\" x\r\n\r\n",
            long.as_str(),
        ] {
            assert!(parsed(body.as_bytes(), 5).is_err(), "{body}");
        }
        assert!(parsed(b"--B\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\n", 5).is_err());
    }

    #[test]
    fn finds_the_boundary_of_a_type() {
        for (text, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=utf-8; BOUNDARY=\"a b\"", Some("a b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"\"", None),
            ("multipart/mixed; boundary=abc", None),
            ("multipart/form-data; boundary=a\u{e9}", None),
        ] {
            assert_eq!(boundary(text), expected, "{text}");
        }
        assert_eq!(boundary(&format!("multipart/form-data; boundary={}", "a".repeat(71))), None);
    }
}
