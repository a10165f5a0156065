//! HTTP calls: counts them, charges their memory and passes them on. What may be called is decided in the
//! crate `fetch`.

use std::task::Poll;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use sluice_fetch::{
    Call, CallError, CallLimits, Ended as EndedCall, ErrorKind, Examined, HEAD_BYTES_MAX, Record, Redirects,
    Response, examine,
};
use sluice_kit::value::{self, Room};
use sluice_page_cache::Dependence;

use super::page::sluice::page::http::{Ended, Host};
use super::page::sluice::page::types::Exception;
use super::{plain_error, range_error, type_error};
use crate::http_calls::RunningCall;
use crate::outcome::Level;
use crate::waited::Waited;
use crate::{RunContext, RunState};

/// What an author reads of a call that was under way when its run ended.
const RUN_ENDED: &str = "the run ended before the server answered";

impl Host for RunState {
    async fn begin(
        &mut self,
        options: Vec<u8>,
        body: Option<Vec<u8>>,
    ) -> wasmtime::Result<Result<u32, Exception>> {
        self.enter(options.len().saturating_add(body.as_ref().map_or(0, Vec::len))).await;
        Ok(self.begin_http_call(&options, body))
    }

    async fn wait(&mut self, calls: Vec<u32>) -> wasmtime::Result<Result<Ended, Exception>> {
        self.enter(calls.len().saturating_mul(size_of::<u32>())).await;
        if !self.http.running.iter().any(|running| calls.contains(&running.number)) {
            return Ok(Err(type_error("there is no such call, or its end was seen already")));
        }
        let running = &mut self.http.running;
        let ended = std::future::poll_fn(|context| {
            let asked = running.iter_mut().enumerate().filter(|(_, one)| calls.contains(&one.number));
            for (at, one) in asked {
                if let Poll::Ready(ended) = one.ended.as_mut().poll(context) {
                    return Poll::Ready((at, ended));
                }
            }
            Poll::Pending
        });
        // A slow server is not a fault of this host, so the run does not count as waiting for it.
        let mut waited = Waited::default();
        let ended = self.checkpoints.in_time(&mut waited, ended).await;
        self.waited.wall += waited.wall;
        self.http.wall += waited.wall;
        let Some((at, ended)) = ended else {
            // The engine learns at its next checkpoint that the run is over.
            return Ok(Err(plain_error("the time of the run is up")));
        };
        let call = self.http.running.swap_remove(at);
        Ok(Ok(self.ended_http_call(&call, ended)))
    }
}

impl RunState {
    /// Ends the calls that the script has not awaited, or that were under way when the run was stopped.
    pub(crate) fn end_http_calls(&mut self, has_returned: bool) {
        let left = std::mem::take(&mut self.http.running);
        if !left.is_empty() && has_returned {
            self.warn(&format!(
                "{} of the run's calls to other servers were ended with the run: write `await` before `fetch`",
                left.len()
            ));
        }
        for call in left {
            self.limiter.let_go(call.held);
            if let Some(record) = call.record {
                let record = Record { wall: call.began.elapsed(), ..record };
                self.show_http_call(&record, Some(RUN_ENDED));
                // The server of a call that nobody awaited may be quick.
                if !has_returned {
                    self.http.note(&record, Some(RUN_ENDED));
                }
            }
            call.trace.failed("not awaited");
            call.trace.end();
        }
    }

    fn begin_http_call(&mut self, options: &[u8], body: Option<Vec<u8>>) -> Result<u32, Exception> {
        let calls_max = self.context.limits.http_calls_max;
        if self.http.begun >= calls_max {
            self.has_exceeded = true;
            return Err(range_error(format!("a run may make {calls_max} calls (http_calls_max)")));
        }
        self.http.begun += 1;
        let number = self.http.begun;
        let room = self.limiter.room().bytes_max();
        let for_options = Room::new(room / 4);
        let options = value::decode(options, &for_options).map_err(|error| {
            self.has_exceeded = true;
            type_error(error.to_string())
        })?;
        let bytes = body.as_ref().map_or(0, Vec::len);
        let Some(call) = call_of(&options, body) else {
            return Err(type_error("the options of a call are not valid"));
        };
        let Some(http) = self.context.http.clone() else {
            return Err(plain_error("calls to other servers are not available here"));
        };
        let limits = &self.context.limits;
        // A response is kept on the host, and copied for the script.
        let beside = for_options.taken().saturating_add(bytes).saturating_add(HEAD_BYTES_MAX);
        let for_response = (room / 2).saturating_sub(beside);
        let limits = CallLimits {
            wall: Duration::from_millis(limits.http_wall_ms_max),
            request_bytes_max: limits.http_request_bytes_max,
            response_bytes_max: limits.http_response_bytes_max.min(for_response),
        };
        let RunContext { brand, http_rules, secrets, .. } = &self.context;
        let examined = examine(http_rules, &call, limits, secrets.as_ref()).ok();
        let only_reads = examined.as_ref().is_some_and(|call| matches!(call.method, "GET" | "HEAD"));
        let record = examined.map(|Examined { method, host, .. }| Record {
            method,
            host,
            bytes_sent: bytes,
            ..Record::default()
        });
        let begun = http.begin(brand, http_rules, call, limits, secrets);
        let ended = begun.map_err(|error| self.refused(&error))?;
        if !only_reads {
            self.depends_on(Dependence::Call("fetch"));
        }
        self.use_network();
        let held = bytes.saturating_add(HEAD_BYTES_MAX).saturating_add(limits.response_bytes_max);
        self.limiter.hold(held);
        let trace = self.context.trace.client_step("http.call");
        self.http.running.push(RunningCall { number, ended, held, trace, record, began: Instant::now() });
        Ok(number)
    }

    fn refused(&mut self, error: &CallError) -> Exception {
        match error.kind() {
            ErrorKind::Mistake => type_error(error.to_string()),
            ErrorKind::Quota => {
                self.has_exceeded = true;
                range_error(error.to_string())
            }
            ErrorKind::NoAnswer | ErrorKind::Aborted => plain_error(error.to_string()),
        }
    }

    fn ended_http_call(&mut self, call: &RunningCall, ended: EndedCall) -> Ended {
        self.limiter.let_go(call.held);
        let EndedCall { result, record } = ended;
        self.note_http_call(call, &record, result.as_ref().err());
        let (head, body) = match result {
            Ok(response) => head_of(response),
            Err(error) => {
                self.has_exceeded |= error.kind() == ErrorKind::Quota;
                self.depends_on(Dependence::CallFailed);
                (json!({ "error": error.to_string(), "kind": kind_of(&error) }), Vec::new())
            }
        };
        self.meter.note_bytes(body.len());
        Ended { call: call.number, head: self.give(&head), body }
    }

    /// Notes a call in the log, the trace and the metrics: never its path, its headers or a body.
    fn note_http_call(&mut self, call: &RunningCall, record: &Record, error: Option<&CallError>) {
        let Record { method, host, status, wall, .. } = record;
        let text = error.map(|error| self.masked(error));
        self.show_http_call(record, text.as_deref());
        self.http.note(record, text.as_deref());
        call.trace.http_called(method, host, *status);
        if let Some(error) = error {
            call.trace.failed(kind_of(error));
        }
        call.trace.end();
        if let Some(metrics) = call.trace.metrics() {
            metrics.http_called(&self.context.brand, *status, *wall);
        }
    }

    /// Writes a call into the run's console, and shows it to an observer.
    fn show_http_call(&mut self, record: &Record, error: Option<&str>) {
        let Record { method, host, status, wall, bytes_received, .. } = record;
        let ms = wall.as_millis();
        let line = match error {
            None => {
                let status = status.unwrap_or_default();
                format!("{method} {host}: {status} in {ms} ms, {bytes_received} bytes")
            }
            Some(error) => format!("{method} {host}: no response after {ms} ms: {error}"),
        };
        self.say(Level::Debug, &line);
        if let Some(observer) = &self.context.observer {
            observer.http_called(record, error);
        }
    }
}

/// How the engine learns which exception an error is.
fn kind_of(error: &CallError) -> &'static str {
    match error.kind() {
        ErrorKind::Mistake => "mistake",
        ErrorKind::Quota => "quota",
        ErrorKind::NoAnswer => "no-answer",
        ErrorKind::Aborted => "aborted",
    }
}

/// A response as the engine sees it, and its body.
fn head_of(response: Response) -> (Value, Vec<u8>) {
    let Response { status, status_text, url, is_redirected, headers, cookies, body } = response;
    let headers: Vec<String> = headers.into_iter().flat_map(|(name, value)| [name, value]).collect();
    let head = json!({
        "status": status,
        "status_text": status_text,
        "url": url,
        "redirected": is_redirected,
        "headers": headers,
        "cookies": cookies,
    });
    (head, body)
}

/// The call that a script describes. `None` if the engine would not say that.
fn call_of(options: &Value, body: Option<Vec<u8>>) -> Option<Call> {
    let text = |key: &str| options.get(key)?.as_str();
    let flat = options.get("headers")?.as_array()?;
    let mut headers = Vec::with_capacity(flat.len() / 2);
    let mut texts = flat.iter().map(Value::as_str);
    while let Some(name) = texts.next() {
        headers.push((name?.to_owned(), texts.next()??.to_owned()));
    }
    let redirect = match text("redirect")? {
        "follow" => Redirects::Follow,
        "manual" => Redirects::Manual,
        "error" => Redirects::Error,
        _ => return None,
    };
    let timeout = match options.get("timeout_ms") {
        None | Some(Value::Null) => None,
        Some(ms) => Some(Duration::from_millis(ms.as_u64()?)),
    };
    let (method, url) = (text("method")?.to_owned(), text("url")?.to_owned());
    Some(Call { method, url, headers, body: body.map(Into::into), redirect, timeout })
}
