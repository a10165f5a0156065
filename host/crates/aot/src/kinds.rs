//! Which instructions are compiled.

use crate::ops::Op;
use crate::read::Function;

/// The part of the compiler that an instruction belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Pushes a value that does not depend on the stack.
    Value,
    /// Reorders, copies or drops operands.
    Stack,
    /// Reads or writes a variable or an argument.
    Variable,
    /// Arithmetic and bits.
    Number,
    /// Has a result that is true or false.
    Condition,
    /// Reads or writes a property, or converts the key of one.
    Property,
    /// Calls a function.
    Call,
    /// The engine carries it out, on operands in memory.
    Step,
    /// Continues in another block.
    Jump,
    /// Ends the function.
    Return,
}

/// The kind of an instruction that is compiled. The interpreter continues at all others.
pub(crate) fn kind(function: &Function, op: Op) -> Option<Kind> {
    Some(match op {
        // The value of a function that is not strict may have to be converted.
        Op::PushThis if !function.is_strict => return None,
        // The interpreter ends async functions.
        Op::Return | Op::ReturnUndef | Op::TailCall | Op::TailCallMethod if function.is_async => return None,

        Op::PushI32
        | Op::PushConst
        | Op::Fclosure
        | Op::PushAtomValue
        | Op::PushEmptyString
        | Op::Undefined
        | Op::Null
        | Op::PushThis
        | Op::PushFalse
        | Op::PushTrue
        | Op::Object
        | Op::GetVarUndef
        | Op::GetVar
        | Op::Catch => Kind::Value,

        Op::Drop
        | Op::Nip
        | Op::Nip1
        | Op::NipCatch
        | Op::Dup
        | Op::Dup1
        | Op::Dup2
        | Op::Dup3
        | Op::Insert2
        | Op::Insert3
        | Op::Insert4
        | Op::Perm3
        | Op::Perm4
        | Op::Perm5
        | Op::Swap
        | Op::Swap2
        | Op::Rot3l
        | Op::Rot3r
        | Op::Rot4l
        | Op::Rot5l
        | Op::Nop => Kind::Stack,

        Op::GetLoc
        | Op::PutLoc
        | Op::SetLoc
        | Op::GetArg
        | Op::PutArg
        | Op::SetArg
        | Op::GetVarRef
        | Op::PutVarRef
        | Op::SetVarRef
        | Op::SetLocUninitialized
        | Op::GetLocCheck
        | Op::PutLocCheck
        | Op::GetVarRefCheck
        | Op::PutVarRefCheck
        | Op::CloseLoc
        | Op::DecLoc
        | Op::IncLoc
        | Op::AddLoc => Kind::Variable,

        Op::Neg
        | Op::Plus
        | Op::Dec
        | Op::Inc
        | Op::PostDec
        | Op::PostInc
        | Op::Not
        | Op::Mul
        | Op::Div
        | Op::Mod
        | Op::Add
        | Op::Sub
        | Op::Shl
        | Op::Sar
        | Op::Shr
        | Op::And
        | Op::Xor
        | Op::Or
        | Op::Pow => Kind::Number,

        Op::Lt
        | Op::Lte
        | Op::Gt
        | Op::Gte
        | Op::Eq
        | Op::Neq
        | Op::StrictEq
        | Op::StrictNeq
        | Op::Lnot
        | Op::In
        | Op::Instanceof
        | Op::Delete
        | Op::IsUndefinedOrNull
        | Op::IsUndefined
        | Op::IsNull
        | Op::TypeofIsUndefined
        | Op::TypeofIsFunction => Kind::Condition,

        Op::GetField
        | Op::GetField2
        | Op::PutField
        | Op::GetArrayEl
        | Op::PutArrayEl
        | Op::GetLength
        | Op::DefineField
        | Op::SetName
        | Op::Typeof
        | Op::ToPropkey
        | Op::ToPropkey2
        | Op::ToPropkeyOf
        | Op::ToPropkeyUnder => Kind::Property,

        Op::Call | Op::CallMethod | Op::CallConstructor | Op::ArrayFrom => Kind::Call,

        Op::Apply
        | Op::Regexp
        | Op::Append
        | Op::DefineArrayEl
        | Op::GetArrayEl2
        | Op::ForOfStart
        | Op::ForOfNext
        | Op::IteratorClose => Kind::Step,

        Op::Goto | Op::IfFalse | Op::IfTrue => Kind::Jump,
        Op::Return | Op::ReturnUndef | Op::TailCall | Op::TailCallMethod => Kind::Return,
        _ => return None,
    })
}

/// Whether a function with the instruction is left to the interpreter as a whole. These instructions need what compiled
/// code does not have: the arguments as they were passed, or `new.target`.
pub(crate) fn needs_interpreter(op: Op) -> bool {
    matches!(
        op,
        Op::SpecialObject
            | Op::Rest
            | Op::CheckCtor
            | Op::InitCtor
            | Op::CheckCtorReturn
            | Op::Eval
            | Op::ApplyEval
            | Op::InitialYield
    )
}
