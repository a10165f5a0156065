//! The functions that a sandbox can call. There is one file for each WIT interface, with the
//! same name.
//!
//! Everything inside a sandbox is hostile, so all rules are enforced here. A host function
//! first notes its cost (`RunState::enter`). It treats its arguments as bytes from an attacker,
//! and records what it does in `Effects` or `Session`. An `Err` of wasmtime is a trap, so only
//! stop calls and failures of the host return one.

pub(crate) mod checkpoint;
mod console;
mod cookie;
mod crm;
mod files;
mod http;
mod queue;
mod request;
mod response;
mod secrets;
mod session;
mod storage;
pub mod variables;
pub(crate) mod wasi;

use serde_json::Value;
use wasmtime::component::{HasSelf, Linker};

use sluice_kit::value;
use sluice_text::bounded::bounded;

use crate::RunState;
use crate::long_work::pause;
use crate::outcome::Level;

/// Bindings of the published world: what a page component may import and must export.
#[allow(missing_docs, unreachable_pub, reason = "wasmtime generates this code")]
pub(crate) mod page {
    wasmtime::component::bindgen!({
        path: "../../../wit",
        world: "page",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

/// Bindings of the engine's own world, which can also compile.
#[allow(missing_docs, unreachable_pub, reason = "wasmtime generates this code")]
pub(crate) mod engine {
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
            "sluice:page/http": super::page::sluice::page::http,
            "sluice:page/files": super::page::sluice::page::files,
            "sluice:page/storage": super::page::sluice::page::storage,
            "sluice:page/queue": super::page::sluice::page::queue,
        },
    });
}

use page::sluice::page::types::{ErrorClass, Exception};

/// Links the published world and the interfaces of WASI that it may use, and nothing else.
///
/// # Errors
/// Two interfaces have the same name, which would be a defect of this program.
pub(crate) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    page::Page::add_to_linker::<RunState, HasSelf<RunState>>(linker, |state| state)?;
    wasi::link(linker)
}

/// Reading this many bytes can take a millisecond, so such a call belongs on a thread for long work.
const LONG_CALL_BYTES: usize = 64 << 10;

impl page::sluice::page::types::Host for RunState {}

impl RunState {
    /// Begins a host call that takes `bytes` from the script: notes its cost, and lets other work
    /// run if the run has used its turn of the thread, or if the call will use it.
    async fn enter(&mut self, bytes: usize) {
        self.meter.note_call(bytes);
        if self.meter.take_turn() || bytes >= LONG_CALL_BYTES {
            pause().await;
        }
    }

    /// Encodes `value` for the script and notes the cost of its bytes.
    fn give(&mut self, value: &Value) -> Vec<u8> {
        let bytes = value::encode(value);
        self.meter.note_bytes(bytes.len());
        bytes
    }

    /// Writes a line to the run's console. Every line goes through here, so that none has secrets.
    fn say(&mut self, level: Level, text: &str) {
        self.effects.console.write(&self.context.limits, &self.context.secrets, level, text);
    }

    /// Writes a warning to the run's console, in the author's terms.
    fn warn(&mut self, text: &str) {
        self.say(Level::Warn, text);
    }

    /// An error of the host for the log. A database can quote values in its errors.
    fn masked(&self, error: &impl std::fmt::Display) -> String {
        self.context.secrets.mask_within(&error.to_string(), ERROR_BYTES_MAX).into_owned()
    }

    /// Returns true if the call succeeded. Otherwise writes the reason to the run's console
    /// and returns false.
    fn answer(&mut self, call: &str, result: Result<(), impl std::fmt::Display>) -> bool {
        match result {
            Ok(()) => true,
            Err(refusal) => {
                self.warn(&format!("{call}: {refusal}"));
                false
            }
        }
    }
}

/// The most bytes of a name or an address that a message shows.
const NAME_SHOWN_BYTES: usize = 200;
/// The most bytes of an error of the host in the log.
const ERROR_BYTES_MAX: usize = 2 << 10;

/// A name that a script passed, with control characters escaped for messages.
#[derive(Debug)]
struct EscapedName(String);

impl From<&str> for EscapedName {
    fn from(name: &str) -> Self {
        // Cut here, because a name can be as long as the sandbox's memory.
        Self(bounded(name, NAME_SHOWN_BYTES).escape_debug().to_string())
    }
}

impl std::fmt::Display for EscapedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
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
