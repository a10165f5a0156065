//! A component that was not built by the engine calls every function of the published world
//! with arguments that are forbidden, malformed or out of bounds. All calls are rejected.

mod component;
mod functions;

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use sluice_crm::CrmSchema;
use sluice_crm::access::CrmAccess;
use sluice_fetch::{Client, HostPattern, Rules, SystemResolver};
use sluice_kit::keys::Keys;
use sluice_queue::{QueueAccess, TargetFault, Targets};
use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, RunReport, Sandbox, SandboxConfig};
use sluice_session::handoff::Handoff;
use sluice_storage::StorageAccess;
use sluice_store::Store;
use sluice_store::sqlite::{SqliteOptions, SqliteStore};

use crate::harness::sandbox;
use crate::sandbox::block_on;
use component::component;
use functions::{Arg, functions, out_of_bounds, text, value};

/// A brand that has one function, `m.default`.
struct OneFunction;

impl Targets for OneFunction {
    fn find(&self, module: &str, function: &str) -> Result<String, TargetFault> {
        let (module, help) = (module.to_owned(), String::new());
        match (module.as_str(), function) {
            ("m", "default") => Ok(module),
            _ => Err(TargetFault::NoModule { module, help }),
        }
    }
}

struct World {
    sandbox: Sandbox,
    store: Arc<SqliteStore>,
    _data: tempfile::TempDir,
}

impl World {
    /// The scripts' brand, which is empty, and another brand with the entity `theirs`.
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(data.path().join("db"))).await.unwrap();
        let schema = CrmSchema::parse("[[entity]]\nslug = 'theirs'", "crm.toml").unwrap();
        sluice_crm::CrmStore::apply_crm_schema(&store, "b", schema).await.unwrap();
        Self { sandbox: sandbox(&SandboxConfig::default()), store: Arc::new(store), _data: data }
    }

    async fn run(&self, component: &[u8]) -> RunReport {
        let key = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let handoff = Handoff {
            keys: Arc::new(Keys::load(Some(key), None, None).unwrap()),
            tokens: Arc::clone(&self.store) as _,
            brand: "a".into(),
        };
        let crm = CrmAccess::new(Arc::clone(&self.store) as Arc<dyn Store>, Arc::default(), "a");
        let http = Client::new(Handle::current(), Box::new(SystemResolver::default()), None).unwrap();
        let allow = ["*", "*:8080"].map(|host| HostPattern::try_from(host.to_owned()).unwrap());
        let storage = StorageAccess::new(Arc::clone(&self.store) as Arc<dyn Store>, "a");
        let context = RunContext {
            crm: Some(crm),
            storage: Some(storage),
            queue: Some(QueueAccess::new(Arc::clone(&self.store) as _, Arc::new(OneFunction), "a")),
            handoff: Some(handoff),
            http: Some(Arc::new(http)),
            http_rules: Arc::new(Rules::new(Arc::default(), allow.to_vec())),
            ..RunContext::default()
        };
        let script = self.sandbox.load(component).unwrap();
        self.sandbox.run(&script, context).await.unwrap()
    }
}

#[test]
fn rejects_forbidden_arguments() {
    block_on(async {
        let world = World::new().await;
        for function in functions() {
            let name = format!("{}.{}", function.interface, function.name);
            let forbidden = function.forbidden.iter().cloned();
            for (index, args) in forbidden.chain(out_of_bounds(&function)).enumerate() {
                let report = world.run(&component(&function, &args)).await;
                let through = report.failure.as_ref().is_some_and(|failure| failure.name == "Through");
                assert!(!through, "{name}, call {index} was accepted");
                // The component failed or the call was rejected, but the host never failed.
                assert!(
                    matches!(report.outcome, Outcome::Ok | Outcome::Error),
                    "{name}, call {index}: {:?} {:?}",
                    report.outcome,
                    report.failure
                );
                let effects = report.effects;
                assert!(
                    effects.cookies.is_empty() && effects.headers.is_empty() && effects.variables.is_empty(),
                    "{name}, call {index}"
                );
                assert!(report.pushes.is_empty(), "{name}, call {index}");
                assert_eq!((effects.stop, effects.status), (None, None), "{name}, call {index}");
                assert!(report.session.loaded().unwrap().changes().is_empty(), "{name}, call {index}");
            }
        }
    });
}

/// Checks the test itself: the same component succeeds with allowed arguments.
#[test]
fn accepts_allowed_arguments() {
    block_on(async {
        let world = World::new().await;
        for (interface, name, args) in [
            ("session", "set", vec![text("k"), value("1")]),
            ("session", "set-customer", vec![value("{\"email\": \"a@b\"}")]),
            ("cookie", "set", vec![text("a"), text("v"), value("null")]),
            ("response", "set-header", vec![text("x-a"), text("v")]),
            ("response", "status", vec![Arg::Number(201.0)]),
            ("variables", "set", vec![text("a"), value("1")]),
            ("storage", "call", vec![Arg::Case(0), Arg::Case(1), value("[\"k\", 1]")]),
            ("queue", "call", vec![Arg::Case(0), value("[\"m\", 1, {\"delay\": 7}]")]),
        ] {
            let function = functions()
                .into_iter()
                .find(|known| (known.interface, known.name) == (interface, name))
                .unwrap();
            let report = world.run(&component(&function, &args)).await;
            assert_eq!(
                report.failure.map(|failure| failure.name).as_deref(),
                Some("Through"),
                "{interface}.{name}"
            );
        }
    });
}

#[test]
fn tests_call_every_function_of_the_published_world() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut published = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let interface = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if interface != "script" {
            let text = std::fs::read_to_string(&path).unwrap();
            let functions = text.lines().filter_map(|line| line.trim().split_once(": func("));
            published.extend(functions.map(|(name, _)| format!("{interface}.{name}")));
        }
    }
    published.sort();
    let mut called: Vec<String> = functions().iter().map(|f| format!("{}.{}", f.interface, f.name)).collect();
    called.sort();
    assert_eq!(called, published);
}
