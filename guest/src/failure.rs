//! Describes a JavaScript exception for the author: class, message, position, and the stack frames in
//! the author's files.

use std::cell::RefCell;

use rquickjs::{CaughtError, Ctx, FromJs, Function, Object, Persistent, Value};

use crate::exports::sluice::page::script::Failure;
use crate::modules::with_graph;

thread_local! {
    static FORMAT: RefCell<Option<Persistent<Function<'static>>>> = const { RefCell::new(None) };
}

/// Sets the function that formats values for the console. Thrown values that are not errors are
/// formatted in the same way.
pub fn format_with<'js>(ctx: &Ctx<'js>, format: Function<'js>) {
    FORMAT.with(|slot| *slot.borrow_mut() = Some(Persistent::save(ctx, format)));
}

pub fn of_parts(name: &str, message: &str) -> Failure {
    Failure {
        name: name.to_owned(),
        message: message.to_owned(),
        file: String::new(),
        line: 0,
        column: 0,
        stack: String::new(),
    }
}

pub fn internal(message: String) -> Failure {
    of_parts("InternalError", &message)
}

pub fn of_caught<'js>(ctx: &Ctx<'js>, caught: CaughtError<'js>) -> Failure {
    match caught {
        CaughtError::Error(error) => internal(error.to_string()),
        CaughtError::Exception(exception) => of_value(ctx, &exception.into_object().into_value()),
        CaughtError::Value(value) => of_value(ctx, &value),
    }
}

pub fn unhandled<'js>(ctx: &Ctx<'js>, reason: &Value<'js>) -> Failure {
    let mut failure = of_value(ctx, reason);
    failure.message = format!("unhandled promise rejection: {}", failure.message);
    failure
}

/// Reads class, message and stack from the thrown value. rquickjs's helpers turn every class into
/// `Error`.
pub fn of_value<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Failure {
    let Some(error) = value.as_object().filter(|_| value.is_error()) else {
        // If the heap is full, QuickJS throws null. Its text must not need the heap.
        let shown = if value.is_object() { shown(ctx, value) } else { text(ctx, value.clone()) };
        let shown = shown.unwrap_or_else(|| "a value that has no text".to_owned());
        return of_parts("Error", &format!("uncaught {shown}"));
    };
    let mut failure = of_parts(
        &property(ctx, error, "name").unwrap_or_else(|| "Error".to_owned()),
        &property(ctx, error, "message").unwrap_or_default(),
    );
    read_stack(&mut failure, &property(ctx, error, "stack").unwrap_or_default());
    failure
}

/// Sets the position and the author's frames of `failure` from a stack of QuickJS.
pub fn read_stack(failure: &mut Failure, stack: &str) {
    let mut frames = Vec::new();
    for line in stack.lines() {
        let Some((file, row, column)) = position(line) else { continue };
        if !with_graph(|graph| graph.knows(file)) {
            continue;
        }
        if frames.is_empty() {
            failure.file = file.to_owned();
            (failure.line, failure.column) = (row, column);
        }
        frames.push(line.trim());
    }
    failure.stack = frames.join("\n");
}

/// Reads `file:line:column` at the end of a frame, with or without parentheses.
fn position(frame: &str) -> Option<(&str, u32, u32)> {
    let frame = frame.trim().strip_prefix("at ")?;
    let place = match frame.strip_suffix(')') {
        Some(open) => open.rsplit_once('(')?.1,
        None => frame,
    };
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file, line.parse().ok()?, column.parse().ok()?))
}

/// Returns a property as text, or `None` if it is missing or its getter throws.
fn property<'js>(ctx: &Ctx<'js>, object: &Object<'js>, key: &str) -> Option<String> {
    match object.get::<_, Value>(key) {
        Ok(value) if value.is_undefined() => None,
        Ok(value) => text(ctx, value),
        Err(_) => {
            ctx.catch();
            None
        }
    }
}

/// Returns a value as text. Text that UTF-8 cannot represent is formatted as the console does.
fn text<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Option<String> {
    match rquickjs::convert::Coerced::<String>::from_js(ctx, value.clone()) {
        Ok(text) => Some(text.0),
        Err(_) => {
            ctx.catch();
            shown(ctx, &value)
        }
    }
}

/// Formats `value` as the console does.
fn shown<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Option<String> {
    let format = FORMAT.with(|slot| slot.borrow().clone())?.restore(ctx).ok()?;
    match format.call((vec![value.clone()],)) {
        Ok(text) => Some(text),
        Err(_) => {
            ctx.catch();
            None
        }
    }
}
