//! How many failures of a brand the lists leave out, because operators have resolved or muted their kinds.

use std::collections::HashMap;

use sluice_runs::execution_log::failures::FailureFilter;

use super::marks::Marks;
use super::range::Range;
use super::read_log;
use super::shown_kinds::{Show, Tally};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// By the page's file. Empty if the database does not answer: then nothing is left out.
///
/// # Errors
/// The execution log cannot be read.
pub(crate) async fn of_brand(
    state: &AdminState,
    brand: &str,
    range: Range,
) -> Result<HashMap<String, u64>, AdminError> {
    if state.app.store.outage().is_some() {
        return Ok(HashMap::new());
    }
    let marks = Marks::load(state, Some(brand)).await;
    if marks.is_empty() {
        return Ok(HashMap::new());
    }
    let (from_ms, to_ms) = range.bounds();
    let filter =
        FailureFilter { brand: Some(brand.to_owned()), from_ms, to_ms, parts: 1, ..FailureFilter::default() };
    let tally = read_log(state, move |log| {
        let mut tally = Tally::default();
        log.failures_if(&filter, |kind, count, last_ms| {
            marks.is_shown((kind, count), (Show::Open, &mut tally), (last_ms, to_ms))
        })?;
        Ok(tally)
    })
    .await?;
    Ok(tally.hidden.into_iter().map(|((_, page), count)| (page, count)).collect())
}
