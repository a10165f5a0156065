//! Rejected promises without a handler.

use std::cell::RefCell;

use rquickjs::{Ctx, Persistent, Value};

thread_local! {
    static UNHANDLED: RefCell<Vec<[Persistent<Value<'static>>; 2]>> = const { RefCell::new(Vec::new()) };
}

/// QuickJS calls this when a promise is rejected without a handler, and again
/// when a handler is added later.
pub fn track<'js>(ctx: Ctx<'js>, promise: Value<'js>, reason: Value<'js>, is_handled: bool) {
    UNHANDLED.with(|unhandled| {
        let mut unhandled = unhandled.borrow_mut();
        if is_handled {
            unhandled.retain(|[known, _]| known.clone().restore(&ctx).ok().as_ref() != Some(&promise));
        } else {
            unhandled.push([promise, reason].map(|value| Persistent::save(&ctx, value)));
        }
    });
}

/// The reason of the first rejection that is still unhandled.
pub fn first<'js>(ctx: &Ctx<'js>) -> Option<Value<'js>> {
    UNHANDLED.with(|unhandled| {
        let unhandled = unhandled.borrow();
        let [_, reason] = unhandled.first()?;
        reason.clone().restore(ctx).ok()
    })
}
