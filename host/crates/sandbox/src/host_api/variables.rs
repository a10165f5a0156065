//! Template variables: `setVariable` and `getVariable`.

use std::sync::Arc;

use sluice_kit::value::{self, ValueError};

use super::page::sluice::page::variables::Host;
use super::{EscapedName, checkpoint};
use crate::test_calls::TEST_CALL;
use crate::{JOB_CALL, RunState};

/// Why a variable is not set, in the author's terms.
#[derive(Debug, thiserror::Error)]
enum VariableRefusal {
    #[error("`{0}` is not a valid name; use letters, digits and _ only")]
    Name(EscapedName),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("there are {0} variables already, which is the limit")]
    TooMany(usize),
    #[error("variables would hold {bytes} bytes; the limit is {max}")]
    TooLarge { bytes: usize, max: usize },
}

impl Host for RunState {
    async fn set(&mut self, name: String, value: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter(name.len() + value.len()).await;
        let done = self.set_variable(&name, &value);
        Ok(self.answer("setVariable", done))
    }

    async fn get(&mut self, name: String) -> wasmtime::Result<Option<Vec<u8>>> {
        if checkpoint::is_name(&name) {
            return self.checkpoint(&name).await;
        }
        self.enter(name.len()).await;
        if let Some((test_calls, call)) = self.context.test_calls.clone().zip(name.strip_prefix(TEST_CALL)) {
            return Ok(Some(self.give(&test_calls.call(call).await)));
        }
        if self.context.is_job && name == JOB_CALL {
            let asked = Arc::clone(&self.context.request);
            return Ok(Some(self.give(&asked)));
        }
        let own = self.effects.variables.get(&name);
        let value = own.or_else(|| self.context.brand_variables.get(&name)).map(value::encode);
        self.meter.note_bytes(value.as_ref().map_or(0, Vec::len));
        Ok(value)
    }
}

impl RunState {
    fn set_variable(&mut self, name: &str, bytes: &[u8]) -> Result<(), VariableRefusal> {
        if !is_identifier(name) {
            return Err(VariableRefusal::Name(EscapedName::from(name)));
        }
        let value = value::decode(bytes, &self.limiter.room())?;
        let limits = &self.context.limits;
        let effects = &mut self.effects;
        let replaced = effects.variables.get(name);
        if replaced.is_none() && effects.variables.len() >= limits.variables_max {
            return Err(VariableRefusal::TooMany(limits.variables_max));
        }
        let freed = replaced.map_or(0, |old| name.len() + value::encode(old).len());
        let total = effects.variable_bytes - freed + name.len() + bytes.len();
        let max = limits.variable_bytes_max;
        if total > max {
            return Err(VariableRefusal::TooLarge { bytes: total, max });
        }
        // The host's own encoding is counted, so that replacing the value frees the same number.
        effects.variable_bytes = effects.variable_bytes - freed + name.len() + value::encode(&value).len();
        self.limiter.hold(value::held_by_entry(name, &value));
        if let Some(old) = effects.variables.insert(name.to_owned(), value) {
            self.limiter.let_go(value::held_by_entry(name, &old));
        }
        Ok(())
    }
}

/// Whether a template variable can have this name: ASCII letters, digits and `_`, and no digit
/// first.
pub fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
