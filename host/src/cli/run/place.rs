//! Finds the page that the command line names.

use std::path::{Component, Path};
use std::sync::Arc;

use anyhow::bail;

use sluice_author::scratch::Scratch;
use sluice_author::visit::Visit;
use sluice_site::Brand;
use sluice_site::table::url_path;
use sluice_text::suggest;

/// A page's address.
pub(crate) struct Place {
    pub brand: Arc<Brand>,
    /// The path, and the query if one was given.
    pub address: String,
}

/// `page` is an address or the file of a page. A file's path may be relative to the current
/// folder, the site's folder, the brand's folder or its folder `pages`.
///
/// # Errors
/// There is no such file, or it belongs to another brand.
pub(crate) fn find(scratch: &Scratch, page: &str, brand: Option<&str>) -> anyhow::Result<Place> {
    let is_file = page.ends_with(".html") || Path::new(page).is_file();
    if !is_file {
        let address = if page.starts_with('/') { page.to_owned() } else { format!("/{page}") };
        return Ok(Place { brand: scratch.brand(brand)?, address });
    }
    let (of_file, route) = match split(page) {
        (Some(id), file) => (scratch.brand(Some(&id))?, url_path(&file)),
        (None, file) => (scratch.brand(brand)?, url_path(&file)),
    };
    if brand.is_some_and(|brand| brand != of_file.id) {
        bail!("{page} is a page of brand {}, but --brand names another brand", of_file.id);
    }
    if route.contains('{') {
        bail!("{page} has several addresses; give one of them, such as {}", route.replace(['{', '}'], ""));
    }
    if of_file.pages.exact(&route).is_none() {
        bail!("{}", nothing_at(&of_file, &route));
    }
    Ok(Place { brand: of_file, address: route })
}

/// The brand in a file's path, and the file below `pages/`.
fn split(page: &str) -> (Option<String>, String) {
    let names: Vec<String> = Path::new(page)
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    let below = |at: usize| names.get(at..).unwrap_or_default().join("/");
    let brand = names
        .windows(3)
        .rposition(|three| matches!(three, [brands, _, pages] if brands == "brands" && pages == "pages"));
    match brand {
        Some(at) => (names.get(at + 1).cloned(), below(at + 3)),
        None if names.first().is_some_and(|first| first == "pages") => (None, below(1)),
        None => (None, below(0)),
    }
}

/// Whether no page has the address. In this case the brand's own 404 page may have answered.
pub(crate) fn is_nothing(brand: &Brand, address: &str, visit: &Visit) -> bool {
    let path = address.split('?').next().unwrap_or_default();
    let own = brand.not_found_page().filter(|own| own.route != path).map(|own| own.file.as_str());
    visit.status == 404 && visit.run.as_ref().is_none_or(|run| Some(run.page.as_str()) == own)
}

/// A message that suggests a similar page, or lists all pages if there are few.
pub(crate) fn nothing_at(brand: &Brand, address: &str) -> String {
    const SHOWN: usize = 12;
    let path = address.split('?').next().unwrap_or_default();
    let mut routes: Vec<&str> = brand.pages.pages().map(|page| page.route.as_str()).collect();
    routes.sort_unstable();
    let hint = match suggest::nearest(path, routes.iter().copied()) {
        Some(near) => format!("; did you mean {near}?"),
        None if routes.len() <= SHOWN => format!("; its pages are {}", routes.join(", ")),
        None => String::new(),
    };
    format!("brand {} has no page at {path}{hint}", brand.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_brand_in_the_path_of_a_file() {
        for (page, brand, file) in [
            ("brands/demo/pages/weight/checkin.html", Some("demo"), "weight/checkin.html"),
            ("/srv/site/brands/shop/pages/index.html", Some("shop"), "index.html"),
            ("./scripts/brands/demo/pages/a/pages/b.html", Some("demo"), "a/pages/b.html"),
            ("pages/index.html", None, "index.html"),
            ("weight/checkin.html", None, "weight/checkin.html"),
        ] {
            assert_eq!(split(page), (brand.map(str::to_owned), file.to_owned()), "{page}");
        }
    }
}
