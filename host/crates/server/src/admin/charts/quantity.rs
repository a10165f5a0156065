//! What charts measure, and how values are written.

use crate::admin::templates::{bytes, duration, number};

/// What a chart measures. It decides how values are formatted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Quantity {
    Count,
    Microseconds,
    Bytes,
    /// Thousandths of one processor.
    Permille,
}

impl Quantity {
    pub(super) fn write(self, value: f64) -> String {
        match self {
            Self::Count => number(value),
            Self::Microseconds => duration(value),
            Self::Bytes => bytes(value),
            Self::Permille => format!("{:.2}", value / 1_000.0),
        }
    }

    /// The name that `charts.js` uses.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Microseconds => "microseconds",
            Self::Bytes => "bytes",
            Self::Permille => "permille",
        }
    }

    /// The unit in which the end of the scale is a round number.
    pub(super) fn unit(self) -> f64 {
        match self {
            Self::Bytes => 1_048_576.0,
            Self::Count | Self::Microseconds | Self::Permille => 1.0,
        }
    }
}
