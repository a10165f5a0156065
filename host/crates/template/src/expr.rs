//! Expressions: `{{ … }}`, directive arguments and `v-if` values.

pub(super) mod tokens;

use std::collections::BTreeSet;

use sluice_text::suggest;

use crate::ast::{Expr, FilterCall, Named, Operator, Root, Step};
use crate::filters::Filter;
use crate::functions::Function;
use crate::mistake::{Expected, Mistake};
use crate::source::{Checked, Problem};
use tokens::{Origin, Token, Tokens};

/// How deep parentheses, brackets and unary operators may nest.
const NESTING_MAX: usize = 32;

/// Reads expressions, beginning at an offset in a text.
pub(super) struct ExprParser<'s> {
    tokens: Tokens<'s>,
    depth: usize,
}

impl<'s> ExprParser<'s> {
    pub(super) fn new(text: &'s str, from: usize, origin: Origin) -> Checked<ExprParser<'s>> {
        let tokens = Tokens::new(text, from, origin)?;
        Ok(ExprParser { tokens, depth: 0 })
    }

    /// The offset at which the next token begins.
    pub(super) fn offset(&self) -> usize {
        self.tokens.start()
    }

    pub(super) fn rest_starts_with(&self, what: &str) -> bool {
        self.tokens.rest_starts_with(what)
    }

    pub(super) fn at_end(&self) -> bool {
        matches!(self.tokens.peek(), Token::Other(None))
    }

    pub(super) fn take_comma(&mut self) -> Checked<bool> {
        self.tokens.take_sign(",")
    }

    /// Checks that the next token is this sign, without reading it.
    pub(super) fn expect(&self, sign: &str, expected: Expected) -> Checked<()> {
        if self.tokens.is_sign(sign) {
            return Ok(());
        }
        Err(self.unexpected(expected))
    }

    /// Reads a name that a directive defines: `x` in `@set(x = …)`.
    pub(super) fn name(&mut self, what: &'static str) -> Checked<Named> {
        let pos = self.tokens.pos();
        match self.tokens.advance()? {
            Token::Word(name) => Ok(Named { name, pos }),
            _ => Err(Problem::new(pos, Mistake::NameMissing(what))),
        }
    }

    /// Reads a name in quotes: `"card"` in `@component("card")`.
    pub(super) fn literal_text(&mut self, what: &'static str) -> Checked<Named> {
        let pos = self.tokens.pos();
        match self.tokens.advance()? {
            Token::Text(name) => Ok(Named { name, pos }),
            _ => Err(Problem::new(pos, Mistake::QuotedNameMissing(what))),
        }
    }

    /// Reads a word that has to follow the part `after`.
    pub(super) fn expect_word(&mut self, word: &'static str, after: &'static str) -> Checked<()> {
        if self.tokens.is_word(word) {
            self.tokens.advance()?;
            return Ok(());
        }
        Err(self.unexpected(Expected::After { text: word, part: after }))
    }

    /// Reads a sign that has to follow the part `after`.
    pub(super) fn take_sign(&mut self, sign: &'static str, after: &'static str) -> Checked<()> {
        self.expect(sign, Expected::After { text: sign, part: after })?;
        self.tokens.advance()?;
        Ok(())
    }

    /// Reads an expression with its filters.
    pub(super) fn pipeline(&mut self) -> Checked<Expr> {
        let mut value = self.any()?;
        let mut calls = Vec::new();
        while self.tokens.take_sign("|")? {
            if self.tokens.is_word("t") {
                let pos = self.tokens.pos();
                self.tokens.advance()?;
                let mut args = vec![filtered(value, std::mem::take(&mut calls))];
                if self.tokens.take_sign(":")? {
                    args.push(self.any()?);
                }
                value = Expr::Call { function: Function::Translate, args, pos };
            } else {
                calls.push(self.filter()?);
            }
        }
        if calls.is_empty() {
            return Ok(value);
        }
        if self.operator_ahead() {
            return Err(self.tokens.problem(Mistake::OperatorAfterFilter(self.tokens.found())));
        }
        let value = Box::new(value);
        Ok(Expr::Filtered { value, calls })
    }

    fn filter(&mut self) -> Checked<FilterCall> {
        let named = self.name("the name of a filter")?;
        let Some(filter) = Filter::find(&named.name) else {
            let suggestion = suggest::nearest(&named.name, Filter::names());
            return Err(Problem::new(named.pos, Mistake::UnknownFilter { name: named.name, suggestion }));
        };
        let mut args = Vec::new();
        while self.tokens.take_sign(":")? {
            args.push(self.any()?);
        }
        filter.check_args(args.len()).map_err(|error| Problem::new(named.pos, error))?;
        Ok(FilterCall { filter, args, pos: named.pos })
    }

    /// Reads the arguments of a function or a directive, up to the `)`.
    pub(super) fn arguments(&mut self) -> Checked<Vec<Expr>> {
        let mut args = Vec::new();
        while !self.tokens.is_sign(")") {
            args.push(self.pipeline()?);
            if !self.tokens.take_sign(",")? {
                break;
            }
        }
        Ok(args)
    }

    /// Reads the call of a function after its name.
    fn function(&mut self, named: Named) -> Checked<Expr> {
        let Named { name, pos } = named;
        let function = Function::find(&name).map_err(|mistake| Problem::new(pos, mistake))?;
        self.take_sign("(", "the function")?;
        let args = self.arguments()?;
        self.take_sign(")", "the arguments of the function")?;
        function.check_args(args.len()).map_err(|error| Problem::new(pos, error))?;
        Ok(Expr::Call { function, args, pos })
    }

    fn operator_ahead(&self) -> bool {
        match self.tokens.peek() {
            Token::Sign("&&" | "||" | "+") => true,
            token => comparison(token).is_some() || is_word(token, "and") || is_word(token, "or"),
        }
    }

    fn any(&mut self) -> Checked<Expr> {
        self.nested(|parser| {
            parser.logical("||", "or", Expr::Or, |parser| {
                parser.logical("&&", "and", Expr::And, |parser| parser.equality())
            })
        })
    }

    fn logical(
        &mut self,
        sign: &str,
        word: &str,
        join: fn(Vec<Expr>) -> Expr,
        mut part: impl FnMut(&mut Self) -> Checked<Expr>,
    ) -> Checked<Expr> {
        let first = part(self)?;
        let mut all = vec![first];
        while self.tokens.is_sign(sign) || self.tokens.is_word(word) {
            self.tokens.advance()?;
            all.push(part(self)?);
        }
        match all.len() {
            1 => all.pop().ok_or_else(|| self.tokens.problem(Mistake::ValueMissing)),
            _ => Ok(join(all)),
        }
    }

    fn equality(&mut self) -> Checked<Expr> {
        self.chain(
            |token| comparison(token).filter(|operator| is_equality(*operator)),
            |parser| {
                parser.chain(
                    |token| comparison(token).filter(|operator| !is_equality(*operator)),
                    |parser| {
                        parser.chain(
                            |token| matches!(token, Token::Sign("+")).then_some(Operator::Add),
                            Self::unary,
                        )
                    },
                )
            },
        )
    }

    fn chain(
        &mut self,
        operator: impl Fn(&Token) -> Option<Operator>,
        mut part: impl FnMut(&mut Self) -> Checked<Expr>,
    ) -> Checked<Expr> {
        let first = part(self)?;
        let mut rest = Vec::new();
        while let Some(operator) = operator(self.tokens.peek()) {
            self.tokens.advance()?;
            rest.push((operator, part(self)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let first = Box::new(first);
        Ok(Expr::Chain { first, rest })
    }

    fn unary(&mut self) -> Checked<Expr> {
        if self.tokens.take_sign("!")? {
            let inner = self.nested(Self::unary)?;
            return Ok(Expr::Not(Box::new(inner)));
        }
        if self.tokens.take_sign("-")? {
            return Ok(match self.nested(Self::unary)? {
                Expr::Number(number) => Expr::Number(-number),
                inner => Expr::Negate(Box::new(inner)),
            });
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Checked<Expr> {
        let value = self.primary()?;
        let mut steps = Vec::new();
        loop {
            if self.tokens.take_sign(".")? || self.tokens.take_sign("?.")? {
                let key = self.name("a name after the dot")?;
                steps.push(Step::Key(key.name));
            } else if self.tokens.take_sign("[")? {
                steps.push(match self.pipeline()? {
                    Expr::Text(key) => Step::Key(key),
                    index => Step::Index(index),
                });
                self.take_sign("]", "the index")?;
            } else {
                break;
            }
        }
        if self.tokens.is_sign("(") {
            return Err(self.tokens.problem(Mistake::FunctionCall));
        }
        Ok(match value {
            Expr::Path { root, steps: none } if none.is_empty() => Expr::Path { root, steps },
            value if steps.is_empty() => value,
            value => Expr::Path { root: Root::Value(Box::new(value)), steps },
        })
    }

    fn primary(&mut self) -> Checked<Expr> {
        let pos = self.tokens.pos();
        match self.tokens.peek() {
            Token::Number(_) | Token::Text(_) | Token::Word(_) => {}
            Token::Sign("(" | "[" | "{") => {}
            _ => return Err(self.unexpected(Expected::Value)),
        }
        match self.tokens.advance()? {
            Token::Number(number) => Ok(Expr::Number(number)),
            Token::Text(text) => Ok(Expr::Text(text)),
            Token::Sign("(") => {
                let inner = self.pipeline()?;
                self.take_sign(")", "the expression in parentheses")?;
                Ok(inner)
            }
            Token::Sign("[") => self.list(),
            Token::Sign(_) => self.dict(),
            Token::Word(word) => self.word(Named { name: word, pos }),
            Token::Other(_) => Err(Problem::new(pos, Mistake::ValueMissing)),
        }
    }

    fn word(&mut self, named: Named) -> Checked<Expr> {
        match named.name.as_str() {
            "true" => Ok(Expr::Bool(true)),
            "false" => Ok(Expr::Bool(false)),
            "null" => Ok(Expr::Null),
            "undefined" => Ok(Expr::Undefined),
            "eq" | "neq" | "lt" | "lte" | "gt" | "gte" | "and" | "or" => {
                Err(Problem::new(named.pos, Mistake::ValueMissingBefore(named.name)))
            }
            "dump" if self.tokens.take_sign("(")? => {
                let inner = self.pipeline()?;
                self.take_sign(")", "the argument of dump")?;
                Ok(Expr::Dump(Box::new(inner)))
            }
            _ if self.tokens.is_sign("(") => self.function(named),
            _ => Ok(Expr::Path { root: Root::Name(named), steps: Vec::new() }),
        }
    }

    fn list(&mut self) -> Checked<Expr> {
        let mut items = Vec::new();
        while !self.tokens.is_sign("]") {
            items.push(self.pipeline()?);
            if !self.tokens.take_sign(",")? {
                break;
            }
        }
        self.take_sign("]", "the list")?;
        Ok(Expr::List(items))
    }

    fn dict(&mut self) -> Checked<Expr> {
        let mut fields = Vec::new();
        let mut known = BTreeSet::new();
        while !self.tokens.is_sign("}") {
            let pos = self.tokens.pos();
            let (key, shorthand) = match self.tokens.advance()? {
                Token::Word(word) => (word, true),
                Token::Text(text) => (text, false),
                Token::Number(number) => (crate::value::number_text(number), false),
                _ => return Err(Problem::new(pos, Mistake::NameMissing("the name of a field"))),
            };
            let value = if shorthand && !self.tokens.is_sign(":") {
                self.word(Named { name: key.clone(), pos })?
            } else {
                self.take_sign(":", "the name of a field")?;
                self.pipeline()?
            };
            if !known.insert(key.clone()) {
                return Err(Problem::new(pos, Mistake::FieldTwice(key)));
            }
            fields.push((key, value));
            if !self.tokens.take_sign(",")? {
                break;
            }
        }
        self.take_sign("}", "the fields")?;
        Ok(Expr::Dict(fields))
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Checked<Expr>) -> Checked<Expr> {
        if self.depth >= NESTING_MAX {
            return Err(self.tokens.problem(Mistake::ExpressionDepth(NESTING_MAX)));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// The next token is not what was expected.
    pub(super) fn unexpected(&self, expected: Expected) -> Problem {
        let hint = match self.tokens.peek() {
            Token::Sign("-") => Some("subtraction is not supported; write a key with a dash as a['my-key']"),
            Token::Sign("*" | "/" | "%") => Some("do arithmetic in the backend script"),
            Token::Sign("?") => Some("?: is not supported; use @if or the yesno filter"),
            Token::Sign("=") => Some("write == to compare"),
            Token::Sign("&") => Some("write && for a logical and"),
            _ => None,
        };
        self.tokens.problem(Mistake::Unexpected { expected, found: self.tokens.found(), hint })
    }
}

/// A value with its filters.
fn filtered(value: Expr, calls: Vec<FilterCall>) -> Expr {
    match calls.is_empty() {
        true => value,
        false => Expr::Filtered { value: Box::new(value), calls },
    }
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(next) if next == word)
}

fn comparison(token: &Token) -> Option<Operator> {
    let text = match token {
        Token::Sign(sign) => *sign,
        Token::Word(word) => word.as_str(),
        _ => return None,
    };
    Some(match text {
        "==" | "eq" => Operator::Equal,
        "!=" | "neq" => Operator::NotEqual,
        "===" => Operator::StrictEqual,
        "!==" => Operator::StrictNotEqual,
        "<" | "lt" => Operator::Less,
        "<=" | "lte" => Operator::LessEqual,
        ">" | "gt" => Operator::Greater,
        ">=" | "gte" => Operator::GreaterEqual,
        _ => return None,
    })
}

fn is_equality(operator: Operator) -> bool {
    use Operator::{Equal, NotEqual, StrictEqual, StrictNotEqual};
    matches!(operator, Equal | NotEqual | StrictEqual | StrictNotEqual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Expr, String> {
        let parsed = ExprParser::new(text, 0, Origin::File(0)).and_then(|mut parser| {
            let expr = parser.pipeline()?;
            match parser.at_end() {
                true => Ok(expr),
                false => Err(parser.unexpected(Expected::EndOfCondition)),
            }
        });
        parsed.map_err(|problem| format!("{}: {}", problem.pos.at, problem.mistake))
    }

    #[test]
    fn reports_mistakes_with_offset_and_remedy() {
        for (text, expected) in [
            ("a +", "3: expected a value, found the end"),
            ("a - 1", "2: expected the condition to end, found \"-\"; subtraction is not supported"),
            ("a | uper", "4: there is no filter \"uper\""),
            ("a | length > 0", "11: \">\" cannot follow a filter"),
            ("a ? 1 : 2", "2: expected the condition to end, found \"?\"; ?: is not supported"),
            ("a.trim()", "6: functions cannot be called here"),
            ("getSesionItem('a')", "0: there is no function \"getSesionItem\""),
            ("1 + upper(a)", "4: \"upper\" is a filter; write {{ value | upper }}"),
            ("getSessionItem()", "0: getSessionItem takes 1 argument, not 0"),
            ("GetCrmField('a', 'b')", "0: getCrmField takes 1 argument, not 2"),
            ("getUser(", "8: expected a value"),
            ("getUser(1", "9: expected \")\" after the arguments of the function"),
            ("(a", "2: expected \")\" after"),
            ("a[1", "3: expected \"]\" after the index"),
            ("{a: 1, a: 2}", "7: the field \"a\" is given twice"),
            ("a = 1", "2: expected the condition to end, found \"=\"; write == to compare"),
            ("and b", "0: expected a value before \"and\""),
            ("a.", "2: expected a name after the dot"),
            ("a | default", "4: default takes 1 argument"),
        ] {
            let error = parse(text).err().unwrap_or_default();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn limits_nesting_but_not_chains() {
        let call = ("getSessionItem(", ")");
        for (open, close) in [("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("a[", "]"), call] {
            let deep = format!("{}1{}", open.repeat(5000), close.repeat(5000));
            assert!(parse(&deep).is_err_and(|e| e.contains("nest at most 32")), "{open}");
        }
        for chain in ["a + ", "a and ", "a == ", "a < ", "a || "] {
            assert!(parse(&format!("{}1", chain.repeat(5000))).is_ok(), "{chain}");
        }
        assert!(parse(&format!("a{}", ".b".repeat(5000))).is_ok());
        assert!(parse(&format!("a{}", " | upper".repeat(5000))).is_ok());
    }
}
