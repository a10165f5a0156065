//! How requests are answered, as the server and the tools for authors see it.

use std::sync::Arc;

use sluice_kit::BoxFuture;
use sluice_kit::folder::FolderPath;
use sluice_sandbox::outcome::Failure;

use super::App;
use crate::observe::Observation;
use crate::request::PageRequest;
use crate::response::Reply;

/// Answers requests. The program hands its only implementation, the journey of a request, to
/// [`App`], so that no library depends on the crate that changes most.
pub trait Service: Send + Sync {
    /// Answers one request. Every observer of `observation` is told what happens to it.
    fn serve<'a>(
        &'a self,
        app: &'a Arc<App>,
        request: PageRequest,
        observation: Observation,
    ) -> BoxFuture<'a, Reply>;

    /// Words the reason why a script does not compile as `sluice check` does. `brand_dir` is the folder
    /// of its brand.
    fn reword(&self, failure: Failure, brand_dir: &FolderPath) -> Failure;
}
