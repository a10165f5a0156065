//! The states inside `<!-- -->` and `<![CDATA[ ]]>`.

/// Inside `<!-- -->`, by what was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comment {
    Start,
    StartDash,
    Body,
    Dash,
    DashDash,
    Bang,
}

impl Comment {
    /// The next state, or `None` at the comment's end.
    pub(super) fn step(self, byte: u8) -> Option<Comment> {
        Some(match (self, byte) {
            (Comment::Start | Comment::StartDash | Comment::DashDash | Comment::Bang, b'>') => {
                return None;
            }
            (Comment::Start, b'-') => Comment::StartDash,
            (Comment::StartDash | Comment::Dash | Comment::DashDash, b'-') => Comment::DashDash,
            (Comment::DashDash, b'!') => Comment::Bang,
            (Comment::Body | Comment::Bang, b'-') => Comment::Dash,
            _ => Comment::Body,
        })
    }
}

/// Inside `<![CDATA[ ]]>`, which exists only in `<svg>` and `<math>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cdata {
    Body,
    Bracket,
    Brackets,
}

impl Cdata {
    /// The next state, or `None` at the section's end.
    pub(super) fn step(self, byte: u8) -> Option<Cdata> {
        Some(match (self, byte) {
            (Cdata::Brackets, b'>') => return None,
            (Cdata::Bracket | Cdata::Brackets, b']') => Cdata::Brackets,
            (Cdata::Body, b']') => Cdata::Bracket,
            _ => Cdata::Body,
        })
    }
}
