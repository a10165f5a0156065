//! Runs a module in native QuickJS: with a new runtime and the same rules for promises.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::loader::bundle::{Bundle, ScaBundleData};
use rquickjs::promise::PromiseState;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Module, Object, Runtime, Value, WriteOptions};

use crate::End;

const WALL: Duration = Duration::from_secs(20);
const HEAP_BYTES: usize = 64 << 20;
const STACK_BYTES: usize = 1 << 20;

/// The name of the test's module.
const TEST: &str = "test.js";

/// Compiles in one runtime and runs the bytecode in another, as for pages. QuickJS leaves
/// the `length` of a template object writable when it reads bytecode, so both sides must do so.
pub(crate) fn run(source: &str) -> End {
    let bytecode = match compile(source) {
        Ok(bytecode) => bytecode,
        Err(class) => return End::Parse(class),
    };
    // The modules are never freed: some kilobytes for each test.
    let bundle = Bundle(Vec::leak(vec![(TEST, &*Vec::leak(bytecode))]) as ScaBundleData<&'static [u8]>);
    let runtime = runtime();
    runtime.set_loader(bundle, bundle);
    // Rejected promises without a handler, in order. A later handler removes its promise.
    let unhandled = Rc::new(RefCell::new(0i64));
    let counted = Rc::clone(&unhandled);
    runtime.set_host_promise_rejection_tracker(Some(Box::new(move |_, _, _, is_handled| {
        *counted.borrow_mut() += if is_handled { -1 } else { 1 };
    })));
    let context = Context::full(&runtime).expect("a context starts");
    let end = context.with(|ctx| {
        let promise = match Module::import(&ctx, TEST).catch(&ctx) {
            Ok(promise) => promise,
            Err(caught) => return End::Runtime(class(&ctx, caught)),
        };
        while ctx.execute_pending_job() {}
        match promise.state() {
            PromiseState::Resolved if *unhandled.borrow() > 0 => End::Runtime("unhandled".into()),
            PromiseState::Resolved => End::Fine,
            PromiseState::Pending => End::Runtime("AwaitError".into()),
            PromiseState::Rejected => match promise.result::<Value>() {
                Some(result) => match result.catch(&ctx) {
                    Ok(value) => End::Runtime(name(&value)),
                    Err(caught) => End::Runtime(class(&ctx, caught)),
                },
                None => End::Runtime("Error".into()),
            },
        }
    });
    runtime.set_host_promise_rejection_tracker(None);
    end
}

/// The bytecode of a module, or the class of its error.
fn compile(source: &str) -> Result<Vec<u8>, String> {
    let context = Context::full(&runtime()).expect("a context starts");
    context.with(|ctx| {
        let module = Module::declare(ctx.clone(), TEST, source).catch(&ctx);
        let module = module.map_err(|caught| class(&ctx, caught))?;
        Ok(module.write(WriteOptions::default()).expect("a module has bytecode"))
    })
}

fn runtime() -> Runtime {
    let runtime = Runtime::new().expect("a runtime starts");
    runtime.set_memory_limit(HEAP_BYTES);
    runtime.set_max_stack_size(STACK_BYTES);
    let started = Instant::now();
    runtime.set_interrupt_handler(Some(Box::new(move || started.elapsed() > WALL)));
    runtime
}

fn class<'js>(_ctx: &Ctx<'js>, caught: CaughtError<'js>) -> String {
    match caught {
        CaughtError::Exception(exception) => name(&exception.into_object().into_value()),
        CaughtError::Value(value) => name(&value),
        CaughtError::Error(error) => error.to_string(),
    }
}

fn name(value: &Value<'_>) -> String {
    let object: Option<&Object<'_>> = value.as_object();
    object.and_then(|error| error.get::<_, String>("name").ok()).unwrap_or_else(|| "Error".into())
}
