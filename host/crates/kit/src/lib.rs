//! Small pieces that every crate may use. Each module has one subject; none
//! knows requests, sites or scripts.

#![deny(unsafe_code)]

pub mod clock;
mod future;
pub mod hex;
pub mod histogram;
pub mod keys;
pub mod page_stats;
pub mod progress;
mod store_error;
pub mod terminal;
pub mod value;

pub use future::BoxFuture;
pub use store_error::StoreError;
