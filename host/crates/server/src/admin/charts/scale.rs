//! The axis of the values of a chart.

use super::{BOTTOM, HEIGHT, TOP};

/// The p99 is drawn on a logarithmic scale if it is more than this many times the p50.
pub(super) const LOGARITHMIC: f64 = 20.0;

/// The axis of values.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) top: f64,
    /// The powers of ten between which it runs, if it is logarithmic.
    pub(super) decades: Option<(i32, i32)>,
    /// A logarithmic scale has no place for 0, so that it gets a line of its own below the lowest power.
    pub(super) has_zero: bool,
}

/// How far the line of 0 is below a logarithmic scale.
const ZERO_ROOM: f64 = 24.0;

impl Scale {
    /// The height in the chart.
    pub(super) fn y(self, value: f64) -> f64 {
        let base = HEIGHT - BOTTOM;
        let (low, share) = match self.decades {
            Some(_) if value <= 0.0 => return base,
            Some((from, to)) => {
                let low = if self.has_zero { base - ZERO_ROOM } else { base };
                (low, (value.log10() - f64::from(from)) / f64::from(to - from))
            }
            None if self.top > 0.0 => (base, value / self.top),
            None => (base, 0.0),
        };
        low - share.clamp(0.0, 1.0) * (low - TOP)
    }

    /// What kind of scale it is, for the title.
    pub(super) fn said(self) -> &'static str {
        match (self.decades, self.has_zero) {
            (None, _) => "",
            (Some(_), false) => " <small>logarithmic scale</small>",
            (Some(_), true) => " <small>logarithmic scale, 0 below it</small>",
        }
    }
}

/// The end of a scale for values up to `value`: 1, 2 or 5 times a power of ten.
pub(super) fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let unit = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * unit).find(|end| *end >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_scales_at_round_numbers() {
        for (value, end) in [(0.0, 1.0), (1.0, 1.0), (3.0, 5.0), (6.0, 10.0), (123.0, 200.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}");
        }
    }
}
