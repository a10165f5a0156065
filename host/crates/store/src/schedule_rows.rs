//! What both databases need to know about the rows of `schedule`.

/// So many schedules of a brand are kept beside the one that is seen, those with the latest ticks. A schedule that is
/// renamed leaves its row, and an author can rename schedules again and again. A brand has at most 50 at a time.
pub(crate) const OTHERS_MAX: i64 = 499;
