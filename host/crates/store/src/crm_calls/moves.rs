//! Moves between stages, pipelines, entities and references.

use super::*;

/// The ids of a pipeline and of one of its stages.
async fn ids(crm: &Crm, pipeline: &str, stage: &str) -> (i64, i64) {
    let entities = crm.store.list_entities("acme").await.unwrap();
    let deals = entities.iter().find(|entity| entity.slug == "deals").unwrap();
    let pipeline = deals.pipelines.iter().find(|p| p.slug == pipeline).unwrap();
    let stage = pipeline.stages.iter().find(|s| s.spec.slug == stage).unwrap();
    (pipeline.id, stage.id)
}

/// The result of a call that moved `moved` of `matched` entries.
async fn moved_to(crm: &Crm, pipeline: &str, stage: &str, moved: u32, matched: u32) -> Value {
    let (pipeline_id, stage_id) = ids(crm, pipeline, stage).await;
    json!({"ok": true, "moved": moved, "totalMatched": matched, "pipeline_id": pipeline_id,
        "stage_id": stage_id})
}

#[tokio::test]
async fn moving_to_a_stage_moves_to_its_pipeline() {
    let crm = Crm::new().await;
    crm.set("deals", "a", json!(1)).await;
    let options = json!({"slug": "deals", "stageSlug": "open"});
    let expected = moved_to(&crm, "support", "open", 1, 1).await;
    assert_eq!(crm.succeed(Call::MoveToStage, options.clone()).await, expected);
    let before = crm.succeed(Call::GetEntries, json!({"slug": "deals"})).await;
    assert_eq!(crm.succeed(Call::MoveToStage, options).await, expected, "the entry is in this stage already");
    assert_eq!(crm.succeed(Call::GetEntries, json!({"slug": "deals"})).await, before);

    // Two pipelines have a stage "won". The entry's own pipeline takes precedence.
    let won = json!({"slug": "deals", "stage_slug": "won"});
    let expected = moved_to(&crm, "support", "won", 1, 1).await;
    assert_eq!(crm.succeed(Call::MoveToStage, won).await, expected);
    let (_, by_id) = ids(&crm, "sales", "won").await;
    let expected = moved_to(&crm, "sales", "won", 1, 1).await;
    let options = json!({"slug": "deals", "stageId": by_id});
    assert_eq!(crm.succeed(Call::MoveToStage, options).await, expected);
    let options = json!({"slug": "deals", "stageSlug": "won", "pipelineSlug": "support"});
    let expected = moved_to(&crm, "support", "won", 1, 1).await;
    assert_eq!(crm.succeed(Call::MoveToStage, options).await, expected);

    let entries = crm.succeed(Call::GetEntries, json!({"slug": "deals"})).await;
    assert_eq!((&entries[0]["pipeline_slug"], &entries[0]["stage_slug"]), (&json!("support"), &json!("won")));
    assert_eq!(entries[0]["stage_id"], expected["stage_id"]);
}

#[tokio::test]
async fn moving_to_a_pipeline_moves_to_its_first_stage() {
    let crm = Crm::new().await;
    crm.set("deals", "a", json!(1)).await;
    let options = json!({"slug": "deals", "pipelineSlug": "support"});
    let expected = moved_to(&crm, "support", "open", 1, 1).await;
    assert_eq!(crm.succeed(Call::MoveToPipeline, options).await, expected);
    let (pipeline, _) = ids(&crm, "sales", "new").await;
    let options = json!({"slug": "deals", "pipelineId": pipeline, "stageSlug": "won"});
    let expected = moved_to(&crm, "sales", "won", 1, 1).await;
    assert_eq!(crm.succeed(Call::MoveToPipeline, options).await, expected);
    assert_eq!(crm.succeed(Call::MoveLead, valid_options(Call::MoveLead)).await, expected);
}

#[tokio::test]
async fn moves_the_newest_entry_unless_all_are_asked_for() {
    let crm = Crm::new().await;
    for n in 0..3 {
        crm.add("deals", "n", json!(n)).await;
    }
    crm.succeed(Call::MoveToStage, json!({"slug": "deals", "stageSlug": "open"})).await;
    let stages = json!([[{"n": 2}, "open"], [{"n": 1}, null], [{"n": 0}, null]]);
    assert_eq!(crm.entries("deals").await, stages);
    let all = json!({"slug": "deals", "stageSlug": "open", "allEntries": true});
    let expected = moved_to(&crm, "support", "open", 3, 3).await;
    assert_eq!(crm.succeed(Call::MoveToStage, all).await, expected);
    // One entry without a pipeline makes the slug ambiguous, so no entry is moved.
    crm.add("deals", "n", json!(3)).await;
    let all = json!({"slug": "deals", "stageSlug": "won", "all_entries": true});
    assert_eq!(crm.rejection(Call::MoveToStage, all).await.0, Refusal::AmbiguousStage);
    assert_eq!(crm.entries("deals").await[1], json!([{"n": 2}, "open"]));
}

#[tokio::test]
async fn rejects_moves_to_stages_that_do_not_fit() {
    let crm = Crm::new().await;
    let stage = |slug: &str| json!({"slug": "deals", "stageSlug": slug});
    let no_entry = crm.rejection(Call::MoveToStage, stage("new")).await;
    assert_eq!(no_entry, (Refusal::NoEntry, "moveCrmToStage: the reference has no entry".to_owned()));
    crm.set("deals", "a", json!(1)).await;
    crm.set("leads", "a", json!(1)).await;
    let (sales, new) = ids(&crm, "sales", "new").await;
    let (_, open) = ids(&crm, "support", "open").await;
    let cases = [
        (Call::MoveToStage, stage("won"), Refusal::AmbiguousStage),
        (Call::MoveToStage, stage("nope"), Refusal::UnknownStage),
        (Call::MoveToStage, stage("No Slug"), Refusal::UnknownStage),
        (Call::MoveToStage, json!({"slug": "deals", "stageId": 999_999}), Refusal::UnknownStage),
        (
            Call::MoveToStage,
            json!({"slug": "deals", "stageId": new, "stageSlug": "won"}),
            Refusal::UnknownStage,
        ),
        (Call::MoveToStage, json!({"slug": "leads", "stageSlug": "new"}), Refusal::NotCrmMode),
        (Call::MoveToPipeline, json!({"slug": "deals", "pipelineSlug": "nope"}), Refusal::UnknownPipeline),
        (Call::MoveToPipeline, json!({"slug": "deals", "pipelineSlug": "empty"}), Refusal::UnknownStage),
        (
            Call::MoveToPipeline,
            json!({"slug": "deals", "pipelineId": sales, "stageId": open}),
            Refusal::StageNotInPipeline,
        ),
        (
            Call::MoveLead,
            json!({"slug": "deals", "pipelineId": sales, "stageSlug": "nope"}),
            Refusal::UnknownStage,
        ),
    ];
    for (call, options, expected) in cases {
        let text = options.to_string();
        assert_eq!(crm.rejection(call, options).await.0, expected, "{text}");
    }
    assert_eq!(crm.entries("deals").await, json!([[{"a": 1}, null]]));
}

#[tokio::test]
async fn fields_move_to_another_entity() {
    let crm = Crm::new().await;
    crm.set("leads", "email", json!("a@b")).await;
    crm.add("leads", "score", json!(5)).await;
    crm.set("leads", "kept", json!(1)).await;
    let options = json!({"fromSlug": "leads", "toSlug": "deals",
        "fieldMap": {"email": "contact", "score": "lead_score", "nothing": "x"},
        "pipelineSlug": "sales", "stageSlug": "won", "removeFromOld": true});
    let got = crm.succeed(Call::MoveToEntity, options).await;
    assert_eq!(got, json!({"ok": true, "moved": 2, "removed_from_old": 2}));
    assert_eq!(crm.entries("deals").await, json!([[{"contact": "a@b", "lead_score": 5}, "won"]]));
    assert_eq!(crm.entries("leads").await, json!([[{"kept": 1}, null]]), "an entry without keys is deleted");
}

#[tokio::test]
async fn copying_keeps_the_source_and_upserts_the_target() {
    let crm = Crm::new().await;
    crm.set("deals", "contact", json!("old")).await;
    crm.add("deals", "n", json!(1)).await;
    crm.set("leads", "email", json!("a@b")).await;
    let options = json!({"from_slug": "leads", "to_slug": "deals", "field_map": {"email": "contact"}});
    let got = crm.succeed(Call::MoveToEntity, options).await;
    assert_eq!(got, json!({"ok": true, "moved": 1, "removed_from_old": 0}));
    assert_eq!(crm.entries("deals").await, json!([[{"n": 1}, null], [{"contact": "a@b"}, null]]));
    assert_eq!(crm.entries("leads").await, json!([[{"email": "a@b"}, null]]));
}

#[tokio::test]
async fn rejects_moving_fields_that_cannot_be_moved() {
    let mut crm = Crm::new().await;
    let mut options = valid_options(Call::MoveToEntity);
    assert_eq!(crm.rejection(Call::MoveToEntity, options.clone()).await.0, Refusal::NoEntry);
    crm.set("leads", "other", json!(1)).await;
    assert_eq!(crm.rejection(Call::MoveToEntity, options.clone()).await.0, Refusal::NothingToMove);
    crm.set("leads", "a", json!(1)).await;
    options["stageSlug"] = json!("won");
    assert_eq!(crm.rejection(Call::MoveToEntity, options.clone()).await.0, Refusal::AmbiguousStage);
    options["stageSlug"] = json!("nope");
    assert_eq!(crm.rejection(Call::MoveToEntity, options.clone()).await.0, Refusal::UnknownStage);
    crm.caps.keys_an_entry_max = 0;
    options["stageSlug"] = json!("new");
    assert_eq!(crm.rejection(Call::MoveToEntity, options).await.0, Refusal::NotAllowed);
    assert_eq!(crm.entries("deals").await, json!([]), "a rejected move writes nothing");
    assert_eq!(crm.entries("leads").await, json!([[{"a": 1, "other": 1}, null]]));
}

#[tokio::test]
async fn a_login_reassigns_the_entries_of_the_visitor() {
    let mut crm = Crm::new().await;
    for value in [1, 2] {
        let options = json!({"slug": "leads", "fieldKey": "q", "value": value,
            "referenceType": "quiz_visitor", "referenceId": "v1"});
        crm.succeed(Call::AddValue, options).await;
    }
    crm.set("leads", "own", json!(0)).await;
    let options = valid_options(Call::Reassign);
    let not_allowed = |what: &str| (Refusal::NotAllowed, format!("reassignCrmReference: {what}"));
    let mismatch = not_allowed("fromReferenceId is not the session's quiz_visitor_id");
    assert_eq!(crm.rejection(Call::Reassign, options.clone()).await, mismatch);
    crm.quiz_visitor_id = Some("v2");
    assert_eq!(crm.rejection(Call::Reassign, options.clone()).await, mismatch);
    crm.quiz_visitor_id = Some("v1");
    crm.customer_id = None;
    let nobody = not_allowed("nobody is logged in");
    assert_eq!(crm.rejection(Call::Reassign, options.clone()).await, nobody);
    crm.customer_id = Some("7");
    crm.caps.entries_a_reference_max = 2;
    assert_eq!(crm.rejection(Call::Reassign, options.clone()).await.0, Refusal::NotAllowed);
    crm.caps.entries_a_reference_max = 3;
    let got = crm.succeed(Call::Reassign, options.clone()).await;
    assert_eq!(got, json!({"ok": true, "moved": 2}));
    let values = crm.succeed(Call::GetValues, json!({"slug": "leads", "fieldKey": "q"})).await;
    assert_eq!(values, json!([2, 1]));
    assert_eq!(crm.entries("leads").await.as_array().unwrap().len(), 3);
    let again = crm.succeed(Call::Reassign, options).await;
    assert_eq!(
        again,
        json!({"ok": true, "moved": 0}),
        "reassigning again succeeds, so a page can do it at every login"
    );
}
