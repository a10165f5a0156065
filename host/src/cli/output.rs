//! How commands tell what they are doing while it takes time: a bar in a terminal, a line
//! now and then elsewhere, on standard error; nothing with `--quiet`.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sluice_kit::bar;
use sluice_kit::progress::{Progress, Step};
use sluice_kit::terminal::Style;

/// What is over sooner needs no bar.
const BAR_AFTER: Duration = Duration::from_millis(300);
const BAR_EVERY: Duration = Duration::from_millis(100);
/// What is over sooner needs no line.
const LINE_AFTER: Duration = Duration::from_secs(1);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What the command line asks of all commands.
pub struct Output {
    /// Results and mistakes only.
    pub quiet: bool,
}

/// Where lines go when standard error is no terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// Text, as the command's other messages.
    Plain,
    /// The log, which something else reads.
    Log,
}

/// Shows progress until it is dropped.
pub struct Shown {
    progress: Arc<Progress>,
    show: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Output {
    /// Begins to show progress.
    pub fn progress(&self, lines: Lines) -> Shown {
        let progress = Arc::new(Progress::default());
        if self.quiet {
            return Shown { progress, show: None };
        }
        let (stop, stopped) = mpsc::channel();
        let watched = Arc::clone(&progress);
        let style = Style::of(&std::io::stderr());
        let thread = std::thread::spawn(move || {
            let mut display = Display::new(style, Instant::now());
            while stopped.recv_timeout(BAR_EVERY) == Err(RecvTimeoutError::Timeout) {
                let step = watched.now();
                match display.show(step, Instant::now()) {
                    Shows::Nothing => {}
                    Shows::Bar => step.iter().for_each(|step| bar::draw(step, style)),
                    Shows::Line => step.iter().for_each(|step| tell(step, lines)),
                    Shows::Clear => bar::clear(),
                }
            }
            bar::clear();
        });
        Shown { progress, show: Some((stop, thread)) }
    }
}

impl Shown {
    pub fn shared(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.show.take() {
            drop(stop);
            // One that failed has nothing left to show.
            let _ = thread.join();
        }
    }
}

/// What there is to do about a moment of progress.
#[derive(Debug, PartialEq, Eq)]
enum Shows {
    Nothing,
    /// The bar, in place of the last one.
    Bar,
    Line,
    /// Takes the bar away.
    Clear,
}

/// The stage that goes on.
#[derive(Clone, Copy)]
struct Stage {
    number: u32,
    began: Instant,
    /// When it was last told of, and how far it was then.
    told: Option<(Instant, usize)>,
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

    fn show(&mut self, step: Option<Step>, now: Instant) -> Shows {
        let Some(step) = step else { return Shows::Clear };
        let mut stage = match self.stage {
            Some(stage) if stage.number == step.number => stage,
            _ => Stage { number: step.number, began: now, told: None },
        };
        self.stage = Some(stage);
        if self.style.is_terminal {
            let is_long = now.duration_since(self.since) >= BAR_AFTER;
            return if is_long { Shows::Bar } else { Shows::Nothing };
        }
        // Where nothing has moved there is nothing to tell again.
        let is_due =
            stage.told.is_none_or(|(told, done)| now.duration_since(told) >= LINE_EVERY && done < step.done);
        if now.duration_since(stage.began) >= LINE_AFTER && is_due {
            stage.told = Some((now, step.done));
            self.stage = Some(stage);
            return Shows::Line;
        }
        Shows::Nothing
    }
}

fn tell(step: &Step, lines: Lines) {
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
    fn what_takes_long_is_told() {
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
            moments.map(|(number, done, time)| piped.show(at(number, done), after(time)) == Shows::Line);
        assert_eq!(shown, [false, false, true, false, true, false, false, true]);

        let mut terminal = Display::new(Style::without_colors(), start);
        assert_eq!(terminal.show(step(1), after(0.1)), Shows::Nothing);
        assert_eq!(terminal.show(step(1), after(0.5)), Shows::Bar);
        assert_eq!(terminal.show(step(2), after(0.6)), Shows::Bar, "stages in a row are one bar");
        assert_eq!(terminal.show(None, after(0.7)), Shows::Clear);
    }

    #[test]
    fn quiet_shows_nothing() {
        let shown = Output { quiet: true }.progress(Lines::Plain);
        shown.shared().begin("waiting", 1);
        assert!(shown.show.is_none());
    }
}
