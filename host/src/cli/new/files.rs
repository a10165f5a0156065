//! The files of each template.

use super::{NewFile, Template};

macro_rules! files {
    ($($name:literal: $($source:literal)+, $what:literal;)*) => {
        &[$(NewFile { name: $name, parts: &[$(include_str!($source)),+], what: $what },)*]
    };
}

/// What every site has.
const SHARED: &[NewFile] = files! {
    ".gitignore": "shared/gitignore", "";
    "sluice.toml": "shared/sluice.toml", "settings of the server";
    "brands/main/pages/404.html": "shared/404.html", "";
};

const PLAIN: &[NewFile] = files! {
    "README.md": "plain/README.md" "shared/readme-end.md", "five minutes with this site";
    "brands/main/brand.toml": "plain/brand.toml", "settings of the site";
    "brands/main/crm.toml": "plain/crm.toml", "the data that scripts can store";
    "brands/main/layouts/main.html": "plain/layouts/main.html", "the layout of all pages";
    "brands/main/components/field.html": "shared/field.html", "";
    "brands/main/modules/forms.js": "shared/forms.js", "a script that pages import";
    "brands/main/pages/index.html": "plain/pages/index.html", "a page that counts visits";
    "brands/main/pages/contact.html": "plain/pages/contact.html", "a page with a form";
    "brands/main/pages/contact.test.js": "plain/pages/contact.test.js", "tests of both";
    "brands/main/public/favicon.svg": "plain/favicon.svg", "";
    "brands/main/public/style.css": "shared/style.css", "a file that is sent unchanged";
};

const BLOG: &[NewFile] = files! {
    "README.md": "blog/README.md" "shared/readme-end.md", "five minutes with this site";
    "brands/main/brand.toml": "blog/brand.toml", "settings of the site";
    "brands/main/crm.toml": "blog/crm.toml", "the data that scripts can store";
    "brands/main/layouts/main.html": "blog/layouts/main.html", "";
    "brands/main/components/field.html": "shared/field.html", "";
    "brands/main/modules/forms.js": "shared/forms.js", "";
    "brands/main/modules/posts.js": "blog/modules/posts.js", "the posts";
    "brands/main/pages/index.html": "blog/pages/index.html", "all posts, or those with a tag";
    "brands/main/pages/posts/{slug}.html": "blog/pages/posts/{slug}.html", "the page of every post, with comments";
    "brands/main/pages/about.html": "blog/pages/about.html", "";
    "brands/main/pages/feed.html": "blog/pages/feed.html", "the feed";
    "brands/main/pages/blog.test.js": "blog/pages/blog.test.js", "tests of all of this";
    "brands/main/public/favicon.svg": "blog/favicon.svg", "";
    "brands/main/public/style.css": "shared/style.css" "blog/style.css", "the look";
};

const MEMBERS: &[NewFile] = files! {
    "README.md": "members/README.md" "shared/readme-end.md", "five minutes with this site";
    "brands/main/brand.toml": "members/brand.toml", "settings of the site, and who sees what";
    "brands/main/crm.toml": "members/crm.toml", "the data that scripts can store";
    "brands/main/layouts/main.html": "members/layouts/main.html", "";
    "brands/main/components/field.html": "shared/field.html", "";
    "brands/main/modules/forms.js": "shared/forms.js", "";
    "brands/main/modules/mail.js": "members/modules/mail.js", "links that log members in";
    "brands/main/modules/suppers.js": "members/modules/suppers.js", "";
    "brands/main/pages/index.html": "members/pages/index.html", "what everybody sees";
    "brands/main/pages/login.html": "members/pages/login.html", "asks for an address";
    "brands/main/pages/outbox.html": "members/pages/outbox.html", "the mails, until you can send them";
    "brands/main/pages/enter.html": "members/pages/enter.html", "where a link leads";
    "brands/main/pages/logout.html": "members/pages/logout.html", "";
    "brands/main/pages/members/index.html": "members/pages/members/index.html", "what members see";
    "brands/main/pages/members.test.js": "members/pages/members.test.js", "tests of all of this";
    "brands/main/public/favicon.svg": "members/favicon.svg", "";
    "brands/main/public/style.css": "shared/style.css" "members/style.css", "the look";
};

const FUNNEL: &[NewFile] = files! {
    "README.md": "funnel/README.md" "shared/readme-end.md", "five minutes with this site";
    "brands/main/brand.toml": "funnel/brand.toml", "settings of the site";
    "brands/main/crm.toml": "funnel/crm.toml", "leads, and the stages of the funnel";
    "brands/main/layouts/main.html": "funnel/layouts/main.html", "";
    "brands/main/components/field.html": "shared/field.html", "";
    "brands/main/modules/quiz.js": "funnel/modules/quiz.js", "the questions";
    "brands/main/modules/lead.js": "funnel/modules/lead.js", "stores what a visitor answers";
    "brands/main/pages/index.html": "funnel/pages/index.html", "the landing page";
    "brands/main/pages/quiz.html": "funnel/pages/quiz.html", "asks the questions";
    "brands/main/pages/result.html": "funnel/pages/result.html", "the result, and a form for an address";
    "brands/main/pages/funnel.test.js": "funnel/pages/funnel.test.js", "tests of all of this";
    "brands/main/public/favicon.svg": "funnel/favicon.svg", "";
    "brands/main/public/style.css": "shared/style.css" "funnel/style.css", "the look";
};

const API: &[NewFile] = files! {
    "README.md": "api/README.md" "shared/readme-end.md", "five minutes with this site";
    "brands/main/brand.toml": "api/brand.toml", "settings of the site: methods, headers, rates";
    "brands/main/crm.toml": "api/crm.toml", "the data that scripts can store";
    "brands/main/layouts/main.html": "api/layouts/main.html", "";
    "brands/main/modules/api.js": "api/modules/api.js", "the key, and errors that look alike";
    "brands/main/modules/links.js": "api/modules/links.js", "stores links";
    "brands/main/pages/index.html": "api/pages/index.html", "the API's documentation";
    "brands/main/pages/api/links/index.html": "api/pages/api/links/index.html", "creates a link";
    "brands/main/pages/api/links/{code}.html": "api/pages/api/links/{code}.html", "reads, changes and deletes one";
    "brands/main/pages/go/{code}.html": "api/pages/go/{code}.html", "redirects";
    "brands/main/pages/api/links.test.js": "api/pages/api/links.test.js", "tests of all of this";
    "brands/main/public/favicon.svg": "api/favicon.svg", "";
    "brands/main/public/style.css": "shared/style.css" "api/style.css", "the look";
    "brands/main/public/try.js": "api/public/try.js", "";
};

impl Template {
    /// The files of a site that begins with this template.
    pub(super) fn files(self) -> impl Iterator<Item = &'static NewFile> {
        let own = match self {
            Self::Plain => PLAIN,
            Self::Blog => BLOG,
            Self::Members => MEMBERS,
            Self::Funnel => FUNNEL,
            Self::Api => API,
        };
        own.iter().chain(SHARED)
    }
}
