//! Finds what scripts do with HTTP without a setting that it needs: calls of hosts that `brand.toml` does not
//! allow, and bytes or files of a body that the page does not ask for.

use std::sync::Arc;

use sluice_fetch::{Denied, Rules};
use sluice_page::diagnostic::Rule;
use sluice_site::config::PageConfig;

use super::context::{Brand, path_of};
use super::facts::{Facts, Finding};

/// Finds them in a script. `file` is relative to the brand's folder.
pub(crate) fn findings(facts: &Facts, file: &str, is_page: bool, brand: &Brand<'_>) -> Vec<Finding> {
    // What the operator allows is not known here.
    let rules = Rules::new(Arc::default(), brand.config.http.allow.clone());
    let calls = facts.urls.iter().filter_map(|url| {
        let denied = rules.check(&url.name).err()?;
        let (message, help) = match &denied {
            Denied::NothingAllowed(host) | Denied::NotAllowed(host) => (
                format!("brand.toml does not allow calls to {host}, so this one throws a TypeError"),
                format!("add it to `allow` in `[http]` of brand.toml: `allow = [\"{host}\"]`"),
            ),
            // The operator may call its network private.
            Denied::NotPublic { .. } | Denied::ByOperator(_) => return None,
            other => (other.to_string(), "write a complete URL of a public host".to_owned()),
        };
        let span = url.span.clone();
        Some(Finding { rule: Rule::UnallowedHost, span, message, help: Some(help) })
    });
    let of_body = [raw_body(facts, file, is_page, brand), uploads(facts, file, is_page, brand)];
    calls.chain(of_body.into_iter().flatten()).collect()
}

fn raw_body(facts: &Facts, file: &str, is_page: bool, brand: &Brand<'_>) -> Option<Finding> {
    let used = facts.raw_body.as_ref()?;
    if pages(file, is_page, brand).any(|page| page.raw_body) {
        return None;
    }
    let of_page = of_page(file, is_page);
    Some(Finding {
        rule: Rule::RawBody,
        span: used.span.clone(),
        message: format!(
            "`request.{}` gives `null`: the page does not ask for the bytes of a body",
            used.name
        ),
        help: Some(format!("write `raw_body = true` into the `[[page]]` of brand.toml that has {of_page}")),
    })
}

fn uploads(facts: &Facts, file: &str, is_page: bool, brand: &Brand<'_>) -> Option<Finding> {
    let used = facts.files.as_ref()?;
    if pages(file, is_page, brand).any(|page| page.uploads.is_some()) {
        return None;
    }
    let of_page = of_page(file, is_page);
    Some(Finding {
        rule: Rule::NoUploads,
        span: used.span.clone(),
        message: "`request.files` is empty: the page takes no files".to_owned(),
        help: Some(format!(
            "write `uploads = {{ files_max = 1, bytes_max = \"5 MB\", types = [\"image/png\"] }}` into the `[[page]]` of \
             brand.toml that has {of_page}"
        )),
    })
}

/// The settings of the pages that a script serves. A module serves all pages that import it.
fn pages<'a>(file: &str, is_page: bool, brand: &'a Brand<'_>) -> impl Iterator<Item = &'a PageConfig> {
    let path = path_of(file);
    brand.config.page.iter().filter(move |page| !is_page || page.path == path)
}

fn of_page(file: &str, is_page: bool) -> String {
    if is_page { format!("`path = \"{}\"`", path_of(file)) } else { "the path of the page".to_owned() }
}
