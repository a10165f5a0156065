//! Finds the stage to which an entry is moved.

use serde::{Deserialize, Serialize};

use crate::{Pipeline, Refusal, Slug, Stage};

/// The stage that a call names. At least one of the two is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Defaults to the pipeline of the stage.
    pub pipeline: Option<Named>,
    /// Defaults to the first stage of the pipeline.
    pub stage: Option<Named>,
}

/// A pipeline or stage by id, by slug, or by both, which must then name the same one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// Unique in the database.
    pub id: Option<i64>,
    /// Unique in its entity or pipeline.
    pub slug: Option<Slug>,
}

impl Named {
    fn fits(&self, id: i64, slug: &str) -> bool {
        self.id.is_none_or(|wanted| wanted == id)
            && self.slug.as_ref().is_none_or(|wanted| wanted.as_str() == slug)
    }

    fn fits_stage(&self, stage: &Stage) -> bool {
        self.fits(stage.id, &stage.spec.slug)
    }
}

/// The ids of a stage and its pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) pipeline_id: i64,
    pub(super) stage_id: i64,
}

impl Spot {
    fn of(pipeline: &Pipeline, stage: &Stage) -> Self {
        Self { pipeline_id: pipeline.id, stage_id: stage.id }
    }
}

impl Destination {
    /// Returns all stages that fit, at least one. There are several only if no pipeline is given
    /// and several pipelines have such a stage.
    pub(super) fn candidates(&self, pipelines: &[Pipeline]) -> Result<Vec<Spot>, Refusal> {
        match (&self.pipeline, &self.stage) {
            (Some(pipeline), stage) => {
                let found = pipelines.iter().find(|p| pipeline.fits(p.id, &p.slug));
                let found = found.ok_or(Refusal::UnknownPipeline)?;
                Ok(vec![in_pipeline(found, stage.as_ref(), pipelines)?])
            }
            (None, Some(stage)) => {
                let found: Vec<Spot> = stages(pipelines)
                    .filter(|(_, candidate)| stage.fits_stage(candidate))
                    .map(|(pipeline, stage)| Spot::of(pipeline, stage))
                    .collect();
                if found.is_empty() { Err(Refusal::UnknownStage) } else { Ok(found) }
            }
            (None, None) => Err(Refusal::InvalidInput),
        }
    }
}

fn in_pipeline(pipeline: &Pipeline, stage: Option<&Named>, all: &[Pipeline]) -> Result<Spot, Refusal> {
    let found = pipeline.stages.iter().find(|candidate| stage.is_none_or(|s| s.fits_stage(candidate)));
    match (found, stage) {
        (Some(found), _) => Ok(Spot::of(pipeline, found)),
        (None, Some(stage)) if stages(all).any(|(_, other)| stage.fits_stage(other)) => {
            Err(Refusal::StageNotInPipeline)
        }
        (None, _) => Err(Refusal::UnknownStage),
    }
}

/// Chooses the candidate for an entry: the only one, or the one in the entry's own pipeline.
/// `stands` is the id of the entry's stage.
pub(super) fn choose(
    candidates: &[Spot],
    stands: Option<i64>,
    pipelines: &[Pipeline],
) -> Result<Spot, Refusal> {
    if let [only] = candidates {
        return Ok(*only);
    }
    let own = stages(pipelines).find(|(_, stage)| Some(stage.id) == stands).map(|(pipeline, _)| pipeline.id);
    let found = candidates.iter().find(|spot| Some(spot.pipeline_id) == own);
    found.copied().ok_or(Refusal::AmbiguousStage)
}

fn stages(pipelines: &[Pipeline]) -> impl Iterator<Item = (&Pipeline, &Stage)> {
    pipelines.iter().flat_map(|pipeline| pipeline.stages.iter().map(move |stage| (pipeline, stage)))
}
