//! All integration tests in one binary: they use a real server, real requests and a real browser.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot continue should panic, and may print why"
)]

mod access;
mod acme;
mod admin;
mod alerts;
mod attacks;
mod author_docs;
mod author_run;
mod author_tests;
mod author_types;
mod bodies;
mod brands;
mod browser;
mod build;
mod builds;
mod cases;
mod code_cache;
mod compiled;
mod components;
mod console;
mod crm;
mod deploy;
mod dev;
mod drain;
mod error_pages;
mod escapes;
mod execution_log;
mod failures;
mod faults;
mod foreign;
mod fuzz_targets;
mod handoff;
mod harness;
mod health;
mod hooks;
mod http2;
mod http_calls;
mod http_syntax;
mod https;
mod kept_files;
mod limits;
mod log_floods;
mod memory;
mod memory_reset;
mod mistakes;
mod new;
mod operator_dir;
mod outage;
mod overload;
mod packages;
mod page_cache;
mod postgres;
mod proxies;
mod public;
mod queue;
mod reference;
mod reload;
mod reports;
mod requests;
mod sandbox;
mod schedules;
mod secrecy;
mod secrets;
mod service_manager;
mod session_loads;
mod sessions;
mod shell;
mod site_files;
mod stalls;
mod storage_hosts;
mod telemetry;
mod templates_attack;
mod tidy;
mod tutorial;
mod uploads;
mod values;
mod webhooks;
mod xss;

// The fuzz targets import the macro from the crate of libFuzzer.
extern crate self as libfuzzer_sys;
use fuzz_targets::fuzz_target;
