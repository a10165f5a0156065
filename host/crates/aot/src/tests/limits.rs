//! Just under a limit a function is compiled, and just over it is left to the interpreter.

use super::unit::{Constant, Function, op, page_of, with_i32, with_u16};
use super::{compiled, count};
use crate::Stress;
use crate::limits::{
    ARGUMENTS_MAX, BLOCKS_MAX, BYTECODE_BYTES_MAX, DEPTH_MAX, FUNCTIONS_MAX, NESTING_MAX, STACK_MAX,
    VAR_REFS_MAX, VARIABLES_MAX,
};
use crate::ops::Op;

fn small() -> Function {
    Function::new(&op(Op::ReturnUndef))
}

fn is_compiled(function: &Function) -> bool {
    count(&function.page()) == 1
}

#[test]
fn arguments() {
    assert!(is_compiled(&Function { args: ARGUMENTS_MAX, ..small() }));
    assert!(!is_compiled(&Function { args: ARGUMENTS_MAX + 1, ..small() }));
    assert!(!is_compiled(&Function { args: u32::MAX, ..small() }));
}

#[test]
fn variables() {
    assert!(is_compiled(&Function { vars: VARIABLES_MAX, ..small() }));
    assert!(!is_compiled(&Function { vars: VARIABLES_MAX + 1, ..small() }));
    assert!(!is_compiled(&Function { vars: u32::MAX, ..small() }));
}

#[test]
fn operand_stack() {
    assert!(is_compiled(&Function { stack: STACK_MAX, ..small() }));
    assert!(!is_compiled(&Function { stack: STACK_MAX + 1, ..small() }));
    assert!(!is_compiled(&Function { stack: u32::MAX, ..small() }));
}

#[test]
fn captured_and_outer_variables() {
    assert!(is_compiled(&Function { var_refs: VAR_REFS_MAX, closure_vars: VAR_REFS_MAX, ..small() }));
    assert!(!is_compiled(&Function { var_refs: VAR_REFS_MAX + 1, ..small() }));
    assert!(!is_compiled(&Function { closure_vars: VAR_REFS_MAX + 1, ..small() }));
}

#[test]
fn everything_at_its_limit_at_once() {
    let captured = (0..ARGUMENTS_MAX + VARIABLES_MAX).map(|place| Some(place).filter(|place| place % 2 == 0));
    let function = Function {
        args: ARGUMENTS_MAX,
        vars: VARIABLES_MAX,
        stack: STACK_MAX,
        var_refs: VAR_REFS_MAX,
        closure_vars: VAR_REFS_MAX,
        captured: captured.collect(),
        ..small()
    };
    assert!(is_compiled(&function));
}

#[test]
fn bytecode_of_a_function() {
    let nops = |count: usize| [vec![Op::Nop as u8; count], op(Op::ReturnUndef)].concat();
    assert!(is_compiled(&Function::new(&nops(BYTECODE_BYTES_MAX - 1))));
    assert!(!is_compiled(&Function::new(&nops(BYTECODE_BYTES_MAX))));
}

/// Reads a property so many times.
fn reads(count: usize) -> Vec<u8> {
    let read = [with_u16(Op::GetLoc, 0), with_i32(Op::GetField, 1), op(Op::Drop)].concat();
    [read.repeat(count), op(Op::ReturnUndef)].concat()
}

#[test]
fn code_of_a_function() {
    let longest =
        (0..BYTECODE_BYTES_MAX / 9).rev().find(|count| is_compiled(&Function::new(&reads(*count)))).unwrap();
    assert!(longest > 500, "{longest}");
    assert!(longest < BYTECODE_BYTES_MAX / 9 - 1, "{longest}");
}

#[test]
fn variables_that_machine_code_moves_at_exits() {
    let with_variables = |vars: u32| Function { vars, ..Function::new(&reads(300)) };
    let most = (1..=VARIABLES_MAX).rev().find(|vars| is_compiled(&with_variables(*vars))).unwrap();
    assert!((100..VARIABLES_MAX).contains(&most), "{most}");
    // Two of the largest fit into a page.
    let functions = vec![with_variables(most); 10];
    assert_eq!(count(&page_of(&functions)), 2);
}

#[test]
fn code_of_a_page() {
    let functions: Vec<Function> = (0..50).map(|_| Function::new(&reads(200))).collect();
    let compiled = count(&page_of(&functions));
    assert!((5..50).contains(&compiled), "{compiled}");
    // Small functions still fit when a large one does not.
    let with_small: Vec<Function> = functions.into_iter().chain([small()]).collect();
    assert_eq!(count(&page_of(&with_small)), compiled + 1);
}

#[test]
fn functions_of_a_page() {
    for functions in [FUNCTIONS_MAX, FUNCTIONS_MAX + 1, 3 * FUNCTIONS_MAX] {
        let compiled = compiled(&page_of(&vec![small(); functions]), Stress::default()).unwrap();
        assert!(compiled.functions <= FUNCTIONS_MAX);
        assert_eq!(compiled.of_functions, functions);
    }
}

#[test]
fn blocks_of_a_function() {
    // Each jump goes to what follows it.
    let jumps = |count: usize| [with_i32(Op::Goto, 4).repeat(count), op(Op::ReturnUndef)].concat();
    assert!(is_compiled(&Function::new(&jumps(BLOCKS_MAX - 1))));
    assert!(!is_compiled(&Function::new(&jumps(BLOCKS_MAX))));
}

/// So many conditional jumps to the end, in front of each other, each to a place of its own.
fn nested(count: usize) -> Vec<u8> {
    let test = |distance: usize| {
        [op(Op::PushTrue), with_i32(Op::IfFalse, i32::try_from(distance).unwrap())].concat()
    };
    // The one at `index` has the others of six bytes behind it, and leads to the marker with the same number.
    let tests = (0..count).flat_map(|index| test(4 + 6 * (count - 1 - index) + 2 * index));
    let tests: Vec<u8> = tests.collect();
    [tests, [Op::Undefined as u8, Op::Drop as u8].repeat(count), op(Op::ReturnUndef)].concat()
}

#[test]
fn nested_blocks() {
    assert!(is_compiled(&Function::new(&nested(BLOCKS_MAX / 4))));
    let deepest = (0..BLOCKS_MAX).rev().find(|count| is_compiled(&Function::new(&nested(*count)))).unwrap();
    assert!((100..=NESTING_MAX).contains(&deepest), "{deepest}");
}

#[test]
fn values_in_each_other() {
    let arrays = |depth: u32| Function { constants: vec![Constant::Arrays(depth)], ..small() };
    assert!(is_compiled(&arrays(DEPTH_MAX - 1)));
    assert!(!is_compiled(&arrays(DEPTH_MAX)));
    assert!(!is_compiled(&arrays(100_000)));
}
