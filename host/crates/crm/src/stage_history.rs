//! The history of stages: each move of an entry to another stage, of which the newest are kept.
//!
//! A move to the stage that the entry is in already is no move, so it does not appear here.

use crate::Placement;

/// The moves that are kept of an entry. Older ones are forgotten.
pub const STAGE_MOVES_MAX: u32 = 100;

/// The bytes that count for the row of a move and its place in an index.
const MOVE_ROW_BYTES: u64 = 128;

/// A move of an entry to another stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageMove {
    /// The stage from which the entry was moved. `None` if it was in none.
    pub from: Option<Placement>,
    /// The stage to which it was moved.
    pub to: Placement,
    /// Unix milliseconds.
    pub moved_at: i64,
}

/// The moves of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageHistory {
    /// The number of all its moves, with those that are forgotten.
    pub total: u64,
    /// The newest moves, newest first, at most [`STAGE_MOVES_MAX`].
    pub newest: Vec<StageMove>,
}

/// Returns how many bytes of the brand's quota the history of an entry uses that was moved
/// `moves` times.
pub fn stage_history_bytes(moves: u64) -> u64 {
    moves.min(u64::from(STAGE_MOVES_MAX)) * MOVE_ROW_BYTES
}
