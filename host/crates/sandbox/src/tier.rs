//! Decides which pages are compiled to WebAssembly functions, and which the engine interprets.
//!
//! The choice depends on the page and on the settings only, and never on how often the page is used: the same
//! page uses the same fuel from its first run on.

use wasm_encoder as enc;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use sluice_aot::Stress;

use crate::Sandbox;
use crate::cache::CacheKey;
use crate::component::{ComponentError, EngineParts, append};

/// What a component with compiled functions exports.
const COMPILED_EXPORT: &str = "compiled";
/// Part of the code cache's keys. Increase it when the same bytecode gets other functions.
const FORMAT: &[u8] = b"1";

/// How scripts are executed.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum TierChoice {
    /// The engine interprets all scripts.
    #[default]
    Interpreter,
    /// Every function that can be is compiled to WebAssembly. What cannot be is interpreted.
    Compiled,
    /// Scripts that have a loop or a function are compiled, the others are interpreted: they would not be
    /// faster.
    Auto,
}

/// How the script of a page is executed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tier {
    /// The engine interprets it.
    #[default]
    Interpreter,
    /// At least one of its functions is compiled.
    Compiled,
}

impl Tier {
    /// `interpreter` or `compiled`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interpreter => "interpreter",
            Self::Compiled => "compiled",
        }
    }

    pub(crate) fn of(component: &Component, engine: &Engine) -> Self {
        match component.component_type().get_export(engine, COMPILED_EXPORT).map(|export| export.ty) {
            Some(ComponentItem::Module(_)) => Self::Compiled,
            _ => Self::Interpreter,
        }
    }
}

/// A page as a WebAssembly component.
pub struct PageComponent {
    /// The component.
    pub component: Vec<u8>,
    /// What is compiled; `None` if the whole page is interpreted.
    pub compiled: Option<CompiledFunctions>,
}

/// How much of a page is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompiledFunctions {
    /// The functions that are compiled, the body of the page included.
    pub functions: usize,
    /// All functions of the page and of its modules.
    pub of_functions: usize,
}

impl Sandbox {
    /// Makes the component of a page. `bytecode` has the engine's own format, and `source_hash` identifies the
    /// sources that it was compiled from.
    ///
    /// # Errors
    /// [`ComponentError::TooLarge`].
    pub fn page(&self, bytecode: &[u8], source_hash: &str) -> Result<PageComponent, ComponentError> {
        let is_worth_it = match self.tier {
            TierChoice::Interpreter => false,
            TierChoice::Compiled => true,
            TierChoice::Auto => sluice_aot::can_repeat(bytecode),
        };
        if is_worth_it
            && let Some(compiled) = self.parts.compiled_page(bytecode, source_hash, Stress::default())?
        {
            return Ok(compiled);
        }
        Ok(PageComponent { component: self.parts.page(bytecode, source_hash)?, compiled: None })
    }
}

impl EngineParts {
    /// Like [`EngineParts::page`], with functions that are compiled to WebAssembly. `None` if none of the
    /// page's functions can be.
    ///
    /// # Errors
    /// [`ComponentError::TooLarge`].
    pub fn compiled_page(
        &self,
        bytecode: &[u8],
        source_hash: &str,
        stress: Stress,
    ) -> Result<Option<PageComponent>, ComponentError> {
        let Some(compiled) = sluice_aot::compile(bytecode, self.table_functions, stress) else {
            return Ok(None);
        };
        let mut component = self.page_with(&compiled.module, source_hash)?;
        let mut exports = enc::ComponentExportSection::new();
        exports.export(COMPILED_EXPORT, enc::ComponentExportKind::Module, self.script_module()?, None);
        let mut tail = enc::Component::new();
        tail.section(&exports);
        append(&mut component, tail);
        let compiled =
            CompiledFunctions { functions: compiled.functions, of_functions: compiled.of_functions };
        Ok(Some(PageComponent { component, compiled: Some(compiled) }))
    }
}

/// Identifies everything that the machine code of a page depends on besides its source.
pub(crate) fn page_code_id(code_id: CacheKey, choice: TierChoice) -> CacheKey {
    match choice {
        TierChoice::Interpreter => code_id,
        TierChoice::Compiled => CacheKey::of([b"compiled".as_slice(), code_id.as_bytes(), FORMAT]),
        TierChoice::Auto => CacheKey::of([b"auto".as_slice(), code_id.as_bytes(), FORMAT]),
    }
}
