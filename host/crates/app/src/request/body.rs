//! Reads the body of a request, within bounds.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web;
use bytes::Bytes;
use futures_util::StreamExt as _;

use sluice_files::{Received, Taken};
use sluice_sandbox::memory::{Memory, Reserved};

use super::ReadRules;
use super::fault::BodyFault;
use super::upload::{Announced, BODY_DRAIN_BYTES_MAX};

/// A request body.
#[derive(Debug, Clone)]
pub enum Body {
    /// The request has no body.
    None,
    /// The bytes of an `application/json` body.
    Json(Bytes),
    /// The bytes of an `application/x-www-form-urlencoded` body, for brands that accept forms.
    Form(Bytes),
    /// The bytes of a body of another type, for pages with `raw_body`.
    Other(Bytes),
    /// A body of another type, for other pages.
    OtherType,
    /// Files that were not read yet, for pages with `uploads`.
    Announced(Announced),
    /// Files and the fields of their form.
    Upload(Arc<Received>),
    /// A body that is too large. Scripts see `null`.
    Dropped,
}

impl Body {
    /// A complete body. Its `Content-Type` decides what it is.
    pub fn of_type(headers: &HeaderMap, bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::None;
        }
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        match media.trim().to_ascii_lowercase().as_str() {
            "application/json" => Self::Json(bytes),
            "application/x-www-form-urlencoded" => Self::Form(bytes),
            _ => Self::Other(bytes),
        }
    }

    /// The files of the body, if it has some.
    pub fn received(&self) -> Option<Arc<Received>> {
        match self {
            Self::Upload(received) => Some(Arc::clone(received)),
            _ => None,
        }
    }

    /// The bytes as they came, unless they were dropped.
    pub fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::None => Some(Bytes::new()),
            Self::Json(bytes) | Self::Form(bytes) | Self::Other(bytes) => Some(bytes.clone()),
            Self::OtherType | Self::Announced(_) | Self::Upload(_) | Self::Dropped => None,
        }
    }
}

/// Reads the body of a request for a page, at most `bytes_max` of it. Returns the memory that it takes, too.
/// `of_brand` is the brand's share in the memory of arriving bodies.
pub(super) async fn read_body(
    headers: &HeaderMap,
    payload: web::Payload,
    bytes_max: usize,
    rules: &ReadRules,
    memory: &Arc<Memory>,
    mut of_brand: Taken,
) -> Result<(Body, Reserved), BodyFault> {
    let mut reserved = memory.try_reserve(0).ok_or(BodyFault::NoMemory)?;
    let collected = collect(payload, bytes_max, &mut reserved, &mut of_brand);
    let body = tokio::time::timeout(rules.body_timeout, collected).await;
    let body = body.map_err(|_| BodyFault::TooSlow)??;
    Ok((body.map_or(Body::Dropped, |bytes| Body::of_type(headers, bytes.into())), reserved))
}

/// Collects the body. Returns `None` if it is larger than `bytes_max`.
async fn collect(
    mut payload: web::Payload,
    bytes_max: usize,
    reserved: &mut Reserved,
    of_brand: &mut Taken,
) -> Result<Option<Vec<u8>>, BodyFault> {
    let mut body = Vec::new();
    let mut total = 0usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| BodyFault::Broken)?;
        total = total.saturating_add(chunk.len());
        if total > BODY_DRAIN_BYTES_MAX.max(bytes_max) {
            return Ok(None);
        }
        if total <= bytes_max {
            // The vector doubles its memory when it is full.
            let more = chunk.len().saturating_mul(2);
            if !of_brand.grow_memory(more as u64) || !reserved.grow(more) {
                return Err(BodyFault::NoMemory);
            }
            body.extend_from_slice(&chunk);
        } else {
            body = Vec::new();
            reserved.shrink_to(0);
        }
    }
    Ok((total <= bytes_max).then_some(body))
}
