//! Amounts of what limits limit, as operators read and type them: `8 MB`, `30 s`, `250 M`.
//!
//! As everywhere in the console, 1 KB is 1,024 bytes and 1 MB is 1,048,576 bytes.

use super::{bytes, duration, number};

/// Formats an amount with three digits: bytes, milliseconds, or a number of something.
pub(crate) fn amount(value: u64, unit: &str) -> String {
    match unit {
        "bytes" => bytes(value as f64),
        "ms" => duration(value as f64 * 1_000.0),
        _ => number(value as f64),
    }
}

/// Amounts of this unit that can be typed.
pub(crate) fn examples(unit: &str) -> &'static str {
    match unit {
        "bytes" => "12_582_912, 12 MB, 64 KB",
        "ms" => "30_000, 30 s, 2 min",
        _ => "250_000_000, 250 M, 2 k",
    }
}

/// What a suffix stands for.
fn factor(suffix: &str, unit: &str) -> Option<f64> {
    let suffix = suffix.to_lowercase();
    Some(match (unit, suffix.as_str()) {
        (_, "") | ("bytes", "b" | "bytes") | ("ms", "ms") => 1.0,
        ("bytes", "k" | "kb" | "kib") => 1_024.0,
        ("bytes", "m" | "mb" | "mib") => 1_048_576.0,
        ("bytes", "g" | "gb" | "gib") => 1_073_741_824.0,
        ("ms", "s") => 1_000.0,
        ("ms", "min") => 60_000.0,
        ("ms" | "bytes", _) => return None,
        (_, "k") => 1e3,
        (_, "m") => 1e6,
        (_, "g") => 1e9,
        (_, "t") => 1e12,
        (unit, suffix) if unit == suffix => 1.0,
        _ => return None,
    })
}

/// Amounts up to this one are exact as floating-point numbers.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// Reads an amount: digits, which may be in groups, with or without a unit. `None` if it is none, or not a whole
/// number of `unit`.
pub(crate) fn parse_amount(text: &str, unit: &str) -> Option<u64> {
    let text: String = text.trim().chars().filter(|c| !matches!(c, '_' | ',' | ' ' | '\u{a0}')).collect();
    if let Ok(whole) = text.parse() {
        return Some(whole);
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, suffix) = text.split_at_checked(end)?;
    let value = digits.parse::<f64>().ok()? * factor(suffix, unit)?;
    (value.fract() == 0.0 && value <= EXACT_MAX).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_amounts_with_and_without_units() {
        for (text, unit, value) in [
            ("12_582_912", "bytes", 12_582_912),
            ("12 MB", "bytes", 12_582_912),
            ("12MiB", "bytes", 12_582_912),
            ("1.5 mb", "bytes", 1_572_864),
            ("64 KB", "bytes", 65_536),
            ("30 s", "ms", 30_000),
            ("500ms", "ms", 500),
            ("2 min", "ms", 120_000),
            ("250 M", "units", 250_000_000),
            ("1.5 G", "units", 1_500_000_000),
            ("120", "calls", 120),
            ("120 calls", "calls", 120),
            ("18446744073709551615", "units", u64::MAX),
        ] {
            assert_eq!(parse_amount(text, unit), Some(value), "{text}");
        }
        for (text, unit) in [
            ("", "bytes"),
            ("many", "calls"),
            ("12 s", "bytes"),
            ("12 MB", "ms"),
            ("1.5", "calls"),
            ("-1", "calls"),
            ("1e3", "units"),
            ("12 MB", "calls"),
            ("99999999999 G", "units"),
        ] {
            assert_eq!(parse_amount(text, unit), None, "{text}");
        }
    }

    #[test]
    fn reads_what_it_writes() {
        for (value, unit) in [(8_388_608, "bytes"), (30_000, "ms"), (250_000_000, "units"), (50, "calls")] {
            assert_eq!(parse_amount(&amount(value, unit), unit), Some(value));
        }
    }
}
