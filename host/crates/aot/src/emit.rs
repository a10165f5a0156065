//! Compiles one function.
//!
//! The operand stack of QuickJS is followed at compile time: an operand is a constant, a variable that is
//! borrowed, or a temporary that owns its value. Between blocks, each depth has its own WebAssembly variable.

mod append;
mod blocks;
mod calls;
mod code;
mod conditions;
mod control;
mod exits;
mod frame;
mod numbers;
mod operands;
mod places;
mod properties;
mod stack;
mod steps;
mod types;
mod values;
mod variables;

use std::collections::BTreeSet;

use wasm_encoder::{BlockType, ValType};

use crate::decode::{Block, Instruction};
use crate::kinds::{Kind, kind};
use crate::limits::{FUNCTION_CODE_BYTES_MAX, FUNCTION_MOVES_MAX, LOCALS_MAX, Work};
use crate::link::Code;
use crate::nesting::nest;
use crate::ops::Op;
use crate::read::Function;
use types::Type;

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

/// A frame takes so much more of the stack in memory, about as much as the interpreter's own variables. So deep
/// recursion reaches the limit of that stack, which throws, before WebAssembly's, which ends the run.
const FRAME_EXTRA_BYTES: u64 = 256;

/// Scratch variables, behind the parameters.
const SCRATCH_I32: u32 = 9;
const SCRATCH_I64: u32 = 3;

pub(crate) struct Compiler<'a> {
    function: &'a Function,
    blocks: &'a [Block],
    work: &'a mut Work,
    code: Code,
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
    /// The jumps to where the interpreter continues.
    exits: usize,
    /// Temporaries that have had the value of an outer variable, which may be the function itself.
    from_var_ref: BTreeSet<u32>,
    /// Whether the next instruction is done already.
    is_next_done: bool,
    /// Whether a jump had no place to go to.
    is_broken: bool,
}

/// A function's code: the variables beyond the parameters, and the body without its `end`.
pub(crate) struct Body {
    pub locals: Vec<(u32, ValType)>,
    pub code: Code,
    /// The places that use properties.
    pub sites: u32,
    /// Exits and blocks, multiplied by the variables.
    pub moves: usize,
}

const VALUE: BlockType = BlockType::Result(ValType::I64);
const FLAG: BlockType = BlockType::Result(ValType::I32);

impl<'a> Compiler<'a> {
    pub(crate) fn new(function: &'a Function, blocks: &'a [Block], work: &'a mut Work) -> Option<Self> {
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
        // The arguments of async functions are in a frame that others see, too.
        if function.is_async && function.args > 0 {
            return None;
        }
        Some(Self {
            function,
            blocks,
            work,
            code: Code::default(),
            stack: Vec::new(),
            variables: Vec::new(),
            can_be_any: vec![false; count],
            written_args,
            temporaries: 0,
            free_temporaries: Vec::new(),
            labels: Vec::new(),
            block: 0,
            sites: 0,
            exits: 0,
            from_var_ref: BTreeSet::new(),
            is_next_done: false,
            is_broken: false,
        })
    }

    /// Compiles the function. `None` if its bytecode is not as it must be, or is beyond a limit.
    pub(crate) fn compile(mut self) -> Option<Body> {
        // The labels of the function itself.
        self.labels = vec![Label::Other, Label::Return, Label::Leave];
        let states = self.states()?;
        let is_reached: Vec<bool> = states.iter().map(Option::is_some).collect();
        let ranges = nest(self.blocks, &is_reached, self.work)?;
        // Once more, with the types and the jumps.
        self.code.clear();
        self.temporaries = 0;
        self.free_temporaries.clear();
        self.from_var_ref.clear();
        self.sites = 0;
        self.exits = 0;
        self.is_broken = false;
        self.labels = vec![Label::Other];
        self.prologue();
        self.open(Label::Return);
        self.open(Label::Leave);
        self.all_blocks(&states, &ranges)?;
        self.s().unreachable();
        self.close();
        self.interpret();
        self.close();
        self.epilogue();
        let values = (self.slot(self.function.stack) + self.temporaries).checked_sub(self.x())?;
        let is_too_large = self.code.bytes_max() > FUNCTION_CODE_BYTES_MAX || values > LOCALS_MAX;
        let moves = self.moves();
        if self.is_broken || is_too_large || moves > FUNCTION_MOVES_MAX {
            return None;
        }
        let locals = vec![(SCRATCH_I32, ValType::I32), (values, ValType::I64)];
        Some(Body { locals, code: self.code, sites: self.sites, moves })
    }

    fn moves(&self) -> usize {
        (self.exits + self.blocks.len()).saturating_mul((self.function.args + self.function.vars) as usize)
    }

    /// Compiles an instruction. Returns whether the block ends with it.
    fn instruction(&mut self, instruction: Instruction, next: Option<Instruction>) -> Option<bool> {
        match kind(self.function, instruction.op) {
            Some(Kind::Value) => self.push_value(instruction)?,
            Some(Kind::Stack) => self.move_operands(instruction)?,
            Some(Kind::Variable) => self.use_variable(instruction)?,
            Some(Kind::Number) => {
                if instruction.op != Op::Add || !self.add_and_put(instruction, next)? {
                    self.calculate(instruction)?;
                }
            }
            Some(Kind::Property) => self.use_property(instruction)?,
            Some(Kind::Call) => self.make_call(instruction)?,
            Some(Kind::Step) => self.run_step(instruction)?,
            Some(Kind::Condition) => {
                if self.decide(instruction, next)? {
                    return Some(true);
                }
            }
            Some(Kind::Jump | Kind::Return) => {
                self.end_block(instruction)?;
                return Some(true);
            }
            None => {
                self.resume(instruction.at);
                return Some(true);
            }
        }
        if self.stack.len() > self.function.stack as usize {
            return None;
        }
        Some(false)
    }
}
