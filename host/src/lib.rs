//! Sluice: a web host for pages that carry backend scripts.
//!
//! A request's walk: `server` hands it to `request`, `serve` owns the journey
//! (`site` finds the page, `session` the visitor, `script` runs the page's
//! component in a sandbox that reaches the host only through `host_api`,
//! `template` renders), and `response` answers. ARCHITECTURE.md has the map and
//! the invariants.

#![deny(unsafe_code)]

pub mod admin;
pub mod app;
pub mod author;
pub mod cache;
pub mod check;
pub mod cli;
pub mod compress;
pub mod config;
pub mod cookies;
pub mod crm;
pub mod dev;
pub mod diagnostic;
pub mod excerpt;
pub mod execution_log;
pub mod histogram;
pub mod host_api;
pub mod jobs;
pub mod keys;
pub mod limits;
pub mod page;
pub mod page_stats;
pub mod progress;
pub mod rate;
pub mod redirect;
pub mod reload;
pub mod request;
pub mod response;
pub mod run_log;
pub mod script;
pub mod secrets;
pub mod serve;
pub mod server;
pub mod session;
pub mod site;
pub mod static_file;
pub mod store;
pub mod suggest;
pub mod telemetry;
pub mod template;
pub mod terminal;
pub mod turns;
pub mod uncancelled;
pub mod value;
pub mod watch;
