//! The one integration binary: a real server, real requests, a real browser.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on should panic, and may say so"
)]

mod admin;
mod browser;
mod build;
mod cases;
mod components;
mod console;
mod crm;
mod deploy;
mod escapes;
mod execution_log;
mod foreign;
mod handoff;
mod harness;
mod health;
mod limits;
mod memory_reset;
mod overload;
mod postgres;
mod requests;
mod sandbox;
mod secrecy;
mod sessions;
mod telemetry;
mod values;
