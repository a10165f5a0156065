use rquickjs::prelude::Func;
use rquickjs::{Object, Result};

use crate::checkpoint;
use crate::sluice::page::console::{Level, write};

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("consoleWrite", Func::from(console_write))
}

fn console_write(level: String, text: String) {
    let level = match level.as_str() {
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => Level::Log,
    };
    checkpoint::count_call(text.len());
    write(level, &text);
}
