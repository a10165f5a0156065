//! The CRM calls on an embedded database. A test closes it to prove that a call does not use it.

mod moves;
mod queued;
mod rejected;
mod results;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use sluice_crm::{
    Call, Caller, CrmCaps, CrmError, CrmSchema, CrmStore as _, KnownSlugs, QueuedWrites, Refusal,
};
use sluice_kit::StoreError;
use sluice_session::{RunCommit, SessionStore as _};

use crate::Store as _;
use crate::sqlite::{SqliteOptions, SqliteStore};

const SCHEMA: &str = "
[[entity]]
slug = 'leads'
mode = 'data'
[[entity.field]]
key = 'friend'
type = 'reference'
[[entity.field]]
key = 'friends'
type = 'multi_reference'
options = { entity = 'deals' }
[[entity]]
slug = 'deals'
[[entity.pipeline]]
slug = 'sales'
stages = [{ slug = 'new' }, { slug = 'won' }]
[[entity.pipeline]]
slug = 'support'
stages = [{ slug = 'open' }, { slug = 'won' }]
[[entity.pipeline]]
slug = 'empty'
";

/// A database with the brand `acme`, which declares [`SCHEMA`], and the customer `7`.
struct Crm {
    store: SqliteStore,
    dir: TempDir,
    /// What the run has queued so far.
    queued: Mutex<QueuedWrites>,
    caps: CrmCaps,
    slugs: KnownSlugs,
    customer_id: Option<&'static str>,
    quiz_visitor_id: Option<&'static str>,
}

impl Crm {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(options(&dir)).await.unwrap();
        let schema = CrmSchema::parse(SCHEMA, "crm.toml").unwrap();
        store.apply_crm_schema("acme", schema).await.unwrap();
        Self {
            store,
            dir,
            queued: Mutex::default(),
            caps: CrmCaps::default(),
            slugs: KnownSlugs::default(),
            customer_id: Some("7"),
            quiz_visitor_id: None,
        }
    }

    /// For a second store on the same database.
    fn options(&self) -> SqliteOptions {
        options(&self.dir)
    }

    /// As [`Crm::new`], with a closed database.
    async fn closed() -> Self {
        let crm = Self::new().await;
        crm.store.close().await;
        crm
    }

    async fn call(&self, call: Call, options: Value) -> Result<Value, CrmError> {
        let caller = Caller {
            brand: "acme",
            slugs: &self.slugs,
            customer_id: self.customer_id,
            quiz_visitor_id: self.quiz_visitor_id,
            caps: self.caps,
            now_ms: 1_000,
            at_once: false,
        };
        let mut queued = self.queued.lock().await;
        sluice_crm::call(&self.store, &caller, call, &options, &mut queued).await
    }

    /// Stores the queued writes, as the end of a run does.
    async fn commit(&self) {
        let jobs = std::mem::take(&mut *self.queued.lock().await).into_writes();
        self.store.commit_run(RunCommit { jobs, ..RunCommit::new("acme") }, 1_000).await.unwrap();
    }

    /// The result of a call that succeeds.
    async fn succeed(&self, call: Call, options: Value) -> Value {
        self.call(call, options).await.unwrap()
    }

    /// The code and the message of a call that is rejected.
    async fn rejection(&self, call: Call, options: Value) -> (Refusal, String) {
        match self.call(call, options).await {
            Err(ref error @ CrmError::Refused { ref reason, .. }) => (reason.refusal(), error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    /// The message of a call that throws a `TypeError`.
    async fn type_error(&self, call: Call, options: Value) -> String {
        match self.call(call, options).await {
            Err(error @ CrmError::Type { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    async fn set(&self, slug: &str, key: &str, value: Value) {
        let options = json!({ "slug": slug, "fieldKey": key, "value": value });
        assert_eq!(self.succeed(Call::SetField, options).await, json!(true));
    }

    async fn add(&self, slug: &str, key: &str, value: Value) {
        let options = json!({ "slug": slug, "fieldKey": key, "value": value });
        assert_eq!(self.succeed(Call::AddValue, options).await, json!(true));
    }

    /// `values_flat` and `stage_slug` of each entry, newest first.
    async fn entries(&self, slug: &str) -> Value {
        let entries = self.succeed(Call::GetEntries, json!({ "slug": slug })).await;
        let shown = |entry: &Value| json!([entry["values_flat"], entry["stage_slug"]]);
        entries.as_array().unwrap().iter().map(shown).collect()
    }
}

fn options(dir: &TempDir) -> SqliteOptions {
    SqliteOptions::new(dir.path().join("sluice.db"))
}

/// Valid options of the call.
fn valid_options(call: Call) -> Value {
    match call {
        Call::GetField | Call::GetValues => json!({"slug": "leads", "fieldKey": "a"}),
        Call::GetFields => json!({"slug": "leads", "fieldKeys": ["a"]}),
        Call::GetEntries | Call::Clear => json!({"slug": "leads"}),
        Call::GetEntry | Call::DeleteEntry => json!({"slug": "leads", "id": NO_ENTRY}),
        Call::FindEntries | Call::CountEntries => json!({"slug": "leads", "where": {"a": {"eq": 1}}}),
        Call::CreateEntry => json!({"slug": "leads", "fields": {"a": 1}}),
        Call::UpdateEntry => json!({"slug": "leads", "id": NO_ENTRY, "fields": {"a": 1}}),
        Call::SetRelation => {
            json!({"slug": "leads", "id": NO_ENTRY, "fieldKey": "friend", "targetId": NO_ENTRY})
        }
        Call::RemoveRelation => json!({"slug": "leads", "id": NO_ENTRY, "fieldKey": "friend"}),
        Call::SetField | Call::AddValue => json!({"slug": "leads", "fieldKey": "a", "value": 1}),
        Call::SetFields => json!({"slug": "leads", "fields": [{"fieldKey": "a", "value": 1}]}),
        Call::MoveToStage => json!({"slug": "deals", "stageSlug": "new"}),
        Call::MoveToPipeline => json!({"slug": "deals", "pipelineSlug": "sales"}),
        Call::MoveLead => json!({"slug": "deals", "pipelineSlug": "sales", "stageSlug": "won"}),
        Call::MoveToEntity => json!({"fromSlug": "leads", "toSlug": "deals", "fieldMap": {"a": "b"}}),
        Call::Reassign => {
            json!({"slug": "leads", "fromReferenceType": "quiz_visitor", "fromReferenceId": "v1"})
        }
        Call::EnsureEntity => json!({"slug": "orders"}),
    }
}

/// The id of no entry.
const NO_ENTRY: &str = "01234567-89ab-7000-8000-000000000000";

const CALLS: [Call; 22] = [
    Call::GetField,
    Call::GetFields,
    Call::GetEntries,
    Call::GetValues,
    Call::GetEntry,
    Call::FindEntries,
    Call::CountEntries,
    Call::SetField,
    Call::SetFields,
    Call::AddValue,
    Call::CreateEntry,
    Call::UpdateEntry,
    Call::DeleteEntry,
    Call::SetRelation,
    Call::RemoveRelation,
    Call::Clear,
    Call::MoveToStage,
    Call::MoveToPipeline,
    Call::MoveLead,
    Call::MoveToEntity,
    Call::Reassign,
    Call::EnsureEntity,
];
