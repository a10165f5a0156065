//! The progress bar at the bottom of a terminal. Commands draw it (`cli/output.rs`), and the
//! log writes through [`stderr`], so that its lines appear above the bar. indicatif draws
//! only where standard error is a terminal.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

use crate::progress::Step;
use crate::terminal::Style;

/// Done, the edge, and still to do. They differ without colours, too.
const BAR_CHARS: &str = "━╸─";

/// The bar that is on the terminal.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Shows `step` in the bar on standard error: `compiling pages ━━━━━━╸───── 120 of 240`.
pub fn draw(step: &Step, style: Style) {
    let mut shown = BAR.lock();
    let new = || ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    update(shown.get_or_insert_with(new), step, style);
}

/// Removes the bar.
pub fn clear() {
    if let Some(bar) = BAR.lock().take() {
        bar.finish_and_clear();
    }
}

/// Standard error for text that must appear above the bar.
pub fn stderr() -> AboveBar {
    AboveBar
}

/// Writes to standard error. While it writes, the bar is hidden.
#[derive(Debug, Clone, Copy)]
pub struct AboveBar;

impl Write for AboveBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &*BAR.lock() {
            Some(bar) => bar.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn update(bar: &ProgressBar, step: &Step, style: Style) {
    let template = match (step.total, step.done, style.has_colors) {
        (0, 0, _) => "{msg} …",
        (0, _, _) => "{msg} … {pos}",
        (_, _, true) => "{msg} {bar:24.green/dim} {pos} of {len}",
        (_, _, false) => "{msg} {bar:24} {pos} of {len}",
    };
    // The templates are constants, so that the default is never used.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars(BAR_CHARS));
    bar.set_position(step.done as u64);
    match step.total {
        0 => bar.unset_length(),
        total => bar.set_length(total as u64),
    }
    bar.set_message(step.stage);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use indicatif::TermLike;

    use super::*;

    /// A terminal of one line.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bar_grows_with_the_steps_that_are_done() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let bar = ProgressBar::with_draw_target(None, target);
        for (done, total, expected) in [
            (0, 200, format!("compiling pages {} 0 of 200", "─".repeat(24))),
            (100, 200, format!("compiling pages {}╸{} 100 of 200", "━".repeat(12), "─".repeat(11))),
            (200, 200, format!("compiling pages {} 200 of 200", "━".repeat(24))),
            (0, 0, "compiling pages …".to_owned()),
            (7, 0, "compiling pages … 7".to_owned()),
        ] {
            let step = Step { number: 1, stage: "compiling pages", done, total };
            update(&bar, &step, Style::new(true, false));
            bar.force_draw();
            assert_eq!(screen.0.lock().trim_end(), expected);
        }
        bar.finish_and_clear();
        assert_eq!(*screen.0.lock(), "", "the line is free again");
    }
}
