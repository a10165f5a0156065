//! What compiled functions call: functions of the engine, and a few of the page's own module.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, InstructionSink, ValType};

use crate::layout as at;
use crate::memory::{i16_at, i32_at, i64_at};
use crate::ops::Op;

/// A function of the engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Helper {
    Binary,
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

const I: ValType = ValType::I32;
const V: ValType = ValType::I64;

impl Helper {
    pub(crate) fn signature(self) -> (&'static str, &'static [ValType], Option<ValType>) {
        match self {
            Self::Binary => ("compiled_binary", &[I, V, V, I, I], Some(V)),
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

/// A function of the page's module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Routine {
    /// Gives back a reference.
    Free,
    /// A float as a value.
    Box,
    /// The slow way of an instruction: floats, and then the engine. Operands whose bit is set are borrowed.
    Binary(Op),
    /// Calls a function: context, function, this, argument count, arguments.
    Call,
    /// Reads a property: context, object, place, and what the place has seen.
    GetField,
    /// Writes a property, which it takes over.
    PutField,
}

impl Routine {
    fn order(self) -> u32 {
        match self {
            Self::Free => 1000,
            Self::Box => 1001,
            Self::Call => 1002,
            Self::GetField => 1003,
            Self::PutField => 1004,
            Self::Binary(op) => op as u32,
        }
    }

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

/// Collects what the compiled functions need, and gives it numbers.
#[derive(Default, Clone)]
pub(crate) struct Needs {
    helpers: BTreeMap<Helper, u32>,
    routines: BTreeMap<u32, (Routine, u32)>,
    /// The first function of the table that belongs to the page.
    table_base: u32,
    /// Index of each function's body.
    bodies: Vec<u32>,
    /// The type of functions in the table.
    pub entry_type: u32,
}

impl Needs {
    pub(crate) fn new(table_base: u32, functions: usize) -> Self {
        Self { table_base, bodies: vec![0; functions], ..Self::default() }
    }

    pub(crate) fn helper(&mut self, helper: Helper) -> u32 {
        *self.helpers.entry(helper).or_default()
    }

    pub(crate) fn routine(&mut self, routine: Routine) -> u32 {
        match routine {
            Routine::Free => {
                self.helper(Helper::Free);
            }
            Routine::Binary(op) => {
                self.helper(Helper::Binary);
                if float_result(op) == Some(true) || op == Op::Shr {
                    self.routine(Routine::Box);
                }
            }
            Routine::Call => {
                self.helper(Helper::Call);
            }
            Routine::GetField => {
                self.helper(Helper::GetField);
            }
            Routine::PutField => {
                self.helper(Helper::PutField);
                self.routine(Routine::Free);
            }
            Routine::Box => {}
        }
        self.routines.entry(routine.order()).or_insert((routine, 0)).1
    }

    pub(crate) fn helpers(&self) -> impl Iterator<Item = Helper> + '_ {
        self.helpers.keys().copied()
    }

    pub(crate) fn routines(&self) -> Vec<Routine> {
        self.routines.values().map(|(routine, _)| *routine).collect()
    }

    /// Gives numbers: the engine's functions first, then the routines, then two functions each.
    pub(crate) fn number(&mut self, first_import: u32, is_async: &[bool]) {
        let mut next = first_import;
        for number in self.helpers.values_mut() {
            *number = next;
            next += 1;
        }
        for (_, number) in self.routines.values_mut() {
            *number = next;
            next += 1;
        }
        for (body, is_async) in self.bodies.iter_mut().zip(is_async) {
            *body = next;
            next += if *is_async { 1 } else { 2 };
        }
    }

    pub(crate) fn body(&self, number: u32) -> u32 {
        self.bodies.get(number as usize).copied().unwrap_or(0)
    }

    pub(crate) fn number_of(&self, number: u32) -> i32 {
        (self.table_base + number).cast_signed()
    }

    pub(crate) fn stack_pointer(&self) -> u32 {
        0
    }

    pub(crate) fn sites(&self) -> u32 {
        1
    }
}

/// Whether floats have a quick way: `true` if the result is a float, `false` if it is a comparison.
fn float_result(op: Op) -> Option<bool> {
    match op {
        Op::Add | Op::Sub | Op::Mul | Op::Div => Some(true),
        Op::Lt | Op::Lte | Op::Gt | Op::Gte | Op::Eq | Op::Neq | Op::StrictEq | Op::StrictNeq => Some(false),
        _ => None,
    }
}

/// The code of a routine: its variables beyond the parameters, and its instructions.
pub(crate) fn code(routine: Routine, needs: &mut Needs) -> (Vec<(u32, ValType)>, Vec<u8>) {
    let mut code = Vec::new();
    let mut s = InstructionSink::new(&mut code);
    let constant = |bits: u64| bits.cast_signed();
    match routine {
        Routine::Free => {
            let free = needs.helper(Helper::Free);
            s.local_get(1).i32_wrap_i64().local_tee(2);
            s.local_get(2).i32_load(i32_at(0)).i32_const(1).i32_sub().local_tee(3).i32_store(i32_at(0));
            s.local_get(3).i32_const(0).i32_le_s().if_(BlockType::Empty);
            s.local_get(0).local_get(1).call(free).end();
            (vec![(2, I)], code)
        }
        Routine::Box => {
            s.local_get(0).local_get(0).f64_eq().if_(BlockType::Result(V));
            s.local_get(0).i64_reinterpret_f64().i64_const(constant(at::FLOAT_ADDEND)).i64_sub();
            s.else_().i64_const(constant(at::NAN)).end();
            (Vec::new(), code)
        }
        Routine::Call => {
            let call = needs.helper(Helper::Call);
            s.local_get(1).i64_const(constant(at::OBJECT)).i64_ge_u().if_(BlockType::Empty);
            s.local_get(1).i32_wrap_i64().local_tee(5).i32_load16_u(i16_at(at::OBJECT_CLASS));
            s.i32_const(at::CLASS_FUNCTION).i32_eq().if_(BlockType::Empty);
            s.local_get(5).i32_load(i32_at(at::FUNCTION_BYTECODE));
            s.i32_load(i32_at(at::BYTECODE_COMPILED)).local_tee(5).if_(BlockType::Empty);
            s.local_get(0).local_get(1).local_get(2).local_get(3).local_get(4).local_get(5);
            s.call_indirect(0, needs.entry_type).return_();
            s.end().end().end();
            s.local_get(0).local_get(1).local_get(2).local_get(3).local_get(4).call(call);
            (vec![(1, I)], code)
        }
        Routine::GetField => {
            let slow = needs.helper(Helper::GetField);
            s.block(BlockType::Empty);
            s.local_get(1).i64_const(constant(at::OBJECT)).i64_lt_u().br_if(0);
            s.local_get(1).i32_wrap_i64().local_tee(4).i32_load(i32_at(at::OBJECT_SHAPE));
            s.local_get(3).i32_load(i32_at(0)).i32_ne().br_if(0);
            s.local_get(3).i32_load(i32_at(12)).local_tee(5).if_(BlockType::Empty);
            s.local_get(5).local_tee(4).i32_load(i32_at(at::OBJECT_SHAPE));
            s.local_get(3).i32_load(i32_at(8)).i32_ne().br_if(1).end();
            s.local_get(4).i32_load(i32_at(at::OBJECT_PROPERTIES));
            s.local_get(3).i32_load(i32_at(4)).i32_add().i64_load(i64_at(0)).local_tee(6);
            s.i64_const(constant(at::FIRST_REF)).i64_ge_u().if_(BlockType::Empty);
            s.local_get(6).i32_wrap_i64().local_tee(4).local_get(4).i32_load(i32_at(0));
            s.i32_const(1).i32_add().i32_store(i32_at(0)).end();
            s.local_get(6).return_().end();
            s.local_get(0).local_get(1).local_get(2).local_get(3).call(slow);
            (vec![(2, I), (1, V)], code)
        }
        Routine::PutField => {
            let slow = needs.helper(Helper::PutField);
            let free = needs.routine(Routine::Free);
            s.block(BlockType::Empty);
            s.local_get(1).i64_const(constant(at::OBJECT)).i64_lt_u().br_if(0);
            s.local_get(1).i32_wrap_i64().local_tee(5).i32_load(i32_at(at::OBJECT_SHAPE));
            s.local_get(4).i32_load(i32_at(0)).i32_ne().br_if(0);
            s.local_get(5).i32_load(i32_at(at::OBJECT_PROPERTIES));
            s.local_get(4).i32_load(i32_at(4)).i32_add().local_tee(5).i64_load(i64_at(0)).local_set(6);
            s.local_get(5).local_get(2).i64_store(i64_at(0));
            s.local_get(6).i64_const(constant(at::FIRST_REF)).i64_ge_u().if_(BlockType::Empty);
            s.local_get(0).local_get(6).call(free).end();
            s.i32_const(0).return_().end();
            s.local_get(0).local_get(1).local_get(2).local_get(3).local_get(4).call(slow);
            (vec![(1, I), (1, V)], code)
        }
        Routine::Binary(op) => {
            let binary = needs.helper(Helper::Binary);
            if let Some(is_float) = float_result(op) {
                is_number(&mut s, 1);
                is_number(&mut s, 2);
                s.i32_and().if_(BlockType::Empty);
                float_of(&mut s, 1);
                float_of(&mut s, 2);
                match op {
                    Op::Add => s.f64_add(),
                    Op::Sub => s.f64_sub(),
                    Op::Mul => s.f64_mul(),
                    Op::Div => s.f64_div(),
                    Op::Lt => s.f64_lt(),
                    Op::Lte => s.f64_le(),
                    Op::Gt => s.f64_gt(),
                    Op::Gte => s.f64_ge(),
                    Op::Eq | Op::StrictEq => s.f64_eq(),
                    _ => s.f64_ne(),
                };
                if op == Op::Div {
                    // The result of two integers is an integer, if it can be.
                    s.local_set(7).local_get(1).local_get(2).i64_or().i64_const(32).i64_shr_u().i64_eqz();
                    s.if_(BlockType::Empty);
                    s.local_get(7).i32_trunc_sat_f64_s().local_tee(5).f64_convert_i32_s();
                    s.i64_reinterpret_f64().local_get(7).i64_reinterpret_f64().i64_eq();
                    s.if_(BlockType::Empty).local_get(5).i64_extend_i32_u().return_().end();
                    s.end().local_get(7);
                }
                if is_float {
                    s.call(needs.routine(Routine::Box));
                } else {
                    s.i64_extend_i32_u().i64_const(constant(at::FALSE)).i64_or();
                }
                s.return_().end();
            }
            if matches!(op, Op::And | Op::Or | Op::Xor | Op::Shl | Op::Sar | Op::Shr) {
                bitwise_of_numbers(&mut s, op, needs);
            }
            for (operand, bit) in [(1, 1), (2, 2)] {
                s.local_get(3).i32_const(bit).i32_and().i32_const(0).i32_ne();
                s.local_get(operand).i64_const(constant(at::FIRST_REF)).i64_ge_u().i32_and();
                s.if_(BlockType::Empty);
                s.local_get(operand).i32_wrap_i64().local_tee(4).local_get(4).i32_load(i32_at(0));
                s.i32_const(1).i32_add().i32_store(i32_at(0)).end();
            }
            s.local_get(0).local_get(1).local_get(2).local_get(3).i32_const(2).i32_shr_u();
            s.i32_const(op as i32).call(binary);
            (vec![(3, I), (1, ValType::F64)], code)
        }
    }
}

/// Returns the result if both operands are numbers that 64 bits can hold.
fn bitwise_of_numbers(s: &mut InstructionSink<'_>, op: Op, needs: &mut Needs) {
    s.block(BlockType::Empty);
    for operand in [1, 2] {
        is_number(s, operand);
        s.i32_eqz().br_if(0);
        // Beyond, the result of the conversion is not that of JavaScript. This includes NaN.
        float_of(s, operand);
        s.f64_abs().f64_const(9e15.into()).f64_lt().i32_eqz().br_if(0);
        float_of(s, operand);
        s.i64_trunc_sat_f64_s().i32_wrap_i64().local_set(4 + operand);
    }
    s.local_get(5).local_get(6);
    match op {
        Op::And => s.i32_and(),
        Op::Or => s.i32_or(),
        Op::Xor => s.i32_xor(),
        Op::Shl => s.i32_shl(),
        Op::Sar => s.i32_shr_s(),
        _ => s.i32_shr_u(),
    };
    if op == Op::Shr {
        s.local_tee(5).i32_const(0).i32_lt_s().if_(BlockType::Empty);
        s.local_get(5).f64_convert_i32_u().call(needs.routine(Routine::Box)).return_().end();
        s.local_get(5);
    }
    s.i64_extend_i32_u().return_().end();
}

fn is_number(s: &mut InstructionSink<'_>, local: u32) {
    s.local_get(local).i64_const(32).i64_shr_u().i32_wrap_i64();
    // An integer has tag 0, and a float's tag is beyond the others.
    s.i32_eqz();
    s.local_get(local).i64_const(32).i64_shr_u().i32_wrap_i64().i32_const(9).i32_add();
    s.i32_const(17).i32_ge_u().i32_or();
}

fn float_of(s: &mut InstructionSink<'_>, local: u32) {
    s.local_get(local).i64_const(32).i64_shr_u().i64_eqz().if_(BlockType::Result(ValType::F64));
    s.local_get(local).i32_wrap_i64().f64_convert_i32_s().else_();
    s.local_get(local).i64_const(at::FLOAT_ADDEND.cast_signed()).i64_add().f64_reinterpret_i64().end();
}
