//! The pages of the comparison. Sluice serves all of them; the other hosts run the scripts that use no
//! session and no template.

/// One page.
pub(crate) struct Page {
    /// The last part of its path.
    pub(crate) name: &'static str,
    pub(crate) html: &'static str,
}

impl Page {
    /// The text of the page's backend script.
    pub(crate) fn script(&self) -> &'static str {
        let (_, rest) = self.html.split_once("<script scope=\"backend\">").expect("the page has a script");
        rest.split_once("</script>").expect("the script ends").0
    }
}

const EMPTY: Page = Page { name: "empty", html: include_str!("pages/empty.html") };
const TEXT: Page = Page { name: "text", html: include_str!("pages/text.html") };
const CPU: Page = Page { name: "cpu", html: include_str!("pages/cpu.html") };

/// The pages that every host serves.
pub(crate) const NATIVE_PAGES: [Page; 3] = [EMPTY, TEXT, CPU];

/// All pages, which Sluice serves.
pub(crate) const PAGES: [Page; 6] = [
    EMPTY,
    TEXT,
    Page { name: "text_session", html: include_str!("pages/text_session.html") },
    Page { name: "template", html: include_str!("pages/template.html") },
    CPU,
    Page { name: "plain", html: include_str!("pages/plain.html") },
];

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
