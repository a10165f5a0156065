//! A page's limits: what is in force, where it comes from, and setting one.

use serde::{Deserialize, Serialize};

use sluice_app::reload::reload_and_log;
use sluice_limits::policy::EffectiveLimit;
use sluice_site::apply::{self, ApplyError};
use sluice_site::{config, limit_layers};

use super::{find_brand, find_page};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// A limit of a page.
#[derive(Debug, Serialize)]
pub struct LimitRow {
    /// What the files say.
    #[serde(flatten)]
    pub limit: EffectiveLimit,
    /// The origin for people.
    pub written_in: String,
    /// What holds now; another value than the files' comes with the next reload.
    pub in_force: u64,
}

/// Every limit of a page.
pub fn of_page(state: &AdminState, brand: &str, path: &str) -> Result<Vec<LimitRow>, AdminError> {
    let brand = find_brand(state, brand)?;
    let page = find_page(&brand, path)?;
    let dir = state.site_dir.join("brands").join(&brand.id);
    let config = config::read_brand(&dir).map_err(|error| AdminError::Invalid(error.to_string()))?;
    let rows =
        state.app.live().limits.explain(limit_layers(&brand.id, &config, path)).into_iter().map(|limit| {
            LimitRow {
                written_in: limit.origin.to_string(),
                in_force: page.limits.get(limit.kind.name).unwrap_or(limit.value),
                limit,
            }
        });
    Ok(rows.collect())
}

/// What an operator sets.
#[derive(Debug, Deserialize)]
pub struct Change {
    /// The page's path.
    pub page: String,
    pub limit: String,
    /// May be grouped: `250_000_000`.
    pub value: String,
}

/// Writes the limit into the brand's `brand.toml`, and serves with it. Gives the value.
pub async fn apply(state: &AdminState, brand: &str, change: &Change) -> Result<u64, AdminError> {
    let brand = find_brand(state, brand)?;
    find_page(&brand, &change.page)?;
    let digits: String = change.value.chars().filter(|c| !matches!(c, '_' | ' ' | ',')).collect();
    let value: u64 =
        digits.parse().ok().filter(|value| *value > 0).ok_or_else(|| {
            AdminError::Invalid(format!("`{}` is not a positive whole number", change.value))
        })?;
    let rows = of_page(state, &brand.id, &change.page)?;
    if !rows.iter().any(|row| row.limit.kind.name == change.limit) {
        return Err(AdminError::NotFound(format!("limit {}", change.limit)));
    }
    if let Some(most) = state.app.live().limits.most(&change.limit).filter(|most| value > *most) {
        return Err(AdminError::Invalid(format!(
            "{} = {value}: this host allows at most {most} ([limits.max] in sluice.toml)",
            change.limit
        )));
    }
    let dir = state.site_dir.join("brands").join(&brand.id);
    apply::set_page_limit(&dir, &change.page, &change.limit, value).map_err(|error| match error {
        ApplyError::UnknownLimit(name) => AdminError::NotFound(format!("limit {name}")),
        other => AdminError::Invalid(other.to_string()),
    })?;
    tracing::info!(
        brand = brand.id,
        page = change.page,
        limit = change.limit,
        value,
        "an operator set a limit"
    );
    // What failed is in the log.
    drop(reload_and_log(&state.app).await);
    Ok(value)
}
