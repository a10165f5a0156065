//! What a run did and how it ended.

use serde_json::{Map, Value};

use sluice_limits::Limits;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// A stop call ended it: `redirect`, `response.json`, `response.send`.
    Stopped,
    /// The script threw.
    Error,
    /// The page does not compile.
    Compile,
    Fuel,
    Memory,
    Timeout,
    /// Recursion too deep.
    Stack,
    /// The host failed; never the author's fault.
    Host,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stopped => "stopped",
            Self::Error => "error",
            Self::Compile => "compile",
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::Timeout => "timeout",
            Self::Stack => "stack",
            Self::Host => "host",
        }
    }

    /// True when the script did not get to the end its author wrote.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Ok | Self::Stopped)
    }
}

/// Why a run failed, in the author's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Class of the exception, or of the limit.
    pub name: String,
    pub message: String,
    /// The author's file; empty when unknown.
    pub file: String,
    /// 1-based; 0 when unknown.
    pub line: u32,
    /// 1-based; 0 when unknown.
    pub column: u32,
    pub stack: String,
    /// Set if an import is at fault.
    pub import: Option<ImportFault>,
}

/// What is wrong with an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportFault {
    /// The module does not exist, or its file cannot be used.
    Unusable,
    /// The module has no such export.
    UnknownExport,
    /// A module imports more modules than it may.
    TooMany,
    /// The imports are nested too deeply.
    TooDeep,
}

impl Failure {
    pub fn new(name: &str, message: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            message: message.into(),
            file: String::new(),
            line: 0,
            column: 0,
            stack: String::new(),
            import: None,
        }
    }

    /// The failure of a file that cannot be used.
    pub fn of_file(file: &str, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), ..Self::new("FileError", reason) }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.file.is_empty(), self.line) {
            (true, _) => {}
            (false, 0) => write!(f, "{}: ", self.file)?,
            (false, line) => write!(f, "{}:{line}:{}: ", self.file, self.column)?,
        }
        write!(f, "{}: {}", self.name, self.message)
    }
}

/// What the visitor gets instead of the rendered page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    Redirect { url: String, status: u16 },
    Json(String),
    Html(String),
}

/// One cookie to set or to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieEffect {
    pub name: String,
    /// Percent-encoded; none deletes the cookie.
    pub value: Option<String>,
    pub path: String,
    pub max_age_s: Option<i64>,
    pub http_only: bool,
    pub same_site: SameSite,
    /// None: as the visitor came.
    pub secure: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    Lax,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Log,
    Warn,
    Error,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Log => "log",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleLine {
    pub level: Level,
    pub text: String,
}

/// What the script logged, and what the host had to warn about.
#[derive(Debug, Clone, Default)]
pub struct ConsoleLog {
    pub lines: Vec<ConsoleLine>,
    bytes: usize,
    pub dropped: usize,
}

impl ConsoleLog {
    pub fn write(&mut self, limits: &Limits, level: Level, text: String) {
        let bytes = self.bytes.saturating_add(text.len());
        if self.lines.len() >= limits.console_lines_max || bytes > limits.console_bytes_max {
            self.dropped += 1;
            return;
        }
        self.bytes = bytes;
        self.lines.push(ConsoleLine { level, text });
    }
}

/// Everything a run has asked for, recorded as it happens: a run that traps
/// keeps what it did before. Applied once, by `response.rs`.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    pub status: Option<u16>,
    /// Lower-case names; a later value replaces an earlier one.
    pub headers: Vec<(String, String)>,
    pub cookies: Vec<CookieEffect>,
    pub variables: Map<String, Value>,
    pub variable_bytes: usize,
    pub stop: Option<Stop>,
    pub console: ConsoleLog,
}
