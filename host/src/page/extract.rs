//! Splits an HTML file into its backend scripts and what the browser may see.
//!
//! A real HTML parser decides what a script element is. Whatever it does not
//! recognise but another parser might (a start tag in raw text, one that is not
//! closed) is searched for once more in what is left: backend source must never
//! reach a browser.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use lol_html::html_content::{Comment, Element, EndTag};
use lol_html::{HtmlRewriter, Settings, doc_comments, element};

/// Elements whose content a parser may or may not take for text.
const RAW_TEXT: &str =
    "script, style, textarea, title, noscript, xmp, iframe, noembed, noframes, plaintext, template";

/// An HTML file, taken apart. Ranges are bytes of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// The content of each backend script, in document order.
    pub blocks: Vec<Range<usize>>,
    /// What the browser must not see: sorted, not overlapping.
    pub holes: Vec<Range<usize>>,
    /// Where a backend script stands that cannot be one, and why.
    pub misplaced: Option<(usize, String)>,
}

/// Finds the backend scripts of `html`.
///
/// # Errors
/// The parser gave up; its message.
pub fn extract(html: &str) -> Result<Extracted, String> {
    let found = Rc::new(RefCell::new(Found::default()));
    let settings = Settings::new()
        .append_element_content_handler(element!(RAW_TEXT, |el| {
            saw_element(&found, el, html.len());
            Ok(())
        }))
        .append_document_content_handler(doc_comments!(|comment| {
            saw_comment(&found, comment);
            Ok(())
        }))
        .with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    let written = rewriter.write(html.as_bytes());
    let parsed = written.and_then(|()| rewriter.end());
    parsed.map_err(|error| format!("the HTML cannot be parsed: {error}"))?;
    let found = found.take();
    let mut out = Extracted::default();
    for script in &found.scripts {
        out.blocks.push(script.content.clone());
        out.holes.push(script.whole.clone());
    }
    out.holes.extend(found.comments);
    merge(&mut out.holes);
    drop_leftovers(html, &found.raw, &mut out);
    Ok(out)
}

/// The scripts of a page that its browser runs.
#[derive(Debug, Default)]
pub struct BrowserScripts {
    /// The content of each that stands in the page, in document order; bytes of the file.
    pub inline: Vec<Range<usize>>,
    /// There are others, with `src`.
    pub has_files: bool,
}

/// None where the HTML cannot be parsed.
pub fn browser_scripts(html: &str) -> BrowserScripts {
    let found: Rc<RefCell<BrowserScripts>> = Rc::default();
    let settings = Settings::new()
        .append_element_content_handler(element!("script", |el| {
            saw_browser_script(&found, el);
            Ok(())
        }))
        .with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    match rewriter.write(html.as_bytes()).and_then(|()| rewriter.end()) {
        Ok(()) => found.take(),
        Err(_) => BrowserScripts::default(),
    }
}

fn saw_browser_script(found: &Rc<RefCell<BrowserScripts>>, el: &mut Element<'_, '_>) {
    let kind = el.get_attribute("type").unwrap_or_default();
    let is_script = matches!(kind.trim(), "" | "module" | "text/javascript");
    if !is_script || el.get_attribute("scope").is_some_and(|scope| is_backend(&scope)) {
        return;
    }
    if el.has_attribute("src") {
        found.borrow_mut().has_files = true;
        return;
    }
    let start = el.source_location().bytes().end;
    let found = Rc::clone(found);
    if let Some(handlers) = el.end_tag_handlers() {
        handlers.push(Box::new(move |end: &mut EndTag<'_>| {
            found.borrow_mut().inline.push(start..end.source_location().bytes().start);
            Ok(())
        }));
    }
}

#[derive(Default)]
struct Found {
    scripts: Vec<Span>,
    raw: Vec<Span>,
    comments: Vec<Range<usize>>,
}

#[derive(Clone)]
struct Span {
    whole: Range<usize>,
    content: Range<usize>,
}

/// Notes a script or raw-text element. Until its end tag is seen it reaches to
/// the end of the file.
fn saw_element(found: &Rc<RefCell<Found>>, el: &mut Element<'_, '_>, file_end: usize) {
    let start_tag = el.source_location().bytes();
    let span = Span { whole: start_tag.start..file_end, content: start_tag.end..file_end };
    let is_backend =
        el.tag_name() == "script" && el.get_attribute("scope").is_some_and(|scope| is_backend(&scope));
    let index = {
        let mut found = found.borrow_mut();
        let list = if is_backend { &mut found.scripts } else { &mut found.raw };
        list.push(span);
        list.len() - 1
    };
    let found = Rc::clone(found);
    if let Some(handlers) = el.end_tag_handlers() {
        handlers.push(Box::new(move |end: &mut EndTag<'_>| {
            let tag = end.source_location().bytes();
            let mut found = found.borrow_mut();
            let list = if is_backend { &mut found.scripts } else { &mut found.raw };
            if let Some(span) = list.get_mut(index) {
                span.content.end = tag.start;
                span.whole.end = tag.end;
            }
            Ok(())
        }));
    }
}

fn saw_comment(found: &Rc<RefCell<Found>>, comment: &Comment<'_>) {
    if find_start_tag(&comment.text(), 0).is_some() {
        found.borrow_mut().comments.push(comment.source_location().bytes());
    }
}

fn is_backend(scope: &str) -> bool {
    scope.trim().eq_ignore_ascii_case("backend")
}

/// Drops every start tag of a backend script that is still in the page, with the
/// element around it, and says where the first one was.
fn drop_leftovers(html: &str, raw: &[Span], out: &mut Extracted) {
    let mut from = 0;
    while let Some(tag) = find_start_tag(html, from) {
        from = tag.end;
        if out.holes.iter().any(|hole| hole.contains(&tag.start)) {
            continue;
        }
        if out.misplaced.is_none() {
            let message =
                "a backend script cannot stand here: put it directly into the page, with its end tag";
            out.misplaced = Some((tag.start, message.to_owned()));
        }
        let around = raw.iter().rev().find(|span| span.whole.contains(&tag.start));
        let hole = around.map_or_else(|| tag.start..script_end(html, tag.end), |span| span.whole.clone());
        out.holes.push(hole);
        merge(&mut out.holes);
    }
}

/// The end of the script that starts before `from`.
fn script_end(html: &str, from: usize) -> usize {
    let rest = html.get(from..).unwrap_or_default();
    match find_ignore_case(rest, "</script") {
        Some(at) => {
            let tag = rest.get(at..).unwrap_or_default();
            from + at + tag.find('>').map_or(tag.len(), |end| end + 1)
        }
        None => html.len(),
    }
}

/// The next `<script … scope=backend …>` from `from` on, closed or not.
fn find_start_tag(html: &str, mut from: usize) -> Option<Range<usize>> {
    loop {
        let start = from + find_ignore_case(html.get(from..)?, "<script")?;
        let inside = start + "<script".len();
        let rest = html.get(inside..)?;
        if rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '/') {
            let (length, backend) = scan_attributes(rest);
            if backend {
                return Some(start..inside + length);
            }
        }
        from = inside;
    }
}

/// Length of a start tag's attributes with the closing `>`, and whether one of
/// them is `scope=backend`. Quotes are honoured as HTML does.
fn scan_attributes(rest: &str) -> (usize, bool) {
    let bytes = rest.as_bytes();
    let is_space = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'/');
    let mut at = 0;
    let mut backend = false;
    loop {
        while is_space(at) {
            at += 1;
        }
        match bytes.get(at) {
            None => return (at, backend),
            Some(b'>') => return (at + 1, backend),
            Some(_) => {}
        }
        let name_start = at;
        at += 1;
        while bytes
            .get(at)
            .is_some_and(|byte| !matches!(byte, b'=' | b'>' | b'/') && !byte.is_ascii_whitespace())
        {
            at += 1;
        }
        let name = rest.get(name_start..at).unwrap_or_default();
        let name_end = at;
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if bytes.get(at) != Some(&b'=') {
            at = name_end;
            continue;
        }
        at += 1;
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let (value, after) = attribute_value(rest, at);
        backend |= name.eq_ignore_ascii_case("scope") && is_backend(value);
        at = after;
    }
}

fn attribute_value(rest: &str, at: usize) -> (&str, usize) {
    let bytes = rest.as_bytes();
    let tail = bytes.get(at..).unwrap_or_default();
    match tail.first() {
        Some(quote @ (b'"' | b'\'')) => {
            let inside = tail.get(1..).unwrap_or_default();
            let length = inside.iter().position(|byte| byte == quote).unwrap_or(inside.len());
            let value = rest.get(at + 1..at + 1 + length).unwrap_or_default();
            (value, (at + length + 2).min(rest.len()))
        }
        _ => {
            let ends = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'>';
            let length = tail.iter().position(ends).unwrap_or(tail.len());
            (rest.get(at..at + length).unwrap_or_default(), at + length)
        }
    }
}

fn find_ignore_case(text: &str, needle: &str) -> Option<usize> {
    text.as_bytes().windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

/// Sorts ranges and joins those that touch.
fn merge(ranges: &mut Vec<Range<usize>>) {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges.drain(..) {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    *ranges = merged;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(html: &str) -> (Vec<&str>, String, bool) {
        let found = extract(html).unwrap();
        let mut visible = String::new();
        let mut at = 0;
        for hole in &found.holes {
            visible.push_str(&html[at..hole.start]);
            at = hole.end;
        }
        visible.push_str(&html[at..]);
        (found.blocks.iter().map(|block| &html[block.clone()]).collect(), visible, found.misplaced.is_some())
    }

    #[test]
    fn scripts_are_taken_out_of_the_page() {
        for (html, blocks, visible) in [
            ("<p>a</p>", vec![], "<p>a</p>"),
            ("<script>ours()</script>", vec![], "<script>ours()</script>"),
            ("a<script scope=\"backend\">x</script>b", vec!["x"], "ab"),
            ("<SCRIPT SCOPE='BACKEND' async>x</SCRIPT >b", vec!["x"], "b"),
            (
                "<script scope=backend>1</script>-<script type=module scope=backend>2</script>",
                vec!["1", "2"],
                "-",
            ),
            ("<script scope=backend>'<b>' // </scrip\n</script>b", vec!["'<b>' // </scrip\n"], "b"),
            ("a<script scope=backend>never closed", vec!["never closed"], "a"),
            ("a<!-- <script scope=backend>old()</script> -->b", vec![], "ab"),
            ("a<!-- harmless -->b", vec![], "a<!-- harmless -->b"),
            (
                "<svg><title>t</title></svg><script scope=backend>x</script>",
                vec!["x"],
                "<svg><title>t</title></svg>",
            ),
        ] {
            assert_eq!(parts(html), (blocks, visible.to_owned(), false), "{html}");
        }
    }

    #[test]
    fn what_only_looks_like_a_script_is_dropped_and_reported() {
        for (html, visible) in [
            ("a<textarea><script scope=backend>x</script></textarea>b", "ab"),
            ("a<title><script scope=backend>x</title>b", "ab"),
            ("a<style>/* <script scope='backend'>x</script> */</style>b", "ab"),
            ("a<script scope=\"backend\" ", "a"),
            ("a<script>var s = '<script scope=backend>x';</script>b", "ab"),
            ("a<!-- <script scope=backend>x", "a"),
        ] {
            let (blocks, seen, _) = parts(html);
            assert_eq!((blocks, seen.as_str()), (vec![], visible), "{html}");
        }
        assert!(parts("<textarea><script scope=backend></textarea>").2);
    }

    #[test]
    fn a_megabyte_of_script_never_reaches_the_browser() {
        let html = format!("a<script scope=backend>{}</script>b", "secret();".repeat(120_000));
        let (blocks, visible, _) = parts(&html);
        assert_eq!((blocks.len(), visible.as_str()), (1, "ab"));
    }
}
