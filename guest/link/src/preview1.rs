//! Replaces the guest's imports from WASI preview 1 with the functions of adapter.wat, which it
//! merges into the guest's module.
//!
//! `wit-component` can do this with an adapter in a separate module. Merging saves the instantiation
//! of one core module in every run, and calls from the guest are direct.

use anyhow::{Context as _, Result, bail, ensure};
use std::collections::HashMap;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{CodeSection, FunctionSection, ImportSection, Module, TypeSection};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, Validator};

const PREVIEW1: &str = "wasi_snapshot_preview1";
const ADAPTER: &str = include_str!("adapter.wat");

pub fn link(guest: &[u8]) -> Result<Vec<u8>> {
    let adapter = wat::parse_str(ADAPTER).context("adapter.wat")?;
    merge(guest, &adapter)
}

/// The function index space of the result contains, in this order: the guest's other imports, the
/// adapter's imports, the guest's functions, the adapter's functions. The type index space contains
/// the guest's types, then the adapter's. All other indices stay the same.
fn merge(guest: &[u8], adapter: &[u8]) -> Result<Vec<u8>> {
    let guest_shape = Shape::read(guest).context("the guest")?;
    let adapter_shape = Shape::read(adapter).context("adapter.wat")?;
    ensure!(guest_shape.memories == 1, "the guest needs one memory of its own");

    let kept = guest_shape.imports.iter().filter(|import| import.module != PREVIEW1).count();
    let guest_functions_start = kept + adapter_shape.imports.len();
    let adapter_functions_start = guest_functions_start + guest_shape.functions();

    let mut adapter_functions = Vec::new();
    adapter_functions.extend(kept..guest_functions_start);
    adapter_functions.extend((0..adapter_shape.functions()).map(|i| adapter_functions_start + i));

    let mut guest_functions = Vec::new();
    let mut kept_so_far = 0;
    for import in &guest_shape.imports {
        if import.module == PREVIEW1 {
            let stand_in = adapter_shape.stand_in(&guest_shape, import)?;
            guest_functions.push(adapter_functions[stand_in]);
        } else {
            guest_functions.push(kept_so_far);
            kept_so_far += 1;
        }
    }
    guest_functions.extend((0..guest_shape.functions()).map(|i| guest_functions_start + i));

    let mut merged = Module::new();
    GuestEncoder {
        functions: guest_functions,
        adapter: AdapterEncoder { functions: adapter_functions, first_type: guest_shape.types.len() },
        adapter_bytes: adapter,
    }
    .parse_core_module(&mut merged, Parser::new(0), guest)?;

    let merged = merged.finish();
    Validator::new().validate_all(&merged).context("the merged module is not valid")?;
    Ok(merged)
}

/// The properties of a module that the merge needs.
#[derive(Default)]
struct Shape<'a> {
    types: Vec<FuncType>,
    imports: Vec<FunctionImport<'a>>,
    /// The type of every function, imports first.
    function_types: Vec<u32>,
    exports: HashMap<&'a str, usize>,
    memories: usize,
}

struct FunctionImport<'a> {
    module: &'a str,
    name: &'a str,
    type_index: u32,
}

impl<'a> Shape<'a> {
    fn read(module: &'a [u8]) -> Result<Self> {
        let mut shape = Shape::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => {
                    for function_type in section.into_iter_err_on_gc_types() {
                        shape.types.push(function_type?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        if let TypeRef::Func(type_index) = import.ty {
                            let (module, name) = (import.module, import.name);
                            shape.imports.push(FunctionImport { module, name, type_index });
                            shape.function_types.push(type_index);
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for type_index in section {
                        shape.function_types.push(type_index?);
                    }
                }
                Payload::MemorySection(section) => shape.memories += section.count() as usize,
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            shape.exports.insert(export.name, export.index as usize);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(shape)
    }

    /// The number of functions that the module defines.
    fn functions(&self) -> usize {
        self.function_types.len() - self.imports.len()
    }

    /// In an adapter: returns its function for an import of the guest.
    fn stand_in(&self, guest: &Shape<'_>, import: &FunctionImport<'_>) -> Result<usize> {
        let name = import.name;
        let Some(&function) = self.exports.get(name) else {
            bail!("the guest imports `{name}` of {PREVIEW1}, which adapter.wat does not have");
        };
        let wanted = &guest.types[import.type_index as usize];
        let offered = &self.types[self.function_types[function] as usize];
        ensure!(wanted == offered, "`{name}` is {offered} in adapter.wat, but the guest wants {wanted}");
        Ok(function)
    }
}

type Encoded<T = ()> = Result<T, reencode::Error>;

/// Copies the guest with new function indices, and appends the adapter's sections to the guest's.
struct GuestEncoder<'a> {
    /// The new index of each function, by its old index.
    functions: Vec<usize>,
    adapter: AdapterEncoder,
    adapter_bytes: &'a [u8],
}

impl Reencode for GuestEncoder<'_> {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Encoded<u32> {
        Ok(self.functions[function as usize] as u32)
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Encoded {
        utils::parse_type_section(self, types, section)?;
        for payload in Parser::new(0).parse_all(self.adapter_bytes) {
            if let Payload::TypeSection(section) = payload? {
                self.adapter.parse_type_section(types, section)?;
            }
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Encoded {
        for import in section.into_imports() {
            let import = import?;
            if import.module != PREVIEW1 {
                self.parse_import(imports, import)?;
            }
        }
        for payload in Parser::new(0).parse_all(self.adapter_bytes) {
            let Payload::ImportSection(section) = payload? else {
                continue;
            };
            for import in section.into_imports() {
                let import = import?;
                // The adapter uses the guest's memory, so nothing is imported.
                if !matches!(import.ty, TypeRef::Memory(_)) {
                    self.adapter.parse_import(imports, import)?;
                }
            }
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Encoded {
        utils::parse_function_section(self, functions, section)?;
        for payload in Parser::new(0).parse_all(self.adapter_bytes) {
            if let Payload::FunctionSection(section) = payload? {
                self.adapter.parse_function_section(functions, section)?;
            }
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Encoded {
        utils::parse_code_section(self, code, section)?;
        for payload in Parser::new(0).parse_all(self.adapter_bytes) {
            if let Payload::CodeSectionEntry(body) = payload? {
                self.adapter.parse_function_body(code, body)?;
            }
        }
        Ok(())
    }

    /// Drops the names. They would have to be sorted by the new indices, and a release build has none.
    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Encoded {
        if section.name() == "name" {
            return Ok(());
        }
        utils::parse_custom_section(self, module, section)
    }
}

struct AdapterEncoder {
    functions: Vec<usize>,
    first_type: usize,
}

impl Reencode for AdapterEncoder {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Encoded<u32> {
        Ok(self.functions[function as usize] as u32)
    }

    fn type_index(&mut self, type_index: u32) -> Encoded<u32> {
        Ok(self.first_type as u32 + type_index)
    }
}

#[cfg(test)]
mod tests;
