//! How deep a script can at most nest. Whoever parses a script calls itself for each
//! level, and a stack that overflows ends the process; so this is found out first,
//! without recursion. What cannot be decided for sure counts as too deep.

use sluice_text::lexical::{is_line_break, quoted, regex_end};

/// Brackets within brackets.
const BRACKETS_MAX: usize = 200;
/// Levels of any kind; each takes up to 3.5 KB of stack to parse (`STACK_BYTES`).
const LEVELS_MAX: usize = 8_000;
/// So much is looked at for ends of regular expressions, however short the script.
const REGEX_BYTES_MIN: usize = 1 << 16;
/// And so many times its length.
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
/// Words that may stand before an operand, or end a statement, or be names.
const UNSURE: [&str; 6] = ["await", "break", "continue", "debugger", "of", "yield"];
/// Words whose statement goes on after a `;`.
const CONTINUES: [&str; 2] = ["else", "while"];
/// Words after which a statement holds another one.
const HOLDS_STATEMENT: [&str; 6] = ["if", "for", "while", "do", "with", "else"];

/// Whether parsing `script` needs at most [`LEVELS_MAX`] levels for certain.
pub fn is_bounded(script: &str) -> bool {
    let mut scanner = Scanner::new(script);
    while let Some(step) = scanner.step() {
        if !step || scanner.stack.len() > BRACKETS_MAX || scanner.levels() > LEVELS_MAX {
            return false;
        }
    }
    true
}

/// What is open, and what stands in it.
#[derive(Default)]
struct Open {
    /// `(`, `[`, `{`, `` ` `` or `$` for `${`; NUL for the script.
    kind: char,
    /// Levels around it.
    base: usize,
    /// Tokens since the last place where everything before had ended for certain.
    chain: usize,
    /// `chain` and `statements` at the last `;`: `else` and `while` may go on with them.
    before: (usize, usize),
    /// Statements and labels in `chain`, which a `,` does not end.
    statements: usize,
    /// What its end is to a `/` that follows.
    end: Last,
}

/// What was read last, for telling division from a regular expression.
#[derive(Clone, Copy, Default, PartialEq)]
enum Last {
    /// An operand may follow: `/` begins a regular expression.
    Operator,
    /// A value has ended: `/` divides.
    #[default]
    Value,
    Unsure,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    stack: Vec<Open>,
    last: Last,
    /// The word that was read last, unless it was a property's name.
    word: &'a str,
    after_dot: bool,
    /// How much may still be looked at to find ends of regular expressions: a line can
    /// hold many beginnings without an end.
    regex_bytes_left: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        let stack = vec![Open { kind: '\0', ..Open::default() }];
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

    /// Reads one token. None at the end; false where the text is ambiguous.
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
                // `1./2` and `a++ /2` divide.
                self.token(if doubled || c == '.' { Last::Unsure } else { Last::Operator });
                self.after_dot = c == '.';
                if let Some(open) = self.stack.last_mut() {
                    open.statements += usize::from(c == ':');
                }
            }
        }
    }

    fn separate(&mut self, change: impl FnOnce(&mut Open)) {
        self.token(Last::Operator);
        if let Some(open) = self.stack.last_mut() {
            change(open);
        }
    }

    fn open(&mut self, kind: char) {
        let end = match (kind, self.word) {
            // A statement follows.
            ('(', "if" | "while" | "for" | "with") => Last::Operator,
            ('(', "await") | ('{', _) => Last::Unsure,
            _ => Last::Value,
        };
        self.token(Last::Operator);
        let base = self.levels();
        self.stack.push(Open { kind, base, end, ..Open::default() });
    }

    fn close(&mut self, c: char) {
        let fits = matches!((self.kind(), c), ('(', ')') | ('[', ']') | ('{' | '$', '}'));
        if !fits {
            return self.token(Last::Unsure);
        }
        let closed = self.stack.pop().unwrap_or_default();
        // After `${…}` the template goes on.
        if closed.kind != '$' {
            self.token(closed.end);
        }
    }

    /// The text of a template, to its end or to the next `${`.
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

    /// Division or a regular expression. False where that is not certain and matters.
    fn slash(&mut self) -> bool {
        // Behind a value it divides; looking for an end each time would be quadratic.
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
                // Read as division: the same tokens come out of it unless brackets or
                // quotes stand in it.
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
    fn what_people_write_is_bounded() {
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
    fn what_nests_without_end_is_not() {
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
    fn slashes_without_end_are_not_looked_at_for_ever() {
        for unit in ["1/\"[\";", "=/[", "await/[", "a/[", "=/[^/]\\"] {
            // Minutes, if each looked to the end of the line.
            let _ = is_bounded(&unit.repeat((4 << 20) / unit.len()));
        }
        assert!(is_bounded(&"x = a / b; y = /[/]/.test(c);\n".repeat(10_000)));
    }
}
