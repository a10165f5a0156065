//! Bodies of requests.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_http::error::PayloadError;
use bytes::Bytes;
use h2::RecvStream;

/// The body of a request.
pub(super) struct Received(pub(super) RecvStream);

impl futures_util::Stream for Received {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_data(context).map(|data| {
            data.map(|chunk| {
                let chunk = chunk.map_err(cut)?;
                // The client may send as much again.
                self.0.flow_control().release_capacity(chunk.len()).map_err(cut)?;
                Ok(chunk)
            })
        })
    }
}

fn cut(error: h2::Error) -> PayloadError {
    PayloadError::Incomplete(Some(std::io::Error::other(error)))
}
