use rquickjs::prelude::Func;
use rquickjs::{Ctx, Object, Result};

use super::thrown;
use crate::checkpoint;
use crate::sluice::page::response;

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("responseStatus", Func::from(status))?;
    host.set("responseSetHeader", Func::from(set_header))?;
    host.set("responseRedirect", Func::from(redirect))?;
    host.set("responseJson", Func::from(json))?;
    host.set("responseSend", Func::from(send))
}

fn status(ctx: Ctx<'_>, code: f64) -> Result<()> {
    thrown(&ctx, response::status(code))
}

fn set_header(name: String, value: String) -> bool {
    checkpoint::count_call(name.len() + value.len());
    response::set_header(&name, &value)
}

/// Ends the run, unless the host rejects the URL or status.
fn redirect(ctx: Ctx<'_>, url: String, status: f64) -> Result<()> {
    checkpoint::report();
    thrown(&ctx, response::redirect(&url, status))
}

/// Ends the run.
fn json(text: String) {
    checkpoint::report();
    response::json(&text);
}

/// Ends the run.
fn send(html: String) {
    checkpoint::report();
    response::send(&html);
}
