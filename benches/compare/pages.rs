//! The pages of the comparison. Sluice serves all of them; the other hosts run the scripts that use no
//! session and no template.

use std::borrow::Cow;

/// One page.
pub(crate) struct Page {
    /// The last part of its path.
    pub(crate) name: &'static str,
    pub(crate) html: Cow<'static, str>,
}

impl Page {
    /// The text of the page's backend script.
    pub(crate) fn script(&self) -> &str {
        let (_, rest) = self.html.split_once(SCRIPT).expect("the page has a script");
        rest.split_once("</script>").expect("the script ends").0
    }
}

/// The begin of a backend script.
const SCRIPT: &str = "<script scope=\"backend\">";
/// Reads and writes the session.
const COUNT_VISIT: &str = "session.set(\"visits\", (session.get(\"visits\") ?? 0) + 1);";

const fn page(name: &'static str, html: &'static str) -> Page {
    Page { name, html: Cow::Borrowed(html) }
}

const TEXT: &str = include_str!("pages/text.html");

/// The pages that every host serves.
pub(crate) const NATIVE_PAGES: [Page; 3] = [
    page("empty", include_str!("pages/empty.html")),
    page("text", TEXT),
    page("cpu", include_str!("pages/cpu.html")),
];

/// All pages, which Sluice serves.
pub(crate) fn pages() -> Vec<Page> {
    let mut pages = Vec::from(NATIVE_PAGES);
    let with_session = TEXT.replacen(SCRIPT, &format!("{SCRIPT}\n  {COUNT_VISIT}"), 1);
    pages.push(Page { name: "text_session", html: with_session.into() });
    pages.push(page("template", include_str!("pages/template.html")));
    pages.push(page("plain", include_str!("pages/plain.html")));
    pages
}

/// A row of the table: a page of Sluice, and the page of the other hosts that does the same work for
/// their visitors. `goal` is the greatest ratio of CPU time to that of the native host.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) page: &'static str,
    pub(crate) other: Option<&'static str>,
    pub(crate) goal: Option<f64>,
}

pub(crate) const ROWS: [Row; 6] = [
    Row { title: "empty script", page: "empty", other: Some("empty"), goal: Some(0.2) },
    Row { title: "list built in the script", page: "text", other: Some("text"), goal: Some(0.6) },
    Row { title: "the same, with a session", page: "text_session", other: Some("text"), goal: Some(0.8) },
    Row {
        title: "list in the template, with a session",
        page: "template",
        other: Some("text"),
        goal: Some(0.5),
    },
    Row { title: "script that computes", page: "cpu", other: Some("cpu"), goal: Some(0.9) },
    Row { title: "page without a script", page: "plain", other: None, goal: None },
];
