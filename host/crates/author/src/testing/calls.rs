//! What a test asks of its host: which test to run, requests, CRM data.
//!
//! Calls and answers are JSON. An answer is `{value}` or `{error}`; the library throws an error.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use sluice_app::app::App;
use sluice_app::request::Method;
use sluice_app::request::described::Described;
use sluice_app::schedules::Schedules;
use sluice_crm::{Browse, Slug, StageChoice};
use sluice_kit::{BoxFuture, StoreError};
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::test_calls::TestCalls;
use sluice_site::Brand;
use sluice_text::suggest;

use crate::Cause;
use crate::visitor::{VisitError, Visitor};

use super::fakes::{FakeResponse, Fakes};
use super::jobs::{self, JobsError};

/// How many visitors a test may have.
const VISITORS_MAX: usize = 100;
/// How many entries `crm.entries` returns at most.
const ENTRIES_MAX: u32 = 1_000;
const ENTRIES_BYTES_MAX: usize = 4 << 20;

/// A test as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) mode: Mode,
    /// The stack frame that declares it.
    frame: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Run,
    Skip,
    Only,
}

impl Declared {
    /// The declaration's stack frame as QuickJS reports it, in a form that
    /// `ScriptFiles::in_author_terms` can translate.
    pub(super) fn place(&self) -> Failure {
        Failure { stack: self.frame.clone(), ..Failure::new("", "") }
    }
}

/// An expectation that does not hold, in words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Expectation {
    /// What the test expects, such as `at most 5`.
    pub expected: String,
    /// What it got instead.
    pub received: String,
}

/// Why a call has no value. The library throws the message as a `TypeError`.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("the test library sent an invalid call: {0}")]
    Invalid(serde_json::Error),
    #[error("a test may have {VISITORS_MAX} visitors")]
    TooManyVisitors,
    #[error("http.fake: a test may have 100 fakes")]
    TooManyFakes,
    #[error("there is no such visitor")]
    NoVisitor,
    #[error("pages take GET, HEAD, POST, PUT, PATCH and DELETE, not {0}")]
    Method(String),
    /// A slug, and a hint that names a similar one.
    #[error("crm.entries: there is no entity \"{0}\"{1}")]
    NoEntity(String, String),
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error(transparent)]
    Visit(#[from] VisitError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Crm(Cause),
}

#[derive(Deserialize)]
#[serde(tag = "call", rename_all = "lowercase")]
enum Call {
    /// Asks for the name of the test to run. The answer is null if the file is only to declare
    /// its tests.
    Plan,
    Tests {
        tests: Vec<Declared>,
    },
    Passed,
    Failed(Expectation),
    /// Makes a visitor. The answer is its number.
    Visitor {
        customer: Value,
        session: Map<String, Value>,
        https: bool,
    },
    Visit(Box<VisitCall>),
    /// Pretends a server.
    Fake {
        pattern: String,
        response: FakeResponse,
    },
    /// Asks for the calls that pages have made to other servers.
    Calls,
    /// Asks for the jobs that pages have pushed.
    Pushed,
    /// Runs the jobs that are due.
    Run,
    /// Sets the clock, in Unix milliseconds.
    Clock {
        now_ms: i64,
    },
    Entries {
        slug: String,
        reference_type: Option<String>,
        reference_id: Option<String>,
    },
}

/// A request that the test makes.
#[derive(Deserialize)]
struct VisitCall {
    visitor: usize,
    method: String,
    address: String,
    body: Option<String>,
    /// Whether each character of the body is a byte.
    is_bytes: bool,
    content_type: Option<String>,
    headers: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
    customer: Value,
    session: Map<String, Value>,
}

/// Answers the calls of one run of a test file.
pub(super) struct Calls {
    app: Arc<App>,
    brand: Arc<Brand>,
    /// The servers that the test pretends.
    fakes: Arc<Fakes>,
    /// The test to run. `None` if the file is only to declare its tests.
    test: Option<String>,
    reported: Mutex<Reported>,
    visitors: tokio::sync::Mutex<Vec<Visitor>>,
    schedules: tokio::sync::Mutex<Schedules>,
}

/// What the run has reported about itself.
#[derive(Default)]
struct Reported {
    declared: Vec<Declared>,
    expectation: Option<Expectation>,
    has_passed: bool,
}

/// The global `request` in a test file. It is empty, because no visitor requested the file.
pub(super) fn request() -> Value {
    let none = json!({});
    json!({
        "method": "GET", "path": "/", "query": none, "queries": none, "headers": none, "cookies": none,
        "body": null, "bodies": null, "ip": null, "ip6": null, "is_mobile": false, "is_tablet": false,
        "route_params": null, "route_slug": null,
    })
}

impl Calls {
    pub(super) fn new(app: Arc<App>, brand: Arc<Brand>, fakes: Arc<Fakes>, test: Option<String>) -> Self {
        let visitors = tokio::sync::Mutex::default();
        let schedules = tokio::sync::Mutex::new(Schedules::since(app.now_ms()));
        Self { app, brand, fakes, test, reported: Mutex::default(), visitors, schedules }
    }

    fn reported<T>(&self, f: impl FnOnce(&mut Reported) -> T) -> T {
        f(&mut self.reported.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the tests that the file declared.
    pub(super) fn declared(&self) -> Vec<Declared> {
        self.reported(|reported| std::mem::take(&mut reported.declared))
    }

    /// The last expectation that did not hold.
    pub(super) fn expectation(&self) -> Option<Expectation> {
        self.reported(|reported| reported.expectation.clone())
    }

    /// Whether the test reached its end.
    pub(super) fn has_passed(&self) -> bool {
        self.reported(|reported| reported.has_passed)
    }

    async fn answer(&self, call: Call) -> Result<Value, CallError> {
        match call {
            Call::Plan => return Ok(self.test.clone().into()),
            Call::Tests { tests } => self.reported(|reported| reported.declared = tests),
            Call::Passed => self.reported(|reported| reported.has_passed = true),
            Call::Failed(Expectation { expected, received }) => {
                let secrets = self.app.live().secrets.of(&self.brand.id);
                let masked = |text: String| secrets.mask(&text).into_owned();
                let expectation = Expectation { expected: masked(expected), received: masked(received) };
                self.reported(|reported| reported.expectation = Some(expectation));
            }
            Call::Visitor { customer, session, https } => {
                return self.visitor(&customer, &session, https).await;
            }
            Call::Fake { pattern, response } => {
                if !self.fakes.add(pattern, response) {
                    return Err(CallError::TooManyFakes);
                }
            }
            Call::Calls => return Ok(self.fakes.calls()),
            Call::Pushed => {
                self.start_schedules().await?;
                return Ok(jobs::pushed(&self.app, &self.brand.id).await?);
            }
            Call::Run => {
                self.start_schedules().await?;
                return Ok(jobs::run(&self.app, &self.brand).await?);
            }
            Call::Clock { now_ms } => self.app.clock.set(now_ms),
            Call::Visit(call) => return self.visit(*call).await,
            Call::Entries { slug, reference_type, reference_id } => {
                return self.entries(&slug, reference_type.as_deref(), reference_id.as_deref()).await;
            }
        }
        Ok(Value::Null)
    }

    /// Stores the jobs of schedules whose time has come.
    async fn start_schedules(&self) -> Result<(), StoreError> {
        self.schedules.lock().await.start_due(&self.app, &self.brand, i64::MAX).await
    }

    async fn visitor(
        &self,
        customer: &Value,
        session: &Map<String, Value>,
        https: bool,
    ) -> Result<Value, CallError> {
        let mut visitors = self.visitors.lock().await;
        if visitors.len() >= VISITORS_MAX {
            return Err(CallError::TooManyVisitors);
        }
        let mut visitor = Visitor::new(Arc::clone(&self.app), Arc::clone(&self.brand))?;
        visitor.is_https = https;
        visitor.remember(session, Some(customer).filter(|customer| !customer.is_null())).await?;
        visitors.push(visitor);
        Ok((visitors.len() - 1).into())
    }

    async fn visit(&self, call: VisitCall) -> Result<Value, CallError> {
        let mut visitors = self.visitors.lock().await;
        let visitor = visitors.get_mut(call.visitor).ok_or(CallError::NoVisitor)?;
        let customer = Some(&call.customer).filter(|customer| !customer.is_null());
        visitor.remember(&call.session, customer).await?;
        let method = Method::of_page(&call.method).ok_or(CallError::Method(call.method))?;
        let mut headers = call.headers;
        let has_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let media = call.content_type.filter(|_| !has_type);
        headers.extend(media.map(|media| ("content-type".to_owned(), media)));
        let described = Described {
            method,
            address: call.address,
            headers,
            cookies: call.cookies,
            body: call.body.map(|body| match call.is_bytes {
                true => body.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
                false => body.into_bytes(),
            }),
            ..Described::default()
        };
        let mut answer = visitor.visit(described).await?.as_json();
        self.app.hooks_stored().await;
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("cookies".into(), visitor.cookies().into());
        }
        Ok(answer)
    }

    /// Entries of an entity, newest first, in the form of `getCrmEntries`.
    async fn entries(&self, slug: &str, kind: Option<&str>, id: Option<&str>) -> Result<Value, CallError> {
        let known = self.app.store.list_entities(&self.brand.id).await?;
        let slugs = || known.iter().map(|entity| entity.slug.as_str());
        let slug = Slug::new(slug)
            .filter(|slug| slugs().any(|known| known == slug.as_str()))
            .ok_or_else(|| CallError::NoEntity(slug.to_owned(), suggest::hint(slug, slugs())))?;
        let browse = Browse {
            brand: self.brand.id.clone(),
            slug,
            stage: StageChoice::Any,
            before: None,
            entries_max: ENTRIES_MAX,
            bytes_max: ENTRIES_BYTES_MAX,
        };
        let entries = self.app.store.browse_entries(browse).await;
        let entries = entries.map_err(|error| CallError::Crm(error.into()))?;
        let wanted = entries.into_iter().filter(|one| {
            kind.is_none_or(|kind| one.reference_type == kind) && id.is_none_or(|id| one.reference_id == id)
        });
        Ok(wanted.map(|one| one.entry.into_json(&one.reference_type, &one.reference_id)).collect())
    }
}

impl TestCalls for Calls {
    fn call<'a>(&'a self, call: &'a str) -> BoxFuture<'a, Value> {
        Box::pin(async move {
            let answer = match serde_json::from_str(call) {
                Ok(call) => self.answer(call).await,
                Err(error) => Err(CallError::Invalid(error)),
            };
            match answer {
                Ok(value) => json!({ "value": value }),
                Err(error) => json!({ "error": error.to_string() }),
            }
        })
    }
}
