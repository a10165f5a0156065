//! Who sends a request, and what they may do.

use std::sync::Arc;

use actix_web::{HttpMessage as _, HttpRequest};

use sluice_site::config::AdminRole;

/// An operator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Who {
    /// None for the token that operators share.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) role: AdminRole,
}

tokio::task_local! {
    static WHO: Who;
}

impl Who {
    /// The sender of a request that was admitted. None if its path is open to everybody.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Whether they may change something.
    pub(crate) fn may_change(&self) -> bool {
        self.role == AdminRole::Change
    }

    /// Answers a request, whose pages then know for whom they are.
    pub(crate) async fn answer<T>(who: Option<Self>, answer: impl Future<Output = T>) -> T {
        match who {
            Some(who) => WHO.scope(who, answer).await,
            None => answer.await,
        }
    }

    /// For whom a page is. None if nobody has logged in.
    pub(crate) fn asking() -> Option<Self> {
        WHO.try_with(Clone::clone).ok()
    }
}
