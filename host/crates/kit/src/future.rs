//! Futures of trait objects.

use std::future::Future;
use std::pin::Pin;

/// What a trait object's async method returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
