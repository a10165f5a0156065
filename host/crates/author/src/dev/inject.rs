//! Adds the browser's script to HTML replies.

use sluice_app::request::{Method, PageRequest};
use sluice_app::response::{Reply, ReplyBody};

use super::mistake::Mistake;
use super::{CLIENT_JS, CLIENT_PATH, csp};

const POLICY: &str = "content-security-policy";

/// Whether the browser will show the reply as a page. Replies to scripts are not shown.
pub(crate) fn is_shown(reply: &Reply, request: &PageRequest) -> bool {
    let is_html = reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let dest = request.origin.sec_fetch_dest.as_deref();
    let is_navigation = dest.is_none_or(|dest| matches!(dest, "document" | "iframe" | "frame"));
    is_html && is_navigation && matches!(reply.body, ReplyBody::Bytes(_))
}

/// What the browser shows on a page.
#[derive(Default)]
pub(super) struct Shown<'a> {
    /// The page's file. `None` if no page answers.
    pub(super) page: Option<&'a str>,
    /// The id of the page's run, if it has one.
    pub(super) run: Option<&'a str>,
    /// What went wrong. It is shown at once.
    pub(super) mistakes: &'a [Mistake],
    /// What the check found. A button shows it.
    pub(super) findings: &'a [Mistake],
}

/// Adds one `script` element, which holds the mistakes and removes itself when it has run.
pub(super) fn inject(reply: &mut Reply, method: Method, generation: u64, shown: &Shown<'_>) {
    let ReplyBody::Bytes(body) = &reply.body else { return };
    // This does not copy the bytes.
    let body = body.clone();
    let Ok(html) = std::str::from_utf8(&body) else { return };
    let nonce = allow(reply);
    let nonce = nonce.map(|nonce| format!(" nonce=\"{nonce}\"")).unwrap_or_default();
    let element = format!(
        "<script async src=\"{CLIENT_PATH}?{version}\" data-generation=\"{generation}\" \
         data-method=\"{method}\" data-page=\"{page}\" data-run=\"{run}\" data-mistakes=\"{mistakes}\" \
         data-findings=\"{findings}\"{nonce}></script>",
        version = CLIENT_JS.len(),
        method = method.name(),
        page = escaped(shown.page.unwrap_or_default()),
        run = escaped(shown.run.unwrap_or_default()),
        mistakes = escaped(&Mistake::to_json(shown.mistakes)),
        findings = escaped(&Mistake::to_json(shown.findings)),
    );
    let (before, after) = html.split_at(prelude_bytes(html));
    reply.body = [before, &element, after].concat().into();
}

/// Adds the script with which a visitor's page finds its run.
pub(crate) fn inject_run(reply: &mut Reply, script: &str, run: &str) {
    let ReplyBody::Bytes(body) = &reply.body else { return };
    let body = body.clone();
    let Ok(html) = std::str::from_utf8(&body) else { return };
    let nonce = allow(reply).map(|nonce| format!(" nonce=\"{nonce}\"")).unwrap_or_default();
    let element = format!("<script async src=\"{}\" data-run=\"{}\"{nonce}></script>", script, escaped(run));
    let (before, after) = html.split_at(prelude_bytes(html));
    reply.body = [before, &element, after].concat().into();
}

/// Changes the reply's Content-Security-Policy so that it allows the element. Returns the nonce
/// if the element needs one.
fn allow(reply: &mut Reply) -> Option<String> {
    let own = reply.header(POLICY);
    let standing = || reply.standing.iter().find(|(name, _)| *name == POLICY).map(|(_, value)| value);
    let policy = own.or_else(standing)?;
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    let nonce = sluice_kit::hex::hex(&bytes);
    let allowed = csp::allow(policy, &nonce);
    reply.set_header(POLICY, allowed.policy);
    allowed.needs_nonce.then_some(nonce)
}

/// The length in bytes of what has to stay in front: white space, comments and the doctype.
///
/// An element right after these is always in the head, and mistakes in the page's HTML, which
/// come later, cannot keep it from running.
fn prelude_bytes(html: &str) -> usize {
    let mut rest = html.trim_start_matches('\u{feff}').trim_start();
    let at = |rest: &str| html.len() - rest.len();
    loop {
        if let Some(comment) = rest.strip_prefix("<!--") {
            let Some((_, after)) = comment.split_once("-->") else { return at(rest) };
            rest = after.trim_start();
        } else if rest.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype")) {
            return rest.find('>').map_or(at(rest), |end| at(rest) + end + 1);
        } else {
            // Only a doctype has to stay in front.
            return 0;
        }
    }
}

/// Escapes text for a quoted attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_doctype_first() {
        for (html, prelude) in [
            ("<p>x", ""),
            ("<!DOCTYPE html><p>", "<!DOCTYPE html>"),
            ("\n<!-- > --> <!doctype html>\n<html>", "\n<!-- > --> <!doctype html>"),
            ("<!-- no end", ""),
            ("<!-- a --><p>", ""),
            ("<!doctype", ""),
            ("é<p>", ""),
        ] {
            assert_eq!(&html[..prelude_bytes(html)], prelude, "{html}");
        }
    }

    #[test]
    fn escapes_mistakes_in_the_attribute() {
        let mistake = Mistake { message: "\"></script><img onerror='x'>&".into(), ..Mistake::default() };
        let mut reply = Reply::html(200, "<!doctype html><p>".into());
        let all = [mistake];
        let shown = Shown { page: Some("pages/\"><img>.html"), run: None, mistakes: &all, findings: &all };
        inject(&mut reply, Method::Get, 7, &shown);
        let ReplyBody::Bytes(body) = reply.body else { panic!("bytes stay bytes") };
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.starts_with("<!doctype html><script async src=\"/.sluice/client.js?"), "{body}");
        assert!(body.ends_with("></script><p>"), "{body}");
        assert_eq!(body.matches("</script>").count(), 1, "{body}");
        assert!(!body.contains("<img"), "{body}");
    }
}
