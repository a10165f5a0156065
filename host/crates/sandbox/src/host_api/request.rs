//! The global `request`.

use super::page::sluice::page::request::Host;
use crate::RunState;

impl Host for RunState {
    async fn read(&mut self) -> wasmtime::Result<Vec<u8>> {
        self.enter(0).await;
        let request = self.context.request.clone();
        Ok(self.give(&request))
    }
}
