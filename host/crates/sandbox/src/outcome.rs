//! The results of a run: how it ended, why it failed, and what it asked for.

use serde_json::{Map, Value};

use sluice_limits::Limits;
use sluice_text::bounded::bounded;

use crate::secrets::BrandSecrets;

/// The most bytes of the class of an exception.
const NAME_BYTES_MAX: usize = 256;
/// The most bytes of the message of an exception.
const MESSAGE_BYTES_MAX: usize = 8 << 10;
/// The most bytes of the name of a file.
const FILE_BYTES_MAX: usize = 4 << 10;
/// The most bytes of a JavaScript stack.
const STACK_BYTES_MAX: usize = 16 << 10;
/// The most bytes of a console line.
const LINE_BYTES_MAX: usize = 32 << 10;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The script ran to its end.
    Ok,
    /// A stop call ended the run: `redirect`, `response.json` or `response.send`.
    Stopped,
    /// The script threw an exception.
    Error,
    /// The page does not compile.
    Compile,
    /// The run used all of its fuel.
    Fuel,
    /// The run needed more memory than its limit.
    Memory,
    /// The run took longer than its limit.
    Timeout,
    /// The script recursed too deeply.
    Stack,
    /// The host failed. The author cannot cause this.
    Host,
}

impl Outcome {
    /// The name in the execution log, in metrics and in JSON.
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

    /// Whether the run failed.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Ok | Self::Stopped)
    }
}

/// What made a run fail. It decides whether the visitor may see the page all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The script threw an ordinary exception, or the page does not compile.
    Script,
    /// The run exceeded a limit, or the sandbox crashed. A visitor may be able to cause this.
    Limit,
    /// The host was too slow, or its database did not answer.
    Host,
}

/// Why a run failed, in the author's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class of the exception, or of the limit.
    pub name: String,
    /// The message of the exception, or a sentence about the limit.
    pub message: String,
    /// The author's file; empty if it is unknown.
    pub file: String,
    /// The line, from 1; 0 if it is unknown.
    pub line: u32,
    /// The column, from 1; 0 if it is unknown.
    pub column: u32,
    /// The JavaScript stack; empty if it is unknown.
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
    /// A failure whose position is unknown.
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

    /// A copy in which every text has a bounded length and `change` was applied to it.
    fn with_texts(&self, change: impl Fn(&str, usize) -> String) -> Self {
        Self {
            name: change(&self.name, NAME_BYTES_MAX),
            message: change(&self.message, MESSAGE_BYTES_MAX),
            file: change(&self.file, FILE_BYTES_MAX),
            line: self.line,
            column: self.column,
            stack: change(&self.stack, STACK_BYTES_MAX),
            import: self.import,
        }
    }

    /// The bytes of all texts.
    pub fn bytes(&self) -> usize {
        [&self.name, &self.message, &self.file, &self.stack].map(String::len).iter().sum()
    }

    /// A copy of bounded size.
    pub fn bounded(&self) -> Self {
        self.with_texts(|text, bytes_max| bounded(text, bytes_max).into_owned())
    }

    /// A copy of bounded size without secrets.
    pub fn masked(&self, secrets: &BrandSecrets) -> Self {
        self.with_texts(|text, bytes_max| secrets.mask_within(text, bytes_max).into_owned())
    }

    /// Names the page's file if it is not known which file failed.
    pub fn name_page(&mut self, file: &str) {
        if self.file.is_empty() {
            file.clone_into(&mut self.file);
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

/// The response that the visitor gets instead of the rendered page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// `redirect`.
    Redirect {
        /// A path of the site, or an absolute http or https URL.
        url: String,
        /// 301, 302, 303, 307 or 308.
        status: u16,
    },
    /// `response.json`, with the JSON text.
    Json(String),
    /// `response.send`, with the HTML.
    Html(String),
}

/// A cookie to set or to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieEffect {
    /// Its name, a token of RFC 9110.
    pub name: String,
    /// Its value, percent-encoded. `None` deletes the cookie.
    pub value: Option<String>,
    /// The attribute `Path`.
    pub path: String,
    /// The attribute `Max-Age`, in seconds. `None`: until the browser is closed.
    pub max_age_s: Option<i64>,
    /// The attribute `HttpOnly`.
    pub http_only: bool,
    /// The attribute `SameSite`.
    pub same_site: SameSite,
    /// The attribute `Secure`. `None`: `Secure` if the visitor uses https.
    pub secure: Option<bool>,
}

pub use sluice_http::cookies::SameSite;

/// The level of a console line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `console.debug`.
    Debug,
    /// `console.info`.
    Info,
    /// `console.log`.
    Log,
    /// `console.warn`, and warnings of the host.
    Warn,
    /// `console.error`.
    Error,
}

impl Level {
    /// The name in logs and in JSON.
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

/// One line of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleLine {
    /// Its level.
    pub level: Level,
    /// Its text; secrets in it are masked.
    pub text: String,
}

/// What a stored line costs besides its text.
const LINE_COST: usize = 32;

/// The lines that the script logged, and the host's warnings to the author.
#[derive(Debug, Clone, Default)]
pub struct ConsoleLog {
    /// The lines, in order.
    pub lines: Vec<ConsoleLine>,
    bytes: usize,
    /// The number of lines that exceeded a limit and were dropped.
    pub dropped: usize,
}

impl ConsoleLog {
    /// Appends a line, or drops it if it exceeds a limit. Masks secrets in it, and cuts it if it is
    /// very long.
    pub(crate) fn write(&mut self, limits: &Limits, secrets: &BrandSecrets, level: Level, text: &str) {
        let text = secrets.mask_within(text, LINE_BYTES_MAX);
        let bytes = self.bytes.saturating_add(text.len());
        if self.lines.len() >= limits.console_lines_max || bytes > limits.console_bytes_max {
            self.dropped += 1;
            return;
        }
        self.bytes = bytes;
        self.lines.push(ConsoleLine { level, text: text.into_owned() });
    }

    /// A copy of at most `bytes_max` bytes. Each line counts with its text and 32 bytes. The
    /// other lines count as dropped.
    pub fn copy_within(&self, bytes_max: usize) -> Self {
        let mut copy = Self { dropped: self.dropped, ..Self::default() };
        for line in &self.lines {
            let bytes = copy.bytes.saturating_add(LINE_COST).saturating_add(line.text.len());
            if bytes > bytes_max {
                copy.dropped += 1;
                continue;
            }
            copy.bytes = bytes;
            copy.lines.push(line.clone());
        }
        copy
    }
}

/// Everything that a run has asked for. Effects are recorded when the script asks for them, so a
/// run that traps keeps its earlier ones. `response.rs` applies them, once.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// The status of the response, 200 to 599; `None` if the script set none.
    pub status: Option<u16>,
    /// Names in lower case, and values. A later value replaces an earlier one.
    pub headers: Vec<(String, String)>,
    /// Cookies to set and to delete, at most one for each name and path.
    pub cookies: Vec<CookieEffect>,
    /// Template variables.
    pub variables: Map<String, Value>,
    /// The bytes of all variables, as the limit counts them.
    pub variable_bytes: usize,
    /// The response of the stop call that ended the run.
    pub stop: Option<Stop>,
    /// What the script logged.
    pub console: ConsoleLog,
}
