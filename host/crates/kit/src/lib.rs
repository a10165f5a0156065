//! Basics that every crate may use. Each module has one subject, and its first lines say
//! which crates use it. No module knows about requests or scripts. Of a site, `operator_dir` knows the
//! folder, and the others nothing; `folder` opens and writes the files of any folder.

#![deny(unsafe_code)]

pub mod bar;
mod client_network;
pub mod clock;
pub mod database_time;
pub mod folder;
mod future;
pub mod hex;
pub mod histogram;
pub mod host_stats;
pub mod keys;
pub mod news;
pub mod operator_dir;
pub mod page_stats;
pub mod progress;
pub mod release;
mod store_error;
pub mod terminal;
pub mod thread;
pub mod toml_text;
pub mod value;

pub use client_network::client_network;
pub use future::BoxFuture;
pub use store_error::{BadRow, Cause, NoAnswer, StoreError, StoreFault};
