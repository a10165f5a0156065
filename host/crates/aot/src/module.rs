//! The page's module: the bytecode, and the functions that it is compiled to.

use wasm_encoder as enc;
use wasm_encoder::ValType;

use crate::emit::Body;
use crate::layout;
use crate::link::{Callees, Code, Own};
use crate::memory::i64_at;
use crate::read::Function;
use crate::runtime::ENTRY_TYPE;

/// The engine's function that allocates memory for the bytecode.
pub const ALLOCATE: &str = "script_alloc";
/// It is the first function of the module.
const ALLOCATE_INDEX: u32 = 0;

const I: ValType = ValType::I32;
const V: ValType = ValType::I64;
const ENTRY: [ValType; 5] = [I, V, V, I, I];

/// A function and its code.
pub(crate) struct Compiled<'a> {
    pub function: &'a Function,
    pub body: Body,
}

impl Compiled<'_> {
    /// The most bytes that the code takes in the module, with its entry.
    pub(crate) fn bytes_max(&self) -> usize {
        const LENGTHS: usize = 32;
        LENGTHS + self.body.code.bytes_max() + self.entry().map_or(0, |entry| LENGTHS + entry.bytes_max())
    }

    /// The function in the table, if it is not the body itself: takes the arguments from memory. Missing ones are
    /// undefined. Without the call of the body.
    fn entry(&self) -> Option<Code> {
        if self.function.is_async {
            return None;
        }
        let mut code = Code::default();
        code.sink().local_get(0).local_get(1).local_get(2);
        for index in 0..self.function.args {
            code.sink().local_get(4).i64_load(i64_at(8 * u64::from(index)));
            code.sink().i64_const(layout::UNDEFINED.cast_signed());
            code.sink().local_get(3).i32_const(index.cast_signed()).i32_gt_s().select();
        }
        code.gap(crate::link::Gap::Itself);
        Some(code)
    }

    fn parameters(&self) -> Vec<ValType> {
        if self.function.is_async {
            return ENTRY.to_vec();
        }
        [I, V, V].into_iter().chain((0..self.function.args).map(|_| V)).collect()
    }
}

/// The module of a page whose functions have the numbers from `first_number` on. `None` if something is larger than
/// WebAssembly can have.
pub(crate) fn build(all: &[Compiled<'_>], first_number: i32, blob: &[u8]) -> Option<Vec<u8>> {
    let mut callees = Callees::default();
    for compiled in all {
        callees.add(&compiled.body.code);
    }
    let first_body = callees.number(ALLOCATE_INDEX + 1);
    let mut module = Module::new(&callees)?;
    for routine in callees.routines() {
        let (parameters, result) = routine.signature();
        let (locals, code) = routine.code();
        // A routine calls neither itself nor places that use properties.
        let own = Own { index: 0, number: 0, first_site: 0 };
        module.function(parameters, result, locals, &callees.fill(&code, own)?)?;
    }
    let mut own = Own { index: first_body, number: first_number, first_site: 0 };
    let mut entries = Vec::new();
    for compiled in all {
        let code = callees.fill(&compiled.body.code, own)?;
        module.function(&compiled.parameters(), Some(V), compiled.body.locals.clone(), &code)?;
        let mut entry = own.index;
        if let Some(code) = compiled.entry() {
            module.function(&ENTRY, Some(V), Vec::new(), &callees.fill(&code, own)?)?;
            entry += 1;
        }
        entries.push(entry);
        own = Own {
            index: entry + 1,
            number: own.number.checked_add(1)?,
            first_site: own.first_site.checked_add(compiled.body.sites)?,
        };
    }
    let site_bytes = i32::try_from(own.first_site.checked_mul(layout::SITE_BYTES)?).ok()?;
    let blob_bytes = i32::try_from(blob.len()).ok()?;
    let count = i32::try_from(entries.len()).ok()?;
    let start = start(site_bytes, blob_bytes, first_number, count);
    module.function(&[], None, vec![(1, I)], &start)?;
    Some(module.finish(own.index, entries, blob))
}

/// Puts the bytecode into memory, and the functions into the table.
fn start(site_bytes: i32, blob_bytes: i32, first_number: i32, count: i32) -> Vec<u8> {
    let mut code = Vec::new();
    let mut s = enc::InstructionSink::new(&mut code);
    // What places have seen is zero. The engine takes what it allocated last as the bytecode.
    if site_bytes > 0 {
        s.i32_const(site_bytes).i32_const(8).i32_add().call(ALLOCATE_INDEX).i32_const(7).i32_add();
        s.i32_const(-8).i32_and().global_set(crate::link::SITES);
    }
    s.i32_const(blob_bytes).call(ALLOCATE_INDEX).i32_const(0).i32_const(blob_bytes).memory_init(0, 0);
    s.ref_null(enc::HeapType::FUNC).i32_const(count).table_grow(0).drop();
    s.i32_const(first_number).i32_const(0).i32_const(count).table_init(0, 0);
    code
}

/// The sections of a module.
#[derive(Default)]
struct Module {
    types: Vec<(Vec<ValType>, Vec<ValType>)>,
    imports: enc::ImportSection,
    functions: enc::FunctionSection,
    code: enc::CodeSection,
}

impl Module {
    /// A module that imports from the engine what the functions use.
    fn new(callees: &Callees) -> Option<Self> {
        let mut module = Self::default();
        if module.ty(&ENTRY, Some(V))? != ENTRY_TYPE {
            return None;
        }
        let memory = enc::MemoryType {
            minimum: 0,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        };
        module.imports.import("engine", "memory", memory);
        let allocate = module.ty(&[I], Some(I))?;
        module.imports.import("engine", ALLOCATE, enc::EntityType::Function(allocate));
        for helper in callees.helpers() {
            let (name, parameters, result) = helper.signature();
            let ty = module.ty(parameters, result)?;
            module.imports.import("engine", name, enc::EntityType::Function(ty));
        }
        module.imports.import("engine", "__stack_pointer", POINTER);
        let table = enc::TableType {
            element_type: enc::RefType::FUNCREF,
            table64: false,
            minimum: 0,
            maximum: None,
            shared: false,
        };
        module.imports.import("engine", "__indirect_function_table", table);
        Some(module)
    }

    /// The index of a type. There are few.
    fn ty(&mut self, parameters: &[ValType], result: Option<ValType>) -> Option<u32> {
        let ty = (parameters.to_vec(), result.into_iter().collect::<Vec<_>>());
        let index = self.types.iter().position(|known| *known == ty).unwrap_or_else(|| {
            self.types.push(ty);
            self.types.len() - 1
        });
        u32::try_from(index).ok()
    }

    /// Adds a function, of whose code only the `end` is missing.
    fn function(
        &mut self,
        parameters: &[ValType],
        result: Option<ValType>,
        locals: Vec<(u32, ValType)>,
        code: &[u8],
    ) -> Option<()> {
        let ty = self.ty(parameters, result)?;
        self.functions.function(ty);
        let mut function = enc::Function::new(locals);
        function.raw(code.iter().copied());
        function.instructions().end();
        self.code.function(&function);
        Some(())
    }

    fn finish(self, start: u32, entries: Vec<u32>, blob: &[u8]) -> Vec<u8> {
        let mut types = enc::TypeSection::new();
        for (parameters, results) in &self.types {
            types.ty().function(parameters.clone(), results.clone());
        }
        let mut globals = enc::GlobalSection::new();
        globals.global(POINTER, &enc::ConstExpr::i32_const(0));
        let mut elements = enc::ElementSection::new();
        elements.passive(enc::Elements::Functions(entries.into()));
        let mut data = enc::DataSection::new();
        data.passive(blob.iter().copied());
        let mut module = enc::Module::new();
        module.section(&types);
        module.section(&self.imports);
        module.section(&self.functions);
        module.section(&globals);
        module.section(&enc::StartSection { function_index: start });
        module.section(&elements);
        module.section(&enc::DataCountSection { count: 1 });
        module.section(&self.code);
        module.section(&data);
        module.finish()
    }
}

/// The type of a global that has an address.
const POINTER: enc::GlobalType = enc::GlobalType { val_type: I, mutable: true, shared: false };
