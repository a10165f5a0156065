//! `console.log` and the other levels.

use super::page::sluice::page::console::{Host, Level as WitLevel};
use crate::RunState;
use crate::outcome::Level;

impl Host for RunState {
    async fn write(&mut self, level: WitLevel, text: String) -> wasmtime::Result<()> {
        self.enter(text.len()).await;
        let level = match level {
            WitLevel::Debug => Level::Debug,
            WitLevel::Info => Level::Info,
            WitLevel::Log => Level::Log,
            WitLevel::Warn => Level::Warn,
            WitLevel::Error => Level::Error,
        };
        self.say(level, &text);
        Ok(())
    }
}
