//! Generates a program from bytes: each byte makes one choice.

/// The start of every program. What it logs becomes a variable. Loops and functions end when `tick` says so.
const PRELUDE: &str = include_str!("prelude.js");
/// Expressions, one on each line.
const LITERALS: &str = include_str!("values.txt");
/// So many at the end often make an operation throw, and are used less often.
const THROWING_LITERALS: usize = 6;
const BINARY: [&str; 22] = [
    "+", "-", "*", "/", "%", "+", "-", "&", "|", "^", "<<", ">>", ">>>", "**", "<", "<=", ">", ">=", "==",
    "!=", "===", "!==",
];
const ASSIGN: [&str; 14] =
    ["=", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=", "<<=", ">>>=", "??=", "||=", "&&="];
const NAMES: [&str; 8] = ["length", "a", "b", "c", "g", "toString", "constructor", "name"];
const ITERABLES: [&str; 12] = [
    "[1, 2.5, \"s\"]",
    "iter(3)",
    "new Map([[1, 2]])",
    "\"aé😀\"",
    "[1, , 3]",
    "new Set([1, \"x\"])",
    "shapes",
    "iter(2)",
    "[4, 5]",
    "new Map([[\"k\", -0]]).keys()",
    "\"\"",
    "bad",
];

/// Where a statement is.
#[derive(Clone, Copy, Default)]
struct Place {
    depth: u32,
    in_function: bool,
    in_generator: bool,
    in_async: bool,
}

impl Place {
    fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// The body of another function.
    fn function(self) -> Self {
        Self { depth: self.depth + 1, in_function: true, ..Self::default() }
    }
}

struct Generator<'a> {
    bytes: std::slice::Iter<'a, u8>,
    names: u32,
    functions: Vec<String>,
    /// The labels of the loops around a statement, in the same function.
    loops: Vec<String>,
}

impl Generator<'_> {
    /// A number below `count`; 0 when the input is over.
    fn below(&mut self, count: usize) -> usize {
        self.bytes.next().map_or(0, |byte| usize::from(*byte) % count)
    }

    fn chance(&mut self, one_of: usize) -> bool {
        self.below(one_of) == one_of - 1
    }

    fn one<'b>(&mut self, of: &[&'b str]) -> &'b str {
        of[self.below(of.len())]
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn literal(&mut self) -> String {
        let spared = if self.chance(8) { 0 } else { THROWING_LITERALS };
        let index = self.below(LITERALS.lines().count() - spared);
        LITERALS.lines().nth(index).unwrap_or_default().to_owned()
    }

    fn leaf(&mut self, scope: &[String]) -> String {
        match self.below(3) {
            0 => self.literal(),
            _ => self.variable(scope).unwrap_or_else(|| self.literal()),
        }
    }

    fn variable(&mut self, scope: &[String]) -> Option<String> {
        (!scope.is_empty()).then(|| scope[self.below(scope.len())].clone())
    }

    /// What can be assigned to. Constants seldom, because that throws.
    fn target(&mut self, scope: &[String], depth: u32) -> String {
        match self.below(8) {
            0 => format!("shapes[{}].{}", self.below(9), self.one(&NAMES)),
            1 => format!("shapes[{}][{}]", self.below(9), self.expression(scope, depth)),
            2 if self.chance(2) => format!("({})[{}]", self.expression(scope, depth), self.leaf(scope)),
            _ => {
                let found = self.variable(scope).filter(|name| !name.starts_with('k') || self.chance(8));
                found.unwrap_or_else(|| format!("out[{}]", self.below(4)))
            }
        }
    }

    fn expression(&mut self, scope: &[String], depth: u32) -> String {
        if depth > 4 || self.bytes.len() == 0 {
            return self.leaf(scope);
        }
        let depth = depth + 1;
        macro_rules! e {
            () => {
                self.expression(scope, depth)
            };
        }
        match self.below(48) {
            0..=7 => self.leaf(scope),
            8..=16 => format!("({} {} {})", e!(), self.one(&BINARY), e!()),
            17 | 18 => format!("({}{})", self.one(&["- ", "+ ", "~", "!", "typeof ", "void "]), e!()),
            19 | 20 => format!("({} {} {})", e!(), self.one(&["&&", "||", "??"]), e!()),
            21 => format!("({} ? {} : {})", e!(), e!(), e!()),
            22 => format!("({}{})", self.one(&["++", "--"]), self.target(scope, depth)),
            23 => format!("({}{})", self.target(scope, depth), self.one(&["++", "--"])),
            24..=26 => format!("({} {} {})", self.target(scope, depth), self.one(&ASSIGN), e!()),
            27 => format!("at({}, {})", e!(), e!()),
            28 => format!("({})?.[{}]", e!(), e!()),
            29 => format!("({})?.{}", e!(), self.one(&NAMES)),
            30 => format!("shapes[{}].{}", self.below(9), self.one(&NAMES)),
            31 => format!("({})?.m?.({})", e!(), e!()),
            32..=34 => self.call(scope, depth),
            35 => format!("[{}]", self.items(scope, depth)),
            36 => self.object(scope, depth),
            37 => format!("`x${{str({})}}y${{{}}}`", e!(), e!()),
            38 => {
                format!("Math.{}(num({}), num({}))", self.one(&["imul", "max", "hypot", "pow"]), e!(), e!())
            }
            39 | 40 => self.callback(scope, depth),
            41 => format!(
                "((p, z = {}, [q] = [p]) => {})({})",
                e!(),
                self.arrow(scope, &["p", "z", "q"], depth),
                e!()
            ),
            42 => format!(
                "({} {})",
                e!(),
                self.one(&[
                    "instanceof Base",
                    "instanceof Base",
                    "instanceof Base",
                    "instanceof Array",
                    "in shapes",
                    "in shapes",
                    "in Base",
                    "in 1"
                ])
            ),
            43 => format!("(delete ({}).{})", e!(), self.one(&NAMES)),
            44 => format!("({}, {})", e!(), e!()),
            45 => format!("[...{}]", self.one(&ITERABLES)),
            46 => format!("new Base({}).{}", e!(), self.one(&["g", "a", "m(1)", "x?.y.z", "m(...[2])"])),
            _ => format!("(typeof undeclared + {})", e!()),
        }
    }

    fn arrow(&mut self, scope: &[String], parameters: &[&str], depth: u32) -> String {
        let scope: Vec<_> =
            scope.iter().cloned().chain(parameters.iter().map(|name| (*name).into())).collect();
        self.expression(&scope, depth + 1)
    }

    fn items(&mut self, scope: &[String], depth: u32) -> String {
        let count = self.below(5);
        let item = |_| match self.below(8) {
            1 => format!("...{}", self.one(&ITERABLES)),
            _ => self.expression(scope, depth),
        };
        (0..count).map(item).collect::<Vec<_>>().join(", ")
    }

    fn call(&mut self, scope: &[String], depth: u32) -> String {
        let items = self.items(scope, depth);
        if self.functions.is_empty() {
            return format!("Base.s({items})");
        }
        let index = self.below(self.functions.len());
        let function = self.functions[index].clone();
        match self.below(6) {
            0 => format!("{function}.call({items})"),
            1 => format!("new {function}({items})"),
            _ => format!("{function}({items})"),
        }
    }

    fn object(&mut self, scope: &[String], depth: u32) -> String {
        let key = self.one(&["b", "1", "[\"c\" + 1]", "[str(ticks)]", "__proto__", "get"]);
        let rest = match self.below(4) {
            0 => format!("...{}", self.expression(scope, depth)),
            1 => format!("get c() {{ return {}; }}", self.expression(scope, depth)),
            2 => format!(
                "m(x) {{ return this.a; }}, valueOf() {{ return {}; }}",
                self.expression(scope, depth)
            ),
            _ => "d: ticks".to_owned(),
        };
        format!(
            "({{a: {}, {key}: {}, {rest}}})",
            self.expression(scope, depth),
            self.expression(scope, depth)
        )
    }

    fn callback(&mut self, scope: &[String], depth: u32) -> String {
        let array = self.one(&["[3,1,2]", "[3,,1]", "[\"b\",\"a\",10,9]", "shapes", "[0.5,-0,NaN]"]);
        match self.below(4) {
            0 => format!("{array}.slice().sort((q, r) => {})", self.arrow(scope, &["q", "r"], depth)),
            1 => format!(
                "{array}.reduce((q, r) => {}, {})",
                self.arrow(scope, &["q", "r"], depth),
                self.leaf(scope)
            ),
            _ => {
                let method = self.one(&["map", "filter", "forEach", "some", "find", "flatMap", "every"]);
                format!("{array}.{method}((q) => {})", self.arrow(scope, &["q"], depth))
            }
        }
    }

    fn block(&mut self, scope: &[String], place: Place) -> String {
        let mut scope = scope.to_vec();
        let (count, functions) = (1 + self.below(5), self.functions.len());
        let outer = scope.len();
        let mut text: Vec<String> = (0..count).map(|_| self.statement(&mut scope, place)).collect();
        if scope.len() > outer && self.chance(2) {
            text.push(format!("log({});", scope[outer..].join(", ")));
        }
        // What is declared in the block is not visible after it.
        self.functions.truncate(functions);
        text.join("\n")
    }

    fn statement(&mut self, scope: &mut Vec<String>, place: Place) -> String {
        let inner = place.deeper();
        macro_rules! e {
            () => {
                self.expression(scope, 0)
            };
        }
        let kind = if place.depth > 3 || self.bytes.len() == 0 { self.below(14) } else { self.below(48) };
        match kind {
            0..=6 => {
                let (keyword, prefix) =
                    [("let", "v"), ("let", "v"), ("var", "v"), ("const", "k")][self.below(4)];
                let (name, value) = (self.name(prefix), e!());
                scope.push(name.clone());
                format!("{keyword} {name} = {value};")
            }
            7..=11 => format!("log({});", e!()),
            12 if place.in_function => format!("if ({}) return {};", e!(), e!()),
            13 if !self.loops.is_empty() => {
                let index = self.below(self.loops.len());
                let label = self.loops[index].clone();
                let (jump, label) =
                    (self.one(&["break", "continue"]), if self.chance(2) { &label } else { "" });
                format!("if ({}) {jump} {label};", e!())
            }
            12..=16 => format!("log({});", e!()),
            17 | 18 => format!("{};", e!()),
            19..=21 => format!(
                "if ({}) {{ {} }} else {{ {} }}",
                e!(),
                self.block(scope, inner),
                self.block(scope, inner)
            ),
            22..=29 => self.repeat(scope, inner),
            30..=33 => self.attempt(scope, inner),
            34..=38 => self.function(scope, place),
            39 | 40 => self.destructure(scope),
            41 => format!(
                "switch ({}) {{ case 1: log(1); case {}: {} break; default: {} case \"a\": log(\"a\"); }}",
                e!(),
                self.leaf(scope),
                self.block(scope, inner),
                self.block(scope, inner)
            ),
            42 => {
                let name = self.name("v");
                let closure = format!(
                    "const f{name} = () => {name} = {name} + 1; try {{ log({name}, f{name}()); }} catch (e) {{ log(err(e)); }}"
                );
                let text = format!(
                    "try {{ f{name}(); }} catch (e) {{ log(err(e)); }} {closure} let {name} = {}; log(f{name}());",
                    e!()
                );
                format!("{{ {text} }}")
            }
            43 => self.class(scope, place),
            44 if place.in_generator => format!("log(yield {});", e!()),
            44 if place.in_async => format!("log(await {});", e!()),
            45 => "try { endless(); } catch (e) { log(e.name, e.message); }".to_owned(),
            46 => {
                let (array, name) = (self.name("v"), self.name("i"));
                let text = format!(
                    "const {array} = []; for ({} {name} = 0; {name} < 3; {name}++) {{ {array}.push(() => {name}++ + {}); }} log({array}.map((f) => f()), {array}.map((f) => f()));",
                    self.one(&["let", "var"]),
                    e!()
                );
                format!("{{ {text} }}")
            }
            _ => format!("throw {};", self.one(&["new TypeError(\"t\")", "1", "null", "new Base(1)"])),
        }
    }

    fn repeat(&mut self, scope: &[String], place: Place) -> String {
        let label = self.name("l");
        self.loops.push(label.clone());
        let mut inner = scope.to_vec();
        let text = match self.below(8) {
            0..=2 => {
                let (name, count) = (self.name("i"), 1 + self.below(6));
                inner.push(format!("k{name}"));
                let body = self.block(&inner, place).replace(&format!("k{name}"), &name);
                let keyword = self.one(&["let", "var"]);
                format!(
                    "for ({keyword} {name} = 0; {name} < {count}; {name}++) {{ if (tick()) break; {body} }}"
                )
            }
            3 => {
                format!("while (!tick() && {}) {{ {} }}", self.expression(scope, 1), self.block(scope, place))
            }
            4 => format!(
                "do {{ {} }} while (!tick() && {});",
                self.block(scope, place),
                self.expression(scope, 1)
            ),
            5 => {
                let (name, of) = (self.name("k"), self.expression(scope, 1));
                inner.push(name.clone());
                format!("for (const {name} in {of}) {{ if (tick()) break; {} }}", self.block(&inner, place))
            }
            _ => {
                let (name, keyword) = (self.name("v"), self.one(&["let", "var"]));
                inner.push(name.clone());
                let of = match self.below(8) {
                    0 => self.expression(scope, 1),
                    _ => self.one(&ITERABLES).to_owned(),
                };
                let pattern = if self.chance(5) { format!("[{name} = 1]") } else { name };
                format!(
                    "for ({keyword} {pattern} of {of}) {{ if (tick()) break; {} }}",
                    self.block(&inner, place)
                )
            }
        };
        self.loops.pop();
        format!("{label}: {text}")
    }

    fn attempt(&mut self, scope: &[String], place: Place) -> String {
        let name = self.name("v");
        let mut text = format!("try {{ {} }}", self.block(scope, place));
        let has_catch = !self.chance(5);
        if has_catch {
            let inner: Vec<_> = scope.iter().cloned().chain([name.clone()]).collect();
            text += &format!(" catch ({name}) {{ log(err({name})); {} }}", self.block(&inner, place));
        }
        if !has_catch || self.chance(3) {
            text += &format!(" finally {{ {} }}", self.block(scope, place));
        }
        text
    }

    fn function(&mut self, scope: &[String], place: Place) -> String {
        let name = self.name("f");
        let parameters: Vec<String> = (0..self.below(4)).map(|_| self.name("v")).collect();
        let inner: Vec<_> = scope.iter().chain(&parameters).cloned().collect();
        let mut list = parameters.join(", ");
        if let (Some(last), true) = (parameters.last(), self.chance(3)) {
            let default = self.expression(scope, 2);
            let rest = [format!(", ...{}r", last), String::new()][self.below(2)].clone();
            list += &format!(" = {default}{rest}");
        }
        let (functions, loops) = (self.functions.clone(), std::mem::take(&mut self.loops));
        if self.chance(3) {
            self.functions.push(name.clone());
        }
        let kind = self.below(10);
        let mut body_place = place.function();
        (body_place.in_generator, body_place.in_async) = (kind == 8, kind == 9);
        let body = format!(
            "if (tick()) return 0; {}\nreturn {};",
            self.block(&inner, body_place),
            self.expression(&inner, 1)
        );
        (self.functions, self.loops) = (functions, loops);
        let text = match kind {
            0..=4 => format!("function {name}({list}) {{ {body} }}"),
            5 | 6 => format!("const {name} = ({list}) => {{ {body} }};"),
            7 => format!(
                "const {name} = function ({list}) {{ log(this === undefined, arguments.length, arguments[0], new.target); {body} }};"
            ),
            8 => {
                return format!(
                    "function* {name}({list}) {{ {body} }}\nfor (const q of {name}({})) {{ log(q); {} }}",
                    self.items(scope, 2),
                    self.one(&["", "break;", "if (tick()) break;"])
                );
            }
            _ => {
                return format!(
                    "async function {name}({list}) {{ {body} }}\nspawn({name}({}));",
                    self.items(scope, 2)
                );
            }
        };
        self.functions.push(name);
        text
    }

    fn class(&mut self, scope: &[String], place: Place) -> String {
        let name = self.name("C");
        let inner: Vec<_> = scope.iter().cloned().chain(["x".to_owned()]).collect();
        let loops = std::mem::take(&mut self.loops);
        let text = format!(
            "class {name} extends Base {{ #p = {}; static t = {}; constructor(x) {{ super(x); {} }} m(x) {{ {} return super.m(this.#p); }} }}\nlog(new {name}({}).m({}), {name}.s(1), {name}.t);",
            self.expression(scope, 2),
            self.expression(scope, 2),
            self.block(&inner, place.function().deeper()),
            self.block(&inner, place.function()),
            self.expression(scope, 1),
            self.expression(scope, 1)
        );
        self.loops = loops;
        text
    }

    fn destructure(&mut self, scope: &mut Vec<String>) -> String {
        let [one, other, rest] = [(); 3].map(|()| self.name("v"));
        let (default, key) = (self.expression(scope, 1), self.expression(scope, 3));
        let text = match self.below(4) {
            0 => format!("let [{one}, {other} = {default}, ...{rest}] = {};", self.one(&ITERABLES)),
            1 => format!(
                "let {{ a: {one} = {default}, [str({key})]: {other}, ...{rest} }} = {};",
                self.expression(scope, 1)
            ),
            2 => format!(
                "let {one}, {other} = 0, {rest}; [{one}, {other}, {rest} = {default}] = [{other}, {key}];"
            ),
            _ => format!(
                "let {{ b: [{one}] = [{default}], a: {{ length: {other} }} = \"abc\", {rest} = 3 }} = {};",
                self.one(&["{}", "{ b: \"xy\" }", "{ a: [1] }", "shapes[4]", "null"])
            ),
        };
        scope.extend([one, other, rest]);
        text
    }
}

/// The program of an input.
pub(super) fn program(bytes: &[u8]) -> String {
    if bytes.starts_with(b"//") {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut generator = Generator { bytes: bytes.iter(), names: 0, functions: Vec::new(), loops: Vec::new() };
    let mut script = String::new();
    while generator.bytes.len() > 0 {
        script += &match generator.below(12) {
            0 => generator.block(&[], Place::default()),
            1 => {
                let body = generator.block(&[], Place::default());
                format!("try {{ {body} }} catch (e) {{ log(err(e)); }}")
            }
            _ => {
                let place = Place { in_function: true, ..Place::default() };
                let (name, body) = (generator.name("main"), generator.block(&[], place));
                format!(
                    "function {name}() {{\n{body}\n}}\nfor (let z = 0; z < 2; z++) {{ try {{ log({name}()); }} catch (e) {{ log(err(e)); }} }}"
                )
            }
        };
        script += "\nticks = 0;\n";
    }
    let wait = if script.contains("spawn(") { "await Promise.all(pending);" } else { "" };
    format!("{PRELUDE}{script}\n{wait}\nsetVariable(\"out\", out); setVariable(\"ticks\", ticks);\n")
}
