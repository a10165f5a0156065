//! Makes page components. A page component is the engine's component with every embedded core
//! module replaced by an import, plus one small module that contains the page's bytecode.
//!
//! `wit-component` decided how the engine's modules are connected. That wiring is copied
//! section by section, so that all indices stay the same. wasmtime compiles the core modules
//! once, and every page shares them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use wasm_encoder as enc;
use wasmparser::{ExternalKind, Instance, Parser, Payload, TypeRef};

use sluice_aot::ALLOCATE;
use sluice_kit::hex::hex;

/// The custom section that names the engine for which a page component was built.
pub const ENGINE_SECTION: &str = "sluice:engine";
/// The custom section that contains the hash of the source of a page component.
pub const SOURCE_SECTION: &str = "sluice:source";

/// Why a component cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The engine has a form that this module does not know.
    #[error("the engine is not a WebAssembly component that Sluice can take apart: {0}")]
    Engine(#[from] EngineFault),
    /// The bytes are not valid WebAssembly.
    #[error(transparent)]
    Parse(#[from] wasmparser::BinaryReaderError),
    /// The component was built for another engine. Both are the first digits of a version.
    #[error(
        "the component was built for engine {found}, this host has {expected}: build it again with `sluice build`"
    )]
    EngineMismatch {
        /// The engine that the component names.
        found: String,
        /// The engine of this host.
        expected: String,
    },
    /// The bytecode is longer than a data segment can be.
    #[error("the script is larger than a component can hold")]
    TooLarge,
}

/// Whether `bytes` are a page component, for whatever engine.
pub fn is_page(bytes: &[u8]) -> bool {
    let mut payloads = Parser::new(0).parse_all(bytes).map_while(Result::ok);
    payloads
        .any(|payload| matches!(payload, Payload::CustomSection(section) if section.name() == ENGINE_SECTION))
}

/// What is wrong with the engine's component.
#[derive(Debug, thiserror::Error)]
pub enum EngineFault {
    /// The engine exports no allocator for the bytecode.
    #[error("no instance exports `{ALLOCATE}`")]
    NoAllocator,
    /// A core module imports something that is not a function, memory, table or global.
    #[error("it imports `{name}` as {kind:?}")]
    UnsupportedImport {
        /// The import's name in its module.
        name: String,
        /// What it is.
        kind: TypeRef,
    },
    /// A core module exports something that it does not define.
    #[error("its export `{0}` has no type")]
    UntypedExport(String),
    /// A function's type is not in the type section.
    #[error("a function has no type")]
    UntypedFunction,
    /// A type cannot be written into a page component.
    #[error("it uses a type that is not supported")]
    UnsupportedType,
    /// A section ends after the end of the file.
    #[error("a section is cut short")]
    TruncatedSection,
    /// More core modules than an index can count.
    #[error("it has too many modules")]
    TooManyModules,
}

/// The engine, taken apart.
pub struct EngineParts {
    /// The SHA-256 of `engine.wasm` in hexadecimal digits.
    pub version: String,
    /// The engine's core modules, in the order of their indices.
    pub(crate) modules: Vec<CoreModule>,
    /// A page component without its script.
    wiring: Vec<u8>,
    /// The index of the instance that exports [`ALLOCATE`] and the memory.
    main_instance: u32,
    /// The number of functions in the engine's table.
    pub(crate) table_functions: u32,
}

/// A core module of the engine.
pub(crate) struct CoreModule {
    /// The name under which pages import it.
    pub(crate) import_name: String,
    pub(crate) wasm: Vec<u8>,
}

impl EngineParts {
    /// Takes `engine.wasm` apart.
    ///
    /// # Errors
    /// The bytes are not a component of the form that `make guest` produces.
    pub fn new(engine_wasm: &[u8]) -> Result<Self, ComponentError> {
        let mut wiring = enc::Component::new();
        let mut modules: Vec<CoreModule> = Vec::new();
        let mut main = MainInstance::default();
        // Nested modules are replaced, and nested components are copied unread.
        let mut skip_until = 0;
        for payload in Parser::new(0).parse_all(engine_wasm) {
            let payload = payload?;
            if let Payload::ModuleSection { unchecked_range: range, .. } = &payload {
                if range.start >= skip_until {
                    skip_until = range.end;
                    let wasm = slice(engine_wasm, range.clone())?;
                    main.saw_module(wasm)?;
                    let index = section_index(modules.len())?;
                    let import_name = import_name(wasm);
                    swap_module(&mut wiring, wasm, &import_name, index)?;
                    modules.push(CoreModule { import_name, wasm: wasm.to_vec() });
                }
                continue;
            }
            let Some((id, range)) = payload.as_section() else { continue };
            if range.start < skip_until {
                continue;
            }
            if let Payload::ComponentSection { .. } = &payload {
                skip_until = range.end;
            }
            if let Payload::InstanceSection(section) = &payload {
                main.saw_instances(section.clone())?;
            }
            let data = slice(engine_wasm, range)?;
            wiring.section(&enc::RawSection { id, data });
        }
        Ok(Self {
            version: hex(&Sha256::digest(engine_wasm)),
            modules,
            wiring: wiring.finish(),
            main_instance: main.found()?,
            table_functions: main.table_functions,
        })
    }

    /// The component of a page. `bytecode` has the engine's own format, and `source_hash`
    /// identifies the sources that it was compiled from.
    ///
    /// # Errors
    /// [`ComponentError::TooLarge`].
    pub fn page(&self, bytecode: &[u8], source_hash: &str) -> Result<Vec<u8>, ComponentError> {
        self.page_with(&script_module_of(bytecode)?, source_hash)
    }

    /// The page component whose own module is `script`.
    pub(crate) fn page_with(&self, script: &[u8], source_hash: &str) -> Result<Vec<u8>, ComponentError> {
        let script_module = self.script_module()?;
        let mut tail = enc::Component::new();
        tail.section(&enc::RawSection { id: enc::ComponentSectionId::CoreModule.into(), data: script });
        let mut instances = enc::InstanceSection::new();
        instances.instantiate(script_module, [("engine", enc::ModuleArg::Instance(self.main_instance))]);
        tail.section(&instances);
        for (name, text) in [(ENGINE_SECTION, self.version.as_str()), (SOURCE_SECTION, source_hash)] {
            tail.section(&enc::CustomSection { name: name.into(), data: Cow::Borrowed(text.as_bytes()) });
        }
        let mut page = self.wiring.clone();
        append(&mut page, tail);
        Ok(page)
    }

    /// The index of a page's own module in its component.
    pub(crate) fn script_module(&self) -> Result<u32, ComponentError> {
        section_index(self.modules.len())
    }

    /// Rejects a page component that was built for another engine. A component that names no
    /// engine was built by other tools and contains all of its code.
    ///
    /// # Errors
    /// [`ComponentError::EngineMismatch`], or the bytes are not valid WebAssembly.
    pub(crate) fn check_engine(&self, component: &[u8]) -> Result<(), ComponentError> {
        match custom_section(component, ENGINE_SECTION)? {
            Some(found) if found != self.version => Err(ComponentError::EngineMismatch {
                found: shorten(&found),
                expected: shorten(&self.version),
            }),
            _ => Ok(()),
        }
    }
}

/// Appends the sections of `tail` to a component.
pub(crate) fn append(component: &mut Vec<u8>, tail: enc::Component) {
    component.extend_from_slice(tail.finish().get(enc::Component::HEADER.len()..).unwrap_or_default());
}

/// The bytecode in a component of [`EngineParts::page`].
pub fn bytecode_of(component: &[u8]) -> Option<&[u8]> {
    let mut bytecode = None;
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        if let Payload::DataSection(section) = payload {
            bytecode = section.into_iter().map_while(Result::ok).map(|data| data.data).last();
        }
    }
    bytecode
}

/// The text of the outermost custom section `name`.
fn custom_section(component: &[u8], name: &str) -> Result<Option<String>, ComponentError> {
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { .. } => depth = depth.saturating_add(1),
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 1 && section.name() == name => {
                return Ok(Some(String::from_utf8_lossy(section.data()).into_owned()));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Finds the instance that holds the engine's memory and allocator.
#[derive(Default)]
struct MainInstance {
    modules: u32,
    instances: u32,
    module: Option<u32>,
    instance: Option<u32>,
    table_functions: u32,
}

impl MainInstance {
    fn saw_module(&mut self, wasm: &[u8]) -> Result<(), ComponentError> {
        if exports(wasm, ALLOCATE)? {
            self.module = Some(self.modules);
            for payload in Parser::new(0).parse_all(wasm) {
                if let Payload::TableSection(section) = payload?
                    && let Some(table) = section.into_iter().next()
                {
                    self.table_functions = u32::try_from(table?.ty.initial).unwrap_or(u32::MAX);
                }
            }
        }
        self.modules += 1;
        Ok(())
    }

    fn saw_instances(
        &mut self,
        section: wasmparser::InstanceSectionReader<'_>,
    ) -> Result<(), ComponentError> {
        for instance in section {
            if let Instance::Instantiate { module_index, .. } = instance?
                && self.module == Some(module_index)
            {
                self.instance = Some(self.instances);
            }
            self.instances += 1;
        }
        Ok(())
    }

    fn found(&self) -> Result<u32, ComponentError> {
        Ok(self.instance.ok_or(EngineFault::NoAllocator)?)
    }
}

fn exports(wasm: &[u8], name: &str) -> Result<bool, ComponentError> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ExportSection(section) = payload? {
            for export in section {
                if export?.name == name {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Writes a core type and an import in place of an embedded module.
fn swap_module(out: &mut enc::Component, wasm: &[u8], name: &str, index: u32) -> Result<(), ComponentError> {
    let mut types = enc::CoreTypeSection::new();
    types.ty().module(&module_type(wasm)?);
    out.section(&types);
    let mut imports = enc::ComponentImportSection::new();
    imports.import(name, enc::ComponentTypeRef::Module(index));
    out.section(&imports);
    Ok(())
}

/// An import name that contains the hash of the module's bytes, so that a page can never be
/// linked with another engine.
fn import_name(wasm: &[u8]) -> String {
    format!("integrity=<sha256-{}>", BASE64.encode(Sha256::digest(wasm)))
}

/// The type of a core module: what it imports and exports.
fn module_type(wasm: &[u8]) -> Result<enc::ModuleType, ComponentError> {
    let mut module = ModuleTypeBuilder::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    module.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    module.import(import.module, import.name, import.ty)?;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    module.items.push(Item::Func(ty?));
                }
            }
            Payload::MemorySection(section) => {
                for ty in section {
                    module.items.push(Item::Memory(ty?));
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    module.items.push(Item::Table(table?.ty));
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    module.items.push(Item::Global(global?.ty));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    module.export(export.name, export.kind, export.index)?;
                }
            }
            _ => {}
        }
    }
    Ok(module.out)
}

#[derive(Clone, Copy)]
enum Item {
    Func(u32),
    Memory(wasmparser::MemoryType),
    Table(wasmparser::TableType),
    Global(wasmparser::GlobalType),
}

#[derive(Default)]
struct ModuleTypeBuilder {
    out: enc::ModuleType,
    out_types: u32,
    types: Vec<wasmparser::FuncType>,
    /// The index spaces of all kinds in one list, imports first.
    items: Vec<Item>,
}

impl ModuleTypeBuilder {
    fn import(&mut self, module: &str, name: &str, ty: TypeRef) -> Result<(), ComponentError> {
        let item = match ty {
            TypeRef::Func(ty) => Item::Func(ty),
            TypeRef::Memory(ty) => Item::Memory(ty),
            TypeRef::Table(ty) => Item::Table(ty),
            TypeRef::Global(ty) => Item::Global(ty),
            kind => return Err(EngineFault::UnsupportedImport { name: name.to_owned(), kind }.into()),
        };
        self.items.push(item);
        let entity = self.entity(item)?;
        self.out.import(module, name, entity);
        Ok(())
    }

    fn export(&mut self, name: &str, kind: ExternalKind, index: u32) -> Result<(), ComponentError> {
        let same_kind = |item: &&Item| match kind {
            ExternalKind::Func => matches!(item, Item::Func(_)),
            ExternalKind::Memory => matches!(item, Item::Memory(_)),
            ExternalKind::Table => matches!(item, Item::Table(_)),
            ExternalKind::Global => matches!(item, Item::Global(_)),
            _ => false,
        };
        let item = self.items.iter().filter(same_kind).nth(index as usize).copied();
        let item = item.ok_or_else(|| EngineFault::UntypedExport(name.to_owned()))?;
        let entity = self.entity(item)?;
        self.out.export(name, entity);
        Ok(())
    }

    fn entity(&mut self, item: Item) -> Result<enc::EntityType, ComponentError> {
        let unsupported = |_| EngineFault::UnsupportedType;
        Ok(match item {
            Item::Func(index) => {
                let ty = self.types.get(index as usize).ok_or(EngineFault::UntypedFunction)?;
                let encode = |types: &[wasmparser::ValType]| {
                    types.iter().map(|ty| enc::ValType::try_from(*ty)).collect::<Result<Vec<_>, _>>()
                };
                let params = encode(ty.params()).map_err(unsupported)?;
                let results = encode(ty.results()).map_err(unsupported)?;
                self.out.ty().function(params, results);
                self.out_types += 1;
                enc::EntityType::Function(self.out_types - 1)
            }
            Item::Memory(ty) => enc::EntityType::Memory(ty.into()),
            Item::Table(ty) => enc::EntityType::Table(ty.try_into().map_err(unsupported)?),
            Item::Global(ty) => enc::EntityType::Global(ty.try_into().map_err(unsupported)?),
        })
    }
}

/// A module whose start function asks the engine for memory and copies the bytecode there
/// from a passive data segment.
fn script_module_of(bytecode: &[u8]) -> Result<Vec<u8>, ComponentError> {
    let length = i32::try_from(bytecode.len()).map_err(|_| ComponentError::TooLarge)?;
    let mut module = enc::Module::new();
    let mut types = enc::TypeSection::new();
    types.ty().function([enc::ValType::I32], [enc::ValType::I32]);
    types.ty().function([], []);
    module.section(&types);
    let mut imports = enc::ImportSection::new();
    let memory =
        enc::MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
    imports.import("engine", "memory", memory);
    imports.import("engine", ALLOCATE, enc::EntityType::Function(0));
    module.section(&imports);
    let mut functions = enc::FunctionSection::new();
    functions.function(1);
    module.section(&functions);
    module.section(&enc::StartSection { function_index: 1 });
    module.section(&enc::DataCountSection { count: 1 });
    let mut code = enc::CodeSection::new();
    let mut start = enc::Function::new([]);
    start.instructions().i32_const(length).call(0).i32_const(0).i32_const(length).memory_init(0, 0).end();
    code.function(&start);
    module.section(&code);
    let mut data = enc::DataSection::new();
    data.passive(bytecode.iter().copied());
    module.section(&data);
    Ok(module.finish())
}

fn slice(bytes: &[u8], range: std::ops::Range<usize>) -> Result<&[u8], ComponentError> {
    Ok(bytes.get(range).ok_or(EngineFault::TruncatedSection)?)
}

fn section_index(count: usize) -> Result<u32, ComponentError> {
    Ok(u32::try_from(count).map_err(|_| EngineFault::TooManyModules)?)
}

fn shorten(version: &str) -> String {
    version.chars().take(12).collect()
}
