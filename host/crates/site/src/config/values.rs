//! Types of values in the settings that TOML does not have: durations and networks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serializer};

use super::OperatorBrand;

const UNITS: [(&str, u64); 4] = [("d", 24 * 60 * 60), ("h", 60 * 60), ("m", 60), ("s", 1)];

/// A whole number and a unit: `s` for seconds, `m` for minutes, `h` for hours or `d` for days.
#[derive(JsonSchema)]
#[schemars(rename = "Duration", extend("pattern" = "^[0-9]+[smhd]$"), example = "90s", example = "15m")]
#[expect(dead_code, reason = "it stands for a `Duration` in the schema only")]
pub(crate) struct DurationText(String);

/// A network in CIDR notation, or a single IP address.
#[derive(JsonSchema)]
#[schemars(example = "10.0.0.0/8", example = "2001:db8::1")]
#[expect(dead_code, reason = "it stands for an `IpNet` in the schema only")]
pub(crate) struct Network(String);

/// Reads a [`DurationText`].
pub(crate) fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    parse_duration(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is not a duration such as 90s, 15m, 3h or 2d"))
    })
}

/// Writes a [`DurationText`] with the largest unit of which the duration is a whole number.
pub(crate) fn write_duration<S: Serializer>(duration: &Duration, output: S) -> Result<S::Ok, S::Error> {
    let seconds = duration.as_secs();
    let (unit, size) = UNITS.into_iter().find(|(_, size)| seconds.is_multiple_of(*size)).unwrap_or(("s", 1));
    output.serialize_str(&format!("{}{unit}", seconds / size))
}

/// Reads a number of threads, which must be at least one.
pub(crate) fn threads<'de, D: Deserializer<'de>>(input: D) -> Result<Option<usize>, D::Error> {
    match Option::<usize>::deserialize(input)? {
        Some(0) => Err(serde::de::Error::custom(
            "no thread would serve visitors: write at least 1, or leave the setting out",
        )),
        threads => Ok(threads),
    }
}

/// Reads a share of all: a number from 0 to 1.
pub(crate) fn share<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(input)?;
    // NaN, which TOML can express, is in no range.
    (0.0..=1.0).contains(&share).then_some(share).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{share}` is not a number from 0 to 1, such as 0.01 for one in 100"
        ))
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(unit_at)?;
    let (_, size) = UNITS.into_iter().find(|(known, _)| *known == unit)?;
    count.parse::<u64>().ok()?.checked_mul(size).map(Duration::from_secs)
}

/// Reads a list of [`Network`].
pub(crate) fn networks<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: &String| {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| address()).map_err(|_| {
            serde::de::Error::custom(format!("`{text}` is not a network such as 10.0.0.0/8 or an address"))
        })
    };
    Vec::<String>::deserialize(input)?.iter().map(network).collect()
}

/// Reads `[brands]`. No two brands may have the same domain.
pub(crate) fn operator_brands<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<BTreeMap<String, OperatorBrand>, D::Error> {
    let brands = BTreeMap::<String, OperatorBrand>::deserialize(input)?;
    let domains = |brand: &OperatorBrand| brand.domains.clone().unwrap_or_default();
    for (id, brand) in &brands {
        for (other, _) in brands.range::<String, _>((Bound::Excluded(id), Bound::Unbounded)) {
            let others = brands.get(other).map(domains).unwrap_or_default();
            if let Some(both) = domains(brand).iter().find(|domain| others.contains(domain)) {
                let text = format!("[brands.{id}] and [brands.{other}] both list the domain {both}");
                return Err(serde::de::Error::custom(text));
            }
        }
    }
    Ok(brands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_durations_without_a_unit() {
        assert_eq!(parse_duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("2d"), Some(Duration::from_secs(172_800)));
        for bad in ["", "3", "h", "3w", "-1s", "99999999999999999999s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn writes_durations_with_the_largest_unit() {
        for (seconds, text) in [(90, "90s"), (60, "1m"), (10_800, "3h"), (1_209_600, "14d")] {
            let written = write_duration(&Duration::from_secs(seconds), serde_json::value::Serializer);
            assert_eq!(written.unwrap(), text);
        }
    }
}
