//! Writes bytecode as `JS_WriteObject` does.

use crate::checksum;
use crate::ops::Op;

/// A function to write.
#[derive(Clone)]
pub(super) struct Function {
    /// 0 for plain functions, 1 for generators, 2 for async ones, 3 for async generators.
    pub kind: u16,
    pub is_strict: bool,
    pub args: u32,
    pub vars: u32,
    pub stack: u32,
    pub var_refs: u32,
    pub closure_vars: u32,
    /// Of each argument and variable that is captured: its place in the frame.
    pub captured: Vec<Option<u32>>,
    pub constants: Vec<Constant>,
    pub code: Vec<u8>,
}

#[derive(Clone)]
pub(super) enum Constant {
    Null,
    Function(Box<Function>),
    /// So many arrays in each other.
    Arrays(u32),
}

impl Function {
    /// A strict function without arguments, with four variables and an operand stack of eight.
    pub(super) fn new(code: &[u8]) -> Self {
        Self {
            kind: 0,
            is_strict: true,
            args: 0,
            vars: 4,
            stack: 8,
            var_refs: 0,
            closure_vars: 0,
            captured: Vec::new(),
            constants: Vec::new(),
            code: code.to_vec(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(12);
        out.extend((self.kind << 4).to_le_bytes());
        out.push(u8::from(self.is_strict));
        out.extend([0; 4]);
        let counts = [0, self.args, self.vars, self.args, self.stack, self.var_refs, self.closure_vars];
        for count in counts {
            leb(out, count);
        }
        for count in [self.constants.len(), self.code.len(), self.captured.len()] {
            leb(out, u32::try_from(count).unwrap());
        }
        for captured in &self.captured {
            out.extend([0, 0, 0]);
            match captured {
                Some(place) => {
                    out.push(1 << 6);
                    leb(out, *place);
                }
                None => out.push(0),
            }
        }
        out.extend((0..self.closure_vars * 3).map(|_| 0));
        for constant in &self.constants {
            match constant {
                Constant::Null => out.push(1),
                Constant::Function(function) => function.write(out),
                Constant::Arrays(depth) => {
                    out.extend((0..*depth).flat_map(|_| [9, 1]));
                    out.push(1);
                }
            }
        }
        out.extend(&self.code);
    }

    /// The page with this as its only unit.
    pub(super) fn page(&self) -> Vec<u8> {
        let mut body = vec![0];
        self.write(&mut body);
        page(&body)
    }
}

/// A page with a unit, of which everything after the checksum is given.
pub(super) fn page(body: &[u8]) -> Vec<u8> {
    let mut unit = vec![26];
    unit.extend(checksum(body).to_le_bytes());
    unit.extend(body);
    let mut page = Vec::new();
    for part in [b"code".as_slice(), b"file", &unit] {
        page.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
        page.extend(part);
    }
    page
}

/// A page whose unit is an array of functions.
pub(super) fn page_of(functions: &[Function]) -> Vec<u8> {
    let mut body = vec![0, 9];
    leb(&mut body, u32::try_from(functions.len()).unwrap());
    for function in functions {
        function.write(&mut body);
    }
    page(&body)
}

fn leb(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// An instruction without an operand.
pub(super) fn op(op: Op) -> Vec<u8> {
    vec![op as u8]
}

pub(super) fn with_u8(op: Op, operand: u8) -> Vec<u8> {
    vec![op as u8, operand]
}

pub(super) fn with_u16(op: Op, operand: u16) -> Vec<u8> {
    let [low, high] = operand.to_le_bytes();
    vec![op as u8, low, high]
}

pub(super) fn with_i32(op: Op, operand: i32) -> Vec<u8> {
    let mut bytes = vec![op as u8];
    bytes.extend(operand.to_le_bytes());
    bytes
}
