//! Amounts of what limits limit, as operators read and type them: `8 MB`, `30 s`, `250 M`.
//!
//! As everywhere in the console, 1 KB is 1,024 bytes and 1 MB is 1,048,576 bytes.

use super::{bytes, duration, grouped, number};

/// Formats an amount with three digits: bytes, milliseconds, or a number of something.
pub(crate) fn amount(value: u64, unit: &str) -> String {
    match base(unit) {
        "bytes" => bytes(value as f64),
        "ms" => duration(value as f64 * 1_000.0),
        _ => number(value as f64),
    }
}

/// Formats an amount so that [`parse_amount`] reads the same one: `8 MB`, `1.25 G`, or all digits.
pub(crate) fn exact(value: u64, unit: &str) -> String {
    let units: &[(u64, &str)] = match base(unit) {
        "bytes" => &[(1 << 20, "MB"), (1 << 10, "KB")],
        "ms" => &[(1_000, "s"), (1, "ms")],
        _ => &[(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")],
    };
    let is_decimal = !matches!(base(unit), "bytes" | "ms");
    let fits = |(size, _): &&(u64, &str)| {
        let step = if is_decimal { size / 1_000 } else { *size };
        value >= *size && value.is_multiple_of(step)
    };
    match units.iter().find(fits) {
        Some((size, suffix)) => {
            let (whole, rest) = (value / size, value % size);
            // Parts of a thousandth, without zeros at the end.
            let decimals = format!("{:03}", u128::from(rest) * 1_000 / u128::from(*size));
            let decimals = decimals.trim_end_matches('0');
            let point = if decimals.is_empty() { "" } else { "." };
            format!("{whole}{point}{decimals} {suffix}")
        }
        None => grouped(value),
    }
}

/// `bytes` for `bytes each`
fn base(unit: &str) -> &str {
    unit.strip_suffix(" each").unwrap_or(unit)
}

/// Amounts of this unit that can be typed.
pub(crate) fn examples(unit: &str) -> &'static str {
    match base(unit) {
        "bytes" => "12 MB, 64 KB, 12_582_912",
        "ms" => "30 s, 2 min, 30_000",
        _ => "250 M, 2 k, 250_000_000",
    }
}

/// What a suffix stands for.
fn factor(suffix: &str, unit: &str) -> Option<u64> {
    let suffix = suffix.to_lowercase();
    Some(match (unit, suffix.as_str()) {
        (_, "") | ("bytes", "b" | "bytes") | ("ms", "ms") => 1,
        ("bytes", "k" | "kb" | "kib") => 1 << 10,
        ("bytes", "m" | "mb" | "mib") => 1 << 20,
        ("bytes", "g" | "gb" | "gib") => 1 << 30,
        ("ms", "s") => 1_000,
        ("ms", "min") => 60_000,
        ("ms" | "bytes", _) => return None,
        (_, "k") => 1_000,
        (_, "m") => 1_000_000,
        (_, "g") => 1_000_000_000,
        (_, "t") => 1_000_000_000_000,
        (unit, suffix) if unit == suffix => 1,
        _ => return None,
    })
}

/// Reads an amount: digits, which may be in groups, with or without a unit. `None` if it is none, or not a whole
/// number of `unit`.
pub(crate) fn parse_amount(text: &str, unit: &str) -> Option<u64> {
    let text: String = text.trim().chars().filter(|c| !matches!(c, '_' | ',' | ' ' | '\u{a0}')).collect();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, suffix) = text.split_at_checked(end)?;
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let size = 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let digits: u128 = format!("{whole}{decimals}").parse().ok()?;
    let value = digits.checked_mul(u128::from(factor(suffix, base(unit))?))?;
    value.is_multiple_of(size).then_some(value / size)?.try_into().ok()
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
    fn exact_amounts_are_read_as_they_are_written() {
        for (value, unit, text) in [
            (8_388_608, "bytes", "8 MB"),
            (65_536, "bytes each", "64 KB"),
            (12_582_913, "bytes", "12_582_913"),
            (30_000, "ms", "30 s"),
            (1_500, "ms", "1_500 ms"),
            (1_000_000_000, "units", "1 G"),
            (1_234_000_000, "units", "1.234 G"),
            (1_234_500_000, "units", "1234.5 M"),
            (100, "calls", "100"),
            (1_001, "calls", "1.001 k"),
            (u64::MAX, "units", "18_446_744_073_709_551_615"),
        ] {
            assert_eq!(parse_amount(text, unit), Some(value), "{text}");
            assert_eq!(
                parse_amount(&exact(value, unit), unit),
                Some(value),
                "{text}: {}",
                exact(value, unit)
            );
        }
        assert_eq!(exact(8_388_608, "bytes"), "8 MB");
        assert_eq!(exact(2_500_000_000, "units"), "2.5 G");
        assert_eq!(exact(1_500, "ms"), "1500 ms");
    }

    #[test]
    fn reads_what_it_writes() {
        for (value, unit) in [(8_388_608, "bytes"), (30_000, "ms"), (250_000_000, "units"), (50, "calls")] {
            assert_eq!(parse_amount(&amount(value, unit), unit), Some(value));
        }
    }
}
