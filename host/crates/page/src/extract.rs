//! Splits an HTML file into its backend scripts and what the browser may see.
//!
//! A real HTML parser decides what a script element is. Whatever it does not
//! recognise but another parser might (a start tag in a comment or in raw text, one
//! that is not closed) is searched for in the text, and once more in what the holes
//! leave: backend source must never reach a browser.

mod holes;
mod tags;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use lol_html::html_content::{Element, EndTag};
use lol_html::{HtmlRewriter, Settings, doc_comments, element};

use holes::{Visible, merge};
use tags::{Tags, backend_scripts, is_backend};

/// Elements whose content a parser may or may not take for text.
const RAW_TEXT: &str =
    "script, style, textarea, title, noscript, xmp, iframe, noembed, noframes, plaintext, template";
/// What an author may have written to end a comment that ended earlier.
const COMMENT_ENDS: [&str; 5] = ["-->", "--!>", "]]>", "?>", ">"];
/// How often what is left is searched. A file that makes a new script out of each hole
/// more often than that is hidden whole.
const SEARCHES_MAX: usize = 8;

const CANNOT_STAND_HERE: &str =
    "a backend script cannot stand here: put it directly into the page, with its end tag";
const COMMENT_ENDS_INSIDE: &str =
    "the comment ends before the backend script that begins in it: take it, or what looks like its tag, out";

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

impl Extracted {
    /// The first place in the file is the one that is reported.
    fn report(&mut self, at: usize, message: &str) {
        if self.misplaced.as_ref().is_none_or(|(first, _)| at < *first) {
            self.misplaced = Some((at, message.to_owned()));
        }
    }
}

/// Finds the backend scripts of `html`.
///
/// # Errors
/// The parser gave up; its message.
pub fn extract(html: &str) -> Result<Extracted, String> {
    let parsed = parse(html)?;
    let scripts = Tags::named("script", html);
    let mut out = Extracted::default();
    take_blocks(&parsed, &scripts, &mut out);
    drop_misplaced(html, &parsed, &scripts, &mut out);
    merge(html, &mut out.holes);
    drop_glued(html, &mut out);
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

/// What the parser found.
#[derive(Default)]
struct Parsed {
    /// By where they begin.
    spans: Vec<Span>,
    /// Start tags of backend scripts in SVG or MathML that are their own end.
    self_closed: HashSet<usize>,
}

struct Span {
    kind: Kind,
    /// To the end of the file until the end tag is seen.
    whole: Range<usize>,
    content: Range<usize>,
}

enum Kind {
    /// A backend script that HTML takes for one.
    Script,
    Comment,
    /// An element in which there may be none, by its name.
    Raw(String),
}

fn parse(html: &str) -> Result<Parsed, String> {
    let found: Rc<RefCell<Parsed>> = Rc::default();
    let settings = Settings::new()
        .append_element_content_handler(element!(RAW_TEXT, |el| {
            saw_element(&found, el, html.len());
            Ok(())
        }))
        .append_document_content_handler(doc_comments!(|comment| {
            let whole = comment.source_location().bytes();
            let content = whole.clone();
            found.borrow_mut().spans.push(Span { kind: Kind::Comment, whole, content });
            Ok(())
        }))
        .with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    let written = rewriter.write(html.as_bytes());
    let parsed = written.and_then(|()| rewriter.end());
    parsed.map_err(|error| format!("the HTML cannot be parsed: {error}"))?;
    Ok(found.take())
}

fn saw_element(found: &Rc<RefCell<Parsed>>, el: &mut Element<'_, '_>, file_end: usize) {
    let tag = el.source_location().bytes();
    let name = el.tag_name();
    let is_backend = name == "script" && el.get_attribute("scope").is_some_and(|scope| is_backend(&scope));
    let is_html = el.namespace_uri() == "http://www.w3.org/1999/xhtml";
    let is_closed = !el.can_have_content();
    if is_backend && !is_html {
        // It is no script to HTML, and the search finds it.
        if is_closed {
            found.borrow_mut().self_closed.insert(tag.start);
        }
        return;
    }
    if is_closed {
        return;
    }
    let kind = if is_backend { Kind::Script } else { Kind::Raw(name) };
    let span = Span { kind, whole: tag.start..file_end, content: tag.end..file_end };
    let index = {
        let spans = &mut found.borrow_mut().spans;
        spans.push(span);
        spans.len() - 1
    };
    let found = Rc::clone(found);
    if let Some(handlers) = el.end_tag_handlers() {
        handlers.push(Box::new(move |end: &mut EndTag<'_>| {
            let tag = end.source_location().bytes();
            if let Some(span) = found.borrow_mut().spans.get_mut(index) {
                span.content.end = tag.start;
                span.whole.end = tag.end;
            }
            Ok(())
        }));
    }
}

/// Takes the scripts that are where they may be.
fn take_blocks(parsed: &Parsed, scripts: &Tags, out: &mut Extracted) {
    for span in parsed.spans.iter().filter(|span| matches!(span.kind, Kind::Script)) {
        let end = scripts.end_after(span.content.start);
        // Where the parser goes astray it ends a script too early, or finds one in another.
        let is_cut = span.content.end < end.start;
        let is_inside = out.blocks.last().is_some_and(|last| span.whole.start < last.end);
        if is_cut || is_inside {
            out.report(span.whole.start, CANNOT_STAND_HERE);
        } else {
            out.blocks.push(span.content.clone());
        }
        out.holes.push(span.whole.start..span.whole.end.max(end.end));
    }
}

/// Drops every other start tag of a backend script, to the end of that script and with
/// the comment or element around it.
fn drop_misplaced(html: &str, parsed: &Parsed, scripts: &Tags, out: &mut Extracted) {
    let mut around = Around::new(&parsed.spans);
    let mut tags_by_name = HashMap::new();
    let mut ends_behind_comments = HashSet::new();
    for tag in backend_scripts(html, scripts) {
        let end = match parsed.self_closed.contains(&tag.start) {
            // It has no content; but an end tag says that its author thinks otherwise.
            true => scripts.own_end_after(tag.end).unwrap_or(tag.end),
            false => scripts.end_after(tag.end).end,
        };
        let Some(span) = around.last_begun(tag.start) else {
            out.report(tag.start, CANNOT_STAND_HERE);
            out.holes.push(tag.start..end);
            continue;
        };
        let is_outside = end > span.whole.end;
        let (end, problem) = match &span.kind {
            // The script itself, or its source. Behind that is its end tag.
            Kind::Script if tag.start < span.content.end => continue,
            Kind::Script => (end, Some(CANNOT_STAND_HERE)),
            Kind::Comment if is_outside => {
                ends_behind_comments.insert(end);
                (end, Some(COMMENT_ENDS_INSIDE))
            }
            Kind::Comment => (span.whole.end, None),
            Kind::Raw(name) if is_outside => {
                let tags = tags_by_name.entry(name).or_insert_with(|| Tags::named(name, html));
                (tags.own_end_after(end).unwrap_or(end), Some(CANNOT_STAND_HERE))
            }
            Kind::Raw(_) => (span.whole.end, Some(CANNOT_STAND_HERE)),
        };
        if let Some(message) = problem {
            out.report(tag.start, message);
        }
        out.holes.push(span.whole.start..end);
    }
    out.holes.extend(ends_behind_comments.into_iter().map(|end| end..comment_end(html, end)));
}

/// The end of a comment whose script ends at `at`.
fn comment_end(html: &str, at: usize) -> usize {
    let rest = html.get(at..).unwrap_or_default();
    let text = rest.trim_ascii_start();
    match COMMENT_ENDS.iter().find(|end| text.starts_with(**end)) {
        Some(end) => at + (rest.len() - text.len()) + end.len(),
        None => at,
    }
}

/// Finds the span around places that are asked for in ascending order.
struct Around<'a> {
    rest: std::slice::Iter<'a, Span>,
    begun: Vec<&'a Span>,
}

impl<'a> Around<'a> {
    fn new(spans: &'a [Span]) -> Self {
        Self { rest: spans.iter(), begun: Vec::new() }
    }

    /// Of those that contain `at`, the one that begins last.
    fn last_begun(&mut self, at: usize) -> Option<&'a Span> {
        let count = self.rest.as_slice().partition_point(|span| span.whole.start <= at);
        self.begun.extend(self.rest.by_ref().take(count));
        while self.begun.pop_if(|span| span.whole.end <= at).is_some() {}
        self.begun.last().copied()
    }
}

/// Two sides of a hole may make a new start tag. Drops those until there is none.
fn drop_glued(html: &str, out: &mut Extracted) {
    if out.holes.is_empty() {
        return;
    }
    for _ in 0..SEARCHES_MAX {
        let visible = Visible::new(html, &out.holes);
        let scripts = Tags::named("script", &visible.text);
        let glued = backend_scripts(&visible.text, &scripts);
        if glued.is_empty() {
            return;
        }
        for tag in glued {
            let end = scripts.end_after(tag.end).end;
            out.report(visible.in_file(tag.start), CANNOT_STAND_HERE);
            out.holes.push(visible.range_in_file(tag.start..end));
        }
        merge(html, &mut out.holes);
    }
    out.holes.push(0..html.len());
    merge(html, &mut out.holes);
}
