//! What is known about values when a function is compiled.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Type {
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
    pub(super) fn is_number(self) -> bool {
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

/// What is known at the beginning of a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub variables: Vec<Type>,
    pub stack: Vec<Type>,
}

/// What is known if either of them can be the case.
pub(super) fn join(known: &State, other: &State) -> Option<State> {
    let join_all = |a: &[Type], b: &[Type]| -> Option<Vec<Type>> {
        (a.len() == b.len()).then(|| a.iter().zip(b).map(|(a, b)| a.join(*b)).collect())?
    };
    Some(State {
        variables: join_all(&known.variables, &other.variables)?,
        stack: join_all(&known.stack, &other.stack)?,
    })
}
