//! `sluice run`: makes one request to a page and prints everything that it caused.

mod given;
mod place;
mod show;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use sluice_app::request::Method;
use sluice_app::request::described::Described;
use sluice_author::scratch::{Fixed, Scratch};
use sluice_author::visitor::Visitor;
use sluice_journey::JourneyService;
use sluice_kit::clock::Clock;
use sluice_template as template;
use sluice_text::printable::{printable_json, printable_lines};

use super::output::{Lines, Output};

/// The exit code for a request that cannot be made.
const USAGE: u8 = 2;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The page's path (`/weight/checkin?unit=kg`) or its file
    #[arg(value_name = "PAGE")]
    page: String,
    /// The site's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    site: PathBuf,
    /// The page's brand [default: the only brand, or the default brand]
    #[arg(long)]
    brand: Option<String>,
    /// GET, HEAD, POST, PUT, PATCH or DELETE [default: POST if there is a body, otherwise GET]
    #[arg(long, value_parser = method)]
    method: Option<Method>,
    /// The request body: a file, `-` for standard input, or JSON text
    #[arg(long, value_name = "FILE")]
    body: Option<String>,
    /// Send the body as an HTML form
    ///
    /// The body is then text such as `name=Ann&age=4`, a file with such text, or a JSON object
    /// whose members are the fields.
    #[arg(long, requires = "body")]
    form: bool,
    /// Log in this customer: the argument of `session.setCustomer`, as a file or as JSON text
    #[arg(long, value_name = "FILE")]
    customer: Option<String>,
    /// Put these values into the session: a JSON object, as a file or as JSON text
    #[arg(long, value_name = "FILE")]
    session: Option<String>,
    /// Add a query parameter; can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    query: Vec<String>,
    /// Add a request header; can be repeated
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Add a cookie; can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    cookie: Vec<String>,
    /// The seed of random numbers: runs with the same seed get the same numbers
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Stop the clock at this time (`2026-01-31T12:00:00Z`)
    #[arg(long, value_name = "TIME", value_parser = clock)]
    clock: Option<Clock>,
    /// Refuse calls of the script to other servers
    #[arg(long)]
    offline: bool,
    /// Make the request as if over https
    #[arg(long)]
    https: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn method(text: &str) -> anyhow::Result<Method> {
    Method::of_page(text).context("pages take GET, HEAD, POST, PUT, PATCH and DELETE")
}

fn clock(text: &str) -> anyhow::Result<Clock> {
    let now_ms = template::parse_time(text).filter(|now_ms| *now_ms >= 0);
    now_ms.map(Clock::Fixed).context("write a time such as 2026-01-31T12:00:00Z")
}

/// Exit code 0: the script succeeded. 1: the script failed. 2: the request could not be made.
pub(crate) async fn run(args: Args, output: &Output) -> ExitCode {
    match visit(args, output).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sluice: {}", printable_lines(&format!("{error:#}")));
            ExitCode::from(USAGE)
        }
    }
}

/// Whether the script succeeded.
async fn visit(args: Args, output: &Output) -> anyhow::Result<bool> {
    let mut asked = described(&args)?;
    let values = given::object(args.session.as_deref(), "--session")?.unwrap_or_default();
    let customer = given::object(args.customer.as_deref(), "--customer")?.map(Value::Object);
    let fixed = Fixed { clock: args.clock.unwrap_or_default(), seed: args.seed, offline: args.offline };
    let progress = output.progress(Lines::Plain);
    let scratch =
        Scratch::load(&args.site, fixed, progress.shared(), Arc::new(JourneyService::default())).await?;
    drop(progress);
    let place = place::find(&scratch, &args.page, args.brand.as_deref())?;
    asked.address = given::with_query(&place.address, &args.query)?;
    let brand = place.brand;
    let secrets = scratch.secrets(&brand.id);
    let mut visitor = Visitor::new(scratch.host().await?, Arc::clone(&brand))?;
    visitor.is_https = args.https;
    visitor.remember(&values, customer.as_ref()).await?;
    let (method, address) = (asked.method, asked.address.clone());
    let visit = visitor.visit(asked).await?;
    if place::is_nothing(&brand, &address, &visit) {
        anyhow::bail!("{}", place::nothing_at(&brand, &address));
    }
    if args.json {
        let mut out = Map::from_iter([(
            "request".to_owned(),
            json!({ "method": method.name(), "address": address, "brand": brand.id }),
        )]);
        if let Value::Object(visit) = visit.as_json() {
            out.extend(visit);
        }
        let mut out = Value::Object(out);
        secrets.mask_value(&mut out);
        say(&printable_json(&format!("{out:#}\n")))?;
    } else {
        say(&secrets.mask(&show::text(method, &address, &visit, &brand)))?;
    }
    Ok(!visit.has_failed())
}

fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes()).context("standard output")
}

/// The request that the flags describe, without its address.
fn described(args: &Args) -> anyhow::Result<Described> {
    let read = if args.form { given::form } else { given::body };
    let body = args.body.as_deref().map(read).transpose()?;
    let mut headers = given::pairs(&args.header, ':', "--header", "NAME: VALUE")?;
    if body.is_some() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        let form = "application/x-www-form-urlencoded";
        let media = if args.form { form } else { "application/json" };
        headers.push(("content-type".into(), media.into()));
    }
    let method = args.method.unwrap_or(if body.is_some() { Method::Post } else { Method::Get });
    let cookies = given::pairs(&args.cookie, '=', "--cookie", "NAME=VALUE")?;
    Ok(Described { method, headers, cookies, body, ..Described::default() })
}
