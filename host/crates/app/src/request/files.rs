//! The files of a request.

use std::sync::Arc;

use futures_util::stream;

use sluice_files::multipart::boundary;
use sluice_files::receive;
use sluice_page::Page;
use sluice_sandbox::memory::Reserved;

use super::PageRequest;
use super::body::Body;
use super::fault::BodyFault;
use super::upload::{UploadPlace, fault};

impl PageRequest {
    /// Whether the visitor has announced files that were not taken yet.
    pub fn announces_files(&self) -> bool {
        matches!(self.body, Body::Announced(_))
    }

    /// Takes the files that the visitor has announced, and waits until they are here. Returns the memory that they
    /// take, or `None` if the request has no such files.
    ///
    /// # Errors
    /// The body is incomplete, or the page does not take its files.
    pub async fn receive_files(&mut self) -> Result<Option<Reserved>, BodyFault> {
        let Body::Announced(files) = &self.body else { return Ok(None) };
        let (received, reserved) = files.receive().await?;
        self.body = Body::Upload(Arc::new(received));
        Ok(Some(reserved))
    }

    /// Takes the files of a described request of a page, as the server does while it reads a request.
    ///
    /// # Errors
    /// The page does not take its files.
    pub async fn take_uploads(
        &mut self,
        brand: &str,
        page: &Page,
        place: &UploadPlace,
    ) -> Result<(), BodyFault> {
        let content_type = self.named_headers.iter().find(|(name, _)| name == "content-type");
        let boundary = content_type.and_then(|(_, value)| boundary(value));
        if let (Body::Other(bytes), Some(rules), Some(boundary)) = (&self.body, &page.uploads, boundary) {
            let whole = stream::iter([Ok(bytes.clone())]);
            let received = receive(whole, boundary, rules, &place.folder, place.room.enter(brand)).await;
            self.body = Body::Upload(Arc::new(received.map_err(fault)?));
        }
        Ok(())
    }
}
