//! What is printed for people: colours where the stream is a terminal and `NO_COLOR` is
//! not set.

use std::io::{self, IsTerminal, Stderr, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal's last line is a bar that others have to clear.
static BAR_IS_DRAWN: AtomicBool = AtomicBool::new(false);
/// Back to the start of the line, and clear it.
const CLEAR: &str = "\r\u{1b}[K";

/// Draws a bar in place of the last one, on standard error.
pub fn draw_bar(bar: &str) {
    BAR_IS_DRAWN.store(true, Ordering::Relaxed);
    let mut out = io::stderr().lock();
    // What nobody can see need not be drawn.
    let _ = write!(out, "{CLEAR}{bar}").and_then(|()| out.flush());
}

/// Takes the bar away.
pub fn clear_bar() {
    if BAR_IS_DRAWN.swap(false, Ordering::Relaxed) {
        let _ = write!(io::stderr(), "{CLEAR}");
    }
}

/// Standard error, at the start of a line.
pub fn stderr() -> Stderr {
    clear_bar();
    io::stderr()
}

/// Prints on standard output. Whoever reads it may have seen enough (`sluice logs | head`):
/// then the program ends, as others do.
pub fn print(text: std::fmt::Arguments<'_>) {
    if let Err(error) = io::stdout().lock().write_fmt(text) {
        let is_read = error.kind() != io::ErrorKind::BrokenPipe;
        if is_read {
            eprintln!("sluice: standard output: {error}");
        }
        std::process::exit(i32::from(is_read));
    }
}

/// A line for whoever started a server; it goes on where nobody reads it.
pub fn announce(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// How a stream is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub is_terminal: bool,
    pub has_colors: bool,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warning,
    Bad,
    /// What is there to be looked up.
    Quiet,
    Strong,
}

impl Style {
    pub fn of(stream: &impl IsTerminal) -> Self {
        let is_terminal = stream.is_terminal();
        Self { is_terminal, has_colors: is_terminal && colors_are_wanted(|name| std::env::var(name).ok()) }
    }

    /// Text only.
    pub const fn plain() -> Self {
        Self { is_terminal: false, has_colors: false }
    }

    /// As where `NO_COLOR` is set.
    pub const fn without_colors() -> Self {
        Self { is_terminal: true, has_colors: false }
    }

    /// `text` in the colour of its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.has_colors || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// See <https://no-color.org>: any value but an empty one turns colours off.
fn colors_are_wanted(environment: impl Fn(&str) -> Option<String>) -> bool {
    let is_off = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_off && environment("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_can_be_turned_off() {
        let wanted = |variables: &[(&str, &str)]| {
            colors_are_wanted(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(wanted(&[]) && wanted(&[("NO_COLOR", ""), ("TERM", "xterm")]));
        assert!(!wanted(&[("NO_COLOR", "1")]) && !wanted(&[("TERM", "dumb")]));
        let colored = Style { is_terminal: true, has_colors: true };
        assert_eq!(colored.paint(Tone::Bad, "no"), "\u{1b}[31mno\u{1b}[0m");
        assert_eq!(Style::plain().paint(Tone::Bad, "no"), "no");
    }
}
