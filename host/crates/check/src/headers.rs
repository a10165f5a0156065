//! Finds request headers that a script reads although its page does not name them: scripts see four headers,
//! and those in `headers` of the page.

use sluice_http::headers::is_hidden;

use super::context::{Brand, path_of};
use super::facts::{Facts, Finding};

/// Finds the headers in a script. `file` is relative to the brand's folder.
pub(crate) fn findings(facts: &Facts, file: &str, is_page: bool, brand: &Brand<'_>) -> Vec<Finding> {
    let path = path_of(file);
    // A module serves all pages that import it.
    let pages = brand.config.page.iter().filter(|page| !is_page || page.path == path);
    let named: Vec<&str> = pages.flat_map(|page| page.headers.iter()).collect();
    let unnamed = facts.headers.iter().filter(|used| !named.contains(&used.name.as_str()));
    let found = unnamed.map(|used| {
        let mut finding = used.finding.clone();
        let lower = used.name.to_ascii_lowercase();
        let of_page =
            if is_page { format!("`path = \"{path}\"`") } else { "the path of the page".to_owned() };
        finding.help = Some(match finding.help.take() {
            _ if named.contains(&lower.as_str()) => format!("did you mean `request.headers[\"{lower}\"]`?"),
            Some(near) => near,
            None if is_hidden(&lower) => {
                "scripts never see this header; read `request.cookies`, `request.ip` or `request.ip6`"
                    .to_owned()
            }
            None => format!(
                "write `headers = [\"{lower}\"]` into the `[[page]]` of brand.toml that has {of_page}"
            ),
        });
        finding
    });
    found.collect()
}
