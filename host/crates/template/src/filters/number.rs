//! Numbers with a fixed number of decimals.
//!
//! This is our own code because Rust's `{:.2}` rounds the exact binary value, which for 1.005 is
//! below the half. Here the shortest decimal digits of a number are rounded, as people expect.

/// The digits before and after the decimal point of a finite number, rounded half away from zero:
/// 1.005 with two decimals is 1.01. The sign is left out.
pub(super) fn decimals(number: f64, digits: usize) -> (String, String) {
    // The shortest digits that stand for this number. Rust never writes an exponent here.
    let text = number.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut kept: Vec<u8> = whole.bytes().chain(fraction.bytes().take(digits)).collect();
    let short = digits.saturating_sub(fraction.len());
    kept.extend(std::iter::repeat_n(b'0', short));
    let mut carry = fraction.as_bytes().get(digits).is_some_and(|next| *next >= b'5');
    for digit in kept.iter_mut().rev() {
        if !carry {
            break;
        }
        carry = *digit == b'9';
        *digit = if carry { b'0' } else { *digit + 1 };
    }
    if carry {
        kept.insert(0, b'1');
    }
    let fraction = kept.split_off(kept.len() - digits);
    let text = |digits: Vec<u8>| digits.into_iter().map(char::from).collect();
    (text(kept), text(fraction))
}

/// `1,234.50`, with a minus sign in front if it is negative.
pub(super) fn grouped(number: f64, digits: usize) -> String {
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", grouped_size(number, digits))
}

/// Like [`grouped`], without the sign.
pub(super) fn grouped_size(number: f64, digits: usize) -> String {
    if !number.is_finite() {
        return "∞".to_owned();
    }
    let (whole, fraction) = decimals(number, digits);
    let mut text = String::with_capacity(whole.len() * 4 / 3 + digits + 1);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if digits > 0 {
        text.push('.');
        text.push_str(&fraction);
    }
    text
}

/// As `Math.round`, or rounded to some decimals.
pub(super) fn round(number: f64, digits: usize) -> f64 {
    if digits == 0 {
        // Halves are rounded up, negative ones too. floor(x + 0.5) would be wrong just below a half.
        let floor = number.floor();
        return if number - floor < 0.5 { floor } else { floor + 1.0 };
    }
    if !number.is_finite() {
        return number;
    }
    let (whole, fraction) = decimals(number, digits);
    let rounded: f64 = format!("{whole}.{fraction}").parse().unwrap_or(number.abs());
    rounded.copysign(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_decimals_half_away_from_zero() {
        for (number, digits, expected) in [
            (1234.5, 2, "1,234.50"),
            (1.005, 2, "1.01"),
            (0.5, 0, "1"),
            (2.5, 0, "3"),
            (-2.5, 0, "-3"),
            (999.995, 2, "1,000.00"),
            (0.0, 2, "0.00"),
            (1e21, 0, "1,000,000,000,000,000,000,000"),
            (1e-9, 2, "0.00"),
            (123.0, 1, "123.0"),
            (1e15, 0, "1,000,000,000,000,000"),
            (f64::INFINITY, 2, "∞"),
        ] {
            assert_eq!(grouped(number, digits), expected);
        }
    }

    #[test]
    fn rounds_as_javascript_does() {
        for (number, digits, expected) in [
            (2.5, 0, 3.0),
            (-2.5, 0, -2.0),
            (0.499_999_999_999_999_94, 0, 0.0),
            (4_503_599_627_370_497.0, 0, 4_503_599_627_370_497.0),
            (1.255, 2, 1.26),
            (-1.255, 2, -1.26),
            (1e300, 3, 1e300),
        ] {
            assert_eq!(round(number, digits), expected, "{number}");
        }
    }
}
