//! Loads machine code that was compiled earlier. This is the only place where Sluice trusts
//! bytes.
#![allow(unsafe_code, reason = "wasmtime cannot check machine code, so loading it is unsafe")]

use std::hash::{Hash as _, Hasher};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use super::component::EngineParts;
use crate::cache::{Authentic, CacheKey};

/// The version of the form in which code is stored. Increase it when that form changes.
const FORMAT: &[u8] = b"1";

/// Loads the machine code of a page component.
///
/// # Errors
/// It was compiled by another version or with another configuration of wasmtime.
pub(crate) fn load_component(engine: &Engine, code: &Authentic) -> wasmtime::Result<Component> {
    // SAFETY: `Component::deserialize` requires bytes that `Component::serialize` returned.
    // Only `CodeCache::read` makes `Authentic` values. It verifies that a host with this
    // application key wrote the bytes, under a name that is a hash of this engine's `code_id`,
    // and hosts store nothing else under such a name.
    unsafe { Component::deserialize(engine, code.bytes()) }
}

/// Loads the machine code of a core module.
///
/// # Errors
/// As [`load_component`].
pub(crate) fn load_module(engine: &Engine, code: &Authentic) -> wasmtime::Result<Module> {
    // SAFETY: as in `load_component`, with bytes that `Module::serialize` returned.
    unsafe { Module::deserialize(engine, code.bytes()) }
}

/// Identifies everything that machine code depends on besides its source: wasmtime's version
/// and settings, the machine, the engine, and the form in which code is stored.
pub(crate) fn code_id(engine: &Engine, parts: &EngineParts) -> CacheKey {
    let mut compatibility = HashWriter(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let compatibility = compatibility.0.finalize();
    let version = env!("CARGO_PKG_VERSION");
    CacheKey::of([FORMAT, version.as_bytes(), parts.version.as_bytes(), compatibility.as_slice()])
}

/// Collects what `Hash` writes into SHA-256, which has no known collisions.
struct HashWriter(Sha256);

impl Hasher for HashWriter {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Never called: only hash tables need this number.
    fn finish(&self) -> u64 {
        0
    }
}
