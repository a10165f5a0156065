//! Bytecode that is written to cost much.

use super::pages::PAGES;
use super::unit::{Function, op, page, page_of, with_i32, with_u16};
use super::{compiled, count};
use crate::limits::{BYTECODE_BYTES_MAX, STACK_MAX, VARIABLES_MAX};
use crate::ops::Op;
use crate::{Stress, compile};

#[test]
fn bytecode_that_is_cut_short_is_left() {
    for (name, blob) in PAGES {
        for length in 0..blob.len() {
            assert!(compile(&blob[..length], 1_000, Stress::default()).is_none(), "{name}, {length} bytes");
        }
    }
}

#[test]
fn a_unit_with_a_wrong_checksum_is_left() {
    for (name, blob) in PAGES {
        let mut blob = blob.to_vec();
        *blob.last_mut().unwrap() ^= 1;
        assert_eq!(count(&blob), 0, "{name}");
    }
}

#[test]
fn a_unit_that_is_not_understood_does_not_keep_others_from_being_compiled() {
    let (_, blob) = PAGES[0];
    let all = count(blob);
    assert_eq!(count(&[&page(&[0, 99]), blob].concat()), all);
    assert_eq!(count(&[blob, &page(&[])].concat()), all);
    assert_eq!(count(&[blob, blob].concat()), 2 * all);
}

#[test]
fn counts_that_are_not_true_take_no_memory() {
    let most = [0xff, 0xff, 0xff, 0xff, 0x0f];
    // Of atoms, of the elements of an array, of the bytes of a text.
    assert_eq!(count(&page(&most)), 0);
    assert_eq!(count(&page(&[[0, 9].as_slice(), &most].concat())), 0);
    assert_eq!(count(&page(&[[0, 7].as_slice(), &most].concat())), 0);
    for place in 0..10 {
        let mut function = vec![0, 12, 0, 0, 1, 0, 0, 0, 0];
        function.extend((0..10).flat_map(|other| if other == place { most.to_vec() } else { vec![1] }));
        function.extend([0; 30]);
        assert_eq!(count(&page(&function)), 0);
    }
}

/// A loop in which every variable gets its type from the one before, so that types are found slowly.
fn slow_types() -> Function {
    let count = u16::try_from(VARIABLES_MAX).unwrap() - 1;
    let moves =
        (0..count).rev().flat_map(|from| [with_u16(Op::GetLoc, from), with_u16(Op::PutLoc, from + 1)]);
    let mut code = [op(Op::Push0), with_u16(Op::PutLoc, 0)].concat();
    let start = code.len();
    code.extend(moves.flatten());
    let distance = i32::try_from(code.len() + 1 - start).unwrap();
    code.extend(with_i32(Op::Goto, -distance));
    Function { vars: VARIABLES_MAX, ..Function::new(&code) }
}

/// Exits with a full operand stack.
fn large_exits() -> Function {
    let mut code = op(Op::Object).repeat(STACK_MAX as usize - 1);
    while code.len() < BYTECODE_BYTES_MAX - 10 {
        code.extend([Op::Object as u8, Op::Drop as u8]);
    }
    code.extend(op(Op::ReturnUndef));
    Function { stack: STACK_MAX, ..Function::new(&code) }
}

/// Jumps back from everywhere, which are loops in loops, and forward into them.
fn loops() -> Function {
    let mut code = Vec::new();
    for index in 0..190_i32 {
        code.extend(op(Op::PushTrue));
        let at = i32::try_from(code.len()).unwrap();
        // To the beginning of a block before, or behind.
        let target = if index % 3 == 0 { 6 * (189 - index) } else { 6 * (index * 7 % 190) };
        code.extend(with_i32(Op::IfTrue, target - at - 1));
    }
    code.extend(op(Op::ReturnUndef));
    Function::new(&code)
}

#[test]
fn work_is_limited() {
    for function in [slow_types(), large_exits(), loops()] {
        // Each function alone, and so many that only the limit of the page ends it. The code is checked as well.
        compiled(&function.page(), Stress::default());
        let repeated = vec![function; 300];
        compiled(&page_of(&repeated), Stress::default());
    }
}
