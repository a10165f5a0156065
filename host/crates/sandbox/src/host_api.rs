//! What a sandbox can ask of the host: one file per WIT interface, same names.
//!
//! Everything inside the sandbox is hostile, so every rule stands here. A host
//! function notes its cost first (`RunState::enter`), reads its arguments as
//! what they are (bytes from an attacker), and records what it does in
//! `Effects` or `Session`. An error return is a trap: only stop calls and host
//! failures use it.

mod console;
mod cookie;
mod crm;
mod request;
mod response;
mod secrets;
mod session;
pub mod variables;
mod wasi;

use serde_json::Value;
use wasmtime::component::{HasSelf, Linker};

use sluice_kit::value;

use crate::RunState;
use crate::outcome::Level;

/// The published world: what any page component may import and must export.
pub mod page {
    wasmtime::component::bindgen!({
        path: "../../../wit",
        world: "page",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

/// The engine's own world: it can compile, too.
pub mod engine {
    wasmtime::component::bindgen!({
        path: "../../../wit",
        world: "engine",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "sluice:page/types": super::page::sluice::page::types,
            "sluice:page/request": super::page::sluice::page::request,
            "sluice:page/session": super::page::sluice::page::session,
            "sluice:page/cookie": super::page::sluice::page::cookie,
            "sluice:page/response": super::page::sluice::page::response,
            "sluice:page/variables": super::page::sluice::page::variables,
            "sluice:page/console": super::page::sluice::page::console,
            "sluice:page/crm": super::page::sluice::page::crm,
            "sluice:page/secrets": super::page::sluice::page::secrets,
        },
    });
}

pub use page::sluice::page::types::{ErrorClass, Exception};

/// Links the published world and the WASI that it may use; nothing else.
///
/// # Errors
/// Two interfaces of one name: a defect of this program.
pub fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    page::Page::add_to_linker::<RunState, HasSelf<RunState>>(linker, |state| state)?;
    wasi::link(linker)
}

impl page::sluice::page::types::Host for RunState {}

impl RunState {
    /// Begins a host call that takes `bytes` from the script: notes its cost,
    /// and lets the worker's other requests go on when it is their turn.
    async fn enter(&mut self, bytes: usize) {
        self.meter.note_call(bytes);
        if self.meter.take_turn() {
            tokio::task::yield_now().await;
        }
    }

    /// `value` for the script, paid for.
    fn give(&mut self, value: &Value) -> Vec<u8> {
        let bytes = value::encode(value);
        self.meter.note_bytes(bytes.len());
        bytes
    }

    /// A warning in the execution log, in the author's terms.
    fn warn(&mut self, text: String) {
        self.effects.console.write(&self.context.limits, Level::Warn, text);
    }

    /// `true`, or `false` and the reason in the execution log.
    fn answer(&mut self, call: &str, result: Result<(), impl std::fmt::Display>) -> bool {
        match result {
            Ok(()) => true,
            Err(refusal) => {
                self.warn(format!("{call}: {refusal}"));
                false
            }
        }
    }
}

fn type_error(message: impl Into<String>) -> Exception {
    Exception { class: ErrorClass::TypeError, message: message.into() }
}

fn range_error(message: impl Into<String>) -> Exception {
    Exception { class: ErrorClass::RangeError, message: message.into() }
}

fn plain_error(message: impl Into<String>) -> Exception {
    Exception { class: ErrorClass::Error, message: message.into() }
}
