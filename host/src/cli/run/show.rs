//! Prints a visit as text for people.

use std::fmt::Write as _;

use serde_json::Value;

use sluice_app::request::Method;
use sluice_app::response::reason;
use sluice_author::source_line;
use sluice_author::visit::{PageRun, Visit};
use sluice_author::watch::{CrmAnswer, StorageCall};
use sluice_sandbox::outcome::Stop;
use sluice_sandbox::tier::Tier;
use sluice_session::IdentityChange;
use sluice_site::Brand;
use sluice_text::printable::printable;

/// The whole text. Sections without content are left out.
pub(crate) fn text(method: Method, address: &str, visit: &Visit, brand: &Brand) -> String {
    let mut out = Out(String::new());
    out.line(&format!(
        "{} {} -> {} {}",
        method.name(),
        printable(address),
        visit.status,
        reason(visit.status)
    ));
    match &visit.run {
        Some(run) => outcome(&mut out, run, brand),
        None => out.line(
            "no page was run: the address, an access rule or a file in public/ determined the response",
        ),
    }
    out.section("response headers", visit.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    out.section("cookies", visit.cookies.iter().cloned());
    if let Some(run) = &visit.run {
        let effects = &run.report.effects;
        out.section("variables", effects.variables.iter().map(|(name, value)| format!("{name} = {value}")));
        out.section("session changes", session_changes(run));
        let console = &effects.console;
        let dropped = (console.dropped > 0).then(|| format!("({} more lines were dropped)", console.dropped));
        let lines = console.lines.iter().map(|line| format!("{}: {}", line.level.name(), line.text));
        out.section("console", lines.chain(dropped));
    }
    out.section(
        "CRM calls",
        visit.crm_calls.iter().map(|call| {
            let (how, what) = match &call.answer {
                CrmAnswer::Gave(value) => ("->", value.to_string()),
                CrmAnswer::Refused(reason) => ("rejected:", reason.clone()),
                CrmAnswer::Threw(message) => ("threw", message.clone()),
            };
            format!("{}({}) {how} {what}", call.name, call.options)
        }),
    );
    out.section("storage calls", visit.storage_calls.iter().map(call_line));
    out.section("queue calls", visit.queue_calls.iter().map(call_line));
    out.section("calls to other servers", visit.http_calls.iter().map(ToString::to_string));
    out.section(
        "calls of files",
        visit.file_calls.iter().map(|call| match &call.answer {
            Ok(value) => format!("{}({}) -> {value}", call.name, call.options),
            Err(message) => format!("{}({}) threw {message}", call.name, call.options),
        }),
    );
    out.section(
        "page cache",
        visit.cache.iter().map(|cache| match &cache.reason {
            Some(reason) => format!("the answer is not kept: {reason}"),
            None => "the answer is kept for other visitors".to_owned(),
        }),
    );
    out.section("warnings", visit.warnings.iter().cloned());
    if let Some(run) = &visit.run {
        costs(&mut out, run, brand);
    }
    if !visit.body.is_empty() {
        out.line("\nbody");
        out.0.push_str(&body(visit));
        out.0.push('\n');
    }
    out.0
}

fn outcome(out: &mut Out, run: &PageRun, brand: &Brand) {
    let how = match &run.report.effects.stop {
        Some(Stop::Redirect { url, .. }) => format!(", redirected to {url}"),
        Some(Stop::Json(_)) => ", responded with JSON".to_owned(),
        Some(Stop::Html(_)) => ", responded with its own HTML".to_owned(),
        None => String::new(),
    };
    out.line(&format!("{} of brand {}: {}{how}", run.page, run.brand, run.outcome));
    let Some(failure) = &run.failure else { return };
    out.line("");
    out.line(&failure.to_string());
    if let Some(line) = source_line(&brand.dir, failure) {
        out.block(&line, "    ");
    }
    if failure.stack.lines().nth(1).is_some() {
        out.block(&failure.stack, "  ");
    }
}

fn session_changes(run: &PageRun) -> Vec<String> {
    let Some(session) = run.report.session.loaded() else { return Vec::new() };
    let changes = session.changes();
    let mut lines: Vec<String> = changes
        .values
        .iter()
        .map(|(key, value)| match value {
            Value::Null => format!("{key} removed"),
            value => format!("{key} = {value}"),
        })
        .collect();
    lines.extend(changes.identity.as_ref().map(|change| match change {
        IdentityChange::Login(identity) => format!("customer = {}", identity.customer),
        IdentityChange::Logout => "customer logged out".to_owned(),
    }));
    lines
}

fn costs(out: &mut Out, run: &PageRun, brand: &Brand) {
    let report = &run.report;
    let page = brand.pages.pages().find(|page| page.file == run.page);
    let of = |max: Option<u64>| max.map(|max| format!(" of {}", grouped(max))).unwrap_or_default();
    out.section(
        "costs",
        [
            format!("fuel {}{}", grouped(report.fuel), of(page.map(|page| page.limits.fuel))),
            format!("memory {} KB", grouped((report.memory_bytes_peak as u64).div_ceil(1_024))),
            format!(
                "time {:.2} ms, {:.2} ms of it in host calls",
                report.wall.as_secs_f64() * 1e3,
                report.host_wall.as_secs_f64() * 1e3
            ),
        ]
        .into_iter()
        .chain((report.tier == Tier::Compiled).then(|| "functions compiled".to_owned())),
    );
}

/// The body: indented if it is JSON, and without control characters.
fn body(visit: &Visit) -> String {
    let is_json = visit.headers.iter().any(|(name, value)| name == "content-type" && value.contains("json"));
    let laid_out = || serde_json::from_str::<Value>(&visit.body).ok().map(|value| format!("{value:#}"));
    let text = if is_json { laid_out() } else { None }.unwrap_or_else(|| visit.body.clone());
    text.lines().map(|line| printable(&line.replace('\t', "    "))).collect::<Vec<_>>().join("\n")
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

struct Out(String);

impl Out {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn block(&mut self, text: &str, indent: &str) {
        for line in text.lines() {
            let _ = writeln!(self.0, "{indent}{}", printable(line));
        }
    }

    fn section(&mut self, title: &str, lines: impl IntoIterator<Item = String>) {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_some() {
            let _ = writeln!(self.0, "\n{title}");
            lines.for_each(|line| self.block(&line, "  "));
        }
    }
}

/// A call with its arguments and its result.
fn call_line(call: &StorageCall) -> String {
    let (how, what) = match &call.answer {
        Ok(value) => ("->", value.to_string()),
        Err(message) => ("threw", message.clone()),
    };
    let arguments = call.arguments.as_array().map_or(&[][..], Vec::as_slice);
    let arguments = arguments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("{}({arguments}) {how} {what}", call.name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn groups_digits() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(super::grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
