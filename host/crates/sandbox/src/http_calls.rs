//! Who makes the HTTP calls of a run, and the calls that are under way.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_fetch::{Call, CallError, CallLimits, Client, Ended, Record, Rules};
use sluice_kit::host_stats::HostCall;
use sluice_telemetry::trace::Trace;

use crate::secrets::BrandSecrets;

/// A call that has begun. Dropping it ends the call.
pub type Running = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// Makes the calls of runs.
pub trait HttpCalls: Send + Sync {
    /// Checks a call of a brand and begins it. The calls of a run go on at the same time.
    ///
    /// # Errors
    /// The call is wrong, or it may not be made.
    fn begin(
        &self,
        brand: &str,
        rules: &Arc<Rules>,
        call: Call,
        limits: CallLimits,
        secrets: &Arc<BrandSecrets>,
    ) -> Result<Running, CallError>;
}

impl HttpCalls for Client {
    fn begin(
        &self,
        brand: &str,
        rules: &Arc<Rules>,
        call: Call,
        limits: CallLimits,
        secrets: &Arc<BrandSecrets>,
    ) -> Result<Running, CallError> {
        let secrets = Arc::clone(secrets) as _;
        Ok(Box::pin(self.begin(brand, rules, call, limits, &secrets)?))
    }
}

/// Makes no calls: `sluice run --offline`.
pub struct Offline;

impl HttpCalls for Offline {
    fn begin(
        &self,
        _brand: &str,
        _rules: &Arc<Rules>,
        _call: Call,
        _limits: CallLimits,
        _secrets: &Arc<BrandSecrets>,
    ) -> Result<Running, CallError> {
        Err(CallError::Offline)
    }
}

/// The calls of one run.
#[derive(Default)]
pub(crate) struct RunCalls {
    /// How many the run has begun.
    pub(crate) begun: u32,
    /// Those whose end the script has not seen.
    pub(crate) running: Vec<RunningCall>,
    /// The time that the run spent waiting for them. Not this host is slow then.
    pub(crate) wall: Duration,
    /// Those that have ended, at most `http_calls_max`.
    pub(crate) ended: Vec<HostCall>,
}

impl RunCalls {
    /// Notes a call that has ended, for the statistics of its host.
    pub(crate) fn note(&mut self, record: &Record, error: Option<&str>) {
        let result = match (error, record.status) {
            (None, Some(status)) => Ok(status),
            (error, _) => Err(error.unwrap_or_default()),
        };
        self.ended.push(HostCall::new(&record.host, result, record.wall));
    }
}

/// A call whose end the script has not seen.
pub(crate) struct RunningCall {
    pub(crate) number: u32,
    pub(crate) ended: Running,
    /// The bytes that are charged for it until it has ended.
    pub(crate) held: usize,
    /// Its part of the request's trace.
    pub(crate) trace: Trace,
    /// What may be shown of the call if the run ends before it.
    pub(crate) record: Option<Record>,
    pub(crate) began: Instant,
}
