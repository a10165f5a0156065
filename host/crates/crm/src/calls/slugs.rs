//! Reports a slug that the brand does not have, whatever else is wrong with a call. A call that the
//! store executes needs no check of its own, because the store looks for the entity first.

use sluice_text::suggest::nearest;

use super::super::options::{self, Options};
use super::super::{Caller, CrmError, OptionMistake, SLUGS_MAX, Slug};
use crate::CrmDatabase;

/// How many entities a message lists.
const LISTED_MAX: usize = 10;

/// The error of a call that failed with `error`: an unknown slug takes precedence over input that is
/// refused. The database is asked only for slugs that are not known to exist. If it does not answer,
/// `error` stays.
pub(super) async fn checked(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
    error: CrmError,
) -> CrmError {
    let is_about_input = match &error {
        CrmError::Refused { .. } => true,
        CrmError::Type { mistake, .. } => matches!(mistake, OptionMistake::UnknownSlug { .. }),
        CrmError::TooLarge { .. } | CrmError::Store(_) => false,
    };
    if !is_about_input {
        return error;
    }
    for (option, text) in options.given_slugs() {
        let slug = Slug::new(text);
        if slug.as_ref().is_some_and(|slug| caller.slugs.has(caller.brand, slug)) {
            continue;
        }
        let Ok(slugs) = store.entity_slugs(caller.brand, slug, SLUGS_MAX).await else { return error };
        caller.slugs.add(caller.brand, &slugs);
        if !slugs.iter().any(|known| known == text) {
            return options::unknown_slug(options.call, option, text, help(text, &slugs));
        }
    }
    error
}

/// What to do about a slug that the brand does not have.
fn help(slug: &str, known: &[String]) -> String {
    let names = || known.iter().map(String::as_str);
    if let Some(near) = nearest(slug, names()) {
        return format!("; did you mean {near:?}?");
    }
    match known.len() {
        0 => "; it has none: declare one in crm.toml".to_owned(),
        1..=LISTED_MAX => format!("; it has {}", names().collect::<Vec<_>>().join(", ")),
        _ => "; crm.toml does not declare it, and ensureCrmEntity did not create it".to_owned(),
    }
}
