//! Checkpoints of a run: the engine tells the host how large the heap has been, and learns whether the run is
//! over. If it is, the engine tells the host where the script is, and the host ends the run.
//!
//! The host does not rely on this. It also ends runs that pass their limits without a checkpoint; their
//! authors are not told the line.

use std::cell::Cell;
use std::io::Write as _;
use std::ptr::NonNull;

use rquickjs::{Ctx, Runtime, Value, qjs};

use crate::exports::sluice::page::script::Failure;
use crate::failure;
use crate::sluice::page::variables;

/// A checkpoint reads a variable whose name begins like this. A function of its own would make every page's
/// component larger. Scripts cannot read such a name.
const NAME: &str = "sluice:checkpoint ";
/// The longest name without a place.
const NAME_BYTES_MAX: usize = 40;
/// The loop steps and calls until the first checkpoint. The host decides about all further ones.
const STEPS_AT_FIRST: i32 = 1_000;
/// If the host does not decide. A short loop of so many steps takes about a tenth of a millisecond.
const STEPS: i32 = 2_500;
/// If the host wants to hear sooner than after this many, each step is expensive. The run may then end within
/// a call that makes no checkpoint, so the host is told the place beforehand.
const STEPS_IF_EXPENSIVE: i32 = 100;
/// How many loop steps cost as much as a call to the host, and how many of its bytes cost as much as a step.
const STEPS_A_CALL: usize = 25;
const BYTES_A_STEP: usize = 40;

/// The run of this memory.
#[derive(Clone, Copy)]
struct Run {
    context: NonNull<qjs::JSContext>,
    /// The heap of the snapshot, in bytes.
    heap_at_first: usize,
    tells_place: bool,
}

impl Run {
    /// The most that the heap held in addition to the snapshot.
    fn heap_bytes(self) -> usize {
        // SAFETY: the context lives as long as this memory.
        let peak = unsafe { sluice_heap_peak(qjs::JS_GetRuntime(self.context.as_ptr())) };
        peak.saturating_sub(self.heap_at_first)
    }
}

thread_local! {
    /// `None` while the snapshot is made and while scripts are compiled.
    static RUN: Cell<Option<Run>> = const { Cell::new(None) };
}

// These are in `toolchain/patches/1-checkpoints.patch`.
unsafe extern "C" {
    fn sluice_heap_peak(runtime: *mut qjs::JSRuntime) -> usize;
    fn sluice_reset_heap_peak(runtime: *mut qjs::JSRuntime) -> usize;
    fn sluice_poll_after(context: *mut qjs::JSContext, steps: i32);
    fn sluice_skip_steps(context: *mut qjs::JSContext, steps: i32);
    fn sluice_backtrace(context: *mut qjs::JSContext) -> qjs::JSValue;
}

/// Lets QuickJS make checkpoints.
pub fn install(runtime: &Runtime) {
    runtime.set_interrupt_handler(Some(Box::new(|| {
        report();
        // The host ends a run, not an exception.
        false
    })));
}

/// Begins a run.
pub fn begin(ctx: &Ctx<'_>) {
    let context = ctx.as_raw();
    // SAFETY: the context lives as long as this memory.
    let heap_at_first = unsafe {
        sluice_poll_after(context.as_ptr(), STEPS_AT_FIRST);
        sluice_reset_heap_peak(qjs::JS_GetRuntime(context.as_ptr()))
    };
    RUN.set(Some(Run { context, heap_at_first, tells_place: false }));
}

/// The most that the heap held, in bytes.
pub fn heap_bytes() -> u32 {
    RUN.get().map_or(0, |run| u32::try_from(run.heap_bytes()).unwrap_or(u32::MAX))
}

/// Makes a checkpoint.
pub fn report() {
    let Some(run) = RUN.get() else { return };
    let known = if run.tells_place { place(run) } else { None };
    let mut steps = tell(run, known.as_ref());
    if steps == 0 {
        // The run is over. If no function of the author is running, the next step tells the place.
        if let Some(place) = known.or_else(|| place(run)) {
            tell(run, Some(&place));
        }
        steps = 1;
    }
    RUN.set(Some(Run { tells_place: steps <= STEPS_IF_EXPENSIVE, ..run }));
    // SAFETY: the context lives as long as this memory.
    unsafe { sluice_poll_after(run.context.as_ptr(), steps) };
}

/// Tells the host the place where the run ends.
pub fn tell_end() {
    // What follows allocates, too.
    if let Some(run) = RUN.take()
        && let Some(place) = place(run)
    {
        tell(run, Some(&place));
    }
}

/// Makes the next checkpoint sooner, because a call to the host passed `bytes`.
pub fn count_call(bytes: usize) {
    let Some(run) = RUN.get() else { return };
    let steps = i32::try_from(STEPS_A_CALL.saturating_add(bytes / BYTES_A_STEP)).unwrap_or(i32::MAX);
    // SAFETY: the context lives as long as this memory.
    unsafe { sluice_skip_steps(run.context.as_ptr(), steps) };
}

/// Whether this name means a checkpoint.
pub fn is_name(name: &str) -> bool {
    name.starts_with(NAME)
}

/// Tells the host the size of the heap, and where the script is. Returns how many steps may pass until the
/// next checkpoint; 0 means that the run is over.
fn tell(run: Run, place: Option<&Failure>) -> i32 {
    let heap = run.heap_bytes();
    let answer = match place {
        Some(Failure { file, line, column, stack, .. }) => {
            variables::get(&format!("{NAME}{heap} {line} {column} {file}\n{stack}"))
        }
        None => {
            // Not on the heap, which may be full.
            let mut name = [0; NAME_BYTES_MAX];
            let mut rest = &mut name[..];
            // It fits.
            let _ = write!(rest, "{NAME}{heap}");
            let used = NAME_BYTES_MAX - rest.len();
            variables::get(str::from_utf8(&name[..used]).unwrap_or(NAME))
        }
    };
    let steps = answer.and_then(|answer| rmp::decode::read_int(&mut &answer[..]).ok());
    steps.unwrap_or(STEPS)
}

/// Where the script is: the author's functions that are running.
fn place(run: Run) -> Option<Failure> {
    // SAFETY: the context lives as long as this memory, and QuickJS is inside a call of the engine.
    let error = unsafe {
        let ctx = Ctx::from_raw(run.context);
        Value::from_raw(ctx, sluice_backtrace(run.context.as_ptr()))
    };
    // The property is the error's own, so nothing of the script is called.
    let stack: String = error.as_object()?.get("stack").ok()?;
    let mut place = failure::of_parts("", "");
    failure::read_stack(&mut place, &stack);
    (!place.file.is_empty()).then_some(place)
}
