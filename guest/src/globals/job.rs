//! What is different in a job: nobody has asked for it, so it has no request, no session and no response.

use std::cell::RefCell;

use rquickjs::{Ctx, Function, Persistent, Result};

/// The name of the page that runs a job.
pub const PAGE: &str = "sluice:job";

thread_local! {
    static ENTER: RefCell<Option<Persistent<Function<'static>>>> = const { RefCell::new(None) };
}

/// Sets the function that makes the calls throw that a job does not have.
pub fn enter_with<'js>(ctx: &Ctx<'js>, enter: Function<'js>) {
    ENTER.with(|slot| *slot.borrow_mut() = Some(Persistent::save(ctx, enter)));
}

/// Makes the calls throw that a job does not have.
pub fn enter(ctx: &Ctx<'_>) -> Result<()> {
    let enter = ENTER.with(|slot| slot.borrow().clone());
    enter.map_or(Ok(()), |enter| enter.restore(ctx)?.call(()))
}
