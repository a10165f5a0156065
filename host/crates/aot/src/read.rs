//! Reads bytecode as `JS_WriteObject` wrote it, with nothing but the functions in it as a result.
//!
//! The bytecode can be anybody's. A unit that does not look as expected is left to the interpreter. Each step of the
//! reader takes at least a byte, so that neither time nor memory depends on the counts that the bytecode states.

use std::ops::Range;

use crate::limits::{ARGUMENTS_MAX, DEPTH_MAX, STACK_MAX, VAR_REFS_MAX, VARIABLES_MAX};

/// The version of the format.
const VERSION: u8 = 26;

/// A function of a unit.
#[derive(Debug)]
pub(crate) struct Function {
    /// Where the number of its compiled code is.
    pub number_at: usize,
    pub is_async: bool,
    pub is_strict: bool,
    pub args: u32,
    pub vars: u32,
    pub stack: u32,
    pub var_refs: u32,
    pub closure_vars: u32,
    pub constants: Vec<Constant>,
    /// Of each argument, then of each variable. Empty if nothing is captured.
    pub is_captured: Vec<bool>,
    pub code: Range<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Constant {
    Int(i32),
    Float(u64),
    Function,
    Other,
}

/// A unit of the blob.
pub(crate) struct Unit {
    pub bytes: Range<usize>,
    /// Where the numbers of all functions are.
    pub numbers_at: Vec<usize>,
    /// The functions that can be compiled.
    pub functions: Vec<Function>,
}

/// Reads the blob of a page: see `guest/src/bytecode.rs`. `None` if it does not consist of units.
pub(crate) fn units(blob: &[u8]) -> Option<Vec<Unit>> {
    let mut units = Vec::new();
    let mut at = 0;
    while at < blob.len() {
        for _ in 0..2 {
            at = text(blob, at)?.end;
        }
        let bytes = text(blob, at)?;
        at = bytes.end;
        let reader = Reader {
            blob: blob.get(..bytes.end)?,
            at: bytes.start,
            numbers_at: Vec::new(),
            functions: Vec::new(),
        };
        units.extend(reader.unit());
    }
    Some(units)
}

fn text(blob: &[u8], at: usize) -> Option<Range<usize>> {
    let start = at.checked_add(4)?;
    let length = u32::from_le_bytes(blob.get(at..start)?.try_into().ok()?) as usize;
    let end = start.checked_add(length)?;
    (end <= blob.len()).then_some(start..end)
}

struct Reader<'a> {
    blob: &'a [u8],
    at: usize,
    numbers_at: Vec<usize>,
    functions: Vec<Function>,
}

impl Reader<'_> {
    fn u8(&mut self) -> Option<u8> {
        let byte = *self.blob.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, bytes: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(bytes)?;
        let range = self.at..end;
        self.at = end;
        (end <= self.blob.len()).then_some(range)
    }

    fn leb(&mut self) -> Option<u32> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A number that is signed: the lowest bit is the sign.
    fn sleb(&mut self) -> Option<i32> {
        let value = self.leb()?;
        #[expect(clippy::cast_possible_wrap, reason = "zigzag")]
        Some((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    fn string(&mut self) -> Option<()> {
        let length = self.leb()?;
        let bytes = ((length >> 1) as usize) << (length & 1);
        self.skip(bytes).map(drop)
    }

    fn unit(mut self) -> Option<Unit> {
        let start = self.at;
        if self.u8()? != VERSION {
            return None;
        }
        // The engine rejects a unit with another checksum, and must still do so when it has numbers.
        let sum = self.skip(4)?;
        let sum = u32::from_le_bytes(self.blob.get(sum)?.try_into().ok()?);
        if sum != checksum(self.blob.get(self.at..)?) {
            return None;
        }
        let atoms = self.leb()?;
        for _ in 0..atoms {
            match self.u8()? {
                0 => {
                    self.skip(4)?;
                }
                _ => self.string()?,
            }
        }
        self.object(0)?;
        let bytes = start..self.blob.len();
        Some(Unit { bytes, numbers_at: self.numbers_at, functions: self.functions })
    }

    fn object(&mut self, depth: u32) -> Option<()> {
        self.constant(depth).map(drop)
    }

    fn constant(&mut self, depth: u32) -> Option<Constant> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.u8()? {
            1..=4 => {}
            5 => return Some(Constant::Int(self.sleb()?)),
            6 => {
                let range = self.skip(8)?;
                return Some(Constant::Float(u64::from_le_bytes(self.blob.get(range)?.try_into().ok()?)));
            }
            7 => self.string()?,
            10 => {
                let bytes = self.leb()?;
                self.skip(bytes as usize)?;
            }
            tag @ (9 | 11) => {
                let length = self.leb()?;
                for _ in 0..length {
                    self.object(depth + 1)?;
                }
                if tag == 11 {
                    self.object(depth + 1)?;
                }
            }
            12 => {
                self.function(depth)?;
                return Some(Constant::Function);
            }
            13 => self.module(depth)?,
            17 => {
                self.string()?;
                self.string()?;
            }
            _ => return None,
        }
        Some(Constant::Other)
    }

    fn module(&mut self, depth: u32) -> Option<()> {
        self.leb()?;
        for _ in 0..self.leb()? {
            self.leb()?;
        }
        for _ in 0..self.leb()? {
            // The kind: 0 is local.
            if self.u8()? != 0 {
                self.leb()?;
            }
            self.leb()?;
            self.leb()?;
        }
        for _ in 0..self.leb()? {
            self.leb()?;
        }
        for _ in 0..self.leb()? {
            self.leb()?;
            self.leb()?;
            self.leb()?;
        }
        self.u8()?;
        self.object(depth + 1)
    }

    fn function(&mut self, depth: u32) -> Option<()> {
        let flags = u16::from_le_bytes(self.blob.get(self.skip(2)?)?.try_into().ok()?);
        let kind = flags >> 4 & 3;
        let has_debug = flags >> 11 & 1 == 1;
        let is_strict = self.u8()? != 0;
        let number_at = self.skip(4)?.start;
        self.leb()?;
        let args = self.leb()?;
        let vars = self.leb()?;
        self.leb()?;
        let stack = self.leb()?;
        let var_refs = self.leb()?;
        let closure_vars = self.leb()?;
        let constant_count = self.leb()?;
        let code_bytes = self.leb()?;
        let locals = self.leb()?;
        let mut is_captured = Vec::new();
        let mut are_captures_valid = true;
        for _ in 0..locals {
            self.leb()?;
            self.leb()?;
            self.leb()?;
            let captured = self.u8()? >> 6 & 1 == 1;
            if captured {
                are_captures_valid &= self.leb()? < var_refs;
            }
            is_captured.push(captured);
        }
        for _ in 0..closure_vars {
            self.leb()?;
            self.leb()?;
            self.leb()?;
        }
        let mut constants = Vec::new();
        for _ in 0..constant_count {
            constants.push(self.constant(depth + 1)?);
        }
        let code = self.skip(code_bytes as usize)?;
        if has_debug {
            self.leb()?;
            self.leb()?;
            self.leb()?;
            for _ in 0..2 {
                let bytes = self.leb()?;
                self.skip(bytes as usize)?;
            }
        }
        self.numbers_at.push(number_at);
        let is_plain = kind == 0 || kind == 2;
        let is_within_limits = args <= ARGUMENTS_MAX
            && vars <= VARIABLES_MAX
            && stack <= STACK_MAX
            && var_refs <= VAR_REFS_MAX
            && closure_vars <= VAR_REFS_MAX;
        if is_plain && is_within_limits && are_captures_valid {
            self.functions.push(Function {
                number_at,
                is_async: kind == 2,
                is_strict,
                args,
                vars,
                stack,
                var_refs,
                closure_vars,
                constants,
                is_captured,
                code,
            });
        }
        Some(())
    }
}

/// The checksum that QuickJS keeps in the bytes 1 to 4 of a unit, of the bytes from 5 on.
pub fn checksum(bytes: &[u8]) -> u32 {
    const FACTOR: u32 = 0x9e37_0001;
    let mut hash = 0u32;
    let mut rest = bytes;
    while rest.len() > 4 {
        let (word, after) = rest.split_at(4);
        hash = hash.wrapping_add(word.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)));
        hash = hash.wrapping_mul(FACTOR);
        rest = after;
    }
    // Of four bytes at the end, QuickJS counts none.
    if rest.len() < 4 {
        hash = hash.wrapping_add(rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)));
    }
    hash.wrapping_mul(FACTOR)
}
