//! The keeper against a real ACME server, with real databases and real connections.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test that cannot go on should panic"
)]

mod failures;
mod front;
mod orders;
mod sharing;
mod world;
