//! The globals of a page script: native functions in `globals/`, one file per WIT interface, and the
//! JavaScript around them in `js/`, under the same names.
//!
//! Each `js` file is a function of `host` (the native functions) and `define` (defines a read-only
//! global). Scripts can reach neither of them.

mod base64;
mod console;
mod cookie;
mod crm;
mod crypto;
mod files;
pub mod http;
pub mod job;
mod queue;
mod request;
mod response;
mod secrets;
mod session;
mod storage;
mod url;
mod variables;

use rquickjs::context::EvalOptions;
use rquickjs::prelude::Func;
use rquickjs::{Ctx, Exception, Function, Object, Result, Value};

use crate::sluice::page::types::{ErrorClass, Exception as HostException};
use crate::value::Refusal;
use crate::{checkpoint, failure, random, value};

const SOURCES: [(&str, &str); 22] = [
    ("sluice:format.js", include_str!("js/format.js")),
    ("sluice:dom_exception.js", include_str!("js/dom_exception.js")),
    ("sluice:promise.js", include_str!("js/promise.js")),
    ("sluice:console.js", include_str!("js/console.js")),
    ("sluice:request.js", include_str!("js/request.js")),
    ("sluice:session.js", include_str!("js/session.js")),
    ("sluice:cookie.js", include_str!("js/cookie.js")),
    ("sluice:response.js", include_str!("js/response.js")),
    ("sluice:variables.js", include_str!("js/variables.js")),
    ("sluice:crm.js", include_str!("js/crm.js")),
    ("sluice:schema.js", include_str!("js/schema.js")),
    ("sluice:base64.js", include_str!("js/base64.js")),
    ("sluice:clone.js", include_str!("js/clone.js")),
    ("sluice:crypto.js", include_str!("js/crypto.js")),
    ("sluice:secrets.js", include_str!("js/secrets.js")),
    ("sluice:text.js", include_str!("js/text.js")),
    ("sluice:url.js", include_str!("js/url.js")),
    ("sluice:http.js", include_str!("js/http.js")),
    ("sluice:files.js", include_str!("js/files.js")),
    ("sluice:storage.js", include_str!("js/storage.js")),
    ("sluice:queue.js", include_str!("js/queue.js")),
    ("sluice:job.js", include_str!("js/job.js")),
];

/// Installs every global into the context of the snapshot.
pub fn install(ctx: &Ctx<'_>) -> Result<()> {
    let host = Object::new(ctx.clone())?;
    base64::install(&host)?;
    console::install(&host)?;
    cookie::install(&host)?;
    crm::install(&host)?;
    crypto::install(&host)?;
    files::install(&host)?;
    http::install(&host)?;
    queue::install(&host)?;
    request::install(&host)?;
    response::install(&host)?;
    secrets::install(&host)?;
    session::install(&host)?;
    storage::install(&host)?;
    url::install(&host)?;
    variables::install(&host)?;

    let math: Object = ctx.globals().get("Math")?;
    math.set("random", Func::from(random::random))?;
    // Javy's own console writes to a stream that no sandbox has.
    for name in ["console", "Javy"] {
        ctx.globals().remove(name)?;
    }

    let define: Function = eval(ctx, "sluice:define.js", include_str!("js/define.js"))?;
    for (name, source) in SOURCES {
        let file: Function = eval(ctx, name, source)?;
        file.call::<_, Value>((host.clone(), define.clone()))?;
    }
    failure::format_with(ctx, host.get("format")?);
    http::settle_with(ctx, host.get("httpSettle")?);
    job::enter_with(ctx, host.get("enterJob")?);
    Ok(())
}

fn eval<'js>(ctx: &Ctx<'js>, name: &str, source: &str) -> Result<Function<'js>> {
    let mut options = EvalOptions::default();
    options.strict = true;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(source, options)
}

/// Returns `value` as MessagePack. If it cannot be stored, logs a warning that starts with the name
/// of the call, and returns `None`.
///
/// # Errors
/// The value contains a Promise, or code of the author threw.
fn encoded<'js>(ctx: &Ctx<'js>, call: &str, value: Value<'js>) -> Result<Option<Vec<u8>>> {
    match value::encode(ctx, value) {
        Ok(bytes) => {
            checkpoint::count_call(bytes.len());
            Ok(Some(bytes))
        }
        Err(refusal) => refused(ctx, call, refusal).map(|()| None),
    }
}

/// Logs a warning that starts with the name of the call about a value that cannot be stored.
///
/// # Errors
/// As [`encoded`].
fn refused(ctx: &Ctx<'_>, call: &str, refusal: Refusal) -> Result<()> {
    match refusal {
        Refusal::Thrown(error) => Err(error),
        Refusal::Promise => Err(missing_await(ctx, call)),
        Refusal::Unfit(reason) => {
            warn(&format!("{call}: {reason} cannot be stored"));
            Ok(())
        }
    }
}

/// Throws the error for a Promise that is passed to `call`.
fn missing_await(ctx: &Ctx<'_>, call: &str) -> rquickjs::Error {
    let message = format!("{call}: a value is a Promise. Add `await` before the call that returns it");
    Exception::throw_type(ctx, &message)
}

fn warn(text: &str) {
    use crate::sluice::page::console::{Level, write};
    write(Level::Warn, text);
}

fn decoded<'js>(ctx: &Ctx<'js>, bytes: Option<Vec<u8>>) -> Result<Value<'js>> {
    checkpoint::count_call(bytes.as_ref().map_or(0, Vec::len));
    match bytes {
        Some(bytes) => value::decode(ctx, &bytes),
        None => Ok(Value::new_null(ctx.clone())),
    }
}

/// Throws the exception that the host returned. If the time of the run is up, the host ends it here.
fn thrown<T>(ctx: &Ctx<'_>, answer: std::result::Result<T, HostException>) -> Result<T> {
    answer.map_err(|exception| {
        checkpoint::report();
        let message = &exception.message;
        match exception.class {
            ErrorClass::TypeError => Exception::throw_type(ctx, message),
            ErrorClass::RangeError => Exception::throw_range(ctx, message),
            ErrorClass::Error => Exception::throw_message(ctx, message),
        }
    })
}
