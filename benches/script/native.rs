//! The other side: QuickJS linked into the process, a fresh runtime and context
//! for every run, and natives that do as little as such a host could do. No
//! quotas, no deadline, no isolation.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use rquickjs::{CatchResultExt, Context, Ctx, Function, Module, Object, Result, Runtime, Value};

/// How often the visitor of either side has been here.
pub const VISITS: u32 = 41;

/// What scripts store, as JSON: the fastest way out of a QuickJS context.
type Values = Rc<RefCell<HashMap<String, String>>>;

/// Runs `javascript` as a module and gives the variables it set.
pub fn run(javascript: &str) -> HashMap<String, String> {
    let runtime = Runtime::new().expect("a runtime starts");
    let context = Context::full(&runtime).expect("a context starts");
    let variables = Values::default();
    context.with(|ctx| {
        install(&ctx, &variables).expect("the natives install");
        let done = Module::evaluate(ctx.clone(), "page", javascript).and_then(|page| page.finish::<()>());
        done.catch(&ctx).expect("the script runs to its end");
    });
    variables.take()
}

fn install(ctx: &Ctx<'_>, variables: &Values) -> Result<()> {
    let stored = Values::default();
    stored.borrow_mut().insert("visits".to_owned(), VISITS.to_string());
    let session = Object::new(ctx.clone())?;
    session.set("set", setter(ctx, &stored)?)?;
    session.set("get", getter(ctx, stored)?)?;
    ctx.globals().set("session", session)?;
    ctx.globals().set("setVariable", setter(ctx, variables)?)
}

fn getter<'js>(ctx: &Ctx<'js>, values: Values) -> Result<Function<'js>> {
    Function::new(ctx.clone(), move |ctx: Ctx<'js>, key: String| match values.borrow().get(&key) {
        Some(json) => ctx.json_parse(json.as_str()),
        None => Ok(Value::new_null(ctx.clone())),
    })
}

fn setter<'js>(ctx: &Ctx<'js>, values: &Values) -> Result<Function<'js>> {
    let values = Rc::clone(values);
    Function::new(ctx.clone(), move |ctx: Ctx<'js>, key: String, value: Value<'js>| {
        let json = ctx.json_stringify(value)?.map(|json| json.to_string()).transpose()?;
        Ok::<_, rquickjs::Error>(values.borrow_mut().insert(key, json.unwrap_or_default()).is_some())
    })
}
