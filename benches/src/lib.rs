//! What the benches share.

pub mod medians;
