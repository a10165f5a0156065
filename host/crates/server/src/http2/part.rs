//! Parts of responses that are being sent.

use std::cell::Cell;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use tokio::sync::Notify;

/// Bytes of a response, from when they are passed to h2 until they are written to the connection, or dropped with it.
pub(super) struct Part {
    bytes: Bytes,
    of: Option<Rc<Unsent>>,
}

/// The parts of a response that are not sent yet.
#[derive(Default)]
pub(super) struct Unsent {
    parts: Cell<usize>,
    sent: Notify,
}

impl Part {
    pub(super) fn new(bytes: Bytes, of: &Rc<Unsent>) -> Self {
        of.parts.set(of.parts.get().saturating_add(1));
        Self { bytes, of: Some(Rc::clone(of)) }
    }

    /// A part without bytes, which ends a response.
    pub(super) fn empty() -> Self {
        Self { bytes: Bytes::new(), of: None }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(of) = &self.of {
            of.parts.set(of.parts.get().saturating_sub(1));
            of.sent.notify_one();
        }
    }
}

impl Unsent {
    /// Whether there is none.
    pub(super) fn is_over(&self) -> bool {
        self.parts.get() == 0
    }

    /// Waits until a part is sent.
    pub(super) async fn progress(&self) {
        self.sent.notified().await;
    }
}

impl Buf for Part {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, bytes: usize) {
        self.bytes.advance(bytes);
    }
}
