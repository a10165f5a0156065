//! Decides what `ensureCrmEntity` adds to an entity. Pure, like `plan.rs`, so that every
//! backend adds the same.

use super::schema::settings_bytes;
use super::{CrmCaps, Entity, EntityMode, EntitySpec, Refusal, SchemaWrite};
use crate::{CapReached, CrmFault, Ensured};

/// The parts of a declaration that an entity does not have.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// The writes that add them, in order. They come after the stored parts.
    pub writes: Vec<SchemaWrite>,
    created: bool,
    fields_added: Vec<String>,
    fields_skipped: Vec<String>,
}

impl Missing {
    /// Compares a declaration with the stored entity. `entities` is the number of entities that
    /// the brand has. Stored parts are never changed.
    ///
    /// # Errors
    /// A quota would be exceeded, or pipelines are declared for an entity of mode `data`.
    pub fn of(
        stored: Option<&Entity>,
        asked: &EntitySpec,
        entities: u32,
        caps: CrmCaps,
    ) -> Result<Self, CrmFault> {
        let mut missing = Self {
            writes: Vec::new(),
            created: stored.is_none(),
            fields_added: Vec::new(),
            fields_skipped: Vec::new(),
        };
        match stored {
            None if entities >= caps.entities_a_brand_max => return Err(CrmFault::Cap(CapReached::Schema)),
            None => missing.writes.push(SchemaWrite::Entity(asked.clone())),
            Some(stored) if stored.mode == EntityMode::Data && !asked.pipelines.is_empty() => {
                return Err(Refusal::NotCrmMode.into());
            }
            Some(_) => {}
        }
        missing.add_fields(stored, asked, caps)?;
        missing.check_settings(stored, caps)?;
        missing.add_pipelines(stored, asked, caps)?;
        Ok(missing)
    }

    fn add_fields(
        &mut self,
        stored: Option<&Entity>,
        asked: &EntitySpec,
        caps: CrmCaps,
    ) -> Result<(), CrmFault> {
        let stored = stored.map_or(&[][..], |entity| &entity.fields);
        let mut position = next(stored.iter().map(|(position, _)| *position));
        for spec in &asked.fields {
            if stored.iter().any(|(_, field)| field.key == spec.key) {
                self.fields_skipped.push(spec.key.clone());
                continue;
            }
            let entity = asked.slug.clone();
            self.writes.push(SchemaWrite::Field { entity, position, spec: spec.clone() });
            self.fields_added.push(spec.key.clone());
            position += 1;
        }
        let fields = stored.len() + self.fields_added.len();
        match !self.fields_added.is_empty() && fields as u64 > u64::from(caps.fields_an_entity_max) {
            true => Err(CrmFault::Cap(CapReached::Schema)),
            false => Ok(()),
        }
    }

    /// Checks the size of the options and settings that the entity would have.
    fn check_settings(&self, stored: Option<&Entity>, caps: CrmCaps) -> Result<(), CrmFault> {
        let added: usize = self.writes.iter().map(SchemaWrite::settings_bytes).sum();
        let before = stored.map_or(0, |entity| {
            let fields: usize = entity.fields.iter().map(|(_, field)| field.settings_bytes()).sum();
            settings_bytes(&entity.settings).saturating_add(fields)
        });
        match added > 0 && before.saturating_add(added) > caps.settings_bytes_max {
            true => Err(CrmFault::Cap(CapReached::Settings)),
            false => Ok(()),
        }
    }

    fn add_pipelines(
        &mut self,
        stored: Option<&Entity>,
        asked: &EntitySpec,
        caps: CrmCaps,
    ) -> Result<(), CrmFault> {
        let over = |count: i64| count > i64::from(caps.fields_an_entity_max);
        let pipelines = stored.map_or(&[][..], |entity| &entity.pipelines);
        let mut position = next(pipelines.iter().map(|pipeline| pipeline.position));
        for spec in &asked.pipelines {
            let entity = || asked.slug.clone();
            let known = pipelines.iter().find(|pipeline| pipeline.slug == spec.slug);
            if known.is_none() {
                self.writes.push(SchemaWrite::Pipeline { entity: entity(), position, spec: spec.clone() });
                position += 1;
                if over(position) {
                    return Err(CrmFault::Cap(CapReached::Schema));
                }
            }
            let stages = known.map_or(&[][..], |pipeline| &pipeline.stages);
            let after = next(stages.iter().map(|stage| stage.position));
            let is_new = |slug: &str| stages.iter().all(|stage| stage.spec.slug != slug);
            for (position, stage) in (after..).zip(spec.stages.iter().filter(|stage| is_new(&stage.slug))) {
                if over(position + 1) {
                    return Err(CrmFault::Cap(CapReached::Schema));
                }
                let (pipeline, spec) = (spec.slug.clone(), stage.clone());
                self.writes.push(SchemaWrite::Stage { entity: entity(), pipeline, position, spec });
            }
        }
        Ok(())
    }

    /// Makes the result of the call. `id` is the entity's id after the writes.
    pub fn ensured(self, id: i64) -> Ensured {
        let Self { created, fields_added, fields_skipped, .. } = self;
        Ensured { id, created, fields_added, fields_skipped }
    }
}

/// The position after the last one.
fn next(positions: impl Iterator<Item = i64>) -> i64 {
    positions.max().map_or(0, |last| last.saturating_add(1))
}
