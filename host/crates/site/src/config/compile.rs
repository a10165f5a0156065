//! `[compile]` of `sluice.toml`.

use schemars::JsonSchema;
use serde::Deserialize;

use sluice_sandbox::tier::TierChoice;

/// `[compile]` of `sluice.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompileConfig {
    /// How scripts are executed: `"interpreter"`, `"compiled"`, or `"auto"`, which compiles the scripts that have
    /// a loop or a function. Compiled functions that compute are faster and use less fuel. The same script uses the
    /// same fuel in every run. A page takes longer to compile, and more memory. See `docs/limits.md`.
    pub tier: TierChoice,
}
