//! Servers that tests start. Only tests depend on this crate: those of the store, and the
//! integration tests.

#![deny(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot start its servers should panic")]

pub mod postgres;
