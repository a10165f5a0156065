//! Inside `<!-- -->`.

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
