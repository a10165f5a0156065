//! Wraps the module as a component, and inspects the result.

use anyhow::{Context as _, Result};
use std::fmt;
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// The WASI interfaces that an engine may import.
pub const WASI_LINKED: [&str; 3] =
    ["wasi:clocks/wall-clock", "wasi:clocks/monotonic-clock", "wasi:random/random"];

/// wit-bindgen already put the description of the WIT world into the module. wasi.wit describes the
/// imports that preview1.rs added.
pub fn wrap(mut module: Vec<u8>) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("wasi.wit", include_str!("wasi.wit"))?;
    let world = resolve.select_world(&[package], None)?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .context("reading the module's WIT world")?
        .encode()
}

/// The parts of a component.
pub struct Contents {
    imports: Vec<String>,
    exports: Vec<String>,
    /// The sizes of the core modules in bytes, in the component's order.
    module_bytes: Vec<usize>,
}

pub fn inspect(component: &[u8]) -> Result<Contents> {
    let mut contents = Contents { imports: vec![], exports: vec![], module_bytes: vec![] };
    // The parser walks into nested modules and components.
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { unchecked_range, .. } => {
                contents.module_bytes.push(unchecked_range.len());
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    contents.imports.push(import?.name.name.to_string());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    contents.exports.push(export?.name.name.to_string());
                }
            }
            _ => {}
        }
    }
    Ok(contents)
}

impl Contents {
    pub fn wasi_imports_not_linked(&self) -> Vec<&str> {
        let wasi = self.imports.iter().filter(|name| name.starts_with("wasi:"));
        wasi.map(String::as_str)
            .filter(|name| !WASI_LINKED.contains(&name.split('@').next().unwrap_or_default()))
            .collect()
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, bytes) in self.module_bytes.iter().enumerate() {
            writeln!(f, "{:<24}{bytes:>10} bytes", format!("  core module {index}"))?;
        }
        for name in &self.imports {
            writeln!(f, "  import {name}")?;
        }
        for name in &self.exports {
            writeln!(f, "  export {name}")?;
        }
        Ok(())
    }
}
