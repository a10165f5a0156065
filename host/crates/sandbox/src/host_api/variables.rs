use sluice_kit::value;

use super::page::sluice::page::variables::Host;
use crate::RunState;
use crate::test_calls::TEST_CALL;

impl Host for RunState {
    async fn set(&mut self, name: String, value: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter(name.len() + value.len()).await;
        let done = self.set_variable(&name, &value);
        Ok(self.answer("setVariable", done))
    }

    async fn get(&mut self, name: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter(name.len()).await;
        if let Some(asked) = self.context.test_calls.clone().zip(name.strip_prefix(TEST_CALL)) {
            let (test_calls, call) = asked;
            return Ok(Some(self.give(&test_calls.call(call).await)));
        }
        let own = self.effects.variables.get(&name);
        let value = own.or_else(|| self.context.brand_variables.get(&name)).map(value::encode);
        self.meter.note_bytes(value.as_ref().map_or(0, Vec::len));
        Ok(value)
    }
}

impl RunState {
    fn set_variable(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        if !is_identifier(name) {
            return Err(format!("`{}` is not a name: letters, digits and _ only", name.escape_debug()));
        }
        let value = value::decode(bytes).map_err(|error| error.to_string())?;
        let limits = &self.context.limits;
        let effects = &mut self.effects;
        let replaced = effects.variables.get(name);
        if replaced.is_none() && effects.variables.len() >= limits.variables_max {
            return Err(format!("there are {} variables already, which is the limit", limits.variables_max));
        }
        let freed = replaced.map_or(0, |old| name.len() + value::encode(old).len());
        let total = effects.variable_bytes - freed + name.len() + bytes.len();
        if total > limits.variable_bytes_max {
            return Err(format!(
                "variables would hold {total} bytes; the limit is {}",
                limits.variable_bytes_max
            ));
        }
        // Counted as the host writes it, so that replacing gives back the same.
        effects.variable_bytes = effects.variable_bytes - freed + name.len() + value::encode(&value).len();
        effects.variables.insert(name.to_owned(), value);
        Ok(())
    }
}

/// Whether a template variable can have this name.
pub fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
