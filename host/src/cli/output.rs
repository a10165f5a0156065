//! What commands print: results on standard output with [`out!`] and [`outln!`], and progress on
//! standard error. Progress is a bar in a terminal and an occasional line elsewhere; with
//! `--quiet` there is none.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sluice_kit::bar;
use sluice_kit::progress::{Progress, Step};
use sluice_kit::terminal::Style;

/// Prints a part of a command's result, like `print!`.
macro_rules! out {
    ($($part:tt)*) => { sluice_kit::terminal::print(format_args!($($part)*)) };
}

/// Prints a line of a command's result, like `println!`.
macro_rules! outln {
    ($($part:tt)*) => { sluice_kit::terminal::print(format_args!("{}\n", format_args!($($part)*))) };
}

pub(super) use {out, outln};

/// The bar appears only if the work takes longer than this.
const BAR_AFTER: Duration = Duration::from_millis(300);
const BAR_EVERY: Duration = Duration::from_millis(100);
/// A line is printed only if a stage takes longer than this.
const LINE_AFTER: Duration = Duration::from_secs(1);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The global flags about output.
pub(crate) struct Output {
    /// Print only results and mistakes.
    pub quiet: bool,
}

/// Where progress is written if standard error is not a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// To standard error, like the command's other messages.
    Plain,
    /// To the log, which other programs may read.
    Log,
}

/// Displays progress until it is dropped.
pub(crate) struct ProgressDisplay {
    progress: Arc<Progress>,
    /// Stops and joins the thread that writes. `None` with `--quiet`.
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Output {
    /// Starts to display progress.
    pub(crate) fn progress(&self, lines: Lines) -> ProgressDisplay {
        let progress = Arc::new(Progress::default());
        if self.quiet {
            return ProgressDisplay { progress, thread: None };
        }
        let (stop, stopped) = mpsc::channel();
        let watched = Arc::clone(&progress);
        let style = Style::of(&std::io::stderr());
        let thread = std::thread::spawn(move || {
            let mut display = Display::new(style, Instant::now());
            while stopped.recv_timeout(BAR_EVERY) == Err(RecvTimeoutError::Timeout) {
                let step = watched.now();
                match display.next(step, Instant::now()) {
                    Draw::Nothing => {}
                    Draw::Bar => step.iter().for_each(|step| bar::draw(step, style)),
                    Draw::Line => step.iter().for_each(|step| print_line(step, lines)),
                    Draw::Clear => bar::clear(),
                }
            }
            bar::clear();
        });
        ProgressDisplay { progress, thread: Some((stop, thread)) }
    }
}

impl ProgressDisplay {
    /// The progress that is displayed, for the code that does the work.
    pub(crate) fn shared(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            // If the thread has panicked, there is nothing left to clear.
            let _ = thread.join();
        }
    }
}

/// What to write at one moment.
#[derive(Debug, PartialEq, Eq)]
enum Draw {
    Nothing,
    /// Replaces the last bar.
    Bar,
    Line,
    /// Removes the bar.
    Clear,
}

/// The current stage of the work.
#[derive(Clone, Copy)]
struct Stage {
    number: u32,
    began: Instant,
    /// The time of the last line about the stage, and the count that it showed.
    printed: Option<(Instant, usize)>,
}

struct Display {
    style: Style,
    since: Instant,
    stage: Option<Stage>,
}

impl Display {
    fn new(style: Style, since: Instant) -> Self {
        Self { style, since, stage: None }
    }

    fn next(&mut self, step: Option<Step>, now: Instant) -> Draw {
        let Some(step) = step else { return Draw::Clear };
        let mut stage = match self.stage {
            Some(stage) if stage.number == step.number => stage,
            _ => Stage { number: step.number, began: now, printed: None },
        };
        self.stage = Some(stage);
        if self.style.is_terminal {
            let is_long = now.duration_since(self.since) >= BAR_AFTER;
            return if is_long { Draw::Bar } else { Draw::Nothing };
        }
        // Do not repeat a line if there was no progress since.
        let is_due = stage
            .printed
            .is_none_or(|(printed, done)| now.duration_since(printed) >= LINE_EVERY && done < step.done);
        if now.duration_since(stage.began) >= LINE_AFTER && is_due {
            stage.printed = Some((now, step.done));
            self.stage = Some(stage);
            return Draw::Line;
        }
        Draw::Nothing
    }
}

fn print_line(step: &Step, lines: Lines) {
    let Step { stage, done, total, .. } = *step;
    match (lines, total) {
        (Lines::Log, _) => tracing::info!(done, total, "{stage}"),
        (Lines::Plain, 0) if done == 0 => eprintln!("sluice: {stage}"),
        (Lines::Plain, 0) => eprintln!("sluice: {stage}: {done}"),
        (Lines::Plain, _) => eprintln!("sluice: {stage}: {done} of {total}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_stages_print_lines_or_a_bar() {
        let at = |number, done| Some(Step { number, stage: "compiling pages", done, total: 9 });
        let step = |number| at(number, 1);
        let start = Instant::now();
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut piped = Display::new(Style::plain(), start);
        let moments = [
            (1, 1, 0.1),
            (1, 1, 0.9),
            (1, 1, 1.2),
            (1, 2, 2.0),
            (1, 2, 6.3),
            (1, 2, 12.0),
            (2, 0, 12.1),
            (2, 0, 13.2),
        ];
        let shown =
            moments.map(|(number, done, time)| piped.next(at(number, done), after(time)) == Draw::Line);
        assert_eq!(shown, [false, false, true, false, true, false, false, true]);

        let mut terminal = Display::new(Style::new(true, false), start);
        assert_eq!(terminal.next(step(1), after(0.1)), Draw::Nothing);
        assert_eq!(terminal.next(step(1), after(0.5)), Draw::Bar);
        assert_eq!(terminal.next(step(2), after(0.6)), Draw::Bar, "the next stage keeps the bar");
        assert_eq!(terminal.next(None, after(0.7)), Draw::Clear);
    }

    #[test]
    fn quiet_shows_nothing() {
        let display = Output { quiet: true }.progress(Lines::Plain);
        display.shared().begin("waiting", 1);
        assert!(display.thread.is_none());
    }
}
