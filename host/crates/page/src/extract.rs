//! Splits an HTML file into its backend scripts and what the browser may see.
//!
//! An HTML parser finds the script elements. Another parser might see a script where this
//! one does not: in a comment, in raw text, or in a tag that is not closed. So a plain text
//! search looks for further start tags, first in the file and then in what is left of it
//! once the scripts are removed. Backend source must never reach a browser.

mod comments;
mod holes;
mod tags;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use lol_html::errors::RewritingError;
use lol_html::html_content::{Element, EndTag};
use lol_html::{HtmlRewriter, Settings, doc_comments, element};

use comments::{comments, hide_scripts, without_comments};
use holes::{Visible, merge};
use tags::{Tags, backend_scripts, is_backend};

/// Elements whose content some parsers read as text and others as HTML.
const RAW_TEXT: &str =
    "script, style, textarea, title, noscript, xmp, iframe, noembed, noframes, plaintext, template";
/// Text that an author may write to close a comment that has already ended.
const COMMENT_ENDS: [&str; 5] = ["-->", "--!>", "]]>", "?>", ">"];
/// How many backend scripts a file can have.
const SCRIPTS_MAX: usize = 100;
/// How often the visible rest of a file is searched for scripts. Each search removes what
/// it finds, and that may join the two sides into a new script tag. If the last search still
/// finds one, the whole file is hidden.
const SEARCHES_MAX: usize = 8;

/// An HTML file, split into parts. Ranges are bytes of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// The content of each backend script, in document order.
    pub blocks: Vec<Range<usize>>,
    /// What the browser must not see. Sorted, without overlaps.
    pub holes: Vec<Range<usize>>,
    /// The first backend script in a place where scripts are not allowed: the byte at
    /// which it begins, and what is wrong.
    pub misplaced: Option<(usize, Misplaced)>,
}

/// Why a backend script is not allowed where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// The script is inside another element, or has no end tag there.
    #[error("a backend script is not allowed here: put it directly into the page, with its end tag")]
    NotAllowedHere,
    /// The script begins in a comment. The comment's end is in the script's text, so a
    /// browser would show the rest.
    #[error(
        "the comment ends inside the backend script that begins in it: remove the script, or the text that \
         looks like its tag, from the comment"
    )]
    CommentEndsInside,
}

/// A file is not split into parts.
#[derive(Debug, thiserror::Error)]
pub enum HtmlError {
    /// The HTML parser gave up on it.
    #[error("the HTML cannot be parsed: {0}")]
    Parser(#[from] RewritingError),
    /// It has too many backend scripts. Each is compiled by itself.
    #[error("a file can have at most {max} backend scripts: join some of them", max = SCRIPTS_MAX)]
    TooManyScripts,
}

impl Extracted {
    /// Notes a misplaced script, unless an earlier one in the file is known.
    fn report(&mut self, at: usize, misplaced: Misplaced) {
        if self.misplaced.is_none_or(|(first, _)| at < first) {
            self.misplaced = Some((at, misplaced));
        }
    }
}

/// Finds the backend scripts of `html`.
///
/// # Errors
/// The HTML parser gave up, or there are too many scripts.
pub fn extract(html: &str) -> Result<Extracted, HtmlError> {
    let comments = comments(html);
    let rest = without_comments(html, &comments);
    let parsed = parse(&rest)?;
    let scripts = Tags::named("script", &rest);
    let mut out = Extracted::default();
    take_blocks(&parsed, &scripts, &mut out);
    drop_misplaced(&rest, &parsed, &scripts, &mut out);
    hide_scripts(html, &comments, &mut out);
    merge(html, &mut out.holes);
    drop_glued(html, &comments, &mut out);
    Ok(out)
}

/// The scripts of a page that the browser runs.
#[derive(Debug, Default)]
pub struct BrowserScripts {
    /// The content of each script in the page, in document order, as bytes of the file.
    pub inline: Vec<Range<usize>>,
    /// Whether the page also loads scripts by `src`.
    pub has_files: bool,
}

/// Finds the browser's scripts of `html`. The result is empty if the HTML cannot be parsed.
pub fn browser_scripts(html: &str) -> BrowserScripts {
    let html = &*without_comments(html, &comments(html));
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
    /// Sorted by where they begin.
    spans: Vec<Span>,
    /// How many backend scripts HTML recognizes.
    scripts: usize,
    /// Where a self-closing start tag of a backend script begins in SVG or MathML.
    self_closed: HashSet<usize>,
}

/// An element or comment, as bytes of the file.
struct Span {
    kind: Kind,
    /// With its tags. Reaches to the end of the file if there is no end tag.
    whole: Range<usize>,
    /// Without its tags.
    content: Range<usize>,
}

enum Kind {
    /// A backend script that HTML recognizes.
    Script,
    Comment,
    /// An element that must not contain backend scripts, by its name.
    Raw(String),
}

fn parse(html: &str) -> Result<Parsed, HtmlError> {
    let found: Rc<RefCell<Parsed>> = Rc::default();
    let settings = Settings::new()
        .append_element_content_handler(element!(RAW_TEXT, |el| {
            saw_element(&found, el, html.len());
            // An error ends the parsing.
            if found.borrow().scripts > SCRIPTS_MAX { Err("too many scripts".into()) } else { Ok(()) }
        }))
        .append_document_content_handler(doc_comments!(|comment| {
            let whole = comment.source_location().bytes();
            let content = whole.clone();
            found.borrow_mut().spans.push(Span { kind: Kind::Comment, whole, content });
            Ok(())
        }))
        .with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    let parsed = rewriter.write(html.as_bytes()).and_then(|()| rewriter.end());
    if found.borrow().scripts > SCRIPTS_MAX {
        return Err(HtmlError::TooManyScripts);
    }
    parsed?;
    Ok(found.take())
}

fn saw_element(found: &Rc<RefCell<Parsed>>, el: &mut Element<'_, '_>, file_end: usize) {
    let tag = el.source_location().bytes();
    let name = el.tag_name();
    let is_backend = name == "script" && el.get_attribute("scope").is_some_and(|scope| is_backend(&scope));
    let is_html = el.namespace_uri() == "http://www.w3.org/1999/xhtml";
    let is_closed = !el.can_have_content();
    if is_backend && !is_html {
        // HTML does not treat it as a script. The text search finds it.
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
        let found = &mut *found.borrow_mut();
        found.scripts += usize::from(is_backend);
        found.spans.push(span);
        found.spans.len() - 1
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

/// Takes the scripts that stand where scripts are allowed.
fn take_blocks(parsed: &Parsed, scripts: &Tags, out: &mut Extracted) {
    for span in parsed.spans.iter().filter(|span| matches!(span.kind, Kind::Script)) {
        let end = scripts.end_after(span.content.start);
        // If the parser disagrees with the text search, it ends a script too early or finds
        // one script inside another.
        let is_cut = span.content.end < end.start;
        let is_inside = out.blocks.last().is_some_and(|last| span.whole.start < last.end);
        if is_cut || is_inside {
            out.report(span.whole.start, Misplaced::NotAllowedHere);
        } else {
            out.blocks.push(span.content.clone());
        }
        out.holes.push(span.whole.start..span.whole.end.max(end.end));
    }
}

/// Hides every other start tag of a backend script, together with the rest of that script
/// and the comment or element around it.
fn drop_misplaced(html: &str, parsed: &Parsed, scripts: &Tags, out: &mut Extracted) {
    let mut around = Around::new(&parsed.spans);
    let mut tags_by_name = HashMap::new();
    let mut ends_after_comments = HashSet::new();
    for tag in backend_scripts(html, scripts) {
        let end = match parsed.self_closed.contains(&tag.start) {
            // A self-closing tag has no content. But if an end tag follows, the author
            // meant what stands in between as the script.
            true => scripts.own_end_after(tag.end).unwrap_or(tag.end),
            false => scripts.end_after(tag.end).end,
        };
        let Some(span) = around.last_begun(tag.start) else {
            out.report(tag.start, Misplaced::NotAllowedHere);
            out.holes.push(tag.start..end);
            continue;
        };
        let is_outside = end > span.whole.end;
        let (end, problem) = match &span.kind {
            // The tag is the script's start tag, or text in its source.
            Kind::Script if tag.start < span.content.end => continue,
            // The tag is text in the script's end tag.
            Kind::Script => (end, Some(Misplaced::NotAllowedHere)),
            Kind::Comment if is_outside => {
                ends_after_comments.insert(end);
                (end, Some(Misplaced::CommentEndsInside))
            }
            Kind::Comment => (span.whole.end, None),
            Kind::Raw(name) if is_outside => {
                let tags = tags_by_name.entry(name).or_insert_with(|| Tags::named(name, html));
                (tags.own_end_after(end).unwrap_or(end), Some(Misplaced::NotAllowedHere))
            }
            Kind::Raw(_) => (span.whole.end, Some(Misplaced::NotAllowedHere)),
        };
        if let Some(misplaced) = problem {
            out.report(tag.start, misplaced);
        }
        out.holes.push(span.whole.start..end);
    }
    out.holes.extend(ends_after_comments.into_iter().map(|end| end..comment_end(html, end)));
}

/// Returns the end of a comment that the author closed after the script. `at` is the end of the
/// script; returns `at` if no comment end follows.
fn comment_end(html: &str, at: usize) -> usize {
    let rest = html.get(at..).unwrap_or_default();
    let text = rest.trim_ascii_start();
    match COMMENT_ENDS.iter().find(|end| text.starts_with(**end)) {
        Some(end) => at + (rest.len() - text.len()) + end.len(),
        None => at,
    }
}

/// Finds the span around a place. The places must be given in ascending order.
struct Around<'a> {
    rest: std::slice::Iter<'a, Span>,
    begun: Vec<&'a Span>,
}

impl<'a> Around<'a> {
    fn new(spans: &'a [Span]) -> Self {
        Self { rest: spans.iter(), begun: Vec::new() }
    }

    /// The span that contains `at`. If several do, the one that begins last.
    fn last_begun(&mut self, at: usize) -> Option<&'a Span> {
        let count = self.rest.as_slice().partition_point(|span| span.whole.start <= at);
        self.begun.extend(self.rest.by_ref().take(count));
        while self.begun.pop_if(|span| span.whole.end <= at).is_some() {}
        self.begun.last().copied()
    }
}

/// Hides start tags that appear only when the text before and after a hole or a comment is joined.
/// Repeats until there are none.
fn drop_glued(html: &str, comments: &[Range<usize>], out: &mut Extracted) {
    if out.holes.is_empty() && comments.is_empty() {
        return;
    }
    for _ in 0..SEARCHES_MAX {
        let mut unseen: Vec<_> = out.holes.iter().chain(comments).cloned().collect();
        merge(html, &mut unseen);
        let visible = Visible::new(html, &unseen);
        let scripts = Tags::named("script", &visible.text);
        let glued = backend_scripts(&visible.text, &scripts);
        if glued.is_empty() {
            return;
        }
        for tag in glued {
            let end = scripts.end_after(tag.end).end;
            out.report(visible.in_file(tag.start), Misplaced::NotAllowedHere);
            out.holes.push(visible.range_in_file(tag.start..end));
        }
        merge(html, &mut out.holes);
    }
    out.holes.push(0..html.len());
    merge(html, &mut out.holes);
}
