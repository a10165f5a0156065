//! Tells how much of a URL is decided after its literal parts are read.

use super::reference::Reference;
use super::{ContextError, ValueKind};

/// The state of a URL attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub phase: UrlPhase,
    /// The separator of the URLs, if the value is a list.
    pub separator: Option<Separator>,
    /// Whether the value is the `content` of a refresh, with a number of seconds before the URL.
    pub is_refresh: bool,
    reference: Reference,
}

/// How far the scheme is decided. Only text before the first `:`, `/`, `?` or `#` can be a scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UrlPhase {
    /// Nothing was read yet: a value here begins the URL.
    Start,
    /// Literal text that is, or could become, a scheme.
    Literal(String),
    /// Only one value was read. This is its number.
    Value(u32),
    /// Values and text, or different text in each branch, without a character that ends a scheme.
    Mixed,
    /// After the scheme, if there is one.
    Settled,
}

/// The separator of the URLs of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Separator {
    /// White space separates a URL from its description.
    Comma,
    Semicolon,
}

impl Separator {
    pub(crate) fn sign(self) -> char {
        match self {
            Separator::Comma => ',',
            Separator::Semicolon => ';',
        }
    }
}

const SCHEME_BYTES_MAX: usize = 32;

impl Url {
    pub(super) fn new(separator: Option<Separator>) -> Url {
        Url { phase: UrlPhase::Start, separator, is_refresh: false, reference: Reference::default() }
    }

    pub(super) fn of_refresh() -> Url {
        Url { is_refresh: true, ..Url::new(None) }
    }

    /// Whether the following text cannot change anything.
    fn is_done(&self) -> bool {
        self.phase == UrlPhase::Settled && self.separator.is_none()
    }
}

/// Reads a literal byte. If it makes a value the scheme, returns the number of the value.
pub(super) fn step(kind: &mut ValueKind, byte: u8) -> Result<Option<u32>, ContextError> {
    let mut scheme_hole = None;
    let mut decoded = Vec::new();
    match kind {
        ValueKind::Url(url) if !url.is_done() => url.reference.step(byte, &mut decoded),
        _ => {}
    }
    for byte in decoded {
        if let ValueKind::Url(url) = kind {
            let (hole, is_script) = decoded_step(url, byte)?;
            scheme_hole = scheme_hole.or(hole);
            if is_script {
                *kind = ValueKind::Script;
            } else if url.is_done() {
                // Text after the scheme must not make two contexts differ.
                url.reference = Reference::default();
            }
        }
    }
    Ok(scheme_hole)
}

/// Returns the number of a value that became the scheme, and whether a script follows.
fn decoded_step(url: &mut Url, byte: u8) -> Result<(Option<u32>, bool), ContextError> {
    let Url { phase, separator, .. } = url;
    match separator {
        Some(separator) if byte == separator.sign() as u8 => {
            *phase = UrlPhase::Start;
            return Ok((None, false));
        }
        Some(Separator::Comma) if matches!(byte, b' ' | b'\n' | b'\t') && *phase != UrlPhase::Start => {
            *phase = UrlPhase::Settled;
            return Ok((None, false));
        }
        _ => {}
    }
    match (&mut *phase, byte) {
        (UrlPhase::Settled, _) => {}
        // Browsers ignore these everywhere in a URL.
        (_, b'\t' | b'\n' | b'\r') => {}
        // Browsers ignore these at its beginning.
        (UrlPhase::Start, ..=b' ') => {}
        (_, b'/' | b'?' | b'#' | b'\\') => *phase = UrlPhase::Settled,
        (UrlPhase::Literal(scheme), b':') => {
            let is_script = scheme == "javascript" || scheme == "vbscript";
            *phase = UrlPhase::Settled;
            return Ok((None, is_script));
        }
        (UrlPhase::Value(id), b':') => {
            let id = *id;
            *phase = UrlPhase::Settled;
            return Ok((Some(id), false));
        }
        (UrlPhase::Mixed, b':') => {
            return Err(ContextError::SchemeInParts);
        }
        (UrlPhase::Start, b':') => *phase = UrlPhase::Settled,
        (UrlPhase::Start, _) => {
            *phase = UrlPhase::Literal(char::from(byte.to_ascii_lowercase()).to_string());
        }
        (UrlPhase::Literal(scheme), _) => {
            if scheme.len() < SCHEME_BYTES_MAX {
                scheme.push(char::from(byte.to_ascii_lowercase()));
            }
        }
        (UrlPhase::Value(_) | UrlPhase::Mixed, _) => *phase = UrlPhase::Mixed,
    }
    Ok((None, false))
}

/// Steps over a value.
pub(super) fn hole(url: &mut Url, id: u32) -> Result<(), ContextError> {
    if url.phase != UrlPhase::Settled && url.reference.is_open() {
        return Err(ContextError::ValueInReference);
    }
    url.reference = Reference::default();
    url.phase = match url.phase {
        UrlPhase::Settled => UrlPhase::Settled,
        UrlPhase::Start => UrlPhase::Value(id),
        _ => UrlPhase::Mixed,
    };
    Ok(())
}

/// The state after either of two branches. If they differ, a value that follows is checked together
/// with the text that was printed before it.
pub(super) fn merge(a: &Url, b: &Url) -> Option<Url> {
    if a == b {
        return Some(a.clone());
    }
    let alike = a.separator == b.separator && a.is_refresh == b.is_refresh && a.reference == b.reference;
    alike.then(|| Url { phase: UrlPhase::Mixed, ..a.clone() })
}
