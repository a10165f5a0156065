//! Which functions are compiled, and which are left to the interpreter.

use wasmparser::Operator;

use super::unit::{Constant, Function, op, page_of, with_i32, with_u8, with_u16};
use super::{compiled, count, helpers, instructions};
use crate::ops::{OPS, Op};
use crate::{Stress, can_repeat};

fn is_compiled(function: &Function) -> bool {
    count(&function.page()) == 1
}

fn code(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn the_table_is_in_the_order_of_the_instructions() {
    for (number, (op, bytes, _)) in OPS.iter().enumerate() {
        assert_eq!(*op as usize, number, "{op:?}");
        assert!(*bytes > 0);
    }
}

#[test]
fn a_function_that_returns_is_compiled() {
    assert!(is_compiled(&Function::new(&op(Op::ReturnUndef))));
    assert!(is_compiled(&Function::new(&code(&[op(Op::Push1), op(Op::Return)]))));
}

#[test]
fn generators_are_left() {
    for kind in [1, 3] {
        assert!(!is_compiled(&Function { kind, ..Function::new(&op(Op::ReturnUndef)) }));
    }
}

#[test]
fn async_functions_are_compiled_unless_they_have_arguments() {
    let body = code(&[op(Op::Undefined), op(Op::Drop), op(Op::Undefined), op(Op::ReturnAsync)]);
    let function = Function { kind: 2, ..Function::new(&body) };
    assert!(is_compiled(&function));
    assert!(!is_compiled(&Function { args: 1, ..function }));
}

#[test]
fn a_function_that_needs_its_caller_s_arguments_is_left() {
    for needs in [with_u8(Op::SpecialObject, 0), with_u16(Op::Rest, 0), op(Op::CheckCtor)] {
        let function = Function::new(&code(&[needs, op(Op::ReturnUndef)]));
        assert!(!is_compiled(&function));
        assert!(compiled(&function.page(), Stress { one_of: 1, seed: 0 }).is_none());
    }
}

#[test]
fn the_interpreter_continues_at_an_instruction_that_is_not_compiled() {
    let throws = Function::new(&code(&[op(Op::Push1), op(Op::Throw)]));
    let compiled = compiled(&throws.page(), Stress::default()).unwrap();
    assert!(helpers(&compiled.module).contains(&"resume".to_owned()));
}

#[test]
fn a_sloppy_function_continues_in_the_interpreter_where_it_uses_this() {
    let uses_this =
        Function { is_strict: false, ..Function::new(&code(&[op(Op::PushThis), op(Op::Return)])) };
    assert!(is_compiled(&uses_this));
}

#[test]
fn operands_of_instructions_are_checked() {
    let cases = [
        ("variable", with_u16(Op::GetLoc, 3), with_u16(Op::GetLoc, 4)),
        ("argument", with_u16(Op::GetArg, 1), with_u16(Op::GetArg, 2)),
        ("outer variable", with_u16(Op::GetVarRef, 0), with_u16(Op::GetVarRef, 1)),
        ("constant", with_i32(Op::PushConst, 1), with_i32(Op::PushConst, 2)),
        ("function", with_i32(Op::Fclosure, 1), with_i32(Op::Fclosure, 0)),
    ];
    for (what, valid, invalid) in cases {
        // Which is left.
        let generator = Function { kind: 1, ..Function::new(&op(Op::ReturnUndef)) };
        let function = Function {
            args: 2,
            closure_vars: 1,
            constants: vec![Constant::Null, Constant::Function(Box::new(generator))],
            ..Function::new(&code(&[valid, op(Op::Return)]))
        };
        assert_eq!(count(&function.page()), 1, "{what}");
        let function = Function { code: code(&[invalid, op(Op::Return)]), ..function };
        assert_eq!(count(&function.page()), 0, "{what}");
    }
}

#[test]
fn written_variables_are_checked() {
    for (written, is_valid) in [
        (with_u16(Op::PutLoc, 3), true),
        (with_u16(Op::PutLoc, 4), false),
        (with_u16(Op::PutArg, 0), true),
        (with_u16(Op::PutArg, 1), false),
        (with_u16(Op::SetLocUninitialized, 4), false),
        (with_u16(Op::PutVarRef, 0), false),
    ] {
        let body = code(&[op(Op::Push1), written.clone(), op(Op::ReturnUndef)]);
        let function = Function { args: 1, ..Function::new(&body) };
        assert_eq!(is_compiled(&function), is_valid, "{written:?}");
    }
}

#[test]
fn captured_variables_must_have_a_place_in_the_frame() {
    let function =
        Function { captured: vec![Some(0), None, None, None], ..Function::new(&op(Op::ReturnUndef)) };
    assert!(!is_compiled(&function));
    assert!(is_compiled(&Function { var_refs: 1, ..function }));
}

#[test]
fn only_captured_variables_are_closed() {
    let body = code(&[with_u16(Op::CloseLoc, 1), op(Op::ReturnUndef)]);
    let function =
        Function { var_refs: 1, captured: vec![None, Some(0), None, None], ..Function::new(&body) };
    assert!(is_compiled(&function));
    assert!(!is_compiled(&Function { captured: vec![Some(0), None, None, None], ..function }));
}

#[test]
fn the_operand_stack_has_the_stated_size() {
    let pushes = |count: usize| code(&[vec![Op::Push1 as u8; count], op(Op::Return)]);
    assert!(is_compiled(&Function::new(&pushes(8))));
    assert!(!is_compiled(&Function::new(&pushes(9))));
    assert!(!is_compiled(&Function::new(&pushes(0))));
}

#[test]
fn a_call_needs_its_operands() {
    let call = |arguments: u16| {
        let body = code(&[op(Op::Push1), op(Op::Push2), with_u16(Op::Call, arguments), op(Op::Return)]);
        is_compiled(&Function::new(&body))
    };
    assert!(call(1));
    assert!(!call(2));
    assert!(!call(u16::MAX));
}

#[test]
fn jumps_lead_to_instructions() {
    // The distance counts from the operand.
    let jump = |distance: i32| {
        let body = code(&[with_i32(Op::Goto, distance), with_i32(Op::PushI32, 0), op(Op::Return)]);
        is_compiled(&Function::new(&body))
    };
    assert!(jump(4));
    assert!(jump(-1));
    for into_or_out in [5, 8, 10, -2, i32::MAX, i32::MIN] {
        assert!(!jump(into_or_out), "{into_or_out}");
    }
}

#[test]
fn handlers_of_exceptions_are_instructions() {
    let handler = |distance: i32| {
        let body = code(&[with_i32(Op::Catch, distance), op(Op::Drop), op(Op::ReturnUndef)]);
        is_compiled(&Function::new(&body))
    };
    assert!(handler(5));
    assert!(!handler(2));
    assert!(!handler(100));
    assert!(!handler(-100));
}

#[test]
fn a_function_ends_with_an_instruction_that_ends_it() {
    assert!(!is_compiled(&Function::new(&[])));
    assert!(!is_compiled(&Function::new(&op(Op::Nop))));
    assert!(!is_compiled(&Function::new(&[Op::PushI32 as u8, 0])));
    assert!(!is_compiled(&Function::new(&[254])));
}

#[test]
fn paths_that_meet_have_equal_stacks() {
    // if (true) push 1; return
    let meet = |pushed: Vec<u8>| {
        let body = code(&[
            op(Op::Push0),
            op(Op::PushTrue),
            with_i32(Op::IfFalse, 4 + i32::try_from(pushed.len()).unwrap()),
            pushed,
            op(Op::Return),
        ]);
        is_compiled(&Function::new(&body))
    };
    assert!(meet(code(&[op(Op::Push1), op(Op::Drop)])));
    assert!(!meet(op(Op::Push1)));
}

#[test]
fn a_place_for_exceptions_is_not_a_value() {
    let body = code(&[with_i32(Op::Catch, 7), with_u16(Op::PutLoc, 0), op(Op::ReturnUndef)]);
    assert!(!is_compiled(&Function::new(&body)));
}

#[test]
fn an_iterator_is_closed_with_its_handler() {
    let close = |third: Vec<u8>| {
        let body =
            code(&[op(Op::Undefined), op(Op::Undefined), third, op(Op::IteratorClose), op(Op::ReturnUndef)]);
        is_compiled(&Function::new(&body))
    };
    assert!(close(with_i32(Op::Catch, 5)));
    assert!(!close(op(Op::Undefined)));
}

#[test]
fn a_jump_whose_two_ways_are_one_is_no_jump() {
    let body = code(&[op(Op::PushTrue), with_i32(Op::IfFalse, 4), op(Op::ReturnUndef)]);
    let compiled = compiled(&Function::new(&body).page(), Stress::default()).unwrap();
    assert_eq!(instructions(&compiled.module, |one| matches!(one, Operator::BrIf { .. })), 0);
}

#[test]
fn loops_are_interrupted() {
    let endless = Function::new(&with_i32(Op::Goto, -1));
    let compiled = compiled(&endless.page(), Stress::default()).unwrap();
    assert_eq!(instructions(&compiled.module, |one| matches!(one, Operator::Loop { .. })), 1);
    assert!(helpers(&compiled.module).contains(&"poll".to_owned()));
}

#[test]
fn a_function_that_is_left_does_not_keep_others_from_being_compiled() {
    let good = Function::new(&op(Op::ReturnUndef));
    let bad = Function::new(&op(Op::Drop));
    assert_eq!(count(&page_of(&[bad.clone(), good.clone(), bad, good])), 2);
}

#[test]
fn a_page_can_repeat_something_if_it_has_a_loop_or_a_second_function() {
    let once = Function::new(&op(Op::ReturnUndef));
    assert!(!can_repeat(&once.page()));
    assert!(can_repeat(&Function::new(&with_i32(Op::Goto, -1)).page()));
    let constants = vec![Constant::Function(Box::new(once.clone()))];
    assert!(can_repeat(&Function { constants, ..once }.page()));
    assert!(!can_repeat(b"no bytecode"));
}
