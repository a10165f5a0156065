//! What a test asks of its host: which test it is, requests, CRM data. Calls and answers
//! are JSON; an answer is `{value}`, or `{error}`, which the library throws.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use sluice_app::app::App;
use sluice_app::request::Method;
use sluice_app::request::described::Described;
use sluice_crm::{Browse, Slug, StageChoice};
use sluice_kit::BoxFuture;
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::test_calls::TestCalls;
use sluice_site::Brand;
use sluice_text::suggest;

use crate::visitor::Visitor;

/// Visitors of one test.
const VISITORS_MAX: usize = 100;
/// Entries that `crm.entries` gives.
const ENTRIES_MAX: u32 = 1_000;
const ENTRIES_BYTES_MAX: usize = 4 << 20;

/// A test as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Declared {
    pub name: String,
    pub mode: Mode,
    /// The stack frame that declares it.
    frame: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Run,
    Skip,
    Only,
}

impl Declared {
    /// Its place, as QuickJS has it, in the form that can be put into the author's terms.
    pub fn place(&self) -> Failure {
        Failure { stack: self.frame.clone(), ..Failure::new("", "") }
    }
}

/// An expectation that does not hold, in words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Expectation {
    pub expected: String,
    pub received: String,
}

#[derive(Deserialize)]
#[serde(tag = "call", rename_all = "lowercase")]
enum Call {
    /// The name of the test to run; null: none, only tell them.
    Plan,
    Tests {
        tests: Vec<Declared>,
    },
    Passed,
    Failed(Expectation),
    /// The number of a new visitor.
    Visitor {
        customer: Value,
        session: Map<String, Value>,
        https: bool,
    },
    Visit(Box<Asked>),
    Entries {
        slug: String,
        reference_type: Option<String>,
        reference_id: Option<String>,
    },
}

#[derive(Deserialize)]
struct Asked {
    visitor: usize,
    method: String,
    address: String,
    body: Option<String>,
    content_type: Option<String>,
    headers: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
    customer: Value,
    session: Map<String, Value>,
}

/// One run of a test file, as its host sees it.
pub struct Calls {
    app: Arc<App>,
    brand: Arc<Brand>,
    /// None: the file is asked for its tests.
    test: Option<String>,
    told: Mutex<Told>,
    visitors: tokio::sync::Mutex<Vec<Visitor>>,
}

#[derive(Default)]
struct Told {
    declared: Vec<Declared>,
    expectation: Option<Expectation>,
    has_passed: bool,
}

/// `request` of a test file itself: that of nobody.
pub fn request() -> Value {
    let none = json!({});
    json!({
        "method": "GET", "path": "/", "query": none, "queries": none, "headers": none, "cookies": none,
        "body": null, "ip": null, "ip6": null, "is_mobile": false, "is_tablet": false,
        "route_params": none, "route_slug": null,
    })
}

impl Calls {
    pub fn new(app: Arc<App>, brand: Arc<Brand>, test: Option<String>) -> Self {
        Self { app, brand, test, told: Mutex::default(), visitors: tokio::sync::Mutex::default() }
    }

    fn told<T>(&self, f: impl FnOnce(&mut Told) -> T) -> T {
        f(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn declared(&self) -> Vec<Declared> {
        self.told(|told| std::mem::take(&mut told.declared))
    }

    /// The last expectation that did not hold.
    pub fn expectation(&self) -> Option<Expectation> {
        self.told(|told| told.expectation.clone())
    }

    pub fn has_passed(&self) -> bool {
        self.told(|told| told.has_passed)
    }

    async fn answer(&self, call: Call) -> Result<Value, String> {
        match call {
            Call::Plan => return Ok(self.test.clone().into()),
            Call::Tests { tests } => self.told(|told| told.declared = tests),
            Call::Passed => self.told(|told| told.has_passed = true),
            Call::Failed(expectation) => self.told(|told| told.expectation = Some(expectation)),
            Call::Visitor { customer, session, https } => {
                return self.visitor(&customer, &session, https).await;
            }
            Call::Visit(asked) => return self.visit(*asked).await,
            Call::Entries { slug, reference_type, reference_id } => {
                return self.entries(&slug, reference_type.as_deref(), reference_id.as_deref()).await;
            }
        }
        Ok(Value::Null)
    }

    async fn visitor(
        &self,
        customer: &Value,
        session: &Map<String, Value>,
        https: bool,
    ) -> Result<Value, String> {
        let mut visitors = self.visitors.lock().await;
        if visitors.len() >= VISITORS_MAX {
            return Err(format!("a test may have {VISITORS_MAX} visitors"));
        }
        let mut visitor = Visitor::new(Arc::clone(&self.app), Arc::clone(&self.brand))?;
        visitor.is_https = https;
        visitor.remember(session, Some(customer).filter(|customer| !customer.is_null())).await?;
        visitors.push(visitor);
        Ok((visitors.len() - 1).into())
    }

    async fn visit(&self, asked: Asked) -> Result<Value, String> {
        let mut visitors = self.visitors.lock().await;
        let visitor = visitors.get_mut(asked.visitor).ok_or("there is no such visitor")?;
        let customer = Some(&asked.customer).filter(|customer| !customer.is_null());
        visitor.remember(&asked.session, customer).await?;
        let method = [Method::Get, Method::Head, Method::Post]
            .into_iter()
            .find(|method| method.name().eq_ignore_ascii_case(&asked.method))
            .ok_or_else(|| format!("pages take GET, HEAD and POST, not {}", asked.method))?;
        let mut headers = asked.headers;
        let has_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        headers
            .extend(asked.content_type.filter(|_| !has_type).map(|media| ("content-type".to_owned(), media)));
        let described = Described {
            method,
            address: asked.address,
            headers,
            cookies: asked.cookies,
            body: asked.body.map(String::into_bytes),
            ..Described::default()
        };
        let mut answer = visitor.visit(described).await?.as_json();
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("cookies".into(), visitor.cookies().into());
        }
        Ok(answer)
    }

    /// Entries of an entity, newest first, as `getCrmEntries` gives them.
    async fn entries(&self, slug: &str, kind: Option<&str>, id: Option<&str>) -> Result<Value, String> {
        let known = self.app.store.list_entities(&self.brand.id).await.map_err(|error| error.to_string())?;
        let slugs = || known.iter().map(|entity| entity.slug.as_str());
        let slug =
            Slug::new(slug).filter(|slug| slugs().any(|known| known == slug.as_str())).ok_or_else(|| {
                format!("crm.entries: there is no entity \"{slug}\"{}", suggest::hint(slug, slugs()))
            })?;
        let browse = Browse {
            brand: self.brand.id.clone(),
            slug,
            stage: StageChoice::Any,
            before: None,
            entries_max: ENTRIES_MAX,
            bytes_max: ENTRIES_BYTES_MAX,
        };
        let found = self.app.store.browse_entries(browse).await.map_err(|error| error.to_string())?;
        let wanted = found.into_iter().filter(|found| {
            kind.is_none_or(|kind| found.reference_type == kind)
                && id.is_none_or(|id| found.reference_id == id)
        });
        Ok(wanted.map(|found| found.entry.into_json(&found.reference_type, &found.reference_id)).collect())
    }
}

impl TestCalls for Calls {
    fn call<'a>(&'a self, call: &'a str) -> BoxFuture<'a, Value> {
        Box::pin(async move {
            let answer = match serde_json::from_str(call) {
                Ok(call) => self.answer(call).await,
                Err(error) => Err(format!("the test library cannot ask this: {error}")),
            };
            match answer {
                Ok(value) => json!({ "value": value }),
                Err(error) => json!({ "error": error }),
            }
        })
    }
}
