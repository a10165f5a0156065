//! How the test of an author calls the host that runs it.

use serde_json::Value;

use sluice_kit::BoxFuture;

/// The beginning of a call. A test passes its calls as JSON behind this prefix, in the place of
/// a variable's name: an interface of their own would cost every page. No variable can have such
/// a name.
pub const TEST_CALL: &str = "sluice:test ";

/// Answers the calls of an author's test.
pub trait TestCalls: Send + Sync {
    /// The answer to one call. Both are JSON.
    fn call<'a>(&'a self, call: &'a str) -> BoxFuture<'a, Value>;
}
