//! How an `import` finds its module, at compile time and in a run.
//!
//! QuickJS resolves the imports of a module when it loads the module, so the loader must be able to
//! return every dependency, cycles included. A module's name in QuickJS is the author's file, because
//! stack traces show it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::{Declared, WriteOptions};
use rquickjs::{Ctx, Error, Exception, Module, Promise, Result, Value, qjs};

use crate::exports::sluice::page::compiler::Missing;

/// The module that checks the linking of a page without evaluating it.
pub const LINK_PROBE: &str = "sluice:link";
/// The name of the page in the link probe.
pub const PAGE: &str = "sluice:page";
/// An empty module that only the link probe can import.
pub const NOTHING: &str = "sluice:nothing";

/// The modules that can be imported. They are not in a `HashMap`, because its random seed would become
/// part of the snapshot.
#[derive(Default)]
pub struct Graph {
    /// The page's file.
    page: Option<String>,
    /// Maps import codes to files. The page has a code only if a module imports it.
    files: BTreeMap<String, String>,
    bodies: BTreeMap<String, Body>,
    /// Whether imports may load modules. `import()` happens later, and must not.
    pub linking: bool,
    pub missing: Vec<Missing>,
    /// Maps files to their compiled bytecode.
    compiled: BTreeMap<String, Vec<u8>>,
}

pub enum Body {
    Source(String),
    Bytecode(&'static [u8]),
}

thread_local! {
    static GRAPH: RefCell<Graph> = RefCell::new(Graph::default());
}

impl Graph {
    /// Adds a module. The page comes first. If modules import it, it comes again, and then only gets
    /// a code.
    pub fn add(&mut self, code: &str, file: &str, body: Body) {
        if self.page.is_none() {
            self.page = Some(file.to_owned());
        } else {
            self.files.insert(code.to_owned(), file.to_owned());
        }
        self.bodies.entry(file.to_owned()).or_insert(body);
    }

    /// Returns the file and the source of the page, before anything is compiled.
    pub fn take_page_source(&mut self) -> Option<(String, String)> {
        let file = self.page.clone()?;
        match self.bodies.remove(&file)? {
            Body::Source(source) => Some((file, source)),
            Body::Bytecode(_) => None,
        }
    }

    /// Returns code, file and bytecode of each compiled module, in the order that [`Graph::add`] needs
    /// in a run: the page first, and the bytecode of a file with its first code.
    pub fn index(&mut self) -> Vec<(String, String, Vec<u8>)> {
        let page = self.page.iter().map(|file| (String::new(), file.clone()));
        let modules = self.files.iter().map(|(code, file)| (code.clone(), file.clone()));
        let mut index = Vec::new();
        for (code, file) in page.chain(modules) {
            let bytecode = self.compiled.remove(&file).unwrap_or_default();
            index.push((code, file, bytecode));
        }
        index
    }

    pub fn knows(&self, file: &str) -> bool {
        self.bodies.contains_key(file)
    }
}

/// Runs `f` on the graph. `f` must not run JavaScript, which may need the graph.
pub fn with_graph<R>(f: impl FnOnce(&mut Graph) -> R) -> R {
    GRAPH.with(|graph| f(&mut graph.borrow_mut()))
}

/// Returns the code of an import: `app`, `app.js`, `./app` and `../app.js` all name module `app`.
fn code_of(specifier: &str) -> &str {
    let mut code = specifier;
    while let Some(rest) = code.strip_prefix("./").or_else(|| code.strip_prefix("../")) {
        code = rest;
    }
    code.strip_suffix(".js").unwrap_or(code)
}

pub struct PageResolver;

impl Resolver for PageResolver {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        with_graph(|graph| {
            if !graph.linking {
                return None;
            }
            if base == LINK_PROBE {
                return if name == PAGE { graph.page.clone() } else { Some(name.to_owned()) };
            }
            let code = code_of(name);
            if let Some(file) = graph.files.get(code) {
                return Some(file.clone());
            }
            graph.missing.push(Missing {
                importer: base.to_owned(),
                specifier: name.to_owned(),
                code: code.to_owned(),
            });
            Some(format!("sluice:missing/{code}"))
        })
        .ok_or_else(|| {
            Exception::throw_type(ctx, "import() is not available: import modules at the top of the script")
        })
    }
}

pub struct PageLoader;

impl Loader for PageLoader {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        match with_graph(|graph| graph.bodies.remove(name)) {
            Some(Body::Source(source)) => compile_module(ctx, name, source),
            Some(Body::Bytecode(bytecode)) => {
                with_graph(|graph| graph.bodies.insert(name.to_owned(), Body::Bytecode(bytecode)));
                // SAFETY: QuickJS does not verify bytecode. Invalid bytecode can only damage this
                // sandbox, which belongs to the author of the bytecode.
                unsafe { Module::load(ctx.clone(), bytecode) }
            }
            // An empty module lets QuickJS continue with the other imports.
            None => Module::declare(ctx.clone(), name, ""),
        }
    }
}

/// Links and starts the page's module. The returned promise settles when the module has finished.
///
/// `Module::import` would create several more objects, and each page of the snapshot that a run writes
/// is restored afterwards.
pub fn start<'js>(ctx: &Ctx<'js>, bytecode: &'static [u8]) -> Result<Promise<'js>> {
    let raw = ctx.as_raw().as_ptr();
    let flags = (qjs::JS_READ_OBJ_BYTECODE | qjs::JS_READ_OBJ_ROM_DATA) as i32;
    // SAFETY: the context is alive, and `bytecode` is never freed. QuickJS does not verify bytecode, but
    // invalid bytecode can only damage this sandbox, which belongs to its author. `module` is not an
    // exception, so `JS_ResolveModule` accepts it and `JS_EvalFunction` consumes it.
    let done = unsafe {
        let module = qjs::JS_ReadObject(raw, bytecode.as_ptr(), bytecode.len() as _, flags);
        if qjs::JS_IsException(module) || qjs::JS_ResolveModule(raw, module) < 0 {
            return Err(Error::Exception);
        }
        let done = qjs::JS_EvalFunction(raw, module);
        if qjs::JS_IsException(done) {
            return Err(Error::Exception);
        }
        Value::from_raw(ctx.clone(), done)
    };
    done.into_promise().ok_or(Error::Unknown)
}

/// Compiles one module, and its imports through the loader.
pub fn compile_module<'js>(ctx: &Ctx<'js>, file: &str, source: String) -> Result<Module<'js, Declared>> {
    // Keeps the file known for positions in messages. QuickJS requests the source only once.
    with_graph(|graph| graph.bodies.insert(file.to_owned(), Body::Bytecode(&[])));
    let module = Module::declare(ctx.clone(), file, source)?;
    let bytecode = module.write(WriteOptions { strip_source: true, ..WriteOptions::default() })?;
    with_graph(|graph| graph.compiled.insert(file.to_owned(), bytecode));
    Ok(module)
}
