//! Where the engine has things, and how it encodes values. `compiled.h` checks the numbers when the engine is
//! built.

pub(crate) const RT_FRAME: u64 = 156;
pub(crate) const RT_STACK_LIMIT: u64 = 136;
pub(crate) const CTX_RT: u64 = 16;
pub(crate) const CTX_COUNTER: u64 = 328;

pub(crate) const SF_PREV: u64 = 0;
pub(crate) const SF_FUNC: u64 = 8;
pub(crate) const SF_ARG_BUF: u64 = 16;
pub(crate) const SF_VAR_BUF: u64 = 20;
pub(crate) const SF_VAR_REFS: u64 = 24;
pub(crate) const SF_CUR_PC: u64 = 28;
/// With the count of arguments after it.
pub(crate) const SF_VAR_REF_COUNT: u64 = 32;
pub(crate) const SF_STRICT: u64 = 36;
pub(crate) const SF_SIZE: u64 = 48;

pub(crate) const OBJECT_CLASS: u64 = 6;
pub(crate) const OBJECT_SHAPE: u64 = 16;
pub(crate) const OBJECT_PROPERTIES: u64 = 20;
pub(crate) const FUNCTION_BYTECODE: u64 = 32;
pub(crate) const FUNCTION_VAR_REFS: u64 = 36;
pub(crate) const ARRAY_VALUES: u64 = 36;
pub(crate) const ARRAY_COUNT: u64 = 40;
pub(crate) const CLASS_ARRAY: i32 = 2;
pub(crate) const CLASS_FUNCTION: i32 = 13;

pub(crate) const BYTECODE_CODE: u64 = 20;
pub(crate) const BYTECODE_CONSTANTS: u64 = 60;
pub(crate) const BYTECODE_COMPILED: u64 = 92;
pub(crate) const VAR_REF_VALUE: u64 = 16;

/// A place that caches a property: shape, offset, shape of the holder, holder.
pub(crate) const SITE_BYTES: u32 = 16;

/// The tag of strings. The next is that of ropes.
pub(crate) const STRING_TAG: i32 = -7;
/// The first tag of values with a reference count. All larger ones have one, too.
pub(crate) const FIRST_REF: u64 = (-9_i32 as u32 as u64) << 32;
pub(crate) const OBJECT: u64 = 0xffff_ffff << 32;
pub(crate) const FALSE: u64 = 1 << 32;
pub(crate) const TRUE: u64 = FALSE | 1;
pub(crate) const NULL: u64 = 2 << 32;
pub(crate) const UNDEFINED: u64 = 3 << 32;
pub(crate) const UNINITIALIZED: u64 = 4 << 32;
pub(crate) const CATCH: u64 = 5 << 32;
pub(crate) const EXCEPTION: u64 = 6 << 32;
/// Added to a float's tag to get its bits.
pub(crate) const FLOAT_ADDEND: u64 = (0x7ff8_0000 + 9 + 1) << 32;
pub(crate) const NAN: u64 = 0x7ff8_0000_0000_0000_u64.wrapping_sub(FLOAT_ADDEND);

pub(crate) const fn int(value: i32) -> u64 {
    value as u32 as u64
}

pub(crate) const fn float(bits: u64) -> u64 {
    if f64::from_bits(bits).is_nan() { NAN } else { bits.wrapping_sub(FLOAT_ADDEND) }
}
