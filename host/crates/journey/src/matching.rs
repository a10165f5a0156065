//! Finds what is at the path of a request.

use std::sync::Arc;

use sluice_app::request::PageRequest;
use sluice_app::response::Reply;
use sluice_http::path::{CanonicalPath, PathForm, canonical};
use sluice_page::Page;
use sluice_site::public::PublicFile;
use sluice_site::table::RouteMatch;
use sluice_site::{Brand, Found};

/// What is at a path.
pub(super) enum Match {
    Page(MatchedPage),
    File(MatchedFile),
    /// The id of a file that a script has kept.
    Kept(String),
    Nothing(CanonicalPath),
    /// The path is invalid, or it redirects to its canonical form.
    Reply(Reply),
}

/// The page that answers a request.
#[derive(Clone)]
pub(super) struct MatchedPage {
    pub(super) brand: Arc<Brand>,
    pub(super) page: Arc<Page>,
    pub(super) path: CanonicalPath,
    /// `None` if the page's path has no wildcards.
    pub(super) route: Option<RouteMatch>,
    /// The status unless the script sets another one: 404 for the brand's 404 page, otherwise
    /// 200.
    pub(super) status: u16,
}

/// The file of `public/` that answers a request.
pub(super) struct MatchedFile {
    pub(super) brand: Arc<Brand>,
    pub(super) file: Arc<PublicFile>,
    pub(super) path: CanonicalPath,
}

/// Finds the page or the file of `brand` that answers `request`.
pub(super) fn match_path(brand: &Arc<Brand>, request: &PageRequest) -> Match {
    let path = match canonical(&request.raw_path) {
        PathForm::Canonical(path) => path,
        PathForm::Refused => return Match::Reply(Reply::plain(400, "This address is not valid")),
        PathForm::TrailingSlash(_) => {
            return Match::Reply(Reply::redirect(308, &request.address_without_slash()));
        }
    };
    if let Some(id) = path.as_str().strip_prefix(sluice_files::PATH) {
        return Match::Kept(id.to_owned());
    }
    let page = |page: &Arc<Page>, path, route, status| {
        Match::Page(MatchedPage { brand: Arc::clone(brand), page: Arc::clone(page), path, route, status })
    };
    match brand.find(&path) {
        Found::Page(found, route) => {
            // The 404 page has status 404 at its own address, too.
            let is_not_found = brand.not_found_page().is_some_and(|own| Arc::ptr_eq(own, found));
            page(found, path, route, if is_not_found { 404 } else { 200 })
        }
        Found::File(file) => {
            Match::File(MatchedFile { brand: Arc::clone(brand), file: Arc::clone(file), path })
        }
        Found::NotFoundPage(own) => page(own, path, None, 404),
        Found::Nothing => Match::Nothing(path),
    }
}
