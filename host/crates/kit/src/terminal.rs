//! Printing for people: commands print their results with it. Colours are used where the
//! stream is a terminal and `NO_COLOR` is not set.

use std::io::{self, IsTerminal, Write as _};

use anstyle::AnsiColor;

/// Prints on standard output. If the reader has closed the pipe (`sluice logs | head`), the
/// program exits with status 0. On any other error it exits with status 1.
pub fn print(text: std::fmt::Arguments<'_>) {
    if let Err(error) = io::stdout().lock().write_fmt(text) {
        let is_read = error.kind() != io::ErrorKind::BrokenPipe;
        if is_read {
            eprintln!("sluice: standard output: {error}");
        }
        std::process::exit(i32::from(is_read));
    }
}

/// Prints a line on standard output for the person who started a server. The server keeps
/// running if nobody can read it.
pub fn announce(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// How text for one stream is formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// The stream is a terminal.
    pub is_terminal: bool,
    /// [`Style::paint`] adds colours.
    pub has_colors: bool,
}

/// The meaning of a piece of text, which decides about its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something succeeded: green.
    Good,
    /// Something to look at: yellow.
    Warning,
    /// Something failed: red.
    Bad,
    /// Details that most readers skip: dim.
    Quiet,
    /// Something to read first: bold.
    Strong,
}

impl Tone {
    fn style(self) -> anstyle::Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Quiet => anstyle::Style::new().dimmed(),
            Self::Strong => anstyle::Style::new().bold(),
        }
    }
}

impl Style {
    /// The style for `stream`, by whether it is a terminal and by `NO_COLOR` and `TERM`.
    pub fn of(stream: &impl IsTerminal) -> Self {
        let is_terminal = stream.is_terminal();
        Self::new(is_terminal, is_terminal && colors_are_wanted(|name| std::env::var(name).ok()))
    }

    /// The style for a stream that is not a terminal.
    pub const fn plain() -> Self {
        Self::new(false, false)
    }

    /// The style for a terminal or another stream, with or without colours.
    pub const fn new(is_terminal: bool, has_colors: bool) -> Self {
        Self { is_terminal, has_colors }
    }

    /// Returns `text` in the colour of its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.has_colors || text.is_empty() {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }
}

/// `NO_COLOR` turns colours off unless its value is empty; see <https://no-color.org>.
fn colors_are_wanted(environment: impl Fn(&str) -> Option<String>) -> bool {
    let is_off = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_off && environment("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_and_dumb_terminals_turn_colours_off() {
        let wanted = |variables: &[(&str, &str)]| {
            colors_are_wanted(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(wanted(&[]) && wanted(&[("NO_COLOR", ""), ("TERM", "xterm")]));
        assert!(!wanted(&[("NO_COLOR", "1")]) && !wanted(&[("TERM", "dumb")]));
        let colored = Style { is_terminal: true, has_colors: true };
        for (tone, code) in
            [(Tone::Good, 32), (Tone::Warning, 33), (Tone::Bad, 31), (Tone::Quiet, 2), (Tone::Strong, 1)]
        {
            assert_eq!(colored.paint(tone, "text"), format!("\u{1b}[{code}mtext\u{1b}[0m"));
        }
        assert_eq!(Style::plain().paint(Tone::Bad, "no"), "no");
    }
}
