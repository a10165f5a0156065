//! What several kinds of tests start and use: database servers, an ACME server, a browser and an HTTP client.
//! Only tests and benches depend on this crate.

#![deny(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test that cannot start its servers should panic"
)]

pub mod http;
pub mod moto;
pub mod pebble;
pub mod postgres;
pub mod webdriver;

use std::net::{SocketAddr, TcpListener};

/// A loopback address on which nothing listens, for a program that cannot choose one itself.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
