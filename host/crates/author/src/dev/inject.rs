//! Puts the browser's half into HTML replies.

use sluice_app::request::{Method, PageRequest};
use sluice_app::response::{Reply, ReplyBody};

use super::mistake::Mistake;
use super::{CLIENT_JS, CLIENT_PATH, csp};

const POLICY: &str = "content-security-policy";

/// Whether the reply is a page that a browser shows, and not what a script asked for.
pub fn is_shown(reply: &Reply, request: &PageRequest) -> bool {
    let is_html = reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let dest = request.origin.sec_fetch_dest.as_deref();
    let is_navigation = dest.is_none_or(|dest| matches!(dest, "document" | "iframe" | "frame"));
    is_html && is_navigation && matches!(reply.body, ReplyBody::Bytes(_))
}

/// Adds one element with everything in it; it takes itself away when it has run.
pub fn inject(reply: &mut Reply, method: Method, generation: u64, mistakes: &[Mistake]) {
    let ReplyBody::Bytes(body) = &reply.body else { return };
    // Shared, not copied.
    let body = body.clone();
    let Ok(html) = std::str::from_utf8(&body) else { return };
    let nonce = allow(reply);
    let nonce = nonce.map(|nonce| format!(" nonce=\"{nonce}\"")).unwrap_or_default();
    let element = format!(
        "<script async src=\"{CLIENT_PATH}?{version}\" data-generation=\"{generation}\" \
         data-method=\"{method}\" data-mistakes=\"{mistakes}\"{nonce}></script>",
        version = CLIENT_JS.len(),
        method = method.name(),
        mistakes = escaped(&Mistake::to_json(mistakes)),
    );
    let (before, after) = html.split_at(prelude_bytes(html));
    reply.body = [before, &element, after].concat().into();
}

/// Lets the reply's Content-Security-Policy allow the element. Gives the nonce that it
/// needs then.
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

/// Bytes of what must stay in front: white space, comments and the doctype. An element
/// right after it begins the head, whatever tags follow, and survives whatever mistake
/// follows them.
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
            // Without a doctype nothing has to stay in front.
            return 0;
        }
    }
}

/// For a quoted attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doctype_stays_first() {
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
    fn what_authors_wrote_stays_in_its_attribute() {
        let mistake = Mistake { message: "\"></script><img onerror='x'>&".into(), ..Mistake::default() };
        let mut reply = Reply::html(200, "<!doctype html><p>".into());
        inject(&mut reply, Method::Get, 7, &[mistake]);
        let ReplyBody::Bytes(body) = reply.body else { panic!("bytes stay bytes") };
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.starts_with("<!doctype html><script async src=\"/.sluice/client.js?"), "{body}");
        assert!(body.ends_with("></script><p>"), "{body}");
        assert_eq!(body.matches("</script>").count(), 1, "{body}");
        assert!(!body.contains("<img"), "{body}");
    }
}
