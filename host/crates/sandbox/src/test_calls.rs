//! How an author's test talks to the host that runs it.

use serde_json::Value;

use sluice_kit::BoxFuture;

/// Names of variables that begin with this are none: they are what an author's test
/// asks its runner, as JSON. An interface of its own would cost every page.
pub const TEST_CALL: &str = "sluice:test ";

/// What an author's test asks of its runner.
pub trait TestCalls: Send + Sync {
    /// The answer to one call; both are JSON.
    fn call<'a>(&'a self, call: &'a str) -> BoxFuture<'a, Value>;
}
