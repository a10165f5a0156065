//! Rejects requests whose lines end with LF alone. The HTTP parser accepts them, but a proxy that does not
//! would read other requests than this server (request smuggling).
//!
//! The parser has no setting for this, so [`Lines`] reads along, and spoils a request with such a line:
//! the parser then answers 400 and closes the connection. For that, it must know where a head begins and
//! ends. It accepts only what the parser reads in the same way, and spoils everything else.

/// A longer line cannot be `Content-Length`, `Transfer-Encoding` or `Upgrade` with a valid value.
const LINE_BYTES_MAX: usize = 256;
/// A byte that the parser accepts nowhere in a head.
const INVALID: u8 = 0;

/// Where the next byte of a connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    /// In the lines of a head, or before it.
    Head(Head),
    /// In a body, with this many bytes to go.
    Body(u64),
    Chunk(Chunk),
    /// The parser reads no further request.
    Last,
    /// The request is spoiled, and so is everything after it.
    Spoiled,
}

/// What the head says about the body so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Head {
    /// The beginning of the current line.
    line: Vec<u8>,
    /// Whether the last byte was CR.
    after_cr: bool,
    has_request_line: bool,
    is_connect: bool,
    is_chunked: bool,
    is_upgrade: bool,
    length: Option<u64>,
}

/// A part of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    /// In the line with the size, of which this was read.
    Size {
        size: u64,
        is_over: bool,
    },
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// At the beginning of a line after the last chunk.
    LineStart,
    Trailer,
    TrailerLf,
    EndLf,
}

/// Reads a connection along with the parser.
#[derive(Debug)]
pub(crate) struct Lines(At);

impl Default for Lines {
    fn default() -> Self {
        Self(At::Head(Head::default()))
    }
}

impl Lines {
    /// Reads the next bytes of the connection, and changes those that must not be accepted.
    pub(crate) fn check(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = match &mut self.0 {
                At::Last => return,
                At::Spoiled => return bytes.fill(INVALID),
                At::Body(left) | At::Chunk(Chunk::Data(left)) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= taken as u64;
                    taken
                }
                At::Head(_) | At::Chunk(_) => 0,
            };
            let rest = std::mem::take(&mut bytes);
            let Some((_, rest)) = rest.split_at_mut_checked(taken) else { return };
            match &self.0 {
                At::Body(0) => self.0 = At::Head(Head::default()),
                At::Chunk(Chunk::Data(0)) => self.0 = At::Chunk(Chunk::DataCr),
                _ => {}
            }
            bytes = match (taken, rest) {
                (0, [byte, rest @ ..]) => {
                    self.step(byte);
                    rest
                }
                (_, rest) => rest,
            };
        }
    }

    fn step(&mut self, byte: &mut u8) {
        let next = match &mut self.0 {
            At::Head(head) => match head.step(*byte) {
                Ok(None) => return,
                Ok(Some(next)) => next,
                Err(Malformed) => {
                    *byte = INVALID;
                    At::Spoiled
                }
            },
            At::Chunk(chunk) => match (chunk.step(*byte), *byte) {
                (Some(next), _) => next,
                // The parser skips trailers up to CR, and rejects a CR without LF.
                (None, b'\n') if matches!(chunk, Chunk::LineStart | Chunk::Trailer) => {
                    *byte = b'\r';
                    At::Spoiled
                }
                (None, _) => At::Last,
            },
            At::Body(_) | At::Last | At::Spoiled => return,
        };
        self.0 = next;
    }
}

/// The head must not be accepted.
struct Malformed;

impl Head {
    /// Reads a byte. Returns what follows the head if it is complete.
    fn step(&mut self, byte: u8) -> Result<Option<At>, Malformed> {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match byte {
            b'\n' if !after_cr => Err(Malformed),
            b'\n' => self.end_line(),
            b'\r' => Ok(None),
            _ => {
                if self.line.len() <= LINE_BYTES_MAX {
                    self.line.push(byte);
                }
                Ok(None)
            }
        }
    }

    fn end_line(&mut self) -> Result<Option<At>, Malformed> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            // Empty lines may come before a request.
            return Ok(self.has_request_line.then(|| self.body()));
        }
        if !self.has_request_line {
            self.has_request_line = true;
            self.is_connect = line.starts_with(b"CONNECT ");
            return Ok(None);
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(None) };
        let (Some(name), Some(value)) = (line.get(..colon), line.get(colon + 1..)) else { return Ok(None) };
        let value = value.trim_ascii();
        let is_cut = line.len() > LINE_BYTES_MAX;
        if name.eq_ignore_ascii_case(b"content-length") {
            let is_number = !is_cut && !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(value).ok().filter(|_| is_number).ok_or(Malformed)?;
            let length = text.parse().map_err(|_| Malformed)?;
            match self.length.replace(length) {
                None if !self.is_chunked => {}
                _ => return Err(Malformed),
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_valid = !is_cut && value.eq_ignore_ascii_case(b"chunked");
            if !is_valid || self.is_chunked || self.length.is_some() {
                return Err(Malformed);
            }
            self.is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.is_upgrade |= value.eq_ignore_ascii_case(b"websocket");
        }
        Ok(None)
    }

    fn body(&self) -> At {
        match self.length {
            _ if self.is_connect => At::Last,
            _ if self.is_chunked => At::Chunk(Chunk::Size { size: 0, is_over: false }),
            _ if self.is_upgrade => At::Last,
            Some(length) if length > 0 => At::Body(length),
            _ => At::Head(Self::default()),
        }
    }
}

impl Chunk {
    /// Reads a byte. Returns `None` if the parser rejects it.
    fn step(self, byte: u8) -> Option<At> {
        let next = match (self, byte) {
            (Self::Size { size, is_over: false }, digit) if digit.is_ascii_hexdigit() => {
                let digit = char::from(digit).to_digit(16)?;
                Self::Size { size: size.checked_mul(16)? + u64::from(digit), is_over: false }
            }
            (Self::Size { size, .. }, b'\r') => Self::SizeLf(size),
            (Self::Size { size, .. }, byte) if byte != b'\n' => Self::Size { size, is_over: true },
            (Self::SizeLf(0), b'\n') | (Self::TrailerLf, b'\n') => Self::LineStart,
            (Self::SizeLf(size), b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size { size: 0, is_over: false },
            (Self::LineStart, b'\r') => Self::EndLf,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::LineStart | Self::Trailer, byte) if byte != b'\n' => Self::Trailer,
            (Self::EndLf, b'\n') => return Some(At::Head(Head::default())),
            _ => return None,
        };
        Some(At::Chunk(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the parser gets, and whether the next request would be read. The result must not depend on how
    /// the bytes arrive.
    fn checked(sent: &str) -> String {
        let mut whole = sent.as_bytes().to_vec();
        Lines::default().check(&mut whole);
        for size in 1..sent.len() {
            let mut lines = Lines::default();
            let mut parts = sent.as_bytes().to_vec();
            parts.chunks_mut(size).for_each(|part| lines.check(part));
            assert_eq!(parts, whole, "{sent:?} in parts of {size} bytes");
        }
        String::from_utf8(whole).unwrap()
    }

    const NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\n\r\n";
    const LF: &str = "GET / HTTP/1.1\nhost: a\r\n\r\n";

    #[test]
    fn changes_nothing_in_valid_requests() {
        for body in [
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length:  5 \r\n\r\na\nb\nc",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\nupgrade: h2c\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=\"y\"\r\na\nb\nc\r\nA \r\n\n\n\n\n\nxxxxx\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\r\nz: w\r\n\r\n",
        ] {
            let sent = format!("{body}{NEXT}{body}");
            assert_eq!(checked(&sent), sent);
            // What follows is read as a request.
            let spoiled = checked(&format!("{body}{LF}"));
            let expected = format!("{body}GET / HTTP/1.1{}", "\0".repeat(LF.len() - 14));
            assert_eq!(spoiled, expected, "{body:?}");
        }
    }

    #[test]
    fn spoils_lines_that_end_with_lf_alone() {
        for (sent, valid_bytes) in [
            ("GET / HTTP/1.1\nhost: a\n\n", 14),
            ("GET / HTTP/1.1\r\nhost: a\n\r\n", 23),
            ("GET / HTTP/1.1\r\nhost: a\r\n\n", 25),
            ("\nGET / HTTP/1.1\r\n\r\n", 0),
            ("GET / HTTP/1.1\r\nx: \n y\r\n\r\n", 19),
            ("POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", 63),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n", 63),
            ("POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n", 54),
            ("POST / HTTP/1.1\r\ncontent-length: 5x\r\n\r\n", 36),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked, gzip\r\n\r\n", 50),
        ] {
            let expected = format!("{}{}", &sent[..valid_bytes], "\0".repeat(sent.len() - valid_bytes));
            assert_eq!(checked(sent), expected, "{sent:?}");
        }
        let trailer = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\n\r\n\r\n";
        assert_eq!(checked(trailer), trailer.replace("y\n\r\n\r\n", "y\r\0\0\0\0"));
        let empty = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\n\r\n";
        assert_eq!(checked(empty), empty.replace("0\r\n\n\r\n", "0\r\n\r\0\0"));
    }

    #[test]
    fn reads_no_further_after_a_request_that_the_parser_rejects() {
        for head in [
            "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nupgrade: websocket\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        ] {
            let sent = format!("{head}{LF}");
            assert_eq!(checked(&sent), sent);
        }
    }
}
