//! `[[schedule]]` of `brand.toml`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use sluice_queue::schedule::{Cron, Rule, SCHEDULES_MAX, Zone};
use sluice_queue::{NAME_CHARS_MAX, is_name};

const NAME_BYTES_MAX: usize = 64;
/// How much of a name that is wrong a message shows.
const SHOWN_CHARS_MAX: usize = 64;

/// A function of a module that runs again and again, without a visitor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The name of the schedule: 1 to 64 small letters, digits, `_` and `-`. The function gets it as
    /// `payload.schedule`.
    #[serde(deserialize_with = "name")]
    #[schemars(example = &"nightly", extend("pattern" = "^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// When it runs, as five fields: minute, hour, day of the month, month and day of the week. `*` stands for all
    /// values, `1-5` for a range, `1,5` for a list, and `*/15` for every 15th value. Months and days of the week have
    /// names, too: `jan`, `mon`. If both the day of the month and the day of the week are limited, one of them is
    /// enough. `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly` are rules, too. A rule has at most 512
    /// bytes.
    #[schemars(with = "String", example = &"0 3 * * *")]
    pub cron: Cron,
    /// The time zone of `cron`, by its name in the IANA database. Defaults to `UTC`.
    #[schemars(with = "Option<String>", example = &"Europe/Berlin")]
    pub timezone: Option<Zone>,
    /// The module in `modules/`, of at most 191 characters.
    #[serde(deserialize_with = "target")]
    #[schemars(example = &"reports")]
    pub module: String,
    /// The exported function, of at most 191 characters. It gets `{ schedule }` and
    /// `{ jobId, attempt, scheduledFor }`.
    #[serde(rename = "fn", default = "default_function", deserialize_with = "target")]
    #[schemars(example = &"nightly")]
    pub function: String,
    /// Whether the function runs once at the next start if all hosts were down when it should have run.
    #[serde(default = "yes")]
    #[schemars(example = false)]
    pub catch_up: bool,
}

impl ScheduleConfig {
    /// When it ticks.
    pub fn rule(&self) -> Rule {
        Rule { cron: self.cron.clone(), zone: self.timezone.clone().unwrap_or_else(Zone::utc) }
    }

    /// Whether it ticks by this rule.
    pub fn has_rule(&self, rule: &Rule) -> bool {
        let zone = match &self.timezone {
            Some(zone) => *zone == rule.zone,
            None => rule.zone == Zone::utc(),
        };
        zone && self.cron == rule.cron
    }
}

fn default_function() -> String {
    "default".to_owned()
}

fn yes() -> bool {
    true
}

fn name<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let name = String::deserialize(input)?;
    let is_small = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_small) {
        return Ok(name);
    }
    Err(serde::de::Error::custom(format!(
        "`{name}` cannot be the name of a schedule: write 1 to {NAME_BYTES_MAX} small letters, digits, `_` and `-`"
    )))
}

/// The name of a module or function. A name that no job can have would hold up the start of its ticks.
fn target<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let name = String::deserialize(input)?;
    if is_name(&name) {
        return Ok(name);
    }
    let start: String = name.chars().take(SHOWN_CHARS_MAX).collect();
    Err(serde::de::Error::custom(format!(
        "{start:?} cannot be the name of a module or function: write 1 to {NAME_CHARS_MAX} characters, and no control \
         characters"
    )))
}

/// Reads `[[schedule]]`. No two schedules have the same name.
pub(super) fn schedules<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<ScheduleConfig>, D::Error> {
    let schedules = Vec::<ScheduleConfig>::deserialize(input)?;
    if schedules.len() > SCHEDULES_MAX {
        return Err(serde::de::Error::custom(format!(
            "there are {} schedules, and a brand may have {SCHEDULES_MAX}: let one schedule do the work of several",
            schedules.len()
        )));
    }
    for (index, schedule) in schedules.iter().enumerate() {
        if schedules.iter().take(index).any(|other| other.name == schedule.name) {
            let text =
                format!("there are two schedules with the name `{}`: rename one of them", schedule.name);
            return Err(serde::de::Error::custom(text));
        }
    }
    Ok(schedules)
}
