//! The global `request`.

use super::page::sluice::page::request::Host;
use crate::RunState;

impl Host for RunState {
    async fn read(&mut self) -> wasmtime::Result<Vec<u8>> {
        self.enter(0).await;
        let request = self.context.request.clone();
        Ok(self.give(&request))
    }

    async fn raw_body(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter(0).await;
        let body = self.context.raw_body.clone();
        self.meter.note_bytes(body.as_ref().map_or(0, bytes::Bytes::len));
        Ok(body.map(Into::into))
    }
}
