//! Splits an expression into words, numbers, quoted text and signs.

use crate::mistake::Mistake;
use crate::source::{Checked, Pos, Problem};

/// A token of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Word(String),
    Number(f64),
    Text(String),
    Sign(&'static str),
    /// The end of the text, or a character that never occurs in expressions.
    Other(Option<char>),
}

/// Longer signs come first, so that the first match is the right one.
const SIGNS: &[&str] = &[
    "===", "!==", "==", "!=", "<=", ">=", "&&", "||", "?.", "(", ")", "[", "]", "{", "}", ".", ",", ":", "|",
    "+", "-", "!", "<", ">", "=", "?", "*", "/", "%", ";", "&",
];

/// Maps offsets in the text of an expression to offsets in its file.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// The text is the file itself.
    File(u32),
    /// The text is an attribute's value with its character references decoded. The table has the
    /// offset in the file of each byte.
    Decoded { file: u32, offsets: Vec<u32> },
}

impl Origin {
    pub(crate) fn pos(&self, at: usize) -> Pos {
        match self {
            Origin::File(file) => Pos::new(*file, at),
            Origin::Decoded { file, offsets } => {
                let at = offsets.get(at).or(offsets.last()).copied().unwrap_or(0);
                Pos { file: *file, at }
            }
        }
    }
}

/// Reads tokens one at a time, with one token of lookahead.
pub(crate) struct Tokens<'s> {
    text: &'s str,
    origin: Origin,
    /// The offsets at which the token in `next` begins and ends.
    start: usize,
    end: usize,
    next: Token,
}

impl<'s> Tokens<'s> {
    pub(crate) fn new(text: &'s str, from: usize, origin: Origin) -> Checked<Tokens<'s>> {
        let mut tokens = Tokens { text, origin, start: from, end: from, next: Token::Other(None) };
        tokens.advance()?;
        Ok(tokens)
    }

    pub(crate) fn peek(&self) -> &Token {
        &self.next
    }

    /// The offset at which the next token begins.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    pub(crate) fn pos(&self) -> Pos {
        self.origin.pos(self.start)
    }

    /// Whether the text from the next token on begins with `what`.
    pub(crate) fn rest_starts_with(&self, what: &str) -> bool {
        self.rest(self.start).starts_with(what)
    }

    pub(crate) fn is_sign(&self, sign: &str) -> bool {
        matches!(&self.next, Token::Sign(next) if *next == sign)
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.next, Token::Word(next) if next == word)
    }

    /// Reads the next token if it is this sign.
    pub(crate) fn take_sign(&mut self, sign: &str) -> Checked<bool> {
        let found = self.is_sign(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// A mistake at the next token.
    pub(crate) fn problem(&self, mistake: Mistake) -> Problem {
        Problem::new(self.pos(), mistake)
    }

    /// The next token as an error message shows it.
    pub(crate) fn found(&self) -> String {
        match &self.next {
            Token::Word(word) => format!("\"{word}\""),
            Token::Number(_) => "a number".to_owned(),
            Token::Text(_) => "quoted text".to_owned(),
            Token::Sign(sign) => format!("\"{sign}\""),
            Token::Other(Some(c)) => format!("{:?}", c.to_string()),
            Token::Other(None) => "the end".to_owned(),
        }
    }

    /// Returns the next token and reads the one after it.
    pub(crate) fn advance(&mut self) -> Checked<Token> {
        let rest = self.rest(self.end);
        self.start = self.end + (rest.len() - rest.trim_start().len());
        let rest = self.rest(self.start);
        let (token, length) = match rest.chars().next() {
            None => (Token::Other(None), 0),
            Some(c) if c.is_ascii_digit() => self.number(rest)?,
            Some(c) if begins_word(c) => {
                let length = rest.find(|c| !continues_word(c)).unwrap_or(rest.len());
                let word = rest.get(..length).unwrap_or(rest);
                (Token::Word(word.to_owned()), length)
            }
            Some(quote @ ('"' | '\'')) => self.quoted(rest, quote)?,
            Some(c) => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => (Token::Other(Some(c)), c.len_utf8()),
            },
        };
        self.end = self.start + length;
        Ok(std::mem::replace(&mut self.next, token))
    }

    fn rest(&self, from: usize) -> &'s str {
        self.text.get(from..).unwrap_or("")
    }

    fn number(&self, rest: &str) -> Checked<(Token, usize)> {
        let bytes = rest.as_bytes();
        let byte = |index: usize| bytes.get(index).copied().unwrap_or(0);
        let digits = |mut index: usize| {
            while byte(index).is_ascii_digit() {
                index += 1;
            }
            index
        };
        let mut length = digits(0);
        if byte(length) == b'.' && byte(length + 1).is_ascii_digit() {
            length = digits(length + 1);
        }
        if byte(length) | 0x20 == b'e' {
            let sign = usize::from(matches!(byte(length + 1), b'+' | b'-'));
            if byte(length + 1 + sign).is_ascii_digit() {
                length = digits(length + 1 + sign);
            }
        }
        let digits = rest.get(..length).unwrap_or(rest);
        let stops = !rest.get(length..).is_some_and(|after| after.starts_with(continues_word));
        match digits.parse() {
            Ok(number) if stops => Ok((Token::Number(number), length)),
            _ => Err(self.problem(Mistake::NotDecimal)),
        }
    }

    fn quoted(&self, rest: &str, quote: char) -> Checked<(Token, usize)> {
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == quote => return Ok((Token::Text(text), at + 1)),
                '\n' => break,
                '\\' => {
                    let after = rest.get(at + 1..).unwrap_or("");
                    let Some((escaped, length)) = escape(after) else {
                        break;
                    };
                    text.push(escaped);
                    while chars.next_if(|(next, _)| *next <= at + length).is_some() {}
                }
                _ => text.push(c),
            }
        }
        Err(self.problem(Mistake::UnclosedQuote(quote)))
    }
}

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}

pub(crate) fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The character that an escape sequence stands for, and the bytes that it takes after the backslash.
fn escape(after: &str) -> Option<(char, usize)> {
    let c = after.chars().next()?;
    Some(match c {
        'n' => ('\n', 1),
        't' => ('\t', 1),
        'r' => ('\r', 1),
        'b' => ('\u{8}', 1),
        'f' => ('\u{c}', 1),
        'v' => ('\u{b}', 1),
        'x' => match hex(after, 1, 2) {
            Some(code) => (char::from_u32(code)?, 3),
            None => ('x', 1),
        },
        'u' => unicode_escape(after).unwrap_or(('u', 1)),
        _ => (c, c.len_utf8()),
    })
}

/// Reads `uXXXX`, a surrogate pair of these, or `u{…}`.
fn unicode_escape(after: &str) -> Option<(char, usize)> {
    if after.starts_with("u{") {
        let close = after.bytes().take(10).position(|byte| byte == b'}')?;
        let code = u32::from_str_radix(after.get(2..close)?, 16).ok()?;
        return Some((char::from_u32(code).unwrap_or('\u{fffd}'), close + 1));
    }
    let unit = hex(after, 1, 4)?;
    if (0xd800..0xdc00).contains(&unit)
        && after.get(5..7) == Some("\\u")
        && let Some(low @ 0xdc00..0xe000) = hex(after, 7, 4)
    {
        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        return Some((char::from_u32(code).unwrap_or('\u{fffd}'), 11));
    }
    Some((char::from_u32(unit).unwrap_or('\u{fffd}'), 5))
}

fn hex(text: &str, from: usize, digits: usize) -> Option<u32> {
    let digits = text.get(from..from + digits)?;
    let all_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    all_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Checked<Vec<Token>> {
        let mut tokens = Tokens::new(text, 0, Origin::File(0))?;
        let mut found = Vec::new();
        while tokens.peek() != &Token::Other(None) {
            found.push(tokens.advance()?);
        }
        Ok(found)
    }

    #[test]
    fn reads_javascripts_escapes_in_quoted_text() {
        for (source, expected) in [
            (r#""a\"b""#, "a\"b"),
            (r"'it\'s'", "it's"),
            (r"'\n\t\x41\u0042\u{43}'", "\n\tABC"),
            (r"'\ud83d\ude00'", "😀"),
            (r"'\ud83d!'", "\u{fffd}!"),
            (r"'\q\\'", "q\\"),
            ("'ö}}'", "ö}}"),
        ] {
            assert_eq!(all(source).ok(), Some(vec![Token::Text(expected.to_owned())]), "{source}");
        }
        for source in ["'open", "'a\nb'", "'\\"] {
            assert!(all(source).is_err(), "{source}");
        }
    }

    #[test]
    fn reads_decimal_numbers_only() {
        for (source, expected) in [("0", 0.0), ("12.5", 12.5), ("1e3", 1000.0), ("2E-1", 0.2)] {
            assert_eq!(all(source).ok(), Some(vec![Token::Number(expected)]), "{source}");
        }
        for source in ["12px", "0x10", "1_000"] {
            assert!(all(source).is_err(), "{source}");
        }
        assert_eq!(all("1.x").ok().map(|tokens| tokens.len()), Some(3));
    }
}
