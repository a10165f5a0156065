//! Certificates by ACME, from a real ACME server to real clients. How orders fail in detail is tested in the crate
//! `acme`.

mod failures;
mod hosts;
mod secrecy;
mod world;
