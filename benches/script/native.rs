//! The side to compare with: QuickJS linked into the process, with a new runtime and
//! context for every run, and host functions that do as little as possible. It has no
//! quotas, no deadline and no isolation.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use rquickjs::{CatchResultExt, Context, Ctx, Function, Module, Object, Result, Runtime, Value};

/// The number of earlier visits, the same on both sides.
pub(crate) const VISITS: u32 = 41;

/// The variables that scripts set, as JSON: the fastest way to get values out of QuickJS.
type Values = Rc<RefCell<HashMap<String, String>>>;

/// Runs `javascript` as a module and returns the variables that it set.
pub(crate) fn run(javascript: &str) -> HashMap<String, String> {
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
    let response = Object::new(ctx.clone())?;
    response.set("send", Function::new(ctx.clone(), |_text: String| ())?)?;
    ctx.globals().set("response", response)?;
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
