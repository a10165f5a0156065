// What is known about this visitor, in the entity `leads` of crm.toml.

// Visitors have no name here, so their data belong to a random id in their session.
export function owner() {
  const id = session.get("visitor_id") ?? crypto.randomUUID();
  session.set("visitor_id", id);
  return { referenceType: "visitor", referenceId: id };
}

// Stores the fields, and moves the visitor to a stage of the pipeline. Returns whether both worked.
export function remember(fields, stageSlug) {
  const list = Object.entries(fields).map(([fieldKey, value]) => ({ fieldKey, value }));
  const stored = setCrmFields({ slug: "leads", ...owner(), fields: list });
  return stored && moveCrmToPipeline({ slug: "leads", ...owner(), pipelineSlug: "funnel", stageSlug }).ok;
}
