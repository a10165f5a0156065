//! Amounts of money as American English writes them.

use super::number::grouped_size;

/// Currencies with a sign of their own in en-US.
const SIGNS: &[(&str, &str)] = &[
    ("AUD", "A$"),
    ("BRL", "R$"),
    ("CAD", "CA$"),
    ("CNY", "CN¥"),
    ("EUR", "€"),
    ("GBP", "£"),
    ("HKD", "HK$"),
    ("ILS", "₪"),
    ("INR", "₹"),
    ("JPY", "¥"),
    ("KRW", "₩"),
    ("MXN", "MX$"),
    ("NZD", "NZ$"),
    ("PHP", "₱"),
    ("TWD", "NT$"),
    ("USD", "$"),
    ("VND", "₫"),
    ("XAF", "FCFA"),
    ("XCD", "EC$"),
    ("XOF", "F\u{202f}CFA"),
    ("XPF", "CFPF"),
];

/// Currencies without two decimals, by ISO 4217.
const WITHOUT_DECIMALS: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF",
    "XPF",
];
const WITH_THREE_DECIMALS: &[&str] = &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// `€1,234.50`, `-$5.00`, `CHF 1.00`. A code that is none is left out.
pub(super) fn format(amount: f64, code: &str) -> String {
    let code = code.to_ascii_uppercase();
    let digits = match code.as_str() {
        code if WITHOUT_DECIMALS.contains(&code) => 0,
        code if WITH_THREE_DECIMALS.contains(&code) => 3,
        _ => 2,
    };
    let minus = if amount < 0.0 { "-" } else { "" };
    let size = grouped_size(amount, digits);
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    let sign = match SIGNS.iter().find(|(known, _)| *known == code) {
        Some((_, sign)) => (*sign).to_owned(),
        None if is_code => code,
        None => String::new(),
    };
    // A sign that ends in a letter is kept apart.
    let space = if sign.ends_with(char::is_alphabetic) { "\u{a0}" } else { "" };
    format!("{minus}{sign}{space}{size}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_in_american_english() {
        for (amount, code, expected) in [
            (1234.5, "USD", "$1,234.50"),
            (1234.5, "eur", "€1,234.50"),
            (-5.0, "USD", "-$5.00"),
            (1234.5, "JPY", "¥1,235"),
            (1.0, "CHF", "CHF\u{a0}1.00"),
            (1.2345, "KWD", "KWD\u{a0}1.235"),
            (1.0, "CAD", "CA$1.00"),
            (1.0, "no code", "1.00"),
        ] {
            assert_eq!(format(amount, code), expected);
        }
    }
}
