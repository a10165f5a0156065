//! Executes the calls, from options to result. The store is called after all checks.

mod reads;
mod writes;

use serde_json::{Value, json};

use super::options::{self, Options};
use super::{Call, Caller, CrmError, RefusalReason};
use crate::{CrmDatabase, CrmFault};

/// Makes a call.
///
/// # Errors
/// The options are invalid, the call was refused, or the database failed.
pub async fn call(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    call: Call,
    options: &Value,
) -> Result<Value, CrmError> {
    let options = &Options::of(call, options)?;
    match call {
        Call::GetField => reads::field(store, caller, options).await,
        Call::GetFields => reads::fields(store, caller, options).await,
        Call::GetEntries => reads::entries(store, caller, options).await,
        Call::GetValues => reads::values(store, caller, options).await,
        Call::EnsureEntity => ensure_entity(store, caller, options).await,
        _ => {
            let write = writes::checked(caller, options)?;
            let (brand, caps, now_ms) = (caller.brand, caller.caps, caller.now_ms);
            let explain = |fault: CrmFault| fault.explain(call, caller);
            if options.is_async()? {
                store.queue_crm(brand, write, caps, now_ms).await.map_err(explain)?;
                caller.bell.notify_one();
                return Ok(call.queued_value());
            }
            let written = store.write_crm(brand, write, caps, now_ms).await.map_err(explain)?;
            Ok(written.into_json())
        }
    }
}

/// `ensureCrmEntity({slug, name?, mode?, fields?, pipelines?})`: `{id, slug, created,
/// fields_added, fields_skipped}`.
async fn ensure_entity(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
) -> Result<Value, CrmError> {
    let entity = options.entity()?;
    let slug = entity.slug.clone();
    let ensured = store.ensure_entity(caller.brand, entity, caller.caps).await;
    let ensured = ensured.map_err(|fault| fault.explain(options.call, caller))?;
    Ok(json!({
        "id": ensured.id,
        "slug": slug,
        "created": ensured.created,
        "fields_added": ensured.fields_added,
        "fields_skipped": ensured.fields_skipped,
    }))
}

impl CrmFault {
    /// Turns the store's fault into the error of `call`.
    fn explain(self, call: Call, caller: &Caller<'_>) -> CrmError {
        match self {
            Self::UnknownSlug(slug) => options::unknown_slug(call, &slug),
            Self::Cap(reached) => call.refused(RefusalReason::Cap { reached, caps: caller.caps }),
            Self::Refused(refusal) => call.refused(RefusalReason::Rule(refusal)),
            Self::ResultTooLarge => too_large(call, caller),
            Self::Store(error) => CrmError::Store(error),
        }
    }
}

fn too_large(call: Call, caller: &Caller<'_>) -> CrmError {
    CrmError::TooLarge { call, bytes_max: caller.caps.result_bytes_max }
}
