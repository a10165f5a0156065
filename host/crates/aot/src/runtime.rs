//! What compiled functions call: functions of the engine, and a few of the page's own module.

mod routines;

use wasm_encoder::ValType;

use crate::ops::Op;

/// A function of the engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Helper {
    Binary,
    Append,
    Unary,
    ToBool,
    Free,
    GetField,
    PutField,
    GetLength,
    GetElement,
    PutElement,
    Call,
    Construct,
    Push,
    ArrayFrom,
    DefineField,
    SetName,
    CloseLoc,
    CloseRefs,
    Step,
    Poll,
    PollCall,
    Uninitialized,
    Overflow,
    Resume,
}

/// The type of functions in the table: context, function, this, argument count, arguments. It is the first.
pub(crate) const ENTRY_TYPE: u32 = 0;

const I: ValType = ValType::I32;
const V: ValType = ValType::I64;

impl Helper {
    pub(crate) fn signature(self) -> (&'static str, &'static [ValType], Option<ValType>) {
        match self {
            Self::Binary => ("compiled_binary", &[I, V, V, I, I], Some(V)),
            Self::Append => ("compiled_append", &[I, V, V, I], Some(V)),
            Self::Unary => ("compiled_unary", &[I, V, I, I], Some(V)),
            Self::ToBool => ("compiled_to_bool", &[I, V], Some(I)),
            Self::Free => ("compiled_free", &[I, V], None),
            Self::GetField => ("compiled_get_field", &[I, V, I, I], Some(V)),
            Self::PutField => ("compiled_put_field", &[I, V, V, I, I], Some(I)),
            Self::GetLength => ("compiled_get_length", &[I, V, I], Some(V)),
            Self::GetElement => ("compiled_get_element", &[I, V, V, I], Some(V)),
            Self::PutElement => ("compiled_put_element", &[I, V, V, V, I], Some(I)),
            Self::Call => ("compiled_call", &[I, V, V, I, I], Some(V)),
            Self::Construct => ("compiled_construct", &[I, V, V, I, I, I], Some(V)),
            Self::Push => ("compiled_push", &[I, I, I, I], Some(V)),
            Self::ArrayFrom => ("compiled_array_from", &[I, I, I, I], Some(V)),
            Self::DefineField => ("compiled_define_field", &[I, V, V, I], Some(I)),
            Self::SetName => ("compiled_set_name", &[I, V, I], Some(I)),
            Self::CloseLoc => ("compiled_close_loc", &[I, I], None),
            Self::CloseRefs => ("compiled_close_refs", &[I, I], None),
            Self::Step => ("compiled_step", &[I, I, I, I, I], Some(I)),
            Self::Poll => ("compiled_poll", &[I, I], Some(I)),
            Self::PollCall => ("compiled_poll_call", &[I], Some(I)),
            Self::Uninitialized => ("compiled_uninitialized", &[I, I, I, I], None),
            Self::Overflow => ("compiled_overflow", &[I], Some(V)),
            Self::Resume => ("compiled_resume", &[I, I, V, I, I], Some(V)),
        }
    }
}

/// A function of the page's module that compiled functions share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Routine {
    /// The slow way of an instruction: floats, and then the engine. Operands whose bit is set are borrowed.
    Binary(Op),
    /// Gives back a reference.
    Free,
    /// A float as a value.
    Box,
    /// Calls a function: context, function, this, argument count, arguments.
    Call,
    /// Reads a property: context, object, place, and what the place has seen.
    GetField,
    /// Writes a property, which it takes over.
    PutField,
}

impl Routine {
    pub(crate) fn signature(self) -> (&'static [ValType], Option<ValType>) {
        match self {
            Self::Free => (&[I, V], None),
            Self::Box => (&[ValType::F64], Some(V)),
            Self::Binary(_) => (&[I, V, V, I], Some(V)),
            Self::Call => (&[I, V, V, I, I], Some(V)),
            Self::GetField => (&[I, V, I, I], Some(V)),
            Self::PutField => (&[I, V, V, I, I], Some(I)),
        }
    }
}
