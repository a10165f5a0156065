//! Text for people: positions in an author's files, excerpts, suggestions for
//! misspelt names, and escaping that makes text safe to print. This crate knows
//! nothing about the rest of Sluice.

#![deny(unsafe_code)]

pub mod bounded;
pub mod excerpt;
pub mod lexical;
pub mod printable;
pub mod source;
pub mod suggest;
