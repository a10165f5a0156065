//! The page cache: rendered answers that do not depend on the visitor.
//!
//! A page asks for it with `[[page]] cache`. The host keeps an answer only if nothing that the run and the
//! template have read depends on the visitor, besides what is part of the key ([`Key`]). What does is a
//! [`Dependence`]: the sandbox notes it for scripts, the journey for templates and replies.
//!
//! [`PageCache`] holds the answers, within bounds. It does not know what an answer is.

#![deny(unsafe_code)]

mod cache;
mod dependence;
mod fill;
mod key;
mod purge;
mod rules;

pub use cache::{Asked, Fill, Found, Hit, PageCache, Usage};
pub use dependence::Dependence;
pub use fill::Waiting;
pub use key::{KEY_BYTES_MAX, Key, KeyParts};
pub use purge::{ALL_TAGS, DropHere, PURGE_KEEP_MS, Purge, PurgeAccess, PurgeStore, Purger};
pub use rules::{CacheRules, RequestPart};
