//! Checks that a `crm.toml` is either rejected with a place in it, or stays the same after it was written
//! and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_crm::{CrmSchema, Entity, EntitySpec, Pipeline, Stage, export};

/// The entity that a database has after the schema was applied to it.
fn stored(spec: EntitySpec) -> Entity {
    let EntitySpec { slug, name, mode, fields, pipelines, settings } = spec;
    let pipelines = pipelines.into_iter().map(|pipeline| Pipeline {
        id: 0,
        position: 0,
        slug: pipeline.slug,
        name: pipeline.name,
        stages: pipeline.stages.into_iter().map(|spec| Stage { id: 0, position: 0, spec }).collect(),
    });
    let fields = fields.into_iter().map(|field| (0, field)).collect();
    Entity { id: 0, slug, name, mode, fields, pipelines: pipelines.collect(), settings }
}

fuzz_target!(|text: &str| {
    match CrmSchema::parse(text, "crm.toml") {
        Ok(schema) => {
            let entities: Vec<_> = schema.entities.iter().cloned().map(stored).collect();
            let written = export(&entities).expect("what is read can be written");
            let again = CrmSchema::parse(&written, "crm.toml").expect("what is written can be read");
            assert_eq!(again, schema);
        }
        Err(error) => assert!(error.to_string().starts_with("crm.toml:"), "{error}"),
    }
});
