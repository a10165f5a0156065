//! A page's limits: which values are in force, where each comes from, and how an operator sets one.

use serde::{Deserialize, Serialize};

use sluice_app::reload::{LimitChange, reload_for_limit};
use sluice_limits::advice::LimitUse;
use sluice_limits::policy::EffectiveLimit;
use sluice_site::{Brand, apply, brand_dir, config, limit_layers};

use super::{find_brand, find_page};
use crate::admin::AdminState;
use crate::admin::changes::note;
use crate::admin::error::AdminError;
use crate::admin::templates::amount::{amount, examples, parse_amount};

/// A limit of a page.
#[derive(Debug, Serialize)]
pub(crate) struct LimitRow {
    /// The value according to the files.
    #[serde(flatten)]
    pub(crate) limit: EffectiveLimit,
    /// The origin of the value as text: `brands/shop/brand.toml, [[page]] /cart`.
    pub(crate) written_in: String,
    /// The value that applies now. If it differs from `limit.value`, the next reload changes it.
    pub(crate) in_force: u64,
}

/// The limits of a page.
pub(crate) struct PageLimits {
    pub(crate) rows: Vec<LimitRow>,
    /// The version of `brand.toml` in which they were found.
    pub(crate) version: String,
}

/// Every limit of a page.
///
/// # Errors
/// There is no such brand or page, or `brand.toml` cannot be read.
pub(crate) fn of_page(state: &AdminState, brand: &str, path: &str) -> Result<PageLimits, AdminError> {
    let brand = find_brand(state, brand)?;
    let page = find_page(&brand, path)?;
    let config::BrandFile { config, version } =
        config::read_brand_file(&brand_dir(&state.site_dir, &brand.id))?;
    let rows =
        state.app.live().limits.explain(limit_layers(&brand.id, &config, path)).into_iter().map(|limit| {
            LimitRow {
                written_in: limit.origin.to_string(),
                in_force: page.limits.get(limit.kind.name).unwrap_or(limit.value),
                limit,
            }
        });
    Ok(PageLimits { rows: rows.collect(), version })
}

/// The limits of a page, and why `brand.toml` cannot be read if that is so. The values are then those in force.
///
/// # Errors
/// There is no such brand or page.
pub(crate) fn of_page_or_in_force(
    state: &AdminState,
    brand: &str,
    path: &str,
) -> Result<(PageLimits, Option<String>), AdminError> {
    match of_page(state, brand, path) {
        Ok(limits) => Ok((limits, None)),
        Err(AdminError::BrandFile(error)) => Ok((in_force(state, brand, path)?, Some(error.to_string()))),
        Err(error) => Err(error),
    }
}

/// Every limit of a page without a look at `brand.toml`.
fn in_force(state: &AdminState, brand: &str, path: &str) -> Result<PageLimits, AdminError> {
    let brand = find_brand(state, brand)?;
    let page = find_page(&brand, path)?;
    let unread = config::BrandConfig::default();
    let limits = state.app.live().limits.explain(limit_layers(&brand.id, &unread, path));
    let row = |mut limit: EffectiveLimit| {
        let value = page.limits.get(limit.kind.name).unwrap_or(limit.value);
        let is_known = value == limit.value;
        limit.value = value;
        let written_in = if is_known { limit.origin.to_string() } else { "the last good version".to_owned() };
        LimitRow { written_in, in_force: value, limit }
    };
    Ok(PageLimits { rows: limits.into_iter().map(row).collect(), version: String::new() })
}

/// A limit that an operator sets.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Change {
    /// The page's path.
    pub(crate) page: String,
    pub(crate) limit: String,
    /// The digits may be grouped, and a unit may follow: `250_000_000`, `12 MB`.
    pub(crate) value: String,
    /// A proposed value that the operator takes instead of `value`, to look at what it would change.
    #[serde(rename = "use")]
    pub(crate) proposed: Option<String>,
    /// The version of `brand.toml` that the operator saw.
    pub(crate) seen: Option<String>,
    /// `preview`: only show what the change would be. `unset`: remove the limit of the page.
    pub(crate) act: Option<String>,
}

impl Change {
    /// Whether the change is only shown.
    pub(crate) fn is_preview(&self) -> bool {
        self.proposed.is_some() || self.act.as_deref() == Some("preview")
    }

    /// What stands in the field.
    pub(crate) fn typed(&self) -> &str {
        self.proposed.as_deref().unwrap_or(&self.value)
    }

    fn is_removal(&self) -> bool {
        self.act.as_deref() == Some("unset")
    }
}

/// What setting a limit would do.
#[derive(Debug, Serialize)]
pub(crate) struct Preview {
    /// What would change in the brand's `brand.toml`.
    pub(crate) lines: Vec<apply::ChangedLine>,
    /// What the operator should know before.
    pub(crate) warnings: Vec<String>,
}

/// What setting the limit would do. `used` is what runs of the page used of it.
///
/// # Errors
/// There is no such brand, page or limit, the value is not allowed, or `brand.toml` cannot be read or edited.
pub(crate) fn preview(
    state: &AdminState,
    brand: &str,
    change: &Change,
    used: Option<&LimitUse>,
) -> Result<Preview, AdminError> {
    let brand = find_brand(state, brand)?;
    let (row, value) = checked(state, &brand, change)?;
    let dir = brand_dir(&state.site_dir, &brand.id);
    let lines = apply::preview_page_limit(&dir, &change.page, &change.limit, value)?;
    Ok(Preview { lines, warnings: value.map(|value| warnings(&row, value, used)).unwrap_or_default() })
}

fn warnings(row: &LimitRow, value: u64, used: Option<&LimitUse>) -> Vec<String> {
    let mut all = Vec::new();
    let shown = |value: u64| amount(value, row.limit.kind.unit);
    if value < row.in_force {
        all.push(format!("This is lower than the value in force, {}.", shown(row.in_force)));
    }
    if let Some(most) = used.map(|used| used.max).filter(|most| value < *most) {
        all.push(format!("A run used {}. Runs like it would fail.", shown(most)));
    }
    all
}

/// The limit of a change, and its new value, if the page may have it. `None` removes the limit.
fn checked(
    state: &AdminState,
    brand: &Brand,
    change: &Change,
) -> Result<(LimitRow, Option<u64>), AdminError> {
    find_page(brand, &change.page)?;
    let PageLimits { rows, .. } = of_page(state, &brand.id, &change.page)?;
    let row = rows.into_iter().find(|row| row.limit.kind.name == change.limit);
    let row = row.ok_or_else(|| AdminError::NoLimit(change.limit.clone()))?;
    if change.is_removal() {
        return Ok((row, None));
    }
    let value = parse_amount(change.typed(), row.limit.kind.unit).filter(|value| *value > 0);
    let value = value.ok_or_else(|| AdminError::InvalidAmount {
        typed: change.typed().to_owned(),
        examples: examples(row.limit.kind.unit),
    })?;
    if let Some(max) = state.app.live().limits.most(&change.limit).filter(|max| value > *max) {
        return Err(AdminError::AboveMax { limit: change.limit.clone(), value, max });
    }
    Ok((row, Some(value)))
}

/// Writes the limit into the brand's `brand.toml`, or removes it there, and reloads the site. Returns the value
/// that is now in the files.
///
/// # Errors
/// There is no such brand, page or limit, the value is not allowed, or `brand.toml` was changed
/// since the operator saw it, or cannot be written. [`AdminError::NotInForce`] if the limit was written
/// and the brand could not be reloaded.
pub(crate) async fn apply(state: &AdminState, brand: &str, change: &Change) -> Result<u64, AdminError> {
    note(|note| {
        note.action = change.is_removal().then_some("limit.remove");
        note.target = Some(change.page.clone());
        note.item.clone_from(&change.limit);
    });
    let brand = find_brand(state, brand)?;
    let (row, value) = checked(state, &brand, change)?;
    note(|note| {
        note.was = row.in_force.to_string();
        note.becomes = value.map(|value| value.to_string()).unwrap_or_default();
    });
    let dir = brand_dir(&state.site_dir, &brand.id);
    apply::set_page_limit(&dir, change.seen.as_deref(), &change.page, &change.limit, value)?;
    let (page, limit) = (&change.page, &change.limit);
    match value {
        Some(value) => tracing::info!(brand = brand.id, page, limit, value, "an operator set a limit"),
        None => tracing::info!(brand = brand.id, page, limit, "an operator removed a limit of a page"),
    }
    // The edit itself keeps the file valid. What the reload rejects was wrong before.
    let done = LimitChange {
        brand: brand.id.clone(),
        path: page.clone(),
        limit: limit.clone(),
        from: row.in_force,
        to: value,
    };
    let problem = match reload_for_limit(&state.app, done).await {
        Ok(report) => {
            report.problems.iter().find(|problem| problem.is_of_brand(&brand.id)).map(ToString::to_string)
        }
        Err(error) => Some(error.to_string()),
    };
    let (brand, limit) = (brand.id.clone(), change.limit.clone());
    match (problem, value) {
        (None, Some(value)) => Ok(value),
        (None, None) => {
            let PageLimits { rows, .. } = of_page(state, &brand, &change.page)?;
            let row = rows.into_iter().find(|row| row.limit.kind.name == limit);
            row.map(|row| row.limit.value).ok_or(AdminError::NoLimit(limit))
        }
        (Some(problem), Some(value)) => Err(AdminError::NotInForce { brand, limit, value, problem }),
        (Some(problem), None) => Err(AdminError::StillInForce { brand, limit, problem }),
    }
}
