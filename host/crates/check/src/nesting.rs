//! An upper bound for how deeply a script is nested. A parser recurses for each level, and a
//! stack overflow ends the process. So this scanner, which does not recurse, runs first. If
//! it is not certain about a script, it counts it as too deep.

use sluice_text::lexical::{is_line_break, quoted, regex_end};

/// How deeply brackets may be nested.
const BRACKETS_MAX: usize = 200;
/// How many levels of any kind there may be. oxc takes up to 3.5 KB of stack for each
/// (`STACK_BYTES`).
const LEVELS_MAX: usize = 8_000;
/// How many bytes may be searched for the ends of regular expressions in any script.
const REGEX_BYTES_MIN: usize = 1 << 16;
/// How many more bytes may be searched, as a multiple of the script's length.
const REGEX_BYTES_FACTOR: usize = 8;
/// Words after which `/` begins a regular expression.
const BEFORE_EXPRESSION: [&str; 13] = [
    "case",
    "default",
    "delete",
    "do",
    "else",
    "extends",
    "in",
    "instanceof",
    "new",
    "return",
    "throw",
    "typeof",
    "void",
];
/// Words that may stand before an operand, may end a statement, or may be names.
const UNSURE: [&str; 6] = ["await", "break", "continue", "debugger", "of", "yield"];
/// Words that may continue a statement that began before the last `;`.
const CONTINUES: [&str; 2] = ["else", "while"];
/// Words of statements that contain another statement.
const HOLDS_STATEMENT: [&str; 6] = ["if", "for", "while", "do", "with", "else"];

/// Whether it is certain that parsing `script` needs at most [`LEVELS_MAX`] levels.
pub(crate) fn is_bounded(script: &str) -> bool {
    let mut scanner = Scanner::new(script);
    while let Some(step) = scanner.step() {
        if !step || scanner.stack.len() > BRACKETS_MAX || scanner.levels() > LEVELS_MAX {
            return false;
        }
    }
    true
}

/// A bracket that is open, or the script itself.
#[derive(Default)]
struct Bracket {
    /// `(`, `[`, `{`, `` ` `` or `$` for `${`; NUL for the script.
    kind: char,
    /// The levels around the bracket.
    base: usize,
    /// Tokens since the last place at which every construct had certainly ended.
    chain: usize,
    /// `chain` and `statements` at the last `;`, because `else` and `while` may continue them.
    before: (usize, usize),
    /// Statements and labels in `chain`. A `,` does not end them.
    statements: usize,
    /// What a `/` after the closing bracket follows.
    end: Last,
}

/// What was read last. It tells division from a regular expression.
#[derive(Clone, Copy, Default, PartialEq)]
enum Last {
    /// An operand may follow, so `/` begins a regular expression.
    Operator,
    /// A value has ended, so `/` divides.
    #[default]
    Value,
    /// A `/` may do either.
    Unsure,
}

struct Scanner<'a> {
    text: &'a str,
    /// The byte of `text` that is read next.
    at: usize,
    /// The open brackets. The first entry is the script.
    stack: Vec<Bracket>,
    last: Last,
    /// The word that was read last. Empty if it was the name of a property.
    word: &'a str,
    after_dot: bool,
    /// How many bytes may still be searched for the ends of regular expressions. Without
    /// such a bound, a line with many slashes would take quadratic time.
    regex_bytes_left: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        let stack = vec![Bracket { kind: '\0', ..Bracket::default() }];
        let regex_bytes_left = REGEX_BYTES_MIN + REGEX_BYTES_FACTOR * text.len();
        Self { text, at: 0, stack, last: Last::Operator, word: "", after_dot: false, regex_bytes_left }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn levels(&self) -> usize {
        self.stack.last().map_or(0, |open| open.base + open.chain)
    }

    fn kind(&self) -> char {
        self.stack.last().map_or('\0', |open| open.kind)
    }

    /// Reads one token. `None` at the end of the script; false if the text is ambiguous.
    fn step(&mut self) -> Option<bool> {
        if self.kind() == '`' {
            return self.template_text();
        }
        let rest = self.rest();
        let c = rest.chars().next()?;
        if c.is_whitespace() || c == '\u{feff}' {
            self.at += c.len_utf8();
        } else if rest.starts_with("//") || (self.at == 0 && rest.starts_with("#!")) {
            self.at += rest.find(is_line_break).unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            self.at += rest.get(2..).and_then(|rest| rest.find("*/")).map_or(rest.len(), |end| end + 4);
        } else if c == '/' {
            return Some(self.slash());
        } else if matches!(c, '"' | '\'') {
            self.at += quoted(rest, c);
            self.token(Last::Value);
        } else if is_word(c) {
            self.read_word(rest);
        } else {
            self.sign(c);
        }
        Some(true)
    }

    fn token(&mut self, last: Last) {
        if let Some(open) = self.stack.last_mut() {
            open.chain += 1;
        }
        self.last = last;
        (self.word, self.after_dot) = ("", false);
    }

    fn read_word(&mut self, rest: &'a str) {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        let is_property = self.after_dot;
        self.at += end;
        self.token(match word {
            _ if is_property => Last::Value,
            _ if BEFORE_EXPRESSION.contains(&word) => Last::Operator,
            _ if UNSURE.contains(&word) => Last::Unsure,
            _ => Last::Value,
        });
        self.word = if is_property { "" } else { word };
        let Some(open) = self.stack.last_mut() else { return };
        if CONTINUES.contains(&word) {
            let (chain, statements) = std::mem::take(&mut open.before);
            open.chain += chain;
            open.statements += statements;
        }
        open.statements += usize::from(HOLDS_STATEMENT.contains(&word));
    }

    fn sign(&mut self, c: char) {
        let doubled =
            matches!(c, '+' | '-') && self.text.get(..self.at).is_some_and(|text| text.ends_with(c));
        self.at += c.len_utf8();
        match c {
            '(' | '[' | '{' | '`' => self.open(c),
            ')' | ']' | '}' => self.close(c),
            ';' => self.separate(|open| {
                open.before = (open.chain, open.statements);
                (open.chain, open.statements) = (0, 0);
            }),
            ',' => self.separate(|open| {
                open.chain = match open.kind {
                    '(' | '[' => 0,
                    _ => open.statements,
                };
            }),
            _ => {
                // In `1./2` and `a++ /2` the slash divides.
                self.token(if doubled || c == '.' { Last::Unsure } else { Last::Operator });
                self.after_dot = c == '.';
                if let Some(open) = self.stack.last_mut() {
                    open.statements += usize::from(c == ':');
                }
            }
        }
    }

    fn separate(&mut self, change: impl FnOnce(&mut Bracket)) {
        self.token(Last::Operator);
        if let Some(open) = self.stack.last_mut() {
            change(open);
        }
    }

    fn open(&mut self, kind: char) {
        let end = match (kind, self.word) {
            // A statement follows the closing bracket.
            ('(', "if" | "while" | "for" | "with") => Last::Operator,
            ('(', "await") | ('{', _) => Last::Unsure,
            _ => Last::Value,
        };
        self.token(Last::Operator);
        let base = self.levels();
        self.stack.push(Bracket { kind, base, end, ..Bracket::default() });
    }

    fn close(&mut self, c: char) {
        let fits = matches!((self.kind(), c), ('(', ')') | ('[', ']') | ('{' | '$', '}'));
        if !fits {
            return self.token(Last::Unsure);
        }
        let closed = self.stack.pop().unwrap_or_default();
        // After `${…}` the template literal continues.
        if closed.kind != '$' {
            self.token(closed.end);
        }
    }

    /// Reads the text of a template literal, to its end or to the next `${`.
    fn template_text(&mut self) -> Option<bool> {
        let mut is_escaped = false;
        let rest = self.rest();
        for (at, c) in rest.char_indices() {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '`' => {
                    self.at += at + 1;
                    self.stack.pop();
                    self.token(Last::Value);
                    return Some(true);
                }
                '$' if rest.get(at + 1..).is_some_and(|rest| rest.starts_with('{')) => {
                    self.at += at + 2;
                    self.open('$');
                    return Some(true);
                }
                _ => {}
            }
        }
        self.at = self.text.len();
        None
    }

    /// Reads a division or a regular expression. False if it could be either and the
    /// difference matters.
    fn slash(&mut self) -> bool {
        // After a value it divides. Searching for an end there would take quadratic time.
        let end = if self.last == Last::Value { None } else { regex_end(self.rest()) };
        if self.last != Last::Value {
            let looked_at =
                end.unwrap_or_else(|| self.rest().find(is_line_break).unwrap_or(self.rest().len()));
            match self.regex_bytes_left.checked_sub(looked_at) {
                Some(left) => self.regex_bytes_left = left,
                None => return false,
            }
        }
        match (self.last, end) {
            (Last::Operator, Some(end)) => {
                self.at += end;
                self.token(Last::Value);
                true
            }
            (Last::Unsure, Some(end)) => {
                // It is read as a division. The tokens are the same either way, unless
                // the regular expression contains brackets or quotes.
                let inside = self.rest().get(1..end - 1).unwrap_or_default();
                let after = self.rest().get(end..).unwrap_or_default();
                let is_plain = inside.ends_with(is_word)
                    && inside.chars().all(|c| is_word(c) || c == ' ')
                    && !after.starts_with(['/', '*']);
                self.at += 1;
                self.token(Last::Operator);
                is_plain
            }
            _ => {
                self.at += 1;
                self.token(Last::Operator);
                true
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '#' | '@' | '\\') || (!c.is_ascii() && !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_ordinary_scripts() {
        let long = "const a = f(1, [2, 3]);\nif (a) { b(); } else if (c) d(); else e();\n".repeat(5_000);
        let data = format!("const a = [{}];", "{ b: \"(((\", c: [1] }, ".repeat(20_000));
        for script in [
            "",
            "const half = (a + b) / 2; // (((((",
            "x = y.return / 2; z = /[/(]/.test(`a${ { b: `}` } }`) / 2",
            "if (a) /(/.test(b); while (c) /)/.exec(d)",
            "const a = b\n  ? c\n  : d\n/* ((( */",
            &long,
            &data,
        ] {
            assert!(is_bounded(script), "{script:.80}");
        }
    }

    #[test]
    fn rejects_deep_nesting_of_every_kind() {
        let many = 20_000;
        for unit in [
            "(",
            "[",
            "{",
            "x=`${",
            "!",
            "a=>",
            "a?b:",
            "a?",
            "a+",
            "a**",
            "a.b",
            "a()",
            "a=",
            "if(a)",
            "if(a)b;else ",
            "for(;;)",
            "do ",
            "typeof ",
            "new ",
            "while(a)",
            "async(",
            "f(a,",
            "'(' + ",
            "l:",
            "/(/.a(",
            "1./2+\"/\";(",
            "break\n/\"/;(",
            "\"\\\r\n\" (",
            "} /(/ ; {(",
            "function f(){",
            "class{a=",
            "(a=",
            "a ``",
            "if(a)if(b)x,y;else ",
        ] {
            let script = unit.repeat(many);
            assert!(!is_bounded(&script), "{unit}");
        }
    }

    #[test]
    fn takes_linear_time_for_unclosed_regular_expressions() {
        for unit in ["1/\"[\";", "=/[", "await/[", "a/[", "=/[^/]\\"] {
            // This would take minutes if each slash searched to the end of the line.
            let _ = is_bounded(&unit.repeat((4 << 20) / unit.len()));
        }
        assert!(is_bounded(&"x = a / b; y = /[/]/.test(c);\n".repeat(10_000)));
    }
}
