use rquickjs::prelude::Func;
use rquickjs::{Ctx, Object, Result, Value};

use super::{decoded, refused, thrown};
use crate::sluice::page::crm::{self, Operation};
use crate::{checkpoint, value};

const CALLS: [(&str, Operation); 22] = [
    ("getCrmField", Operation::GetField),
    ("getCrmFields", Operation::GetFields),
    ("getCrmEntries", Operation::GetEntries),
    ("getCrmFieldValues", Operation::GetValues),
    ("getCrmEntry", Operation::GetEntry),
    ("findCrmEntries", Operation::FindEntries),
    ("countCrmEntries", Operation::CountEntries),
    ("setCrmField", Operation::SetField),
    ("setCrmFields", Operation::SetFields),
    ("addCrmFieldValue", Operation::AddValue),
    ("createCrmEntry", Operation::CreateEntry),
    ("updateCrmEntry", Operation::UpdateEntry),
    ("deleteCrmEntry", Operation::DeleteEntry),
    ("setCrmRelation", Operation::SetRelation),
    ("removeCrmRelation", Operation::RemoveRelation),
    ("clearCrmEntries", Operation::Clear),
    ("moveCrmToStage", Operation::MoveToStage),
    ("moveCrmToPipeline", Operation::MoveToPipeline),
    ("moveCrmLead", Operation::MoveLead),
    ("moveCrmToEntity", Operation::MoveToEntity),
    ("reassignCrmReference", Operation::Reassign),
    ("ensureCrmEntity", Operation::EnsureEntity),
];

pub fn install(host: &Object<'_>) -> Result<()> {
    host.set("crmCalls", CALLS.map(|(name, _)| name).to_vec())?;
    host.set("crmCall", Func::from(call))
}

/// Makes a call and returns its result. If an option cannot be encoded, a warning is logged, and the host
/// decides what the call returns: an unknown slug is an error even then.
fn call<'js>(ctx: Ctx<'js>, name: String, options: Value<'js>) -> Result<Value<'js>> {
    let unknown = || rquickjs::Exception::throw_internal(&ctx, "no such CRM call");
    let (_, operation) = CALLS.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
    let (options, refusal) = value::encode_options(&ctx, options);
    let is_whole = refusal.is_none();
    if let Some(refusal) = refusal {
        refused(&ctx, &name, refusal)?;
    }
    checkpoint::count_call(options.len());
    decoded(&ctx, Some(thrown(&ctx, crm::call(*operation, &options, is_whole))?))
}
