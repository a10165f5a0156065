//! The host to compare with: the same HTTP server, and native QuickJS with a new runtime and context
//! for each request. Nothing separates the script from the host: there are no quotas, no deadline,
//! no session and no log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::{App, HttpResponse, HttpServer, web};
use rquickjs::{CatchResultExt, Context, Ctx, Function, Module, Object, Runtime};

use crate::pages::NATIVE_PAGES;

/// Serves the pages on a free port of the loopback address, with two workers, until the process is
/// killed. Prints `serving on <address>`.
pub(crate) fn serve() {
    let scripts: HashMap<String, String> =
        NATIVE_PAGES.iter().map(|page| (page.name.to_owned(), page.script().to_owned())).collect();
    let scripts = web::Data::new(scripts);
    let system = actix_web::rt::System::new();
    system.block_on(async {
        let server = HttpServer::new(move || {
            App::new().app_data(scripts.clone()).route("/{page}", web::get().to(answer))
        })
        .workers(2)
        .bind("127.0.0.1:0")
        .expect("a port is free");
        println!("serving on http://{}", server.addrs().first().expect("it listens on one address"));
        server.run().await.expect("the server runs");
    });
}

async fn answer(page: web::Path<String>, scripts: web::Data<HashMap<String, String>>) -> HttpResponse {
    match scripts.get(page.as_str()) {
        Some(script) => HttpResponse::Ok().content_type("text/html; charset=utf-8").body(run(script)),
        None => HttpResponse::NotFound().finish(),
    }
}

/// Runs a script in a new runtime, and gives what it sent.
fn run(script: &str) -> String {
    let sent = Arc::new(Mutex::new(String::new()));
    let runtime = Runtime::new().expect("a runtime starts");
    let context = Context::full(&runtime).expect("a context starts");
    context.with(|ctx| {
        install(&ctx, &sent).expect("the host function installs");
        let done = Module::evaluate(ctx.clone(), "page", script).and_then(|page| page.finish::<()>());
        done.catch(&ctx).expect("the script runs to its end");
    });
    std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner))
}

fn install(ctx: &Ctx<'_>, sent: &Arc<Mutex<String>>) -> rquickjs::Result<()> {
    let sent = Arc::clone(sent);
    let send = Function::new(ctx.clone(), move |text: String| {
        *sent.lock().unwrap_or_else(PoisonError::into_inner) = text;
    })?;
    let response = Object::new(ctx.clone())?;
    response.set("send", send)?;
    ctx.globals().set("response", response)
}
