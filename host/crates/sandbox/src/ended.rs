//! How a run ended, in the author's terms: exceptions, traps and limits.

use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap};

use sluice_limits::Limits;

use crate::RunState;
use crate::host_api::checkpoint::{Over, Place};
use crate::host_api::page::exports::sluice::page::script::Failure as WitFailure;
use crate::limiter::MemoryExceeded;
use crate::outcome::{Cause, Failure, Outcome};

/// What a step of the shortest loop costs, in units of fuel: `while (n < 1000000) n += 1`.
const STEP_FUEL: u64 = 400;

/// How a run ended. `end` is `None` if its time was up. `is_beyond` says whether it used more than its fuel.
pub(crate) fn end_of(
    end: Option<wasmtime::Result<Result<u32, WitFailure>>>,
    is_beyond: bool,
    limits: &Limits,
    state: &mut RunState,
    heap_was_full: bool,
) -> (Outcome, Option<Failure>) {
    let over = state.checkpoints.over().or_else(|| is_beyond.then_some(Over::Fuel));
    let was_refused = state.limiter.is_beyond();
    let end = match (over, end) {
        (None, Some(end)) if !was_refused => end,
        (over, end) => {
            // The script made the call when the run was over.
            state.effects.stop = None;
            let over = match (over, end) {
                (None, Some(Ok(Err(failure)))) => {
                    return (Outcome::Memory, thrown(failure, heap_was_full).1);
                }
                (None, Some(_)) => Over::Memory,
                (None, None) => Over::Time,
                (Some(over), _) => over,
            };
            return limited(over, limits, state.checkpoints.take_place());
        }
    };
    match end {
        _ if state.effects.stop.is_some() => (Outcome::Stopped, None),
        Ok(Ok(_)) => (Outcome::Ok, None),
        Ok(Err(failure)) => thrown(failure, heap_was_full),
        Err(trap) => match ended_by(&trap, limits, heap_was_full) {
            Some((outcome, failure)) => (outcome, Some(failure)),
            None => (Outcome::Host, Some(Failure::new("HostError", format!("{trap:#}")))),
        },
    }
}

/// The failure of a run that reached a limit.
fn limited(over: Over, limits: &Limits, place: Option<Place>) -> (Outcome, Option<Failure>) {
    let (outcome, mut failure) = match over {
        Over::Fuel => (Outcome::Fuel, out_of_fuel(limits)),
        Over::Memory => (Outcome::Memory, out_of_memory(limits)),
        Over::Time => (Outcome::Timeout, timed_out(limits)),
    };
    if let Some(Place { file, line, column, stack, is_end }) = place {
        if !is_end {
            failure.message.push_str(" (last seen at this place)");
        }
        failure = Failure { file, line, column, stack, ..failure };
    }
    (outcome, Some(failure))
}

fn timed_out(limits: &Limits) -> Failure {
    let message = format!(
        "the run took longer than {} ms; call the database and other servers less often, or shorten loops",
        limits.wall_ms_max
    );
    Failure::new("Timeout", message)
}

fn out_of_fuel(limits: &Limits) -> Failure {
    let message = format!(
        "the script used more than its {} units of fuel, which are about {} steps of a short loop; end the \
         loop earlier, or ask the operator for more `fuel`",
        sluice_limits::grouped(limits.fuel),
        sluice_limits::grouped(limits.fuel / STEP_FUEL)
    );
    Failure::new("FuelLimit", message)
}

fn out_of_memory(limits: &Limits) -> Failure {
    let message = format!(
        "the script used more than its {} bytes of memory; keep less data at once, or ask the operator for a \
         higher `heap_bytes_max`",
        limits.heap_bytes_max
    );
    Failure::new("MemoryLimit", message)
}

/// The outcome of a script that threw. QuickJS throws `out of memory` when the heap quota is
/// used up. If there is no memory left for that exception either, it throws `null`, or the
/// module's promise never settles.
fn thrown(failure: WitFailure, heap_was_full: bool) -> (Outcome, Option<Failure>) {
    let message = own_message(&failure.message);
    let out_of_memory = failure.name == "InternalError" && message == "out of memory";
    let too_deep = failure.name == "RangeError" && message == "Maximum call stack size exceeded";
    let starved = heap_was_full && (failure.message == "uncaught null" || failure.name == "AwaitError");
    if starved {
        let message =
            "out of memory; keep less data at once, or ask the operator for a higher `heap_bytes_max`";
        return (Outcome::Memory, Some(Failure::new("InternalError", message)));
    }
    let outcome = match (out_of_memory, too_deep) {
        (true, _) => Outcome::Memory,
        (_, true) => Outcome::Stack,
        _ => Outcome::Error,
    };
    let remedy = match failure.name.as_str() {
        "AwaitError" => "; resolve or reject every Promise that the script awaits",
        _ => "",
    };
    let failure = Failure {
        name: failure.name,
        message: failure.message + remedy,
        file: failure.file,
        line: failure.line,
        column: failure.column,
        stack: failure.stack,
        import: None,
    };
    (outcome, Some(failure))
}

/// The message of an exception without what the engine puts before it.
fn own_message(message: &str) -> &str {
    message.strip_prefix("unhandled promise rejection: ").unwrap_or(message)
}

/// Decides what made a run fail. In case of doubt it is a limit: a script that did not get as far
/// as its author expects must not give away what it guards.
pub(crate) fn cause(
    outcome: Outcome,
    failure: Option<&Failure>,
    state: &RunState,
    wall: Duration,
    heap_was_full: bool,
) -> Cause {
    let host_wall = state.waited.wall.saturating_sub(state.http.wall);
    match outcome {
        Outcome::Host => Cause::Host,
        Outcome::Timeout if state.waited.is_waiting || host_wall > wall / 2 => Cause::Host,
        Outcome::Fuel | Outcome::Memory | Outcome::Stack | Outcome::Timeout => Cause::Limit,
        Outcome::Error if state.has_failed_host => Cause::Host,
        Outcome::Error if state.has_exceeded || heap_was_full => Cause::Limit,
        Outcome::Error if failure.is_none_or(|failure| !is_ordinary(failure)) => Cause::Limit,
        Outcome::Error | Outcome::Ok | Outcome::Stopped | Outcome::Compile => Cause::Script,
    }
}

/// Whether an exception is one that scripts throw. The engine throws an `InternalError` if it runs
/// out of something. If nothing is left to describe that, it throws `null` or an error without a
/// text, or a promise never settles (`AwaitError`). A `Trap` is a crash of the sandbox.
fn is_ordinary(failure: &Failure) -> bool {
    let is_of_engine = matches!(failure.name.as_str(), "InternalError" | "AwaitError" | "Trap");
    let is_empty = failure.message.is_empty() && failure.stack.is_empty();
    !is_of_engine && !is_empty && own_message(&failure.message) != "uncaught null"
}

/// Translates a trap into the limit that it stands for. `None` if the host failed; the
/// component caused everything else.
pub(crate) fn ended_by(
    trap: &wasmtime::Error,
    limits: &Limits,
    heap_was_full: bool,
) -> Option<(Outcome, Failure)> {
    if trap.is::<MemoryExceeded>() {
        return Some((Outcome::Memory, out_of_memory(limits)));
    }
    if trap.is::<PoolConcurrencyLimitError>() {
        return None;
    }
    let Some(trap) = trap.downcast_ref::<Trap>() else {
        // For example, arguments outside its memory, or text that is not UTF-8.
        return Some((Outcome::Error, Failure::new("Trap", format!("{trap:#}"))));
    };
    match trap {
        Trap::OutOfFuel => Some((Outcome::Fuel, out_of_fuel(limits))),
        // QuickJS keeps part of its stack in linear memory, below everything else, so an
        // overflow of that part is an access out of bounds.
        Trap::StackOverflow | Trap::MemoryOutOfBounds => Some((
            Outcome::Stack,
            Failure::new("StackLimit", "the script recursed too deeply; end the recursion, or use a loop"),
        )),
        // The engine's Rust code aborts when its memory is used up.
        Trap::UnreachableCodeReached if heap_was_full => Some((
            Outcome::Memory,
            Failure::new("MemoryLimit", "the engine ran out of memory; keep less data at once"),
        )),
        // The component causes every other trap.
        other => Some((Outcome::Error, Failure::new("Trap", other.to_string()))),
    }
}
