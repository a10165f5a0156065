//! Machine code that was compiled earlier: the one place where Sluice trusts bytes.
#![allow(unsafe_code, reason = "wasmtime cannot check machine code, so loading it is unsafe")]

use std::hash::{Hash as _, Hasher};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use super::component::EngineParts;
use crate::cache::{Authentic, CacheKey};

/// Changes whenever what is kept changes its form.
const FORMAT: &[u8] = b"1";

/// A page component's machine code.
///
/// # Errors
/// It was made for another wasmtime or another configuration.
pub fn load_component(engine: &Engine, code: &Authentic) -> wasmtime::Result<Component> {
    // SAFETY: `Authentic` bytes come from `CodeCache::read` alone, which verifies that a
    // host with this application key wrote them under a name that is a hash of this
    // engine's `code_id`; hosts write there what `Component::serialize` gave them.
    unsafe { Component::deserialize(engine, code.bytes()) }
}

/// A core module's machine code.
///
/// # Errors
/// As [`load_component`].
pub fn load_module(engine: &Engine, code: &Authentic) -> wasmtime::Result<Module> {
    // SAFETY: as in `load_component`, with `Module::serialize`.
    unsafe { Module::deserialize(engine, code.bytes()) }
}

/// Names everything that machine code depends on besides its source: wasmtime's version
/// and settings, the machine, the engine and the form in which it is kept.
pub fn code_id(engine: &Engine, parts: &EngineParts) -> CacheKey {
    let mut compatibility = HashWriter(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let compatibility = compatibility.0.finalize();
    let version = env!("CARGO_PKG_VERSION");
    CacheKey::of([FORMAT, version.as_bytes(), parts.version.as_bytes(), compatibility.as_slice()])
}

/// Takes what `Hash` writes into a hash that collides for nobody.
struct HashWriter(Sha256);

impl Hasher for HashWriter {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Asked of hash tables only.
    fn finish(&self) -> u64 {
        0
    }
}
