//! Variables and arguments of the function, and variables of outer functions.

use super::types::Type;
use super::{CTX, Compiler, Entry, Place};
use crate::decode::Instruction;
use crate::layout as at;
use crate::memory::{i32_at, i64_at};
use crate::ops::Op;
use crate::runtime::Helper;

impl Compiler<'_> {
    /// Reads or writes a variable or an argument.
    pub(super) fn use_variable(&mut self, instruction: Instruction) -> Option<()> {
        let operand = instruction.operand;
        let index = u32::try_from(instruction.operand).unwrap_or(u32::MAX);
        match instruction.op {
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
                    self.from_var_ref.insert(*local);
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
            Op::AddLoc => self.add_to_variable(instruction, index)?,
            _ => return None,
        }
        Some(())
    }

    pub(super) fn note_type(&mut self, variable: usize, ty: Type) {
        if ty == Type::Any
            && let Some(can_be_any) = self.can_be_any.get_mut(variable)
        {
            *can_be_any = true;
        }
    }

    /// Sets a variable that no closure captures to what the stack had.
    pub(super) fn set_variable(&mut self, local: u32, index: usize, entry: Entry) -> Option<()> {
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
    pub(super) fn set_cell(&mut self, (local, offset): (u32, u64), entry: Entry) {
        let y = self.y();
        self.make_own(entry);
        self.s().local_get(local).i64_load(i64_at(offset)).local_set(y);
        self.s().local_get(local);
        self.get(entry);
        self.s().i64_store(i64_at(offset));
        self.free(y);
        self.release(entry);
    }

    /// The address of a captured variable's cell of an outer function, in `q`.
    pub(super) fn var_ref(&mut self, index: i32) -> Option<()> {
        let index = u32::try_from(index).ok().filter(|index| *index < self.function.closure_vars)?;
        let (var_refs, q) = (self.var_refs(), self.q());
        self.s().local_get(var_refs).i32_load(i32_at(4 * u64::from(index)));
        self.s().i32_load(i32_at(at::VAR_REF_VALUE)).local_set(q);
        Some(())
    }

    pub(super) fn load_new(&mut self, (local, offset): (u32, u64)) {
        self.s().local_get(local).i64_load(i64_at(offset));
        let local = self.push_new(Type::Any);
        self.dup(local);
    }
}
