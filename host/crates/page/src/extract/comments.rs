//! Template comments. What is in them reaches no browser, and scripts in them do not run.

use std::borrow::Cow;
use std::ops::Range;

use super::tags::{Tags, backend_scripts};
use super::{Extracted, Misplaced};

/// The template comments of a file. Backend scripts may contain text that looks like one.
pub(super) fn comments(html: &str) -> Vec<Range<usize>> {
    if !html.contains("{{--") {
        return Vec::new();
    }
    let scripts = Tags::named("script", html);
    let tags = backend_scripts(html, &scripts);
    let opaque: Vec<_> = tags.into_iter().map(|tag| tag.start..scripts.end_after(tag.end).end).collect();
    sluice_template::comments(html, &opaque)
}

/// The file with spaces in place of its comments.
pub(super) fn without_comments<'a>(html: &'a str, comments: &[Range<usize>]) -> Cow<'a, str> {
    if comments.is_empty() {
        return Cow::Borrowed(html);
    }
    let mut out = String::with_capacity(html.len());
    let mut from = 0;
    for comment in comments {
        out.push_str(html.get(from..comment.start).unwrap_or_default());
        let inside = html.get(comment.clone()).unwrap_or_default();
        out.extend(inside.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        from = comment.end;
    }
    out.push_str(html.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// Hides every comment that contains a backend script, in case the template reads the comment as
/// text.
pub(super) fn hide_scripts(html: &str, comments: &[Range<usize>], out: &mut Extracted) {
    if comments.is_empty() {
        return;
    }
    let scripts = Tags::named("script", html);
    let tags = backend_scripts(html, &scripts);
    let mut tags = tags.iter().peekable();
    for comment in comments {
        while tags.next_if(|tag| tag.start < comment.start).is_some() {}
        let mut hole = None;
        while let Some(tag) = tags.next_if(|tag| tag.start < comment.end) {
            hole = hole.or(Some(comment.clone()));
            match scripts.own_end_after(tag.end) {
                Some(end) if end > comment.end => {
                    out.report(tag.start, Misplaced::CommentEndsInside);
                    hole = Some(comment.start..end);
                }
                _ => {}
            }
        }
        out.holes.extend(hole);
    }
}
