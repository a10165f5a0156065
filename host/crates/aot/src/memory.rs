//! How WebAssembly's instructions access memory.

use wasm_encoder::MemArg;

fn memory(offset: u64, align: u32) -> MemArg {
    MemArg { offset, align, memory_index: 0 }
}

pub(crate) fn i32_at(offset: u64) -> MemArg {
    memory(offset, 2)
}

pub(crate) fn i16_at(offset: u64) -> MemArg {
    memory(offset, 1)
}

pub(crate) fn i64_at(offset: u64) -> MemArg {
    memory(offset, 3)
}
