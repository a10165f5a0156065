//! The trait that a database implements so that exactly one host starts each tick of a schedule.

use sluice_kit::{BoxFuture, StoreError};

use crate::{NewJob, State};

/// A tick that a host wants to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The brand's id.
    pub brand: String,
    /// The name of the schedule.
    pub name: String,
    /// Unix milliseconds.
    pub at: i64,
    /// It is started only if the last tick was at least so many milliseconds before.
    pub gap_ms: i64,
    /// The job that is stored with it. Without one, the tick is only noted, so that nobody starts it.
    pub job: Option<NewJob>,
}

/// What became of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickStart {
    /// This call has started it.
    Started,
    /// It, or a later one, was already started.
    Taken,
    /// Nobody has noted the schedule, or it was forgotten since.
    Unknown,
    /// The brand has too many jobs that are not done.
    Full,
}

/// The job of the last tick of a schedule that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastJob {
    /// Its name.
    pub id: String,
    /// The tick, in Unix milliseconds.
    pub tick: i64,
    /// Its state. `None` if it is gone: it was done long ago, or somebody dropped it.
    pub state: Option<State>,
}

/// What is stored about a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleState {
    /// The brand's id.
    pub brand: String,
    /// The name of the schedule.
    pub name: String,
    /// Unix milliseconds. No tick until then is started any more.
    pub last_tick: i64,
    /// The job of the last tick that was started.
    pub last_job: Option<LastJob>,
}

/// The schedules of all brands.
pub trait ScheduleStore: Send + Sync {
    /// Notes that a brand has a schedule, and returns until when its ticks have been started. That is `from_ms`
    /// for a schedule that is new, or whose rule has changed. The 500 schedules of a brand with the latest ticks are
    /// kept, and the brand's others forgotten.
    fn see_schedule(
        &self,
        brand: &str,
        name: &str,
        rule: &str,
        from_ms: i64,
    ) -> BoxFuture<'_, Result<i64, StoreError>>;

    /// Notes a tick of a schedule that was seen, and stores its job in the same transaction, unless the brand has
    /// `jobs_max` jobs that are not done. Of all hosts that try, one succeeds.
    fn start_tick(
        &self,
        tick: Tick,
        jobs_max: u64,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<TickStart, StoreError>>;

    /// The schedules of a brand, or of all brands, in the order of their brands and names.
    fn list_schedules(&self, brand: Option<&str>) -> BoxFuture<'_, Result<Vec<ScheduleState>, StoreError>>;
}
