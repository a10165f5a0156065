//! Page components: the engine's component with every embedded core module
//! turned into an import, plus one small module that carries the bytecode.
//!
//! `wit-component` decided how the engine's modules are wired; that wiring is
//! copied section by section, so that indices stay what they are. wasmtime
//! compiles the core modules once and every page shares them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use wasm_encoder as enc;
use wasmparser::{ExternalKind, Instance, Parser, Payload, TypeRef};

use sluice_kit::hex::hex;

/// Names the engine that a page component was built for.
pub const ENGINE_SECTION: &str = "sluice:engine";
/// Names the source a page component was built from.
pub const SOURCE_SECTION: &str = "sluice:source";
/// The engine's function that makes room for the bytecode.
const ALLOCATE: &str = "script_alloc";

#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    #[error("the engine is not a WebAssembly component that Sluice can take apart: {0}")]
    Engine(String),
    #[error(transparent)]
    Parse(#[from] wasmparser::BinaryReaderError),
    #[error(
        "the component was built for engine {found}, this host has {expected}: build it again with `sluice build`"
    )]
    EngineMismatch { found: String, expected: String },
    #[error("the script is larger than a component can hold")]
    TooLarge,
}

/// The engine, taken apart.
pub struct EngineParts {
    /// SHA-256 of `engine.wasm`, hexadecimal.
    pub version: String,
    pub modules: Vec<CoreModule>,
    /// Everything of a page component but its script.
    wiring: Vec<u8>,
    /// Index of the instance that exports [`ALLOCATE`] and the memory.
    main_instance: u32,
}

/// A core module of the engine, under the name by which pages import it.
pub struct CoreModule {
    pub import_name: String,
    pub wasm: Vec<u8>,
}

impl EngineParts {
    /// Takes `engine.wasm` apart.
    pub fn new(engine_wasm: &[u8]) -> Result<Self, ComponentError> {
        let mut wiring = enc::Component::new();
        let mut modules: Vec<CoreModule> = Vec::new();
        let mut main = MainInstance::default();
        // Nested modules and components are copied or swapped whole.
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
        })
    }

    /// The component of a page. `bytecode` is the engine's own format;
    /// `source_hash` identifies what it was compiled from.
    pub fn page(&self, bytecode: &[u8], source_hash: &str) -> Result<Vec<u8>, ComponentError> {
        let script_module = section_index(self.modules.len())?;
        let mut tail = enc::Component::new();
        let script = script_module_of(bytecode)?;
        tail.section(&enc::RawSection { id: enc::ComponentSectionId::CoreModule.into(), data: &script });
        let mut instances = enc::InstanceSection::new();
        instances.instantiate(script_module, [("engine", enc::ModuleArg::Instance(self.main_instance))]);
        tail.section(&instances);
        for (name, text) in [(ENGINE_SECTION, self.version.as_str()), (SOURCE_SECTION, source_hash)] {
            tail.section(&enc::CustomSection { name: name.into(), data: Cow::Borrowed(text.as_bytes()) });
        }
        let mut page = self.wiring.clone();
        page.extend_from_slice(tail.finish().get(enc::Component::HEADER.len()..).unwrap_or_default());
        Ok(page)
    }

    /// Refuses a page component that was built for another engine. A component
    /// that does not name one was built elsewhere and brings its own code.
    pub fn check_engine(&self, component: &[u8]) -> Result<(), ComponentError> {
        match custom_section(component, ENGINE_SECTION)? {
            Some(found) if found != self.version => Err(ComponentError::EngineMismatch {
                found: shorten(&found),
                expected: shorten(&self.version),
            }),
            _ => Ok(()),
        }
    }
}

/// The text of the outermost custom section `name`.
pub fn custom_section(component: &[u8], name: &str) -> Result<Option<String>, ComponentError> {
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
}

impl MainInstance {
    fn saw_module(&mut self, wasm: &[u8]) -> Result<(), ComponentError> {
        if exports(wasm, ALLOCATE)? {
            self.module = Some(self.modules);
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
        self.instance.ok_or_else(|| ComponentError::Engine(format!("no instance exports `{ALLOCATE}`")))
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

/// A core type and an import at the place where the module was embedded.
fn swap_module(out: &mut enc::Component, wasm: &[u8], name: &str, index: u32) -> Result<(), ComponentError> {
    let mut types = enc::CoreTypeSection::new();
    types.ty().module(&module_type(wasm)?);
    out.section(&types);
    let mut imports = enc::ComponentImportSection::new();
    imports.import(name, enc::ComponentTypeRef::Module(index));
    out.section(&imports);
    Ok(())
}

/// An import name that says which bytes are meant, so that a page can never be
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
    /// Index spaces in order, imports first, all kinds in one list.
    items: Vec<Item>,
}

impl ModuleTypeBuilder {
    fn import(&mut self, module: &str, name: &str, ty: TypeRef) -> Result<(), ComponentError> {
        let item = match ty {
            TypeRef::Func(ty) => Item::Func(ty),
            TypeRef::Memory(ty) => Item::Memory(ty),
            TypeRef::Table(ty) => Item::Table(ty),
            TypeRef::Global(ty) => Item::Global(ty),
            other => return Err(ComponentError::Engine(format!("it imports `{name}` as {other:?}"))),
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
        let item = item.ok_or_else(|| ComponentError::Engine(format!("its export `{name}` has no type")))?;
        let entity = self.entity(item)?;
        self.out.export(name, entity);
        Ok(())
    }

    fn entity(&mut self, item: Item) -> Result<enc::EntityType, ComponentError> {
        let unsupported = |_| ComponentError::Engine("it uses a type that is not supported".into());
        Ok(match item {
            Item::Func(index) => {
                let missing = || ComponentError::Engine("a function has no type".into());
                let ty = self.types.get(index as usize).ok_or_else(missing)?;
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

/// A module whose start function asks the engine for room and copies the
/// bytecode there from a passive data segment.
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
    bytes.get(range).ok_or_else(|| ComponentError::Engine("a section is cut short".into()))
}

fn section_index(count: usize) -> Result<u32, ComponentError> {
    u32::try_from(count).map_err(|_| ComponentError::Engine("it has too many modules".into()))
}

fn shorten(version: &str) -> String {
    version.chars().take(12).collect()
}
