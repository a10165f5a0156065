//! The pages that are measured, compiled with the host's own code.

use sluice_limits::Limits;
use sluice_page::PageSource;
use sluice_page::modules::{ModuleSource, UnreadableModule};
use sluice_sandbox::{Sandbox, Script};
use sluice_text::source::Source;

pub(crate) struct Page {
    /// The name of the page's group.
    pub name: &'static str,
    pub html: &'static str,
}

impl Page {
    fn source(&self) -> PageSource {
        let file = format!("pages/{}.html", self.name);
        PageSource::new(Source { file, text: self.html.to_owned() }).expect("the page parses")
    }

    /// The script that the sandbox compiles, for native QuickJS.
    pub(crate) fn javascript(&self) -> String {
        self.source().script.expect("the page has a script").script.to_string()
    }

    /// Compiles the source to bytecode and then to a page component.
    pub(crate) async fn component(&self, sandbox: &Sandbox) -> Vec<u8> {
        let built = self
            .source()
            .build(sandbox, &NoModules, &Limits::default(), "")
            .await
            .expect("the page compiles");
        built.expect("the page has a script").component
    }

    pub(crate) async fn script(&self, sandbox: &Sandbox) -> Script {
        sandbox.load(&self.component(sandbox).await).expect("the component loads")
    }
}

/// The measured pages import nothing.
struct NoModules;

impl ModuleSource for NoModules {
    fn module(&self, _code: &str) -> Option<Result<Source, UnreadableModule>> {
        None
    }

    fn module_codes(&self) -> Vec<String> {
        Vec::new()
    }
}
