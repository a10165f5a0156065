//! `secrets.get`.

use super::page::sluice::page::secrets::Host;
use crate::RunState;

impl Host for RunState {
    async fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        self.enter(name.len()).await;
        let value = self.context.secrets.get(&name).map(str::to_owned);
        self.meter.note_bytes(value.as_ref().map_or(0, String::len));
        Ok(value)
    }
}
