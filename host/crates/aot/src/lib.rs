//! Compiles bytecode of QuickJS to WebAssembly functions, which become part of a page's component.
//!
//! Functions, and instructions, that are not compiled are left to the interpreter. `docs/decisions` says why
//! this is so.

mod decode;
mod emit;
mod kinds;
mod layout;
mod memory;
mod nesting;
mod ops;
mod read;
mod runtime;

use wasm_encoder as enc;
use wasm_encoder::ValType;

use decode::Block;
pub use decode::Stress;
use emit::{Body, Compiler};
use read::Function;
use runtime::Needs;

/// The engine's function that allocates memory for the bytecode.
const ALLOCATE: &str = "script_alloc";

/// A page's module with compiled functions.
pub struct Compiled {
    /// The module.
    pub module: Vec<u8>,
    /// How many functions are compiled.
    pub functions: usize,
    /// How many could be.
    pub of_functions: usize,
    /// The bytes of bytecode that are compiled.
    pub bytecode_bytes: usize,
}

struct Candidate<'a> {
    function: &'a Function,
    blocks: Vec<Block>,
}

/// Compiles what can be compiled of a page. `table_base` is the number of functions in the engine's table.
/// `None` if nothing can be.
pub fn compile(blob: &[u8], table_base: u32, stress: Stress) -> Option<Compiled> {
    let units = read::units(blob)?;
    let all = units.iter().flat_map(|unit| &unit.functions);
    let of_functions = all.clone().count();
    let mut candidates: Vec<Candidate<'_>> = all
        .filter_map(|function| {
            let code = blob.get(function.code.clone())?;
            let blocks = nesting::order(decode::blocks(function, code, stress)?)?;
            Some(Candidate { function, blocks })
        })
        .collect();
    let mut needs = Needs::new(table_base, candidates.len());
    // The first time, only to find out what can be compiled.
    let mut number = 0;
    candidates.retain(|candidate| {
        let mut trial = needs.clone();
        let compiled = Compiler::new(candidate.function, &candidate.blocks, number, &mut trial, 0)
            .and_then(Compiler::compile);
        if compiled.is_some() {
            needs = trial;
            number += 1;
        }
        compiled.is_some()
    });
    if candidates.is_empty() {
        return None;
    }
    let is_async: Vec<bool> = candidates.iter().map(|candidate| candidate.function.is_async).collect();
    needs.number(1, &is_async);

    let mut patched = blob.to_vec();
    for (candidate, number) in candidates.iter().zip(0..) {
        let at = candidate.function.number_at;
        patched.get_mut(at..at + 4)?.copy_from_slice(&needs.number_of(number).to_le_bytes());
    }
    for unit in &units {
        let bytes = patched.get_mut(unit.bytes.clone())?;
        let sum = read::checksum(bytes.get(5..)?);
        bytes.get_mut(1..5)?.copy_from_slice(&sum.to_le_bytes());
    }
    let bytecode_bytes = candidates.iter().map(|candidate| candidate.function.code.len()).sum();
    let functions = candidates.len();
    let module = Module::default().build(&candidates, needs, &patched)?;
    Some(Compiled { module, functions, of_functions, bytecode_bytes })
}

#[derive(Default)]
struct Module {
    types: Vec<(Vec<ValType>, Vec<ValType>)>,
}

impl Module {
    fn ty(&mut self, params: &[ValType], result: Option<ValType>) -> u32 {
        let ty = (params.to_vec(), result.into_iter().collect::<Vec<_>>());
        let index = self.types.iter().position(|known| *known == ty).unwrap_or_else(|| {
            self.types.push(ty);
            self.types.len() - 1
        });
        u32::try_from(index).unwrap_or(0)
    }

    fn build(mut self, candidates: &[Candidate<'_>], mut needs: Needs, blob: &[u8]) -> Option<Vec<u8>> {
        let (i32, i64) = (ValType::I32, ValType::I64);
        let length = i32::try_from(blob.len()).ok()?;
        let entry_type = self.ty(&[i32, i64, i64, i32, i32], Some(i64));
        needs.entry_type = entry_type;
        let mut imports = enc::ImportSection::new();
        let memory = enc::MemoryType {
            minimum: 0,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        };
        imports.import("engine", "memory", memory);
        let alloc = self.ty(&[i32], Some(i32));
        imports.import("engine", ALLOCATE, enc::EntityType::Function(alloc));
        for helper in needs.helpers() {
            let (name, params, result) = helper.signature();
            let ty = self.ty(params, result);
            imports.import("engine", name, enc::EntityType::Function(ty));
        }
        let pointer = enc::GlobalType { val_type: i32, mutable: true, shared: false };
        imports.import("engine", "__stack_pointer", pointer);
        let table = enc::TableType {
            element_type: enc::RefType::FUNCREF,
            table64: false,
            minimum: 0,
            maximum: None,
            shared: false,
        };
        imports.import("engine", "__indirect_function_table", table);

        let mut functions = enc::FunctionSection::new();
        let mut code = enc::CodeSection::new();
        for routine in needs.routines() {
            let (params, result) = routine.signature();
            functions.function(self.ty(params, result));
            let (locals, bytes) = runtime::code(routine, &mut needs);
            code.function(&function(locals, &bytes));
        }
        let mut sites = 0;
        let mut entries = Vec::new();
        for (candidate, number) in candidates.iter().zip(0..) {
            let function_ = candidate.function;
            let compiler = Compiler::new(function_, &candidate.blocks, number, &mut needs, sites)?;
            let Body { locals, code: bytes, sites: more } = compiler.compile()?;
            sites += more;
            let body = needs.body(number);
            if function_.is_async {
                functions.function(entry_type);
                code.function(&function(locals, &bytes));
                entries.push(body);
                continue;
            }
            let mut params = vec![i32, i64, i64];
            params.extend(vec![i64; function_.args as usize]);
            functions.function(self.ty(&params, Some(i64)));
            code.function(&function(locals, &bytes));
            functions.function(entry_type);
            code.function(&entry(function_.args, body));
            entries.push(body + 1);
        }
        let start = needs.body(u32::try_from(candidates.len()).ok()?.checked_sub(1)?)
            + if candidates.last()?.function.is_async { 1 } else { 2 };
        functions.function(self.ty(&[], None));
        let site_bytes = i32::try_from(sites * layout::SITE_BYTES).ok()?;
        let count = i32::try_from(entries.len()).ok()?;
        let base = needs.number_of(0);
        let mut body = enc::Function::new([(1, i32)]);
        let mut s = body.instructions();
        // The places that cache properties are zero. The engine takes what it allocated last as the bytecode.
        if site_bytes > 0 {
            s.i32_const(site_bytes).i32_const(8).i32_add().call(0).i32_const(7).i32_add();
            s.i32_const(-8).i32_and().global_set(1);
        }
        s.i32_const(length).call(0).i32_const(0).i32_const(length).memory_init(0, 0);
        s.ref_null(enc::HeapType::FUNC).i32_const(count).table_grow(0).drop();
        s.i32_const(base).i32_const(0).i32_const(count).table_init(0, 0).end();
        code.function(&body);

        let mut types = enc::TypeSection::new();
        for (params, results) in &self.types {
            types.ty().function(params.clone(), results.clone());
        }
        let mut globals = enc::GlobalSection::new();
        globals.global(pointer, &enc::ConstExpr::i32_const(0));
        let mut elements = enc::ElementSection::new();
        elements.passive(enc::Elements::Functions(entries.into()));
        let mut data = enc::DataSection::new();
        data.passive(blob.iter().copied());
        let mut module = enc::Module::new();
        module.section(&types);
        module.section(&imports);
        module.section(&functions);
        module.section(&globals);
        module.section(&enc::StartSection { function_index: start });
        module.section(&elements);
        module.section(&enc::DataCountSection { count: 1 });
        module.section(&code);
        module.section(&data);
        Some(module.finish())
    }
}

fn function(locals: Vec<(u32, ValType)>, code: &[u8]) -> enc::Function {
    let mut function = enc::Function::new(locals);
    function.raw(code.iter().copied());
    function.instructions().end();
    function
}

/// The function in the table: takes the arguments from memory. Missing ones are undefined.
fn entry(args: u32, body: u32) -> enc::Function {
    let mut function = enc::Function::new([]);
    let mut s = function.instructions();
    s.local_get(0).local_get(1).local_get(2);
    for index in 0..args {
        s.local_get(4).i64_load(memory::i64_at(8 * u64::from(index)));
        s.i64_const(layout::UNDEFINED.cast_signed());
        s.local_get(3).i32_const(index.cast_signed()).i32_gt_s().select();
    }
    s.call(body).end();
    function
}
