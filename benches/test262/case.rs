//! Reads a file of test262: its front matter and its source.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A test of test262.
pub(crate) struct Case {
    pub path: PathBuf,
    /// Phase and class of the error with which the test must end.
    pub negative: Option<(String, String)>,
    /// The whole test as one ES module.
    pub source: String,
}

/// The start of every test. Tests run as modules, in the sandbox and in native QuickJS,
/// because page scripts are modules.
const PRELUDE: &str = "
let $resolve, $reject;
const $finished = new Promise((resolve, reject) => { $resolve = resolve; $reject = reject; });
function print(text) { text === 'Test262:AsyncTestComplete' ? $resolve() : $reject(new Error(text)); }
const $262 = {
  global: globalThis,
  evalScript: (source) => (0, eval)(source),
  detachArrayBuffer: (buffer) => { buffer.transfer(); },
  gc() {},
};
";

impl Case {
    /// `None` if a test cannot run as one strict module: its flags are `noStrict` or `raw`,
    /// or it imports other files.
    pub(crate) fn read(path: &Path, harness: &mut Harness) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let matter = text.split_once("/*---")?.1.split_once("---*/")?.0.to_owned();
        let flags = list(&matter, "flags");
        let has = |flag: &str| flags.iter().any(|known| known == flag);
        let imports = text.contains("_FIXTURE") || text.contains("import(") || text.contains("from './");
        if has("noStrict") || has("raw") || has("CanBlockIsTrue") || imports {
            return None;
        }
        let mut includes = vec!["assert.js".to_owned(), "sta.js".to_owned()];
        if has("async") {
            includes.push("doneprintHandle.js".to_owned());
        }
        includes.extend(list(&matter, "includes"));
        let mut source = PRELUDE.to_owned();
        for include in includes {
            source.push_str(harness.file(&include)?);
            source.push('\n');
        }
        source.push_str(&text);
        if has("async") {
            source.push_str("\n;await $finished;\n");
        }
        Some(Self { path: path.to_owned(), negative: negative(&matter), source })
    }
}

/// The files of the `harness` folder. Each is read once.
pub(crate) struct Harness {
    pub dir: PathBuf,
    pub files: HashMap<String, String>,
}

impl Harness {
    fn file(&mut self, name: &str) -> Option<&str> {
        if !self.files.contains_key(name) {
            let text = std::fs::read_to_string(self.dir.join(name)).ok()?;
            self.files.insert(name.to_owned(), text);
        }
        self.files.get(name).map(String::as_str)
    }
}

/// Reads a list of the front matter: `key: [a, b]`, or one item on each line.
fn list(matter: &str, key: &str) -> Vec<String> {
    let mut lines = matter.lines().skip_while(|line| !line.starts_with(&format!("{key}:")));
    let Some(first) = lines.next() else { return Vec::new() };
    let inline = first.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let own = |item: &str| item.trim().to_owned();
    match inline {
        Some((items, _)) => items.split(',').map(own).collect(),
        None => lines.map_while(|line| line.trim().strip_prefix("- ").map(own)).collect(),
    }
}

fn negative(matter: &str) -> Option<(String, String)> {
    let (_, rest) = matter.split_once("negative:")?;
    let value = |key: &str| {
        let line = rest.lines().find_map(|line| line.trim().strip_prefix(key));
        line.map(|value| value.trim().to_owned())
    };
    Some((value("phase:")?, value("type:")?))
}
