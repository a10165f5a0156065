//! Decides what a declaration in `crm.toml` changes. Pure, so that every backend makes and
//! reports the same changes. A backend only carries out the writes, each as an upsert.

use std::fmt::Display;

use super::schema::{SETTINGS, settings_bytes};
use super::{Entity, EntitySpec, FieldSpec, Indexing, Pipeline, PipelineSpec, Settings, Stage, StageSpec};

/// One change, and the sentence that reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// For example `added field "score" to entity "leads"`.
    pub sentence: String,
    /// The row to write.
    pub write: Write,
}

/// A row to add or to update to these values. Rows are named by slugs. The steps before it
/// have made the row's parent.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// The entity itself, without its fields and pipelines.
    Entity(EntitySpec),
    /// A field.
    Field {
        /// Slug of its entity.
        entity: String,
        /// Place in the declaration.
        position: i64,
        /// The new values.
        spec: FieldSpec,
    },
    /// The index of a field.
    Index {
        /// Slug of its entity.
        entity: String,
        /// The field's key.
        key: String,
        /// What it is to have.
        to: Indexing,
    },
    /// A pipeline without its stages.
    Pipeline {
        /// Slug of its entity.
        entity: String,
        /// Place in the declaration.
        position: i64,
        /// The new values.
        spec: PipelineSpec,
    },
    /// A stage.
    Stage {
        /// Slug of its entity.
        entity: String,
        /// Slug of its pipeline.
        pipeline: String,
        /// Place in the declaration.
        position: i64,
        /// The new values.
        spec: StageSpec,
    },
}

impl Write {
    /// The bytes of the options and settings that it writes, as JSON.
    pub(crate) fn settings_bytes(&self) -> usize {
        match self {
            Self::Entity(spec) => settings_bytes(&spec.settings),
            Self::Field { spec, .. } => spec.settings_bytes(),
            Self::Index { .. } | Self::Pipeline { .. } | Self::Stage { .. } => 0,
        }
    }
}

/// Returns the steps from the stored entity to the declared one. `stored` is `None` for a new
/// entity. Stored parts that are not declared stay.
pub fn plan(stored: Option<&Entity>, declared: &EntitySpec) -> Vec<Step> {
    let mut steps = Vec::new();
    let title = format!("entity {:?}", declared.slug);
    let diff = stored.map(|stored| {
        let mut diff = Diff::default();
        diff.note("name", quote(&stored.name), quote(&declared.name));
        diff.note("mode", stored.mode.as_str(), declared.mode.as_str());
        diff.note_settings(&stored.settings, &declared.settings);
        diff
    });
    let entity = || Write::Entity(declared.clone());
    step(&mut steps, diff, &title, None, entity);

    for (position, spec) in (0..).zip(&declared.fields) {
        let stored = stored.and_then(|entity| field_of(entity, &spec.key));
        plan_field(&mut steps, stored, declared, position, spec);
    }
    for (position, spec) in (0..).zip(&declared.pipelines) {
        let stored = stored.and_then(|entity| entity.pipelines.iter().find(|p| p.slug == spec.slug));
        plan_pipeline(&mut steps, stored, declared, position, spec);
    }
    steps
}

fn field_of<'a>(entity: &'a Entity, key: &str) -> Option<&'a (i64, FieldSpec)> {
    entity.fields.iter().find(|(_, field)| field.key == key)
}

fn plan_field(
    steps: &mut Vec<Step>,
    stored: Option<&(i64, FieldSpec)>,
    entity: &EntitySpec,
    position: i64,
    spec: &FieldSpec,
) {
    let diff = stored.map(|(at, stored)| {
        let mut diff = Diff::default();
        diff.note("label", quote(&stored.label), quote(&spec.label));
        diff.note("type", stored.kind.as_str(), spec.kind.as_str());
        diff.note("position", at, position);
        if stored.options != spec.options {
            diff.0.push("options".to_owned());
        }
        diff.note_settings(&stored.settings, &spec.settings);
        diff
    });
    let title = format!("field {:?}", spec.key);
    let place = format!("entity {:?}", entity.slug);
    step(steps, diff, &title, Some(&place), || Write::Field {
        entity: entity.slug.clone(),
        position,
        spec: spec.clone(),
    });
    let was = stored.map_or(Indexing::None, |(_, stored)| stored.indexing());
    let to = was.declared(spec.index, spec.unique);
    if was != to {
        let sentence = format!("changed {title} of {place}: {} → {}", was.as_str(), to.as_str());
        let write = Write::Index { entity: entity.slug.clone(), key: spec.key.clone(), to };
        steps.push(Step { sentence, write });
    }
}

fn plan_pipeline(
    steps: &mut Vec<Step>,
    stored: Option<&Pipeline>,
    entity: &EntitySpec,
    position: i64,
    spec: &PipelineSpec,
) {
    let diff = stored.map(|stored| {
        let mut diff = Diff::default();
        diff.note("name", quote(&stored.name), quote(&spec.name));
        diff.note("position", stored.position, position);
        diff
    });
    let title = format!("pipeline {:?}", spec.slug);
    let place = format!("entity {:?}", entity.slug);
    step(steps, diff, &title, Some(&place), || Write::Pipeline {
        entity: entity.slug.clone(),
        position,
        spec: spec.clone(),
    });
    for (position, stage) in (0..).zip(&spec.stages) {
        let stored = stored.and_then(|pipeline| stage_of(pipeline, &stage.slug));
        plan_stage(steps, stored, (&entity.slug, &spec.slug), position, stage);
    }
}

fn stage_of<'a>(pipeline: &'a Pipeline, slug: &str) -> Option<&'a Stage> {
    pipeline.stages.iter().find(|stage| stage.spec.slug == slug)
}

fn plan_stage(
    steps: &mut Vec<Step>,
    stored: Option<&Stage>,
    (entity, pipeline): (&str, &str),
    position: i64,
    spec: &StageSpec,
) {
    let diff = stored.map(|stored| {
        let (was, at) = (&stored.spec, stored.position);
        let mut diff = Diff::default();
        diff.note("name", quote(&was.name), quote(&spec.name));
        diff.note("color", or_none(&was.color), or_none(&spec.color));
        diff.note("status", or_none(&was.status), or_none(&spec.status));
        diff.note("position", at, position);
        diff
    });
    let title = format!("stage {:?}", spec.slug);
    let place = format!("pipeline {pipeline:?} of entity {entity:?}");
    step(steps, diff, &title, Some(&place), || Write::Stage {
        entity: entity.to_owned(),
        pipeline: pipeline.to_owned(),
        position,
        spec: spec.clone(),
    });
}

/// The differences between a stored row and its declaration.
#[derive(Default)]
struct Diff(Vec<String>);

impl Diff {
    fn note_settings(&mut self, was: &Settings, is: &Settings) {
        let changed = SETTINGS.iter().filter(|(name, _)| was.get(*name) != is.get(*name));
        self.0.extend(changed.map(|(name, _)| (*name).to_owned()));
    }

    fn note(&mut self, what: &str, was: impl Display, is: impl Display) {
        let (was, is) = (was.to_string(), is.to_string());
        if was != is {
            self.0.push(format!("{what} {was} → {is}"));
        }
    }
}

/// Adds a step unless the stored row equals its declaration. `diff` is `None` if there is no
/// stored row.
fn step(
    steps: &mut Vec<Step>,
    diff: Option<Diff>,
    title: &str,
    place: Option<&str>,
    write: impl FnOnce() -> Write,
) {
    let within = |word: &str| place.map_or(String::new(), |place| format!(" {word} {place}"));
    let sentence = match diff {
        None => format!("added {title}{}", within("to")),
        Some(diff) if diff.0.is_empty() => return,
        Some(diff) => format!("changed {title}{}: {}", within("of"), diff.0.join(", ")),
    };
    steps.push(Step { sentence, write: write() });
}

fn quote(text: &str) -> String {
    format!("{text:?}")
}

fn or_none(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("none")
}
