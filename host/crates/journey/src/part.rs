//! What a client gets of something that has an entity tag: all of it, a range, or only that nothing has changed.

use sluice_app::request::Method;
use sluice_app::request::conditions::{Conditions, Part, Validators};
use sluice_app::response::{Reply, ReplyBody};

/// The part that a request asks for. Only GET has ranges.
pub(super) fn part_asked(method: Method, conditions: &Conditions, validators: Validators<'_>) -> Part {
    match (method, conditions.part_of(validators)) {
        (Method::Head, Part::Range { .. } | Part::Unsatisfiable) => Part::All,
        (_, part) => part,
    }
}

/// The reply with a part of something that has `bytes` in all. `body` is that part. `noun` is what the messages call it.
pub(super) fn of_part(part: Part, noun: &str, bytes: u64, body: ReplyBody) -> Reply {
    match part {
        Part::All => Reply::of_body(200, body),
        Part::Range { start, bytes: length } => {
            let mut reply = Reply::of_body(206, body);
            let last = start.saturating_add(length).saturating_sub(1);
            reply.set_header("content-range", format!("bytes {start}-{last}/{bytes}"));
            reply
        }
        Part::NotModified => Reply::of_body(304, ReplyBody::default()),
        Part::PreconditionFailed => Reply::plain(412, &format!("The {noun} has changed")),
        Part::Unsatisfiable => {
            let mut reply = Reply::plain(416, &format!("The {noun} does not have this part"));
            reply.set_header("content-range", format!("bytes */{bytes}"));
            reply
        }
    }
}

/// What is sent of a whole body.
pub(super) fn cut(body: ReplyBody, part: Part) -> ReplyBody {
    match part {
        Part::Range { start, bytes } => body.part(start, bytes),
        _ => body,
    }
}
