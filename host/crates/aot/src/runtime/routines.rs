//! The code of the functions that compiled functions share.

use wasm_encoder::{BlockType, InstructionSink, ValType};

use super::{ENTRY_TYPE, Helper, I, Routine, V};
use crate::layout as at;
use crate::link::{Code, Gap};
use crate::memory::{i16_at, i32_at, i64_at};
use crate::ops::Op;

/// Whether floats have a quick way: `true` if the result is a float, `false` if it is a comparison.
fn float_result(op: Op) -> Option<bool> {
    match op {
        Op::Add | Op::Sub | Op::Mul | Op::Div => Some(true),
        Op::Lt | Op::Lte | Op::Gt | Op::Gte | Op::Eq | Op::Neq | Op::StrictEq | Op::StrictNeq => Some(false),
        _ => None,
    }
}

impl Routine {
    /// Its variables beyond the parameters, and its code.
    pub(crate) fn code(self) -> (Vec<(u32, ValType)>, Code) {
        let mut code = Code::default();
        let locals = match self {
            Self::Free => free(&mut code),
            Self::Box => make_float(&mut code),
            Self::Call => call(&mut code),
            Self::GetField => get_field(&mut code),
            Self::PutField => put_field(&mut code),
            Self::Binary(op) => binary(&mut code, op),
        };
        (locals, code)
    }
}

type Locals = Vec<(u32, ValType)>;

const fn constant(bits: u64) -> i64 {
    bits.cast_signed()
}

fn free(code: &mut Code) -> Locals {
    code.sink().local_get(1).i32_wrap_i64().local_tee(2);
    code.sink().local_get(2).i32_load(i32_at(0)).i32_const(1).i32_sub().local_tee(3).i32_store(i32_at(0));
    code.sink().local_get(3).i32_const(0).i32_le_s().if_(BlockType::Empty);
    code.sink().local_get(0).local_get(1);
    code.gap(Gap::Helper(Helper::Free));
    code.sink().end();
    vec![(2, I)]
}

fn make_float(code: &mut Code) -> Locals {
    code.sink().local_get(0).local_get(0).f64_eq().if_(BlockType::Result(V));
    code.sink().local_get(0).i64_reinterpret_f64().i64_const(constant(at::FLOAT_ADDEND)).i64_sub();
    code.sink().else_().i64_const(constant(at::NAN)).end();
    Vec::new()
}

fn call(code: &mut Code) -> Locals {
    code.sink().local_get(1).i64_const(constant(at::OBJECT)).i64_ge_u().if_(BlockType::Empty);
    code.sink().local_get(1).i32_wrap_i64().local_tee(5).i32_load16_u(i16_at(at::OBJECT_CLASS));
    code.sink().i32_const(at::CLASS_FUNCTION).i32_eq().if_(BlockType::Empty);
    code.sink().local_get(5).i32_load(i32_at(at::FUNCTION_BYTECODE));
    code.sink().i32_load(i32_at(at::BYTECODE_COMPILED)).local_tee(5).if_(BlockType::Empty);
    code.sink().local_get(0).local_get(1).local_get(2).local_get(3).local_get(4).local_get(5);
    code.sink().call_indirect(0, ENTRY_TYPE).return_();
    code.sink().end().end().end();
    code.sink().local_get(0).local_get(1).local_get(2).local_get(3).local_get(4);
    code.gap(Gap::Helper(Helper::Call));
    vec![(1, I)]
}

fn get_field(code: &mut Code) -> Locals {
    code.sink().block(BlockType::Empty);
    code.sink().local_get(1).i64_const(constant(at::OBJECT)).i64_lt_u().br_if(0);
    code.sink().local_get(1).i32_wrap_i64().local_tee(4).i32_load(i32_at(at::OBJECT_SHAPE));
    code.sink().local_get(3).i32_load(i32_at(0)).i32_ne().br_if(0);
    code.sink().local_get(3).i32_load(i32_at(12)).local_tee(5).if_(BlockType::Empty);
    code.sink().local_get(5).local_tee(4).i32_load(i32_at(at::OBJECT_SHAPE));
    code.sink().local_get(3).i32_load(i32_at(8)).i32_ne().br_if(1).end();
    code.sink().local_get(4).i32_load(i32_at(at::OBJECT_PROPERTIES));
    code.sink().local_get(3).i32_load(i32_at(4)).i32_add().i64_load(i64_at(0)).local_tee(6);
    code.sink().i64_const(constant(at::FIRST_REF)).i64_ge_u().if_(BlockType::Empty);
    code.sink().local_get(6).i32_wrap_i64().local_tee(4).local_get(4).i32_load(i32_at(0));
    code.sink().i32_const(1).i32_add().i32_store(i32_at(0)).end();
    code.sink().local_get(6).return_().end();
    code.sink().local_get(0).local_get(1).local_get(2).local_get(3);
    code.gap(Gap::Helper(Helper::GetField));
    vec![(2, I), (1, V)]
}

fn put_field(code: &mut Code) -> Locals {
    code.sink().block(BlockType::Empty);
    code.sink().local_get(1).i64_const(constant(at::OBJECT)).i64_lt_u().br_if(0);
    code.sink().local_get(1).i32_wrap_i64().local_tee(5).i32_load(i32_at(at::OBJECT_SHAPE));
    code.sink().local_get(4).i32_load(i32_at(0)).i32_ne().br_if(0);
    code.sink().local_get(5).i32_load(i32_at(at::OBJECT_PROPERTIES));
    code.sink().local_get(4).i32_load(i32_at(4)).i32_add().local_tee(5).i64_load(i64_at(0)).local_set(6);
    code.sink().local_get(5).local_get(2).i64_store(i64_at(0));
    code.sink().local_get(6).i64_const(constant(at::FIRST_REF)).i64_ge_u().if_(BlockType::Empty);
    code.sink().local_get(0).local_get(6);
    code.gap(Gap::Routine(Routine::Free));
    code.sink().end();
    code.sink().i32_const(0).return_().end();
    code.sink().local_get(0).local_get(1).local_get(2).local_get(3).local_get(4);
    code.gap(Gap::Helper(Helper::PutField));
    vec![(1, I), (1, V)]
}

fn binary(code: &mut Code, op: Op) -> Locals {
    if let Some(is_float) = float_result(op) {
        is_number(&mut code.sink(), 1);
        is_number(&mut code.sink(), 2);
        code.sink().i32_and().if_(BlockType::Empty);
        float_of(&mut code.sink(), 1);
        float_of(&mut code.sink(), 2);
        match op {
            Op::Add => code.sink().f64_add(),
            Op::Sub => code.sink().f64_sub(),
            Op::Mul => code.sink().f64_mul(),
            Op::Div => code.sink().f64_div(),
            Op::Lt => code.sink().f64_lt(),
            Op::Lte => code.sink().f64_le(),
            Op::Gt => code.sink().f64_gt(),
            Op::Gte => code.sink().f64_ge(),
            Op::Eq | Op::StrictEq => code.sink().f64_eq(),
            _ => code.sink().f64_ne(),
        };
        if op == Op::Div {
            // The result of two integers is an integer, if it can be.
            code.sink().local_set(7).local_get(1).local_get(2).i64_or().i64_const(32).i64_shr_u().i64_eqz();
            code.sink().if_(BlockType::Empty);
            code.sink().local_get(7).i32_trunc_sat_f64_s().local_tee(5).f64_convert_i32_s();
            code.sink().i64_reinterpret_f64().local_get(7).i64_reinterpret_f64().i64_eq();
            code.sink().if_(BlockType::Empty).local_get(5).i64_extend_i32_u().return_().end();
            code.sink().end().local_get(7);
        }
        if is_float {
            code.gap(Gap::Routine(Routine::Box));
        } else {
            code.sink().i64_extend_i32_u().i64_const(constant(at::FALSE)).i64_or();
        }
        code.sink().return_().end();
    }
    if matches!(op, Op::And | Op::Or | Op::Xor | Op::Shl | Op::Sar | Op::Shr) {
        bitwise_of_numbers(code, op);
    }
    for (operand, bit) in [(1, 1), (2, 2)] {
        code.sink().local_get(3).i32_const(bit).i32_and().i32_const(0).i32_ne();
        code.sink().local_get(operand).i64_const(constant(at::FIRST_REF)).i64_ge_u().i32_and();
        code.sink().if_(BlockType::Empty);
        code.sink().local_get(operand).i32_wrap_i64().local_tee(4).local_get(4).i32_load(i32_at(0));
        code.sink().i32_const(1).i32_add().i32_store(i32_at(0)).end();
    }
    code.sink().local_get(0).local_get(1).local_get(2).local_get(3).i32_const(2).i32_shr_u();
    code.sink().i32_const(op as i32);
    code.gap(Gap::Helper(Helper::Binary));
    vec![(3, I), (1, ValType::F64)]
}

/// Returns the result if both operands are numbers that 64 bits can hold.
fn bitwise_of_numbers(code: &mut Code, op: Op) {
    code.sink().block(BlockType::Empty);
    for operand in [1, 2] {
        is_number(&mut code.sink(), operand);
        code.sink().i32_eqz().br_if(0);
        // Beyond, the result of the conversion is not that of JavaScript. This includes NaN.
        float_of(&mut code.sink(), operand);
        code.sink().f64_abs().f64_const(9e15.into()).f64_lt().i32_eqz().br_if(0);
        float_of(&mut code.sink(), operand);
        code.sink().i64_trunc_sat_f64_s().i32_wrap_i64().local_set(4 + operand);
    }
    code.sink().local_get(5).local_get(6);
    match op {
        Op::And => code.sink().i32_and(),
        Op::Or => code.sink().i32_or(),
        Op::Xor => code.sink().i32_xor(),
        Op::Shl => code.sink().i32_shl(),
        Op::Sar => code.sink().i32_shr_s(),
        _ => code.sink().i32_shr_u(),
    };
    if op == Op::Shr {
        code.sink().local_tee(5).i32_const(0).i32_lt_s().if_(BlockType::Empty);
        code.sink().local_get(5).f64_convert_i32_u();
        code.gap(Gap::Routine(Routine::Box));
        code.sink().return_().end();
        code.sink().local_get(5);
    }
    code.sink().i64_extend_i32_u().return_().end();
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
