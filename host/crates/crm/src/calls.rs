//! Executes the calls, from options to result. The store is called after all checks.

mod by_id;
mod reads;
mod relations;
mod search;
mod slugs;
mod writes;

use serde_json::{Value, json};

use reads::bounded;

use super::names::shown;
use super::options::{self, Options};
use super::{Call, Caller, CrmError, OptionMistake, RefusalReason};
use crate::{CrmDatabase, CrmFault, CrmWrite, QueuedWrites};

/// Makes a call. A write with `async: true` is added to `queued`.
///
/// # Errors
/// The options are invalid, the call was refused, or the database failed.
pub async fn call(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    call: Call,
    options: &Value,
    queued: &mut QueuedWrites,
) -> Result<Value, CrmError> {
    let options = &Options::of(call, options)?;
    match made(store, caller, call, options, queued).await {
        Err(error) => Err(slugs::checked(store, caller, options, error).await),
        result => result,
    }
}

/// The error of a call of which some options could not be encoded: that of an option or a slug that does not
/// exist, or else a refusal. `options` are the others.
pub async fn reject(store: &dyn CrmDatabase, caller: &Caller<'_>, call: Call, options: &Value) -> CrmError {
    match Options::of(call, options) {
        Ok(options) => {
            let refused = call.refused(RefusalReason::NotEncoded);
            slugs::checked(store, caller, &options, refused).await
        }
        Err(error) => error,
    }
}

async fn made(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    call: Call,
    options: &Options<'_>,
    queued: &mut QueuedWrites,
) -> Result<Value, CrmError> {
    match call {
        Call::GetField => reads::field(store, caller, options).await,
        Call::GetFields => reads::fields(store, caller, options).await,
        Call::GetEntries => reads::entries(store, caller, options).await,
        Call::GetValues => reads::values(store, caller, options).await,
        Call::FindEntries | Call::CountEntries => search::search(store, caller, options, queued).await,
        Call::GetEntry => by_id::get(store, caller, options).await,
        Call::UpdateEntry | Call::DeleteEntry => by_id::write(store, caller, options, queued).await,
        Call::SetRelation | Call::RemoveRelation => relations::change(store, caller, options).await,
        Call::EnsureEntity => ensure_entity(store, caller, options).await,
        _ => {
            let write = writes::checked(caller, options)?;
            let (brand, caps, now_ms) = (caller.brand, caller.caps, caller.now_ms);
            let is_async = options.is_async()?;
            if is_async && !caller.at_once {
                return queue(store, caller, call, write, queued).await;
            }
            let written = store.write_crm(brand, write, caps, now_ms).await;
            let written = written.map_err(|fault| fault.explain(call, caller))?;
            Ok(if is_async { call.queued_value() } else { written.into_json() })
        }
    }
}

/// Checks a write against the stored data and queues it.
async fn queue(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    call: Call,
    write: CrmWrite,
    queued: &mut QueuedWrites,
) -> Result<Value, CrmError> {
    let Some(bytes) = queued.bytes_with(&write) else {
        return Err(call.refused(RefusalReason::QueueFull));
    };
    match store.check_job(caller.brand, &write, bytes, caller.caps, caller.now_ms).await {
        Err(fault) if !queued.may_remove(&fault, &write) => return Err(fault.explain(call, caller)),
        _ => {}
    }
    queued.add(write);
    Ok(call.queued_value())
}

/// `ensureCrmEntity({slug, name?, mode?, fields?, pipelines?})`: `{id, slug, created,
/// fields_added, fields_skipped, fields_added_keys, fields_skipped_keys}`. Two are numbers.
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
        "fields_added": ensured.fields_added.len(),
        "fields_skipped": ensured.fields_skipped.len(),
        "fields_added_keys": ensured.fields_added,
        "fields_skipped_keys": ensured.fields_skipped,
    }))
}

impl CrmFault {
    /// Turns the store's fault into the error of `call`.
    fn explain(self, call: Call, caller: &Caller<'_>) -> CrmError {
        match self {
            // `slugs::checked` finds out which option has it.
            Self::UnknownSlug(slug) => options::unknown_slug(call, "slug", &slug, String::new()),
            Self::Cap(reached) => call.refused(RefusalReason::Cap { reached, caps: caller.caps }),
            Self::Refused(refusal) => call.refused(RefusalReason::Rule(refusal)),
            Self::NotIndexed { slug, field, is_building } => {
                call.type_error(OptionMistake::NotIndexed { slug, field, is_building })
            }
            Self::OrderNotDeclared { field, declared } => {
                let help = options::field_help(&field, &declared);
                call.type_error(OptionMistake::OrderNotDeclared { field: shown(&field), help })
            }
            Self::ResultTooLarge => too_large(call, caller),
            Self::Store(error) => CrmError::Store(error),
        }
    }
}

fn too_large(call: Call, caller: &Caller<'_>) -> CrmError {
    CrmError::TooLarge { call, bytes_max: caller.caps.result_bytes_max }
}
