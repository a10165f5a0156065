//! Instructions, and the blocks that they form.

use crate::kinds::{kind, needs_interpreter};
use crate::limits::BLOCKS_MAX;
use crate::ops::{Format, OPS, Op};
use crate::read::Function;

/// An instruction with its operand. Short forms are replaced by the long ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    pub at: u32,
    /// The offset of what follows.
    pub next: u32,
    pub op: Op,
    pub operand: i32,
}

/// Instructions that follow each other without jumps.
pub(crate) struct Block {
    pub instructions: Vec<Instruction>,
    pub successors: Vec<usize>,
}

/// The blocks of a function, of which `all` are the instructions. `None` if one needs the interpreter, if a jump leads to
/// no instruction, or if there are too many blocks.
pub(crate) fn blocks(function: &Function, all: &[Instruction]) -> Option<Vec<Block>> {
    if all.iter().any(|instruction| needs_interpreter(instruction.op)) {
        return None;
    }
    let mut starts = vec![0];
    for instruction in all {
        if is_jump(instruction.op) {
            starts.push(u32::try_from(instruction.operand).ok()?);
        }
        if is_jump(instruction.op) || ends(function, instruction) {
            starts.push(instruction.next);
        }
    }
    starts.sort_unstable();
    starts.dedup();
    let index_of = |at: u32| starts.binary_search(&at).ok();
    let mut blocks: Vec<Block> = Vec::new();
    let mut begun = 0;
    for instruction in all {
        if index_of(instruction.at) == Some(begun) {
            blocks.push(Block { instructions: Vec::new(), successors: Vec::new() });
            begun += 1;
        }
        blocks.last_mut()?.instructions.push(*instruction);
    }
    // A jump into an instruction, or the end of the code, is a start at which no instruction begins.
    let ends_at_code = starts.last() == Some(&all.last()?.next);
    if blocks.len() + usize::from(ends_at_code) != starts.len() {
        return None;
    }
    let count = blocks.len();
    if count > BLOCKS_MAX {
        return None;
    }
    for (index, block) in blocks.iter_mut().enumerate() {
        let last = *block.instructions.last()?;
        let target = || index_of(u32::try_from(last.operand).ok()?);
        let successors = match last.op {
            Op::Goto => vec![target()?],
            Op::IfTrue | Op::IfFalse => vec![target()?, index + 1],
            _ if ends(function, &last) => Vec::new(),
            _ => vec![index + 1],
        };
        if successors.iter().any(|successor| *successor >= count) {
            return None;
        }
        block.successors = successors;
    }
    Some(blocks)
}

/// Whether some code can run again without a call: there is a jump back. `None` if the code is not well-formed.
pub(crate) fn has_loop(code: &[u8]) -> Option<bool> {
    let all = instructions(code)?;
    Some(all.iter().any(|instruction| {
        is_jump(instruction.op) && u32::try_from(instruction.operand).is_ok_and(|to| to <= instruction.at)
    }))
}

fn is_jump(op: Op) -> bool {
    matches!(op, Op::Goto | Op::IfTrue | Op::IfFalse)
}

/// Whether nothing follows the instruction in compiled code.
fn ends(function: &Function, instruction: &Instruction) -> bool {
    let is_return =
        matches!(instruction.op, Op::Return | Op::ReturnUndef | Op::TailCall | Op::TailCallMethod);
    is_return || kind(function, instruction.op).is_none()
}

/// The instructions of a function. `None` if they are not well-formed.
pub(crate) fn instructions(code: &[u8]) -> Option<Vec<Instruction>> {
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let (op, bytes, format) = *OPS.get(usize::from(*code.get(at)?))?;
        let next = at + usize::from(bytes);
        let operand = code.get(at + 1..next)?;
        let [at32, next32] = [u32::try_from(at).ok()?, u32::try_from(next).ok()?];
        let i32_at = |operand: &[u8]| Some(i32::from_le_bytes(operand.get(..4)?.try_into().ok()?));
        let i16_at = |operand: &[u8]| Some(i16::from_le_bytes(operand.get(..2)?.try_into().ok()?));
        let u16_at = |operand: &[u8]| Some(i32::from(u16::from_le_bytes(operand.get(..2)?.try_into().ok()?)));
        let to = |distance: i32| i32::try_from(at).ok()?.checked_add(1)?.checked_add(distance);
        let value = match format {
            Format::U8 | Format::Loc8 | Format::Const8 => i32::from(*operand.first()?),
            Format::I8 => i32::from(operand.first()?.cast_signed()),
            Format::U16 | Format::Npop | Format::Loc | Format::Arg | Format::VarRef => u16_at(operand)?,
            Format::I16 => i32::from(i16_at(operand)?),
            Format::I32 | Format::Const => i32_at(operand)?,
            Format::Label => to(i32_at(operand)?)?,
            Format::Label8 => to(i32::from(operand.first()?.cast_signed()))?,
            Format::Label16 => to(i32::from(i16_at(operand)?))?,
            _ => 0,
        };
        let mut push = |op, operand| instructions.push(Instruction { at: at32, next: next32, op, operand });
        if op == Op::GetLoc0Loc1 {
            // Both have the same place. Nothing can throw or jump between them.
            push(Op::GetLoc, 0);
            push(Op::GetLoc, 1);
        } else {
            let (op, operand) = long_form(op, value);
            push(op, operand);
        }
        at = next;
    }
    // Exceptions go to the interpreter, which continues at these places.
    let begins = |place: i32| {
        let place = u32::try_from(place).ok();
        place.is_some_and(|place| instructions.binary_search_by_key(&place, |other| other.at).is_ok())
    };
    let mut handlers = instructions.iter().filter(|instruction| instruction.op == Op::Catch);
    handlers.all(|handler| begins(handler.operand)).then_some(instructions)
}

fn long_form(op: Op, operand: i32) -> (Op, i32) {
    let nth = |first: Op| op as i32 - first as i32;
    match op {
        Op::PushMinus1
        | Op::Push0
        | Op::Push1
        | Op::Push2
        | Op::Push3
        | Op::Push4
        | Op::Push5
        | Op::Push6
        | Op::Push7 => (Op::PushI32, nth(Op::Push0)),
        Op::PushI8 | Op::PushI16 => (Op::PushI32, operand),
        Op::PushConst8 => (Op::PushConst, operand),
        Op::Fclosure8 => (Op::Fclosure, operand),
        Op::GetLoc8 => (Op::GetLoc, operand),
        Op::PutLoc8 => (Op::PutLoc, operand),
        Op::SetLoc8 => (Op::SetLoc, operand),
        Op::GetLoc0 | Op::GetLoc1 | Op::GetLoc2 | Op::GetLoc3 => (Op::GetLoc, nth(Op::GetLoc0)),
        Op::PutLoc0 | Op::PutLoc1 | Op::PutLoc2 | Op::PutLoc3 => (Op::PutLoc, nth(Op::PutLoc0)),
        Op::SetLoc0 | Op::SetLoc1 | Op::SetLoc2 | Op::SetLoc3 => (Op::SetLoc, nth(Op::SetLoc0)),
        Op::GetArg0 | Op::GetArg1 | Op::GetArg2 | Op::GetArg3 => (Op::GetArg, nth(Op::GetArg0)),
        Op::PutArg0 | Op::PutArg1 | Op::PutArg2 | Op::PutArg3 => (Op::PutArg, nth(Op::PutArg0)),
        Op::SetArg0 | Op::SetArg1 | Op::SetArg2 | Op::SetArg3 => (Op::SetArg, nth(Op::SetArg0)),
        Op::GetVarRef0 | Op::GetVarRef1 | Op::GetVarRef2 | Op::GetVarRef3 => {
            (Op::GetVarRef, nth(Op::GetVarRef0))
        }
        Op::PutVarRef0 | Op::PutVarRef1 | Op::PutVarRef2 | Op::PutVarRef3 => {
            (Op::PutVarRef, nth(Op::PutVarRef0))
        }
        Op::SetVarRef0 | Op::SetVarRef1 | Op::SetVarRef2 | Op::SetVarRef3 => {
            (Op::SetVarRef, nth(Op::SetVarRef0))
        }
        Op::IfFalse8 => (Op::IfFalse, operand),
        Op::IfTrue8 => (Op::IfTrue, operand),
        Op::Goto8 | Op::Goto16 => (Op::Goto, operand),
        Op::Call0 | Op::Call1 | Op::Call2 | Op::Call3 => (Op::Call, nth(Op::Call0)),
        _ => (op, operand),
    }
}
