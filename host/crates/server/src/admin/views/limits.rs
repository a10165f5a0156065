//! A page's limits: which values are in force, where each comes from, and how an operator sets one.

use serde::{Deserialize, Serialize};

use sluice_app::reload::{ReloadCause, reload_and_log};
use sluice_limits::policy::EffectiveLimit;
use sluice_site::{Brand, apply, brand_dir, config, limit_layers};

use super::{find_brand, find_page};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

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

/// A limit that an operator sets.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    /// The page's path.
    pub(crate) page: String,
    pub(crate) limit: String,
    /// The digits may be grouped: `250_000_000`.
    pub(crate) value: String,
    /// The version of `brand.toml` that the operator saw.
    pub(crate) seen: Option<String>,
    /// `preview`: only show what the change would be.
    pub(crate) act: Option<String>,
}

/// What setting the limit would change in the brand's `brand.toml`.
///
/// # Errors
/// There is no such brand, page or limit, the value is not allowed, or `brand.toml` cannot be read or edited.
pub(crate) fn preview(
    state: &AdminState,
    brand: &str,
    change: &Change,
) -> Result<Vec<apply::ChangedLine>, AdminError> {
    let brand = find_brand(state, brand)?;
    let value = checked(state, &brand, change)?;
    let dir = brand_dir(&state.site_dir, &brand.id);
    Ok(apply::preview_page_limit(&dir, &change.page, &change.limit, value)?)
}

/// The value of a change, if the page may have it.
fn checked(state: &AdminState, brand: &Brand, change: &Change) -> Result<u64, AdminError> {
    find_page(brand, &change.page)?;
    let digits: String = change.value.chars().filter(|c| !matches!(c, '_' | ' ' | ',')).collect();
    let value: u64 = digits
        .parse()
        .ok()
        .filter(|value| *value > 0)
        .ok_or_else(|| AdminError::InvalidNumber(change.value.clone()))?;
    let PageLimits { rows, .. } = of_page(state, &brand.id, &change.page)?;
    if !rows.iter().any(|row| row.limit.kind.name == change.limit) {
        return Err(AdminError::NoLimit(change.limit.clone()));
    }
    if let Some(max) = state.app.live().limits.most(&change.limit).filter(|max| value > *max) {
        return Err(AdminError::AboveMax { limit: change.limit.clone(), value, max });
    }
    Ok(value)
}

/// Writes the limit into the brand's `brand.toml`, reloads the site and returns the value.
///
/// # Errors
/// There is no such brand, page or limit, the value is not allowed, or `brand.toml` was changed
/// since the operator saw it, or cannot be written. [`AdminError::NotInForce`] if the limit was written
/// and the brand could not be reloaded.
pub(crate) async fn apply(state: &AdminState, brand: &str, change: &Change) -> Result<u64, AdminError> {
    let brand = find_brand(state, brand)?;
    let value = checked(state, &brand, change)?;
    let dir = brand_dir(&state.site_dir, &brand.id);
    apply::set_page_limit(&dir, change.seen.as_deref(), &change.page, &change.limit, value)?;
    tracing::info!(
        brand = brand.id,
        page = change.page,
        limit = change.limit,
        value,
        "an operator set a limit"
    );
    // The edit itself keeps the file valid. What the reload rejects was wrong before.
    let problem = match reload_and_log(&state.app, ReloadCause::Limit).await {
        Ok(report) => {
            report.problems.iter().find(|problem| problem.is_of_brand(&brand.id)).map(ToString::to_string)
        }
        Err(error) => Some(error.to_string()),
    };
    match problem {
        None => Ok(value),
        Some(problem) => Err(AdminError::NotInForce {
            brand: brand.id.clone(),
            limit: change.limit.clone(),
            value,
            problem,
        }),
    }
}
