//! What compiling and rendering one page may cost.

/// The limits of one page. A page that exceeds one of them fails with an error that names the
/// limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateLimits {
    /// Bytes of one source file.
    pub source_bytes_max: usize,
    /// Nodes of the page with its layout and components, where long text and large expressions
    /// count as several. A part that is lowered several times counts each time.
    pub nodes_max: usize,
    /// Bytes of the rendered HTML.
    pub output_bytes_max: usize,
    /// How deep components may nest in components.
    pub component_depth_max: usize,
    /// Fuel of one rendering, unless the caller gives another quota.
    pub fuel_max: u64,
    /// Total bytes of all values that filters, `+`, lists and records create.
    pub made_bytes_max: u64,
}

impl Default for TemplateLimits {
    fn default() -> TemplateLimits {
        TemplateLimits {
            source_bytes_max: 4 << 20,
            nodes_max: 200_000,
            output_bytes_max: 8 << 20,
            component_depth_max: 32,
            fuel_max: FUEL_DEFAULT,
            made_bytes_max: 32 << 20,
        }
    }
}

/// The default of the limit `template_fuel`.
pub(crate) const FUEL_DEFAULT: u64 = 500_000_000;

/// The fuel of a rendering that is short enough for the thread that answers requests: a few
/// milliseconds.
pub(crate) const SHORT_FUEL: u64 = 1_000_000;

/// How deep blocks may nest after layouts and components are put together. Handlebars recurses:
/// at this depth a debug build takes 1.2 MB of stack, a release build 0.4 MB.
pub(crate) const NESTING_MAX: usize = 120;
