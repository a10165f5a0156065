//! The type of futures that trait objects return. The store traits use it.

use std::future::Future;
use std::pin::Pin;

/// The future that an async method of a trait object returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
