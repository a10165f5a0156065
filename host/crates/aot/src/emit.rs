//! Compiles one function.
//!
//! The operand stack of QuickJS is followed at compile time: an operand is a constant, a variable that is
//! borrowed, or a temporary that owns its value. Between blocks, each depth has its own WebAssembly variable.

use wasm_encoder::{BlockType, InstructionSink, MemArg, ValType};

use crate::decode::{Block, Instruction};
use crate::layout as at;
use crate::ops::Op;
use crate::read::{Constant, Function};
use crate::runtime::{Helper, Needs, Routine};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Type {
    Int,
    /// An integer or a float.
    Number,
    Bool,
    /// Any value without a reference count.
    Plain,
    Catch,
    Any,
}

impl Type {
    fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Number)
    }

    /// What is either of them.
    fn join(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (a, b) if a == b => a,
            (Self::Catch, _) | (_, Self::Catch) => return None,
            (Self::Any, _) | (_, Self::Any) => Self::Any,
            (a, b) if a.is_number() && b.is_number() => Self::Number,
            _ => Self::Plain,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Constant(u64),
    /// A variable of the function, which keeps the value.
    Borrowed(u32),
    /// A temporary that owns the value.
    Temporary(u32),
    /// The variable of its depth, which owns the value.
    Slot(u32),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    ty: Type,
}

/// What is known at the beginning of a block.
#[derive(Clone, PartialEq, Eq, Debug)]
struct State {
    variables: Vec<Type>,
    stack: Vec<Type>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Label {
    /// Where exceptions and what is not compiled go.
    Leave,
    Return,
    /// The loop that begins at this block.
    Loop(usize),
    /// Ends before this block.
    Until(usize),
    Other,
}

const CTX: u32 = 0;
const FUNC: u32 = 1;
const THIS: u32 = 2;

/// Functions with more are left to the interpreter.
const ARGUMENTS_MAX: u32 = 64;
/// A frame takes so much more of the stack in memory, about as much as the interpreter's own variables. So deep
/// recursion reaches the limit of that stack, which throws, before WebAssembly's, which ends the run.
const FRAME_EXTRA_BYTES: u64 = 256;

/// Scratch variables, behind the parameters.
const SCRATCH_I32: u32 = 9;
const SCRATCH_I64: u32 = 3;

pub(crate) struct Compiler<'a> {
    function: &'a Function,
    blocks: &'a [Block],
    /// The number of the function among those of the page.
    number: u32,
    needs: &'a mut Needs,
    first_site: u32,
    code: Vec<u8>,
    stack: Vec<Entry>,
    /// Types of the variables, then of the arguments.
    variables: Vec<Type>,
    /// Whether a variable or an argument can ever hold a value with a reference count.
    can_be_any: Vec<bool>,
    written_args: Vec<bool>,
    temporaries: u32,
    free_temporaries: Vec<u32>,
    labels: Vec<Label>,
    block: usize,
    sites: u32,
    /// Temporaries that have had the value of an outer variable, which may be the function itself.
    from_var_ref: Vec<u32>,
}

/// A function's code: the variables beyond the parameters, and the body without its `end`.
pub(crate) struct Body {
    pub locals: Vec<(u32, ValType)>,
    pub code: Vec<u8>,
    pub sites: u32,
}

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

const VALUE: BlockType = BlockType::Result(ValType::I64);
const FLAG: BlockType = BlockType::Result(ValType::I32);

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        function: &'a Function,
        blocks: &'a [Block],
        number: u32,
        needs: &'a mut Needs,
        first_site: u32,
    ) -> Option<Self> {
        let mut written_args = vec![false; function.args as usize];
        for instruction in blocks.iter().flat_map(|block| &block.instructions) {
            if matches!(instruction.op, Op::PutArg | Op::SetArg) {
                *written_args.get_mut(usize::try_from(instruction.operand).ok()?)? = true;
            }
        }
        let count = (function.args + function.vars) as usize;
        if !function.is_captured.is_empty() && function.is_captured.len() != count {
            return None;
        }
        // WebAssembly functions have a limit, too.
        if function.args > ARGUMENTS_MAX {
            return None;
        }
        // The arguments of async functions are in a frame that others see, too.
        if function.is_async && function.args > 0 {
            return None;
        }
        Some(Self {
            function,
            blocks,
            number,
            needs,
            first_site,
            code: Vec::new(),
            stack: Vec::new(),
            variables: Vec::new(),
            can_be_any: vec![false; count],
            written_args,
            temporaries: 0,
            free_temporaries: Vec::new(),
            labels: Vec::new(),
            block: 0,
            sites: 0,
            from_var_ref: Vec::new(),
        })
    }

    // Variables.

    fn base(&self) -> u32 {
        if self.function.is_async { 5 } else { 3 + self.function.args }
    }
    fn sf(&self) -> u32 {
        if self.function.is_async { 4 } else { self.base() }
    }
    fn var_refs(&self) -> u32 {
        self.base() + 1
    }
    fn rt(&self) -> u32 {
        self.base() + 2
    }
    /// The function's bytecode.
    fn bytecode(&self) -> u32 {
        self.base() + 3
    }
    fn p(&self) -> u32 {
        self.base() + 4
    }
    fn q(&self) -> u32 {
        self.base() + 5
    }
    fn depth(&self) -> u32 {
        self.base() + 6
    }
    /// The offset at which the interpreter continues, plus 1; 0 for an exception.
    fn resume_at(&self) -> u32 {
        self.base() + 7
    }
    fn flag(&self) -> u32 {
        self.base() + 8
    }
    fn x(&self) -> u32 {
        self.base() + SCRATCH_I32
    }
    fn y(&self) -> u32 {
        self.base() + SCRATCH_I32 + 1
    }
    fn result(&self) -> u32 {
        self.base() + SCRATCH_I32 + 2
    }
    fn variable(&self, index: u32) -> u32 {
        self.base() + SCRATCH_I32 + SCRATCH_I64 + index
    }
    fn slot(&self, depth: u32) -> u32 {
        self.variable(self.function.vars) + depth
    }
    fn argument(&self, index: u32) -> u32 {
        3 + index
    }
    fn temporary(&mut self) -> u32 {
        self.free_temporaries.pop().unwrap_or_else(|| {
            self.temporaries += 1;
            self.slot(self.function.stack) + self.temporaries - 1
        })
    }

    fn is_variable_captured(&self, index: u32) -> bool {
        self.function.is_captured.get((self.function.args + index) as usize).copied().unwrap_or(false)
    }
    fn is_argument_captured(&self, index: u32) -> bool {
        self.function.is_captured.get(index as usize).copied().unwrap_or(false)
    }

    // Cells of the frame: a WebAssembly variable and an offset.

    fn argument_cell(&self, index: u32) -> (u32, u64) {
        (self.sf(), at::SF_SIZE + 8 * u64::from(index))
    }
    fn variable_cell(&self, index: u32) -> (u32, u64) {
        if self.function.is_async {
            // `rt` is not needed otherwise: it holds the address of the variables.
            (self.rt(), 8 * u64::from(index))
        } else {
            self.argument_cell(self.function.args + index)
        }
    }
    fn stack_cell(&self, depth: u32) -> (u32, u64) {
        self.variable_cell(self.function.vars + depth)
    }
    fn frame_bytes(&self) -> u64 {
        let function = self.function;
        let values = u64::from(function.args + function.vars + function.stack);
        let bytes = at::SF_SIZE + 8 * values + 4 * u64::from(function.var_refs) + FRAME_EXTRA_BYTES;
        (bytes + 15) & !15
    }

    // Code.

    fn s(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }
    fn call(&mut self, helper: Helper) {
        let index = self.needs.helper(helper);
        self.s().call(index);
    }
    fn routine(&mut self, routine: Routine) {
        let index = self.needs.routine(routine);
        self.s().call(index);
    }
    fn open_if(&mut self, ty: BlockType) {
        self.labels.push(Label::Other);
        self.s().if_(ty);
    }
    fn open_block(&mut self, ty: BlockType) {
        self.labels.push(Label::Other);
        self.s().block(ty);
    }
    fn close(&mut self) {
        self.labels.pop();
        self.s().end();
    }
    fn depth_of(&self, label: Label) -> u32 {
        let found = self.labels.iter().rev().position(|other| *other == label);
        u32::try_from(found.unwrap_or(0)).unwrap_or(0)
    }
    fn br(&mut self, label: Label) {
        let depth = self.depth_of(label);
        self.s().br(depth);
    }
    fn br_if(&mut self, label: Label) {
        let depth = self.depth_of(label);
        self.s().br_if(depth);
    }
    fn constant(&mut self, bits: u64) {
        self.s().i64_const(bits.cast_signed());
    }

    fn get(&mut self, entry: Entry) {
        match entry.place {
            Place::Constant(bits) => self.constant(bits),
            Place::Borrowed(local) | Place::Temporary(local) | Place::Slot(local) => {
                self.s().local_get(local);
            }
        }
    }
    fn is_borrowed(entry: Entry) -> bool {
        matches!(entry.place, Place::Borrowed(_)) && entry.ty == Type::Any
    }
    fn has_reference(&mut self, local: u32) {
        self.s().local_get(local);
        self.constant(at::FIRST_REF);
        self.s().i64_ge_u();
    }
    fn dup(&mut self, local: u32) {
        let p = self.p();
        self.has_reference(local);
        self.open_if(BlockType::Empty);
        self.s().local_get(local).i32_wrap_i64().local_tee(p).local_get(p).i32_load(i32_at(0));
        self.s().i32_const(1).i32_add().i32_store(i32_at(0));
        self.close();
    }
    fn free(&mut self, local: u32) {
        self.has_reference(local);
        self.open_if(BlockType::Empty);
        self.s().local_get(CTX).local_get(local);
        self.routine(Routine::Free);
        self.close();
    }
    fn release(&mut self, entry: Entry) {
        if let Place::Temporary(local) = entry.place {
            self.free_temporaries.push(local);
        }
    }
    /// Frees what the stack owns.
    fn drop_entry(&mut self, entry: Entry) {
        if let Place::Temporary(local) | Place::Slot(local) = entry.place
            && entry.ty == Type::Any
        {
            self.free(local);
        }
        self.release(entry);
    }
    /// Leaves a value on WebAssembly's stack that belongs to whoever takes it.
    fn own(&mut self, entry: Entry) {
        if Self::is_borrowed(entry)
            && let Place::Borrowed(local) = entry.place
        {
            self.dup(local);
        }
        self.get(entry);
    }
    /// Like `own`, before other operands are put on WebAssembly's stack.
    fn make_own(&mut self, entry: Entry) {
        if Self::is_borrowed(entry)
            && let Place::Borrowed(local) = entry.place
        {
            self.dup(local);
        }
    }
    /// Pushes what is on WebAssembly's stack.
    fn push_new(&mut self, ty: Type) -> u32 {
        let local = self.temporary();
        self.s().local_set(local);
        self.stack.push(Entry { place: Place::Temporary(local), ty });
        local
    }
    fn push_constant(&mut self, bits: u64, ty: Type) {
        self.stack.push(Entry { place: Place::Constant(bits), ty });
    }
    fn pop(&mut self) -> Option<Entry> {
        self.stack.pop()
    }
    fn pop_many(&mut self, count: u32) -> Option<Vec<Entry>> {
        let start = self.stack.len().checked_sub(count as usize)?;
        Some(self.stack.split_off(start))
    }

    /// Another entry with the same value.
    fn copy(&mut self, entry: Entry) -> Entry {
        let (Place::Temporary(local) | Place::Slot(local)) = entry.place else { return entry };
        if entry.ty == Type::Any {
            self.dup(local);
        }
        let copy = self.temporary();
        self.s().local_get(local).local_set(copy);
        Entry { place: Place::Temporary(copy), ty: entry.ty }
    }

    /// Before a variable changes: entries that borrow it get their own value.
    fn spill_borrows(&mut self, variable: u32) {
        for index in 0..self.stack.len() {
            let Some(entry) = self.stack.get(index).copied() else { continue };
            if entry.place == Place::Borrowed(variable) {
                self.own(entry);
                let local = self.temporary();
                self.s().local_set(local);
                if let Some(place) = self.stack.get_mut(index) {
                    place.place = Place::Temporary(local);
                }
            }
        }
    }

    fn store_in(&mut self, (local, offset): (u32, u64), entry: Entry) {
        self.make_own(entry);
        self.s().local_get(local);
        self.get(entry);
        self.s().i64_store(i64_at(offset));
    }

    /// Puts the operands into the frame and leaves. They are still the compiler's afterwards: this code is
    /// behind a branch.
    fn leave(&mut self, extra_depth: u32) {
        for depth in 0..self.stack.len() {
            let entry = self.stack.get(depth).copied();
            let cell = self.stack_cell(u32::try_from(depth).unwrap_or(0));
            if let Some(entry) = entry {
                self.store_in(cell, entry);
            }
        }
        let depth = i32::try_from(self.stack.len()).unwrap_or(0) + extra_depth.cast_signed();
        let local = self.depth();
        self.s().i32_const(depth).local_set(local);
        self.br(Label::Leave);
    }
    /// Leaves if the number on WebAssembly's stack is not 0.
    fn leave_if(&mut self, extra_depth: u32) {
        if self.stack.is_empty() && extra_depth == 0 {
            self.br_if(Label::Leave);
        } else {
            self.open_if(BlockType::Empty);
            self.leave(extra_depth);
            self.close();
        }
    }
    fn check_exception(&mut self, local: u32) {
        self.s().local_get(local);
        self.constant(at::EXCEPTION);
        self.s().i64_eq();
        self.leave_if(0);
    }
    /// The interpreter continues at this instruction.
    fn resume(&mut self, offset: u32) {
        let local = self.resume_at();
        self.s().i32_const(offset.cast_signed() + 1).local_set(local);
        self.leave(0);
    }

    /// Moves the operands to where the next block expects them.
    fn canonical(&mut self) {
        let mut moves = Vec::new();
        for depth in 0..self.stack.len() {
            let slot = self.slot(u32::try_from(depth).unwrap_or(0));
            let Some(entry) = self.stack.get(depth).copied() else { continue };
            if entry.place != Place::Slot(slot) {
                moves.push((depth, slot, entry));
            }
        }
        for (_, _, entry) in &moves {
            self.own(*entry);
        }
        for (depth, slot, entry) in moves.into_iter().rev() {
            self.s().local_set(slot);
            self.release(entry);
            if let Some(place) = self.stack.get_mut(depth) {
                place.place = Place::Slot(slot);
            }
        }
    }

    /// Sets the place of an instruction, for calls.
    fn set_pc(&mut self, instruction: Instruction) {
        let (sf, bytecode) = (self.sf(), self.bytecode());
        self.s().local_get(sf).local_get(bytecode).i32_load(i32_at(at::BYTECODE_CODE));
        self.s().i32_const(instruction.next.cast_signed()).i32_add().i32_store(i32_at(at::SF_CUR_PC));
    }
    fn pc(&mut self, instruction: Instruction) {
        self.s().i32_const(instruction.next.cast_signed());
    }

    // Values.

    fn int_of(&mut self, entry: Entry) {
        if let Place::Constant(bits) = entry.place {
            self.s().i32_const((bits as u32).cast_signed());
        } else {
            self.get(entry);
            self.s().i32_wrap_i64();
        }
    }
    fn long_of(&mut self, entry: Entry) {
        if let Place::Constant(bits) = entry.place {
            self.s().i64_const(i64::from((bits as u32).cast_signed()));
        } else {
            self.get(entry);
            self.s().i64_extend32_s();
        }
    }
    /// Whether all of them are integers. `false` if that is known.
    fn are_ints(&mut self, entries: &[Entry]) -> bool {
        let unknown: Vec<Entry> = entries.iter().filter(|entry| entry.ty != Type::Int).copied().collect();
        let Some((first, rest)) = unknown.split_first() else { return false };
        self.get(*first);
        for entry in rest {
            self.get(*entry);
            self.s().i64_or();
        }
        self.s().i64_const(32).i64_shr_u().i64_eqz();
        true
    }

    /// The slow way of an instruction with two operands, which it takes over.
    fn slow(&mut self, instruction: Instruction, op: Op, a: Entry, b: Entry) {
        let flags = u32::from(Self::is_borrowed(a)) | u32::from(Self::is_borrowed(b)) << 1;
        self.s().local_get(CTX);
        self.get(a);
        self.get(b);
        self.s().i32_const((instruction.next << 2 | flags).cast_signed());
        self.routine(Routine::Binary(op));
    }

    fn arithmetic(&mut self, instruction: Instruction, op: Op, a: Entry, b: Entry) -> Entry {
        let are_numbers = a.ty.is_number() && b.ty.is_number();
        let (x, y) = (self.x(), self.result());
        let local = self.temporary();
        let unknown = self.are_ints(&[a, b]);
        if unknown {
            self.open_if(VALUE);
        }
        match op {
            Op::Add | Op::Sub => {
                self.long_of(a);
                self.long_of(b);
                if op == Op::Add {
                    self.s().i64_add();
                } else {
                    self.s().i64_sub();
                }
                self.s().local_tee(x).local_get(x).i64_extend32_s().i64_eq();
                self.open_if(VALUE);
                self.s().local_get(x).i64_const(0xffff_ffff).i64_and();
                self.s().else_();
                self.s().local_get(x).f64_convert_i64_s();
                self.routine(Routine::Box);
                self.close();
            }
            Op::Mul => {
                self.long_of(a);
                self.long_of(b);
                self.s().i64_mul().local_tee(x).local_get(x).i64_extend32_s().i64_eq();
                self.s().local_get(x).i64_eqz().i32_eqz().i32_and();
                self.open_if(VALUE);
                self.s().local_get(x).i64_const(0xffff_ffff).i64_and();
                self.s().else_();
                self.slow(instruction, op, a, b);
                self.close();
            }
            Op::Mod => {
                self.int_of(a);
                self.s().i32_const(0).i32_ge_s();
                self.int_of(b);
                self.s().i32_const(0).i32_gt_s().i32_and();
                self.open_if(VALUE);
                self.int_of(a);
                self.int_of(b);
                self.s().i32_rem_u().i64_extend_i32_u();
                self.s().else_();
                self.slow(instruction, op, a, b);
                self.close();
            }
            _ => self.slow(instruction, op, a, b),
        }
        if unknown {
            self.s().else_();
            self.slow(instruction, op, a, b);
            self.close();
        }
        let _ = y;
        self.s().local_set(local);
        self.release(a);
        self.release(b);
        if !are_numbers {
            self.check_exception(local);
        }
        let ty = if are_numbers { Type::Number } else { Type::Any };
        Entry { place: Place::Temporary(local), ty }
    }

    fn bitwise(&mut self, instruction: Instruction, op: Op, a: Entry, b: Entry) -> Entry {
        let are_numbers = a.ty.is_number() && b.ty.is_number();
        let local = self.temporary();
        let unknown = self.are_ints(&[a, b]);
        if unknown {
            self.open_if(VALUE);
        }
        self.int_of(a);
        self.int_of(b);
        match op {
            Op::And => self.s().i32_and(),
            Op::Or => self.s().i32_or(),
            Op::Xor => self.s().i32_xor(),
            Op::Shl => self.s().i32_shl(),
            Op::Sar => self.s().i32_shr_s(),
            _ => self.s().i32_shr_u(),
        };
        if op == Op::Shr {
            let q = self.q();
            self.s().local_tee(q).i32_const(0).i32_ge_s();
            self.open_if(VALUE);
            self.s().local_get(q).i64_extend_i32_u();
            self.s().else_();
            self.s().local_get(q).f64_convert_i32_u();
            self.routine(Routine::Box);
            self.close();
        } else {
            self.s().i64_extend_i32_u();
        }
        if unknown {
            self.s().else_();
            self.slow(instruction, op, a, b);
            self.close();
        }
        self.s().local_set(local);
        self.release(a);
        self.release(b);
        if !are_numbers {
            self.check_exception(local);
        }
        let ty = match (are_numbers, op) {
            (false, _) => Type::Any,
            (true, Op::Shr) => Type::Number,
            (true, _) => Type::Int,
        };
        Entry { place: Place::Temporary(local), ty }
    }

    /// Sets the flag.
    fn compare(&mut self, instruction: Instruction, op: Op, a: Entry, b: Entry) {
        let are_numbers = a.ty.is_number() && b.ty.is_number();
        let (flag, y) = (self.flag(), self.y());
        let unknown = self.are_ints(&[a, b]);
        if unknown {
            self.open_if(FLAG);
        }
        self.int_of(a);
        self.int_of(b);
        match op {
            Op::Lt => self.s().i32_lt_s(),
            Op::Lte => self.s().i32_le_s(),
            Op::Gt => self.s().i32_gt_s(),
            Op::Gte => self.s().i32_ge_s(),
            Op::Eq | Op::StrictEq => self.s().i32_eq(),
            _ => self.s().i32_ne(),
        };
        if unknown {
            self.s().else_();
            self.slow(instruction, op, a, b);
            self.s().local_tee(y).i32_wrap_i64();
            if !are_numbers {
                self.s().local_get(y);
                self.constant(at::EXCEPTION);
                self.s().i64_eq();
                self.leave_if(0);
            }
            self.close();
        }
        self.s().local_set(flag);
        self.release(a);
        self.release(b);
    }

    fn push_flag(&mut self) {
        let flag = self.flag();
        self.s().local_get(flag).i64_extend_i32_u();
        self.constant(at::FALSE);
        self.s().i64_or();
        self.push_new(Type::Bool);
    }

    /// Sets the flag to whether the value is true. Takes it over.
    fn truth(&mut self, entry: Entry) {
        let flag = self.flag();
        match (entry.place, entry.ty) {
            (Place::Constant(bits), _) => {
                let number = f64::from_bits(bits.wrapping_add(at::FLOAT_ADDEND));
                let is_float = entry.ty == Type::Number && bits >> 32 != 0;
                let is_true = if is_float { number != 0.0 && !number.is_nan() } else { bits as u32 != 0 };
                self.s().i32_const(i32::from(is_true)).local_set(flag);
            }
            (_, Type::Bool | Type::Int) => {
                self.int_of(entry);
                self.s().i32_const(0).i32_ne().local_set(flag);
            }
            _ => {
                self.get(entry);
                self.constant(at::UNINITIALIZED);
                self.s().i64_lt_u();
                self.open_if(FLAG);
                self.int_of(entry);
                self.s().i32_const(0).i32_ne();
                self.s().else_();
                self.make_own(entry);
                self.s().local_get(CTX);
                self.get(entry);
                self.call(Helper::ToBool);
                self.close();
                self.s().local_set(flag);
            }
        }
        self.release(entry);
    }

    fn increment(&mut self, instruction: Instruction, op: Op, entry: Entry) -> Entry {
        let is_inc = matches!(op, Op::Inc | Op::IncLoc | Op::PostInc);
        if entry.ty.is_number() {
            let one = Entry { place: Place::Constant(at::int(1)), ty: Type::Int };
            return self.arithmetic(instruction, if is_inc { Op::Add } else { Op::Sub }, entry, one);
        }
        let local = self.temporary();
        let (limit, step) = if is_inc { (i32::MAX, 1) } else { (i32::MIN, -1) };
        self.get(entry);
        self.s().i64_const(32).i64_shr_u().i64_eqz();
        self.get(entry);
        self.constant(at::int(limit));
        self.s().i64_ne().i32_and();
        self.open_if(VALUE);
        self.int_of(entry);
        self.s().i32_const(step).i32_add().i64_extend_i32_u();
        self.s().else_();
        self.make_own(entry);
        self.s().local_get(CTX);
        self.get(entry);
        self.pc(instruction);
        self.s().i32_const(if is_inc { Op::Inc } else { Op::Dec } as i32);
        self.call(Helper::Unary);
        self.close();
        self.s().local_set(local);
        self.release(entry);
        self.check_exception(local);
        Entry { place: Place::Temporary(local), ty: Type::Any }
    }

    fn unary(&mut self, instruction: Instruction, op: Op, entry: Entry, ty: Type) {
        self.make_own(entry);
        self.s().local_get(CTX);
        self.get(entry);
        self.pc(instruction);
        self.s().i32_const(op as i32);
        self.call(Helper::Unary);
        self.release(entry);
        let local = self.push_new(ty);
        if let Some(pushed) = self.stack.pop() {
            self.check_exception(local);
            self.stack.push(pushed);
        }
    }

    /// Checks the value that was pushed last, which has no owner if it is an exception.
    fn check_pushed(&mut self, local: u32) {
        if let Some(pushed) = self.stack.pop() {
            self.check_exception(local);
            self.stack.push(pushed);
        }
    }

    fn note_type(&mut self, variable: usize, ty: Type) {
        if ty == Type::Any
            && let Some(can_be_any) = self.can_be_any.get_mut(variable)
        {
            *can_be_any = true;
        }
    }

    /// Sets a variable that no closure captures to what the stack had.
    fn set_variable(&mut self, local: u32, index: usize, entry: Entry) -> Option<()> {
        self.spill_borrows(local);
        let old = *self.variables.get(index)?;
        let y = self.y();
        self.make_own(entry);
        if old == Type::Any {
            self.s().local_get(local).local_set(y);
        }
        self.get(entry);
        self.s().local_set(local);
        if old == Type::Any {
            self.free(y);
        }
        self.release(entry);
        self.note_type(index, entry.ty);
        *self.variables.get_mut(index)? = entry.ty;
        Some(())
    }

    /// Sets a cell in memory, at the address that `p` has, to what the stack had.
    fn set_cell(&mut self, (local, offset): (u32, u64), entry: Entry) {
        let y = self.y();
        self.make_own(entry);
        self.s().local_get(local).i64_load(i64_at(offset)).local_set(y);
        self.s().local_get(local);
        self.get(entry);
        self.s().i64_store(i64_at(offset));
        self.free(y);
        self.release(entry);
    }

    fn check_initialized(&mut self, instruction: Instruction, is_ref: bool) {
        // The value is on WebAssembly's stack.
        self.constant(at::UNINITIALIZED);
        self.s().i64_eq();
        self.open_if(BlockType::Empty);
        self.s().local_get(CTX);
        self.pc(instruction);
        self.s().i32_const(instruction.operand).i32_const(i32::from(is_ref));
        self.call(Helper::Uninitialized);
        self.leave(0);
        self.close();
    }

    /// An instruction on the stack in memory.
    fn step(&mut self, instruction: Instruction, inputs: u32, outputs: &[Type], operand: i32) -> Option<()> {
        let entries = self.pop_many(inputs)?;
        let base = u32::try_from(self.stack.len()).ok()?;
        for (entry, depth) in entries.iter().zip(base..) {
            let cell = self.stack_cell(depth);
            self.store_in(cell, *entry);
            self.release(*entry);
        }
        let (local, offset) = self.stack_cell(base + inputs);
        self.s().local_get(CTX).local_get(local).i32_const(i32::try_from(offset).ok()?).i32_add();
        self.pc(instruction);
        self.s().i32_const(instruction.op as i32).i32_const(operand);
        self.call(Helper::Step);
        self.leave_if(inputs);
        for (ty, depth) in outputs.iter().zip(base..) {
            let (local, offset) = self.stack_cell(depth);
            self.s().local_get(local).i64_load(i64_at(offset));
            self.push_new(*ty);
        }
        Some(())
    }

    /// A call. Borrowed arguments stay borrowed.
    fn js_call(&mut self, instruction: Instruction, has_this: bool) -> Option<u32> {
        let count = u32::try_from(instruction.operand).ok()?;
        let arguments = self.pop_many(count)?;
        let function = self.pop()?;
        let this = if has_this {
            self.pop()?
        } else {
            Entry { place: Place::Constant(at::UNDEFINED), ty: Type::Plain }
        };
        let base = u32::try_from(self.stack.len()).ok()? + 1 + u32::from(has_this);
        let (p, q) = (self.p(), self.q());
        self.set_pc(instruction);
        let is_direct = !self.function.is_async && !has_this && self.is_from_var_ref(function);
        if is_direct {
            // q: the number of the function's code, or 0
            self.s().i32_const(0).local_set(q);
            self.get(function);
            self.constant(at::OBJECT);
            self.s().i64_ge_u();
            self.open_if(BlockType::Empty);
            self.get(function);
            self.s().i32_wrap_i64().local_tee(p).i32_load16_u(i16_at(at::OBJECT_CLASS));
            self.s().i32_const(at::CLASS_FUNCTION).i32_eq();
            self.open_if(BlockType::Empty);
            self.s().local_get(p).i32_load(i32_at(at::FUNCTION_BYTECODE));
            self.s().i32_load(i32_at(at::BYTECODE_COMPILED)).local_set(q);
            self.close();
            self.close();
            let own_number = self.needs.number_of(self.number);
            self.s().local_get(q).i32_const(own_number).i32_eq();
            self.open_if(VALUE);
            self.s().local_get(CTX);
            self.get(function);
            self.get(this);
            for index in 0..self.function.args {
                match arguments.get(index as usize) {
                    Some(argument) => self.get(*argument),
                    None => self.constant(at::UNDEFINED),
                }
            }
            let index = self.needs.body(self.number);
            self.s().call(index);
            self.s().else_();
        }
        for (argument, depth) in arguments.iter().zip(base..) {
            let (local, offset) = self.stack_cell(depth);
            self.s().local_get(local);
            self.get(*argument);
            self.s().i64_store(i64_at(offset));
        }
        self.s().local_get(CTX);
        self.get(function);
        self.get(this);
        self.s().i32_const(count.cast_signed());
        let (local, offset) = self.stack_cell(base);
        self.s().local_get(local).i32_const(i32::try_from(offset).ok()?).i32_add();
        self.routine(Routine::Call);
        if is_direct {
            self.close();
        }
        let local = self.temporary();
        self.s().local_set(local);
        for argument in arguments {
            self.drop_entry(argument);
        }
        self.drop_entry(function);
        if has_this {
            self.drop_entry(this);
        }
        self.check_exception(local);
        Some(local)
    }

    /// Whether it is worth to find out if the callee is this function.
    fn is_from_var_ref(&self, entry: Entry) -> bool {
        matches!(entry.place, Place::Temporary(local) if self.from_var_ref.contains(&local))
    }

    fn site(&mut self) -> u32 {
        self.sites += 1;
        (self.first_site + self.sites - 1) * at::SITE_BYTES
    }

    fn get_field(&mut self, instruction: Instruction, keeps: bool) -> Option<()> {
        let object = self.pop()?;
        let site = self.site();
        let sites = self.needs.sites();
        let local = self.temporary();
        self.s().local_get(CTX);
        self.get(object);
        self.pc(instruction);
        self.s().global_get(sites).i32_const(i32::try_from(site).ok()?).i32_add();
        self.routine(Routine::GetField);
        self.s().local_set(local);
        if keeps {
            self.stack.push(object);
            self.check_exception(local);
        } else {
            self.drop_entry(object);
            self.check_exception(local);
        }
        self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
        Some(())
    }

    fn put_field(&mut self, instruction: Instruction) -> Option<()> {
        let value = self.pop()?;
        let object = self.pop()?;
        let site = self.site();
        let sites = self.needs.sites();
        self.make_own(value);
        self.s().local_get(CTX);
        self.get(object);
        self.get(value);
        self.pc(instruction);
        self.s().global_get(sites).i32_const(i32::try_from(site).ok()?).i32_add();
        self.routine(Routine::PutField);
        let flag = self.flag();
        self.s().local_set(flag);
        self.release(value);
        self.drop_entry(object);
        self.s().local_get(flag);
        self.leave_if(0);
        Some(())
    }

    fn get_element(&mut self, instruction: Instruction) -> Option<()> {
        let index = self.pop()?;
        let object = self.pop()?;
        let (p, x) = (self.p(), self.x());
        let local = self.temporary();
        self.open_block(VALUE);
        self.labels.push(Label::Other);
        self.s().block(BlockType::Empty);
        self.array_element(object, index);
        self.s().i64_load(i64_at(0)).local_set(x);
        self.dup(x);
        self.s().local_get(x).br(1);
        self.close();
        self.make_own(index);
        self.s().local_get(CTX);
        self.get(object);
        self.get(index);
        self.pc(instruction);
        self.call(Helper::GetElement);
        self.close();
        let _ = p;
        self.s().local_set(local);
        self.release(index);
        self.drop_entry(object);
        self.check_exception(local);
        self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
        Some(())
    }

    /// The address of an array's element, or a branch out of the innermost block.
    fn array_element(&mut self, object: Entry, index: Entry) {
        let p = self.p();
        self.get(object);
        self.constant(at::OBJECT);
        self.s().i64_lt_u().br_if(0);
        if self.are_ints(&[index]) {
            self.s().i32_eqz().br_if(0);
        }
        self.get(object);
        self.s().i32_wrap_i64().local_tee(p).i32_load16_u(i16_at(at::OBJECT_CLASS));
        self.s().i32_const(at::CLASS_ARRAY).i32_ne().br_if(0);
        self.int_of(index);
        self.s().local_get(p).i32_load(i32_at(at::ARRAY_COUNT)).i32_ge_u().br_if(0);
        self.s().local_get(p).i32_load(i32_at(at::ARRAY_VALUES));
        self.int_of(index);
        self.s().i32_const(3).i32_shl().i32_add();
    }

    fn put_element(&mut self, instruction: Instruction) -> Option<()> {
        let value = self.pop()?;
        let index = self.pop()?;
        let object = self.pop()?;
        let (q, y, flag) = (self.q(), self.y(), self.flag());
        self.make_own(value);
        self.open_block(FLAG);
        self.labels.push(Label::Other);
        self.s().block(BlockType::Empty);
        self.array_element(object, index);
        self.s().local_tee(q).i64_load(i64_at(0)).local_set(y);
        self.s().local_get(q);
        self.get(value);
        self.s().i64_store(i64_at(0));
        self.free(y);
        self.s().i32_const(0).br(1);
        self.close();
        self.make_own(index);
        self.s().local_get(CTX);
        self.get(object);
        self.get(index);
        self.get(value);
        self.pc(instruction);
        self.call(Helper::PutElement);
        self.close();
        self.s().local_set(flag);
        self.release(value);
        self.release(index);
        self.drop_entry(object);
        self.s().local_get(flag);
        self.leave_if(0);
        Some(())
    }

    fn get_length(&mut self, instruction: Instruction) -> Option<()> {
        let object = self.pop()?;
        let p = self.p();
        let local = self.temporary();
        self.open_block(VALUE);
        self.labels.push(Label::Other);
        self.s().block(BlockType::Empty);
        self.get(object);
        self.constant(at::OBJECT);
        self.s().i64_lt_u().br_if(0);
        self.get(object);
        self.s().i32_wrap_i64().local_tee(p).i32_load16_u(i16_at(at::OBJECT_CLASS));
        self.s().i32_const(at::CLASS_ARRAY).i32_ne().br_if(0);
        // The first property, which is a number.
        self.s().local_get(p).i32_load(i32_at(at::OBJECT_PROPERTIES)).i64_load(i64_at(0)).br(1);
        self.close();
        self.s().local_get(CTX);
        self.get(object);
        self.pc(instruction);
        self.call(Helper::GetLength);
        self.close();
        self.s().local_set(local);
        self.drop_entry(object);
        self.check_exception(local);
        self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
        Some(())
    }

    /// The address of a captured variable's cell of an outer function, in `q`.
    fn var_ref(&mut self, index: i32) -> Option<()> {
        let index = u32::try_from(index).ok().filter(|index| *index < self.function.closure_vars)?;
        let (var_refs, q) = (self.var_refs(), self.q());
        self.s().local_get(var_refs).i32_load(i32_at(4 * u64::from(index)));
        self.s().i32_load(i32_at(at::VAR_REF_VALUE)).local_set(q);
        Some(())
    }

    fn load_new(&mut self, (local, offset): (u32, u64)) {
        self.s().local_get(local).i64_load(i64_at(offset));
        let local = self.push_new(Type::Any);
        self.dup(local);
    }

    /// Puts operands into cells of the frame, from the depth at which they are.
    fn store_many(&mut self, entries: &[Entry], owned: bool) -> Option<u32> {
        let base = u32::try_from(self.stack.len()).ok()?;
        for (entry, depth) in entries.iter().zip(base..) {
            let cell = self.stack_cell(depth);
            if owned {
                self.store_in(cell, *entry);
            } else {
                self.s().local_get(cell.0);
                self.get(*entry);
                self.s().i64_store(i64_at(cell.1));
            }
        }
        Some(base)
    }

    fn cell_address(&mut self, depth: u32) -> Option<()> {
        let (local, offset) = self.stack_cell(depth);
        self.s().local_get(local).i32_const(i32::try_from(offset).ok()?).i32_add();
        Some(())
    }

    fn move_from_top(&mut self, to: usize) -> Option<()> {
        // The top entry goes `to` places down.
        let top = self.pop()?;
        let index = self.stack.len().checked_sub(to)?;
        self.stack.insert(index, top);
        Some(())
    }

    fn move_to_top(&mut self, from: usize) -> Option<()> {
        let index = self.stack.len().checked_sub(from + 1)?;
        let entry = self.stack.remove(index);
        self.stack.push(entry);
        Some(())
    }

    fn copy_at(&mut self, from_top: usize) -> Option<Entry> {
        let index = self.stack.len().checked_sub(from_top + 1)?;
        let entry = *self.stack.get(index)?;
        Some(self.copy(entry))
    }

    /// Compiles an instruction. Returns whether the block ends with it.
    fn instruction(&mut self, instruction: Instruction, next: Option<Instruction>) -> Option<bool> {
        let operand = instruction.operand;
        let index = u32::try_from(operand).unwrap_or(u32::MAX);
        match instruction.op {
            Op::PushI32 => self.push_constant(at::int(operand), Type::Int),
            Op::Undefined => self.push_constant(at::UNDEFINED, Type::Plain),
            Op::Null => self.push_constant(at::NULL, Type::Plain),
            Op::PushFalse => self.push_constant(at::FALSE, Type::Bool),
            Op::PushTrue => self.push_constant(at::TRUE, Type::Bool),
            Op::Catch => self.push_constant(at::CATCH | u64::from(index), Type::Catch),
            Op::PushConst => match self.function.constants.get(index as usize)? {
                Constant::Int(value) => self.push_constant(at::int(*value), Type::Int),
                Constant::Float(bits) => self.push_constant(at::float(*bits), Type::Number),
                Constant::Other => {
                    let bytecode = self.bytecode();
                    self.s().local_get(bytecode).i32_load(i32_at(at::BYTECODE_CONSTANTS));
                    self.s().i64_load(i64_at(8 * u64::from(index)));
                    let local = self.push_new(Type::Any);
                    self.dup(local);
                }
            },
            Op::Fclosure
            | Op::Object
            | Op::PushAtomValue
            | Op::PushEmptyString
            | Op::GetVar
            | Op::GetVarUndef => {
                if instruction.op == Op::Fclosure {
                    self.function.constants.get(index as usize)?;
                }
                self.s().local_get(CTX);
                self.pc(instruction);
                self.s().i32_const(instruction.op as i32).i32_const(operand);
                self.call(Helper::Push);
                let local = self.push_new(Type::Any);
                self.check_pushed(local);
            }
            Op::PushThis => self.stack.push(Entry { place: Place::Borrowed(THIS), ty: Type::Any }),
            Op::Nop => {}
            Op::Drop => {
                let entry = self.pop()?;
                self.drop_entry(entry);
            }
            Op::Nip => {
                let top = self.pop()?;
                let entry = self.pop()?;
                self.drop_entry(entry);
                self.stack.push(top);
            }
            Op::Nip1 => {
                let top = self.pop_many(2)?;
                let entry = self.pop()?;
                self.drop_entry(entry);
                self.stack.extend(top);
            }
            Op::NipCatch => {
                let top = self.pop()?;
                loop {
                    let entry = self.pop()?;
                    if entry.ty == Type::Catch {
                        break;
                    }
                    self.drop_entry(entry);
                }
                self.stack.push(top);
            }
            Op::Dup => {
                let copy = self.copy_at(0)?;
                self.stack.push(copy);
            }
            Op::Dup1 => {
                let copy = self.copy_at(1)?;
                let index = self.stack.len().checked_sub(1)?;
                self.stack.insert(index, copy);
            }
            Op::Dup2 | Op::Dup3 => {
                let count = if instruction.op == Op::Dup2 { 2 } else { 3 };
                for _ in 0..count {
                    let copy = self.copy_at(count - 1)?;
                    self.stack.push(copy);
                }
            }
            Op::Insert2 | Op::Insert3 | Op::Insert4 => {
                let copy = self.copy_at(0)?;
                let below = 2 + (instruction.op as usize - Op::Insert2 as usize);
                let index = self.stack.len().checked_sub(below)?;
                self.stack.insert(index, copy);
            }
            Op::Swap => self.move_to_top(1)?,
            Op::Swap2 => {
                self.move_to_top(3)?;
                self.move_to_top(3)?;
            }
            Op::Rot3l => self.move_to_top(2)?,
            Op::Rot4l => self.move_to_top(3)?,
            Op::Rot5l => self.move_to_top(4)?,
            Op::Rot3r => self.move_from_top(2)?,
            Op::Perm3 | Op::Perm4 | Op::Perm5 => {
                // The second goes below the others.
                let top = self.pop()?;
                self.move_from_top(1 + (instruction.op as usize - Op::Perm3 as usize))?;
                self.stack.push(top);
            }

            Op::GetLoc | Op::GetLocCheck => {
                let ty = *self.variables.get(index as usize).filter(|_| index < self.function.vars)?;
                let is_checked = instruction.op == Op::GetLocCheck;
                if self.is_variable_captured(index) {
                    let cell = self.variable_cell(index);
                    if is_checked {
                        self.s().local_get(cell.0).i64_load(i64_at(cell.1));
                        self.check_initialized(instruction, false);
                    }
                    self.load_new(cell);
                } else {
                    let local = self.variable(index);
                    if is_checked && !ty.is_number() && ty != Type::Bool {
                        self.s().local_get(local);
                        self.check_initialized(instruction, false);
                    }
                    self.stack.push(Entry { place: Place::Borrowed(local), ty });
                }
            }
            Op::PutLoc | Op::PutLocCheck | Op::SetLoc | Op::SetLocUninitialized => {
                let ty = *self.variables.get(index as usize).filter(|_| index < self.function.vars)?;
                let is_captured = self.is_variable_captured(index);
                let (local, cell) = (self.variable(index), self.variable_cell(index));
                if instruction.op == Op::PutLocCheck && !ty.is_number() && ty != Type::Bool {
                    if is_captured {
                        self.s().local_get(cell.0).i64_load(i64_at(cell.1));
                    } else {
                        self.s().local_get(local);
                    }
                    self.check_initialized(instruction, false);
                }
                let entry = if instruction.op == Op::SetLocUninitialized {
                    Entry { place: Place::Constant(at::UNINITIALIZED), ty: Type::Plain }
                } else {
                    self.pop()?
                };
                if entry.ty == Type::Catch {
                    return None;
                }
                if !is_captured {
                    self.set_variable(local, index as usize, entry)?;
                    if instruction.op == Op::SetLoc {
                        let ty = *self.variables.get(index as usize)?;
                        self.stack.push(Entry { place: Place::Borrowed(local), ty });
                    }
                } else if instruction.op == Op::SetLoc {
                    let copy = self.copy(entry);
                    self.set_cell(cell, copy);
                    self.stack.push(entry);
                } else {
                    self.set_cell(cell, entry);
                }
            }
            Op::GetArg => {
                if index >= self.function.args {
                    return None;
                }
                if self.is_argument_captured(index) {
                    let cell = self.argument_cell(index);
                    self.load_new(cell);
                } else {
                    let ty = *self.variables.get((self.function.vars + index) as usize)?;
                    let local = self.argument(index);
                    self.stack.push(Entry { place: Place::Borrowed(local), ty });
                }
            }
            Op::PutArg | Op::SetArg => {
                if index >= self.function.args {
                    return None;
                }
                let entry = self.pop()?;
                if entry.ty == Type::Catch {
                    return None;
                }
                let keeps = instruction.op == Op::SetArg;
                if self.is_argument_captured(index) {
                    let cell = self.argument_cell(index);
                    if keeps {
                        let copy = self.copy(entry);
                        self.set_cell(cell, copy);
                        self.stack.push(entry);
                    } else {
                        self.set_cell(cell, entry);
                    }
                } else {
                    let variable = (self.function.vars + index) as usize;
                    let local = self.argument(index);
                    self.set_variable(local, variable, entry)?;
                    if keeps {
                        let ty = *self.variables.get(variable)?;
                        self.stack.push(Entry { place: Place::Borrowed(local), ty });
                    }
                }
            }
            Op::GetVarRef | Op::GetVarRefCheck => {
                self.var_ref(operand)?;
                let here = self.stack.len();
                let (q, x) = (self.q(), self.x());
                if instruction.op == Op::GetVarRefCheck {
                    self.s().local_get(q).i64_load(i64_at(0)).local_tee(x);
                    self.check_initialized(instruction, true);
                    self.s().local_get(x);
                    let local = self.push_new(Type::Any);
                    self.dup(local);
                } else {
                    self.load_new((q, 0));
                }
                if let Some(Entry { place: Place::Temporary(local), .. }) = self.stack.get(here) {
                    self.from_var_ref.push(*local);
                }
            }
            Op::PutVarRef | Op::PutVarRefCheck | Op::SetVarRef => {
                let entry = self.pop()?;
                if entry.ty == Type::Catch {
                    return None;
                }
                if instruction.op == Op::PutVarRefCheck {
                    self.var_ref(operand)?;
                    let q = self.q();
                    self.stack.push(entry);
                    self.s().local_get(q).i64_load(i64_at(0));
                    self.check_initialized(instruction, true);
                    self.stack.pop();
                }
                let stored = if instruction.op == Op::SetVarRef { self.copy(entry) } else { entry };
                self.var_ref(operand)?;
                let q = self.q();
                self.set_cell((q, 0), stored);
                if instruction.op == Op::SetVarRef {
                    self.stack.push(entry);
                }
            }
            Op::CloseLoc => {
                if index >= self.function.vars || !self.is_variable_captured(index) {
                    return None;
                }
                self.s().local_get(CTX).i32_const(operand);
                self.call(Helper::CloseLoc);
            }

            Op::Goto => {
                self.canonical();
                let block = self.successor(0)?;
                self.jump(block);
                return Some(true);
            }
            Op::IfFalse | Op::IfTrue => {
                let entry = self.pop()?;
                self.truth(entry);
                self.jump_if(instruction.op)?;
                return Some(true);
            }
            Op::Lt | Op::Lte | Op::Gt | Op::Gte | Op::Eq | Op::Neq | Op::StrictEq | Op::StrictNeq => {
                let b = self.pop()?;
                let a = self.pop()?;
                self.compare(instruction, instruction.op, a, b);
                match next.filter(|next| matches!(next.op, Op::IfFalse | Op::IfTrue)) {
                    Some(next) => {
                        self.jump_if(next.op)?;
                        return Some(true);
                    }
                    None => self.push_flag(),
                }
            }
            Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Mod | Op::Pow => {
                let b = self.pop()?;
                let a = self.pop()?;
                let result = self.arithmetic(instruction, instruction.op, a, b);
                self.stack.push(result);
            }
            Op::And | Op::Or | Op::Xor | Op::Shl | Op::Sar | Op::Shr => {
                let b = self.pop()?;
                let a = self.pop()?;
                let result = self.bitwise(instruction, instruction.op, a, b);
                self.stack.push(result);
            }
            Op::In | Op::Instanceof | Op::Delete => {
                let b = self.pop()?;
                let a = self.pop()?;
                self.make_own(a);
                self.make_own(b);
                self.s().local_get(CTX);
                self.get(a);
                self.get(b);
                self.pc(instruction);
                self.s().i32_const(instruction.op as i32);
                self.call(Helper::Binary);
                self.release(a);
                self.release(b);
                let local = self.push_new(Type::Bool);
                self.check_pushed(local);
            }
            Op::Inc | Op::Dec => {
                let entry = self.pop()?;
                let result = self.increment(instruction, instruction.op, entry);
                self.stack.push(result);
            }
            Op::PostInc | Op::PostDec => {
                let mut entry = self.pop()?;
                if !entry.ty.is_number() {
                    let local = self.temporary();
                    self.get(entry);
                    self.s().i64_const(32).i64_shr_u().i64_eqz();
                    self.open_if(VALUE);
                    self.get(entry);
                    self.s().else_();
                    self.make_own(entry);
                    self.s().local_get(CTX);
                    self.get(entry);
                    self.pc(instruction);
                    self.s().i32_const(Op::PostInc as i32);
                    self.call(Helper::Unary);
                    self.close();
                    self.s().local_set(local);
                    self.release(entry);
                    self.check_exception(local);
                    entry = Entry { place: Place::Temporary(local), ty: Type::Any };
                }
                self.stack.push(entry);
                let copy = self.copy(entry);
                let result = self.increment(instruction, instruction.op, copy);
                self.stack.push(result);
            }
            Op::IncLoc | Op::DecLoc => {
                let ty = *self.variables.get(index as usize).filter(|_| index < self.function.vars)?;
                if self.is_variable_captured(index) {
                    let cell = self.variable_cell(index);
                    self.load_new(cell);
                    let entry = self.pop()?;
                    let result = self.increment(instruction, instruction.op, entry);
                    self.set_cell(cell, result);
                } else {
                    let local = self.variable(index);
                    let result = self.increment(
                        instruction,
                        instruction.op,
                        Entry { place: Place::Borrowed(local), ty },
                    );
                    self.set_variable(local, index as usize, result)?;
                }
            }
            Op::AddLoc => {
                let ty = *self.variables.get(index as usize).filter(|_| index < self.function.vars)?;
                let b = self.pop()?;
                if self.is_variable_captured(index) {
                    let cell = self.variable_cell(index);
                    self.load_new(cell);
                    let a = self.pop()?;
                    let result = self.arithmetic(instruction, Op::Add, a, b);
                    self.set_cell(cell, result);
                } else {
                    let local = self.variable(index);
                    let a = Entry { place: Place::Borrowed(local), ty };
                    let result = self.arithmetic(instruction, Op::Add, a, b);
                    self.set_variable(local, index as usize, result)?;
                }
            }
            Op::Neg => {
                let entry = self.pop()?;
                let ty = if entry.ty.is_number() { Type::Number } else { Type::Any };
                self.unary(instruction, Op::Neg, entry, ty);
            }
            Op::Plus => {
                let entry = self.pop()?;
                if entry.ty.is_number() {
                    self.stack.push(entry);
                } else {
                    self.unary(instruction, Op::Plus, entry, Type::Number);
                }
            }
            Op::Not => {
                let entry = self.pop()?;
                if entry.ty == Type::Int {
                    self.int_of(entry);
                    self.s().i32_const(-1).i32_xor().i64_extend_i32_u();
                    self.release(entry);
                    self.push_new(Type::Int);
                } else {
                    self.unary(instruction, Op::Not, entry, Type::Any);
                }
            }
            Op::Typeof | Op::ToPropkey => {
                let entry = self.pop()?;
                self.unary(instruction, instruction.op, entry, Type::Any);
            }
            Op::TypeofIsUndefined | Op::TypeofIsFunction => {
                let entry = self.pop()?;
                self.unary(instruction, instruction.op, entry, Type::Bool);
            }
            Op::Lnot => {
                let entry = self.pop()?;
                self.truth(entry);
                let flag = self.flag();
                self.s().local_get(flag).i32_eqz().local_set(flag);
                self.push_flag();
            }
            Op::IsUndefined | Op::IsNull | Op::IsUndefinedOrNull => {
                let entry = self.pop()?;
                let flag = self.flag();
                self.get(entry);
                self.s().i64_const(32).i64_shr_u();
                if instruction.op == Op::IsUndefinedOrNull {
                    self.s().i64_const(1).i64_or();
                }
                let tag = if instruction.op == Op::IsNull { at::NULL } else { at::UNDEFINED } >> 32;
                self.constant(tag);
                self.s().i64_eq().local_set(flag);
                self.drop_entry(entry);
                self.push_flag();
            }
            Op::ToPropkey2 | Op::ToPropkeyOf | Op::ToPropkeyUnder => {
                let key = if instruction.op == Op::ToPropkeyUnder { 1 } else { 0 };
                let key_at = self.stack.len().checked_sub(key + 1)?;
                let entry = *self.stack.get(key_at)?;
                match instruction.op {
                    Op::ToPropkeyUnder if entry.ty != Type::Int => {
                        let top = self.pop()?;
                        let entry = self.pop()?;
                        self.stack.push(top);
                        // The value stays above the key.
                        let top = self.pop()?;
                        self.stack.push(top);
                        self.convert_key_under(instruction, entry)?;
                    }
                    Op::ToPropkeyUnder => {}
                    Op::ToPropkeyOf if entry.ty == Type::Int => {}
                    _ => self.step(instruction, 2, &[Type::Any, Type::Any], 0)?,
                }
            }

            Op::Call => {
                let local = self.js_call(instruction, false)?;
                self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
            }
            Op::CallMethod => {
                let local = self.js_call(instruction, true)?;
                self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
            }
            Op::TailCall | Op::TailCallMethod => {
                let local = self.js_call(instruction, instruction.op == Op::TailCallMethod)?;
                let result = self.result();
                self.s().local_get(local).local_set(result);
                self.free_temporaries.push(local);
                self.end();
                return Some(true);
            }
            Op::CallConstructor => {
                let arguments = self.pop_many(index)?;
                let new_target = self.pop()?;
                let function = self.pop()?;
                let base = self.store_many(&arguments, false)?;
                self.s().local_get(CTX);
                self.get(function);
                self.get(new_target);
                self.s().i32_const(operand);
                self.cell_address(base)?;
                self.pc(instruction);
                self.call(Helper::Construct);
                let local = self.temporary();
                self.s().local_set(local);
                for argument in arguments {
                    self.drop_entry(argument);
                }
                self.drop_entry(function);
                self.drop_entry(new_target);
                self.check_exception(local);
                self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
            }
            Op::ArrayFrom => {
                let elements = self.pop_many(index)?;
                let base = self.store_many(&elements, true)?;
                self.s().local_get(CTX).i32_const(operand);
                self.cell_address(base)?;
                self.pc(instruction);
                self.call(Helper::ArrayFrom);
                for element in elements {
                    self.release(element);
                }
                let local = self.push_new(Type::Any);
                self.check_pushed(local);
            }
            Op::Apply => self.step(instruction, 3, &[Type::Any], operand)?,
            Op::Regexp => self.step(instruction, 2, &[Type::Any], 0)?,
            Op::Append => self.step(instruction, 3, &[Type::Any, Type::Any], 0)?,
            Op::DefineArrayEl => self.step(instruction, 3, &[Type::Any, Type::Any], 0)?,
            Op::GetArrayEl2 => self.step(instruction, 2, &[Type::Any, Type::Any], 0)?,
            Op::ForOfStart => self.step(instruction, 1, &[Type::Any, Type::Any, Type::Catch], 0)?,
            Op::ForOfNext => {
                let types = self.stack.iter().rev().take(index as usize + 3).map(|entry| entry.ty);
                let mut types: Vec<Type> = types.collect();
                types.reverse();
                types.extend([Type::Any, Type::Bool]);
                // The iterator may have been a constant.
                *types.first_mut()? = Type::Any;
                self.step(instruction, index.checked_add(3)?, &types, operand)?;
            }
            Op::IteratorClose => self.step(instruction, 3, &[], 0)?,
            Op::GetField => self.get_field(instruction, false)?,
            Op::GetField2 => self.get_field(instruction, true)?,
            Op::PutField => self.put_field(instruction)?,
            Op::GetArrayEl => self.get_element(instruction)?,
            Op::PutArrayEl => self.put_element(instruction)?,
            Op::GetLength => self.get_length(instruction)?,
            Op::DefineField => {
                let value = self.pop()?;
                let object = *self.stack.last()?;
                self.make_own(value);
                self.s().local_get(CTX);
                self.get(object);
                self.get(value);
                self.pc(instruction);
                self.call(Helper::DefineField);
                self.release(value);
                self.leave_if(0);
            }
            Op::SetName => {
                let object = *self.stack.last()?;
                self.s().local_get(CTX);
                self.get(object);
                self.pc(instruction);
                self.call(Helper::SetName);
                self.leave_if(0);
            }
            Op::Return if !self.function.is_async => {
                let entry = self.pop()?;
                let result = self.result();
                self.own(entry);
                self.s().local_set(result);
                self.release(entry);
                self.end();
                return Some(true);
            }
            Op::ReturnUndef if !self.function.is_async => {
                let result = self.result();
                self.constant(at::UNDEFINED);
                self.s().local_set(result);
                self.end();
                return Some(true);
            }
            _ => {
                self.resume(instruction.at);
                return Some(true);
            }
        }
        if self.stack.len() > self.function.stack as usize {
            return None;
        }
        Some(false)
    }

    fn convert_key_under(&mut self, instruction: Instruction, key: Entry) -> Option<()> {
        let value = self.pop()?;
        // The interpreter has both on its stack while the key is converted.
        self.stack.push(value);
        self.make_own(key);
        self.s().local_get(CTX);
        self.get(key);
        self.pc(instruction);
        self.s().i32_const(Op::ToPropkey as i32);
        self.call(Helper::Unary);
        self.release(key);
        let local = self.temporary();
        self.s().local_set(local);
        self.check_exception(local);
        let value = self.pop()?;
        self.stack.push(Entry { place: Place::Temporary(local), ty: Type::Any });
        self.stack.push(value);
        Some(())
    }

    /// Ends the function. The result is set.
    fn end(&mut self) {
        while let Some(entry) = self.stack.pop() {
            self.drop_entry(entry);
        }
        self.br(Label::Return);
    }

    fn target(&self, block: usize) -> Label {
        if block <= self.block { Label::Loop(block) } else { Label::Until(block) }
    }

    fn successor(&self, index: usize) -> Option<usize> {
        self.blocks.get(self.block)?.successors.get(index).copied()
    }

    /// Goes on in a block, which may be the next.
    fn jump(&mut self, block: usize) {
        if block != self.block + 1 {
            let label = self.target(block);
            self.br(label);
        }
    }

    /// Goes on in one of two blocks, as the flag says.
    fn jump_if(&mut self, op: Op) -> Option<()> {
        self.canonical();
        let (mut taken, mut other) = (self.successor(0)?, self.successor(1)?);
        let flag = self.flag();
        self.s().local_get(flag);
        let mut is_inverted = op == Op::IfFalse;
        if taken == self.block + 1 {
            std::mem::swap(&mut taken, &mut other);
            is_inverted = !is_inverted;
        }
        if is_inverted {
            self.s().i32_eqz();
        }
        let label = self.target(taken);
        self.br_if(label);
        self.jump(other);
        Some(())
    }

    /// Compiles a block from what is known at its beginning. Returns what is known at its end.
    fn compile_block(&mut self, block: usize, state: &State) -> Option<State> {
        self.block = block;
        self.variables.clone_from(&state.variables);
        self.stack.clear();
        for (ty, depth) in state.stack.iter().zip(0..) {
            let slot = self.slot(depth);
            self.stack.push(Entry { place: Place::Slot(slot), ty: *ty });
        }
        let blocks = self.blocks;
        let instructions = &blocks.get(block)?.instructions;
        let mut has_ended = false;
        for (index, instruction) in instructions.iter().enumerate() {
            if has_ended {
                break;
            }
            has_ended = self.instruction(*instruction, instructions.get(index + 1).copied())?;
        }
        if !has_ended {
            self.canonical();
            let block = self.successor(0)?;
            self.jump(block);
        }
        let state = State {
            variables: self.variables.clone(),
            stack: self.stack.iter().map(|entry| entry.ty).collect(),
        };
        for entry in std::mem::take(&mut self.stack) {
            self.release(entry);
        }
        Some(state)
    }

    /// Finds the types at the beginning of each block. Blocks without are not reached.
    fn states(&mut self) -> Option<Vec<Option<State>>> {
        let vars = self.function.vars as usize;
        let mut variables = vec![Type::Plain; vars];
        variables.extend(vec![Type::Any; self.function.args as usize]);
        let mut states: Vec<Option<State>> = vec![None; self.blocks.len()];
        *states.first_mut()? = Some(State { variables, stack: Vec::new() });
        let mut work = vec![0];
        let mut steps = 0;
        while let Some(block) = work.pop() {
            steps += 1;
            if steps > 20 * self.blocks.len() {
                return None;
            }
            let state = states.get(block)?.clone()?;
            self.code.clear();
            let end = self.compile_block(block, &state)?;
            let blocks = self.blocks;
            for successor in &blocks.get(block)?.successors {
                let known = states.get_mut(*successor)?;
                let joined = match known {
                    None => end.clone(),
                    Some(known) => join(known, &end)?,
                };
                if known.as_ref() != Some(&joined) {
                    *known = Some(joined);
                    if !work.contains(successor) {
                        work.push(*successor);
                    }
                }
            }
        }
        Some(states)
    }

    pub(crate) fn compile(mut self) -> Option<Body> {
        // The labels of the function itself.
        self.labels = vec![Label::Other, Label::Return, Label::Leave];
        let states = self.states()?;
        let nesting =
            crate::nesting::nest(self.blocks, &states.iter().map(Option::is_some).collect::<Vec<_>>())?;
        self.code.clear();
        self.temporaries = 0;
        self.free_temporaries.clear();
        self.sites = 0;
        self.labels = vec![Label::Other];
        self.prologue();
        self.labels.push(Label::Return);
        self.s().block(BlockType::Empty);
        self.labels.push(Label::Leave);
        self.s().block(BlockType::Empty);
        let mut open: Vec<usize> = Vec::new();
        for block in 0..self.blocks.len() {
            while open.last() == Some(&block) {
                open.pop();
                self.close();
            }
            for range in nesting.iter().filter(|range| range.start == block) {
                open.push(range.end);
                if range.is_loop {
                    self.labels.push(Label::Loop(block));
                    self.s().loop_(BlockType::Empty);
                } else {
                    self.labels.push(Label::Until(range.end));
                    self.s().block(BlockType::Empty);
                }
                if range.is_loop
                    && let Some(state) = states.get(block)?
                {
                    self.poll(block, state)?;
                }
            }
            match states.get(block)? {
                Some(state) => drop(self.compile_block(block, state)?),
                None => {
                    self.s().unreachable();
                }
            }
        }
        while open.pop().is_some() {
            self.close();
        }
        self.s().unreachable();
        self.close();
        self.interpret();
        self.close();
        self.epilogue();
        let values = self.slot(self.function.stack) + self.temporaries - self.x();
        let locals = vec![(SCRATCH_I32, ValType::I32), (values, ValType::I64)];
        Some(Body { locals, code: self.code, sites: self.sites })
    }

    /// Counts a round of a loop.
    fn poll(&mut self, block: usize, state: &State) -> Option<()> {
        self.stack.clear();
        for (ty, depth) in state.stack.iter().zip(0..) {
            let slot = self.slot(depth);
            self.stack.push(Entry { place: Place::Slot(slot), ty: *ty });
        }
        let blocks = self.blocks;
        let first = *blocks.get(block)?.instructions.first()?;
        let p = self.p();
        self.s().local_get(CTX).local_get(CTX).i32_load(i32_at(at::CTX_COUNTER)).i32_const(1).i32_sub();
        self.s().local_tee(p).i32_store(i32_at(at::CTX_COUNTER)).local_get(p).i32_const(0).i32_le_s();
        self.open_if(BlockType::Empty);
        self.s().local_get(CTX);
        self.pc(first);
        self.call(Helper::Poll);
        self.leave_if(0);
        self.close();
        self.stack.clear();
        Some(())
    }

    fn prologue(&mut self) {
        let function = self.function;
        let (sf, rt, p) = (self.sf(), self.rt(), self.p());
        let (bytecode, var_refs) = (self.bytecode(), self.var_refs());
        self.s().local_get(FUNC).i32_wrap_i64().local_tee(p).i32_load(i32_at(at::FUNCTION_BYTECODE));
        self.s().local_set(bytecode);
        if function.closure_vars > 0 {
            self.s().local_get(p).i32_load(i32_at(at::FUNCTION_VAR_REFS)).local_set(var_refs);
        }
        if function.is_async {
            self.s().local_get(sf).i32_load(i32_at(at::SF_VAR_BUF)).local_set(rt);
        } else {
            self.enter_frame();
        }
        for index in 0..function.vars {
            if !self.is_variable_captured(index) {
                let local = self.variable(index);
                self.constant(at::UNDEFINED);
                self.s().local_set(local);
            }
        }
    }

    fn enter_frame(&mut self) {
        let function = self.function;
        let (sf, rt, p) = (self.sf(), self.rt(), self.p());
        let bytes = i32::try_from(self.frame_bytes()).unwrap_or(i32::MAX);
        let pointer = self.needs.stack_pointer();
        // Counts the call.
        self.s().local_get(CTX).local_get(CTX).i32_load(i32_at(at::CTX_COUNTER)).i32_const(1).i32_sub();
        self.s().local_tee(p).i32_store(i32_at(at::CTX_COUNTER)).local_get(p).i32_const(0).i32_le_s();
        self.open_if(BlockType::Empty);
        self.s().local_get(CTX);
        self.call(Helper::PollCall);
        self.open_if(BlockType::Empty);
        self.constant(at::EXCEPTION);
        self.s().return_();
        self.close();
        self.close();
        self.s().local_get(CTX).i32_load(i32_at(at::CTX_RT)).local_set(rt);
        self.s().global_get(pointer).i32_const(bytes).i32_sub().local_tee(sf);
        self.s().local_get(rt).i32_load(i32_at(at::RT_STACK_LIMIT)).i32_lt_u();
        self.open_if(BlockType::Empty);
        self.s().local_get(CTX);
        self.call(Helper::Overflow);
        self.s().return_();
        self.close();
        self.s().local_get(sf).global_set(pointer);
        self.s().local_get(sf).local_get(rt).i32_load(i32_at(at::RT_FRAME)).i32_store(i32_at(at::SF_PREV));
        self.s().local_get(rt).local_get(sf).i32_store(i32_at(at::RT_FRAME));
        self.s().local_get(sf).local_get(FUNC).i64_store(i64_at(at::SF_FUNC));
        self.s().local_get(sf).i32_const(0).i32_store(i32_at(at::SF_CUR_PC));
        self.s().local_get(sf).i32_const(function.var_refs.cast_signed());
        self.s().i32_store(i32_at(at::SF_VAR_REF_COUNT));
        self.s().local_get(sf).i32_const(i32::from(function.is_strict)).i32_store(i32_at(at::SF_STRICT));
        if function.var_refs > 0 {
            let arguments = at::SF_SIZE as i32;
            let variables = arguments + 8 * function.args.cast_signed();
            let references = variables + 8 * (function.vars + function.stack).cast_signed();
            for (offset, field) in
                [(arguments, at::SF_ARG_BUF), (variables, at::SF_VAR_BUF), (references, at::SF_VAR_REFS)]
            {
                self.s().local_get(sf).local_get(sf).i32_const(offset).i32_add().i32_store(i32_at(field));
            }
            for index in 0..function.var_refs {
                let offset = u64::from(references.cast_unsigned() + 4 * index);
                self.s().local_get(sf).i32_const(0).i32_store(i32_at(offset));
            }
            for index in 0..function.vars {
                if self.is_variable_captured(index) {
                    let (local, offset) = self.variable_cell(index);
                    self.s().local_get(local);
                    self.constant(at::UNDEFINED);
                    self.s().i64_store(i64_at(offset));
                }
            }
        }
        for index in 0..function.args {
            let local = self.argument(index);
            if self.is_argument_captured(index) {
                self.dup(local);
                let (cell, offset) = self.argument_cell(index);
                self.s().local_get(cell).local_get(local).i64_store(i64_at(offset));
            } else if self.written_args.get(index as usize) == Some(&true) {
                self.dup(local);
            }
        }
    }

    /// The interpreter continues. It frees what is in the frame.
    fn interpret(&mut self) {
        let function = self.function;
        for index in 0..function.vars {
            if !self.is_variable_captured(index) {
                let (cell, offset) = self.variable_cell(index);
                let local = self.variable(index);
                self.s().local_get(cell).local_get(local).i64_store(i64_at(offset));
            }
        }
        let (depth, resume_at) = (self.depth(), self.resume_at());
        if function.is_async {
            self.s().local_get(depth).i64_extend_i32_u().i64_const(32).i64_shl();
            self.s().local_get(resume_at).i32_const(1).i32_sub().i64_extend_i32_u().i64_or().return_();
            return;
        }
        for index in 0..function.args {
            if !self.is_argument_captured(index) {
                let local = self.argument(index);
                if self.written_args.get(index as usize) != Some(&true) {
                    self.dup(local);
                }
                let (cell, offset) = self.argument_cell(index);
                self.s().local_get(cell).local_get(local).i64_store(i64_at(offset));
            }
        }
        let sf = self.sf();
        self.s().local_get(CTX).local_get(sf).local_get(THIS);
        self.s().local_get(resume_at).i32_const(1).i32_sub().local_get(depth);
        self.call(Helper::Resume);
        self.leave_stack();
        self.s().return_();
    }

    fn leave_stack(&mut self) {
        let (sf, pointer) = (self.sf(), self.needs.stack_pointer());
        let bytes = i32::try_from(self.frame_bytes()).unwrap_or(i32::MAX);
        self.s().local_get(sf).i32_const(bytes).i32_add().global_set(pointer);
    }

    fn epilogue(&mut self) {
        let function = self.function;
        if function.is_async {
            self.s().unreachable();
            return;
        }
        let (sf, rt, result, y) = (self.sf(), self.rt(), self.result(), self.y());
        if function.var_refs > 0 {
            self.s().local_get(CTX).local_get(sf);
            self.call(Helper::CloseRefs);
        }
        for index in 0..function.vars {
            if self.is_variable_captured(index) {
                let (cell, offset) = self.variable_cell(index);
                self.s().local_get(cell).i64_load(i64_at(offset)).local_set(y);
                self.free(y);
            } else if self.can_be_any.get(index as usize) == Some(&true) {
                let local = self.variable(index);
                self.free(local);
            }
        }
        for index in 0..function.args {
            if self.is_argument_captured(index) {
                let (cell, offset) = self.argument_cell(index);
                self.s().local_get(cell).i64_load(i64_at(offset)).local_set(y);
                self.free(y);
            } else if self.written_args.get(index as usize) == Some(&true) {
                let local = self.argument(index);
                self.free(local);
            }
        }
        self.s().local_get(rt).local_get(sf).i32_load(i32_at(at::SF_PREV)).i32_store(i32_at(at::RT_FRAME));
        self.leave_stack();
        self.s().local_get(result);
    }
}

fn join(known: &State, other: &State) -> Option<State> {
    let join_all = |a: &[Type], b: &[Type]| -> Option<Vec<Type>> {
        (a.len() == b.len()).then(|| a.iter().zip(b).map(|(a, b)| a.join(*b)).collect())?
    };
    Some(State {
        variables: join_all(&known.variables, &other.variables)?,
        stack: join_all(&known.stack, &other.stack)?,
    })
}
