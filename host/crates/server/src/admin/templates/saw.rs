//! What a visitor saw of a run: the status, and whether the answer was an error page.

use serde_json::Value;

fn is_of_job(run: &Value) -> bool {
    let page = run.get("page").and_then(Value::as_str).unwrap_or_default();
    page.starts_with("modules/") || run.get("job").is_some_and(|job| !job.is_null())
}

/// The status of the answer. A job has no visitor, so it has none.
pub(super) fn status(run: &Value) -> String {
    match run.get("status").and_then(Value::as_u64) {
        Some(status) if !is_of_job(run) => status.to_string(),
        _ => String::new(),
    }
}

const SAW_PAGE: &str = "answered with the page";
const SAW_ERROR: &str = "answered with an error page";

/// What the visitor saw of a failed run, in a few words. Empty for other runs and for jobs.
pub(super) fn short(run: &Value) -> String {
    let has_failed = run.get("error").is_none_or(|error| !error.is_null());
    let status = run.get("status").and_then(Value::as_u64).unwrap_or_default();
    match status {
        _ if is_of_job(run) || !has_failed => "",
        0..200 => "",
        200..300 => SAW_PAGE,
        300..400 => "redirected",
        400.. => SAW_ERROR,
    }
    .to_owned()
}

/// The same in a sentence.
pub(super) fn long(run: &Value) -> String {
    let status = status(run);
    if is_of_job(run) {
        return "No visitor waited for this run: it was a job.".to_owned();
    }
    match short(run).as_str() {
        SAW_PAGE => format!(
            "The visitor got status {status} and the page, with what the script had set until it failed. Parts of the page \
             can be missing."
        ),
        "redirected" => format!("The visitor was redirected (status {status})."),
        SAW_ERROR => format!(
            "The visitor got status {status} and an error page, or an error as JSON if that was asked for."
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failed_run_says_what_its_visitor_saw() {
        let run = |status: u16, error: Value, job: Value| {
            let run = json!({ "page": "pages/a.html", "status": status, "error": error, "job": job });
            (short(&run), self::status(&run))
        };
        let saw = |text: &str, status: &str| (text.to_owned(), status.to_owned());
        let error = json!({ "name": "Error" });
        assert_eq!(run(200, error.clone(), Value::Null), saw("answered with the page", "200"));
        assert_eq!(run(500, error.clone(), Value::Null), saw("answered with an error page", "500"));
        assert_eq!(run(200, Value::Null, Value::Null), saw("", "200"));
        assert_eq!(run(500, error, json!("0198")), saw("", ""));
        let long = long(&json!({ "page": "pages/a.html", "status": 503, "error": {} }));
        assert!(long.contains("status 503 and an error page"), "{long}");
    }
}
