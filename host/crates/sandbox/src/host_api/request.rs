//! The global `request`.

use std::sync::Arc;

use serde_json::Value;

use super::page::sluice::page::request::Host;
use crate::RunState;
use crate::sharing::shared;

impl Host for RunState {
    async fn read(&mut self, part: String) -> wasmtime::Result<Vec<u8>> {
        self.enter(part.len()).await;
        Ok(self.request_part(&part))
    }

    async fn raw_body(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter(0).await;
        let body = self.context.raw_body.clone();
        self.meter.note_bytes(body.as_ref().map_or(0, bytes::Bytes::len));
        Ok(body.map(Into::into))
    }
}

impl RunState {
    /// `request` as the script gets it at first, or a part of it.
    fn request_part(&mut self, name: &str) -> Vec<u8> {
        let request = Arc::clone(&self.context.request);
        match self.context.sharing.rules() {
            Some(rules) if name.is_empty() => self.give(&shared(&request, &rules)),
            Some(rules) => match rules.part(name) {
                Some(part) => {
                    self.depends_on(part.dependence);
                    self.give(request.get(part.property).unwrap_or(&Value::Null))
                }
                None => self.give(&Value::Null),
            },
            None if name.is_empty() => self.give(&request),
            // Nothing is hidden.
            None => self.give(&Value::Null),
        }
    }
}
