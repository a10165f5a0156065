//! `sluice run`: one request to one page, and everything that comes of it.

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
use sluice_kit::clock::Clock;
use sluice_template as template;

use super::output::{Lines, Output};

/// The command line asks for something that cannot be.
const USAGE: u8 = 2;

#[derive(clap::Args)]
pub struct Args {
    /// A path (`/weight/checkin?unit=kg`) or a page's file
    #[arg(value_name = "PAGE")]
    page: String,
    /// The site's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    site: PathBuf,
    /// The brand whose page it is, where there are several
    #[arg(long)]
    brand: Option<String>,
    /// GET, HEAD or POST [default: POST with a body, else GET]
    #[arg(long, value_parser = method)]
    method: Option<Method>,
    /// The body: a file, `-` for standard input, or JSON as it is
    #[arg(long, value_name = "FILE")]
    body: Option<String>,
    /// The body is that of an HTML form: `name=Ann&age=4` as it is or from the file, or the
    /// members of a JSON object
    #[arg(long, requires = "body")]
    form: bool,
    /// Who is logged in: a file with what `session.setCustomer` takes, or the JSON as it is
    #[arg(long, value_name = "FILE")]
    customer: Option<String>,
    /// What the session holds: a file with one JSON object, or the JSON as it is
    #[arg(long, value_name = "FILE")]
    session: Option<String>,
    /// A query parameter
    #[arg(long, value_name = "NAME=VALUE")]
    query: Vec<String>,
    /// A request header
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// A cookie
    #[arg(long, value_name = "NAME=VALUE")]
    cookie: Vec<String>,
    /// Random numbers follow from this number
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// The time stands still at this one (`2026-01-31T12:00:00Z`)
    #[arg(long, value_name = "TIME", value_parser = clock)]
    clock: Option<Clock>,
    /// As over https
    #[arg(long)]
    https: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn method(text: &str) -> Result<Method, String> {
    [Method::Get, Method::Head, Method::Post]
        .into_iter()
        .find(|method| method.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| "pages take GET, HEAD and POST".to_owned())
}

fn clock(text: &str) -> Result<Clock, String> {
    let now_ms = template::parse_time(text).filter(|now_ms| *now_ms >= 0);
    now_ms.map(Clock::Fixed).ok_or_else(|| "this is no time such as 2026-01-31T12:00:00Z".to_owned())
}

/// 0: the script came to its end. 1: it failed. 2: it could not be run.
pub async fn run(args: Args, output: &Output) -> ExitCode {
    match visit(args, output).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sluice: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}

/// Whether the script came to its end.
async fn visit(args: Args, output: &Output) -> anyhow::Result<bool> {
    let mut asked = described(&args)?;
    let values = given::object(args.session.as_deref(), "--session")?.unwrap_or_default();
    let customer = given::object(args.customer.as_deref(), "--customer")?.map(Value::Object);
    let fixed = Fixed { clock: args.clock.unwrap_or_default(), seed: args.seed };
    let progress = output.progress(Lines::Plain);
    let scratch = Scratch::load(&args.site, fixed, progress.shared()).await?;
    drop(progress);
    let place = place::find(&scratch, &args.page, args.brand.as_deref())?;
    asked.address = given::with_query(&place.address, &args.query)?;
    let brand = place.brand;
    let mut visitor = Visitor::new(scratch.host().await?, Arc::clone(&brand)).map_err(anyhow::Error::msg)?;
    visitor.is_https = args.https;
    visitor.remember(&values, customer.as_ref()).await.map_err(anyhow::Error::msg)?;
    let (method, address) = (asked.method, asked.address.clone());
    let visit = visitor.visit(asked).await.map_err(anyhow::Error::msg)?;
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
        say(&format!("{:#}\n", Value::Object(out)))?;
    } else {
        say(&show::text(method, &address, &visit, &brand))?;
    }
    Ok(!visit.has_failed())
}

fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes()).context("standard output")
}

/// The request but for its address.
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
