//! `secrets.get`.

use super::EscapedName;
use super::page::sluice::page::secrets::Host;
use crate::RunState;

impl Host for RunState {
    async fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        self.enter(name.len()).await;
        let value = match name.strip_prefix("ref:") {
            Some(name) => self.context.secrets.placeholder(name),
            None => self.context.secrets.get(&name).map(str::to_owned),
        };
        if value.is_none() && self.context.secrets.is_hidden(&name) {
            let name = EscapedName::from(name.as_str());
            self.warn(&format!(
                "secrets.get: scripts cannot read {name}, because brand.toml has [secrets.{name}]: use \
                 secrets.ref(\"{name}\") in a header of a call"
            ));
        }
        self.meter.note_bytes(value.as_ref().map_or(0, String::len));
        Ok(value)
    }
}
