//! Amounts of money as American English writes them.
//!
//! The tables are our own because `icu`, which has them for all languages, adds megabytes of data
//! for one.

use super::number::grouped_size;

/// Currencies and their signs in en-US, from Unicode's CLDR 48.
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
    ("XCG", "Cg."),
    ("XOF", "F\u{202f}CFA"),
    ("XPF", "CFPF"),
    ("XXX", "¤"),
];

/// Currencies that do not have two decimals, from Unicode's CLDR 48, which follows use and not ISO 4217.
const WITHOUT_DECIMALS: &[&str] = &[
    "ADP", "AFN", "ALL", "BIF", "BYR", "CLP", "COP", "DJF", "ESP", "GNF", "HUF", "IDR", "IQD", "IRR", "ISK",
    "ITL", "JPY", "KMF", "KPW", "KRW", "LAK", "LBP", "LUF", "MGA", "MGF", "MMK", "MRO", "PKR", "PYG", "RWF",
    "SLL", "SOS", "STD", "SYP", "TMM", "TRL", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF", "YER", "ZMK",
    "ZWD",
];
const WITH_THREE_DECIMALS: &[&str] = &["BHD", "JOD", "KWD", "LYD", "OMR", "TND"];
const WITH_FOUR_DECIMALS: &[&str] = &["CLF", "UYW"];

/// `€1,234.50`, `-$5.00`, `CHF 1.00`. A code that does not have three letters is left out.
pub(super) fn format(amount: f64, code: &str) -> String {
    let code = code.to_ascii_uppercase();
    let digits = match code.as_str() {
        code if WITHOUT_DECIMALS.contains(&code) => 0,
        code if WITH_THREE_DECIMALS.contains(&code) => 3,
        code if WITH_FOUR_DECIMALS.contains(&code) => 4,
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
    // A space follows a sign that ends in a letter or a dot.
    let space = if sign.ends_with(|c: char| c.is_alphabetic() || c == '.') { "\u{a0}" } else { "" };
    format!("{minus}{sign}{space}{size}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_amounts_as_american_english_does() {
        for (amount, code, expected) in [
            (1234.5, "USD", "$1,234.50"),
            (1234.5, "eur", "€1,234.50"),
            (-5.0, "USD", "-$5.00"),
            (1234.5, "JPY", "¥1,235"),
            (1.0, "CHF", "CHF\u{a0}1.00"),
            (1.2345, "KWD", "KWD\u{a0}1.235"),
            (1.0, "CAD", "CA$1.00"),
            (1234.5678, "HUF", "HUF\u{a0}1,235"),
            (1234.5678, "IQD", "IQD\u{a0}1,235"),
            (1234.5678, "COP", "COP\u{a0}1,235"),
            (1234.5678, "CLF", "CLF\u{a0}1,234.5678"),
            (1.0, "XOF", "F\u{202f}CFA\u{a0}1"),
            (-1.0, "XCG", "-Cg.\u{a0}1.00"),
            (1.0, "XXX", "¤1.00"),
            (1.0, "no code", "1.00"),
        ] {
            assert_eq!(format(amount, code), expected);
        }
    }
}
