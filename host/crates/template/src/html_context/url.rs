//! How much of a URL is decided while its literal parts are read.

use super::ValueKind;
use super::reference::Reference;

/// A URL attribute's value as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub phase: UrlPhase,
    /// What parts the URLs of a list.
    pub separator: Option<Separator>,
    reference: Reference,
}

/// Only what stands before the first of `: / ? #` can choose the scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UrlPhase {
    /// Nothing yet: a value here is the URL's beginning.
    Start,
    /// Literal text that could still be, or become, a scheme.
    Literal(String),
    /// A value came first and nothing else; it has this number.
    Value(u32),
    /// Values and text mixed, or one of several things, and no sign yet that ends a scheme.
    Mixed,
    /// Past the scheme, if there is one.
    Settled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Separator {
    /// And white space before what describes a URL.
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
        Url { phase: UrlPhase::Start, separator, reference: Reference::default() }
    }

    /// Whether nothing that follows can matter.
    fn is_done(&self) -> bool {
        self.phase == UrlPhase::Settled && self.separator.is_none()
    }
}

/// Reads a literal byte. Returns the number of a value that has just become the scheme.
pub(super) fn step(kind: &mut ValueKind, byte: u8) -> Result<Option<u32>, String> {
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
                // What follows must not make two contexts differ.
                url.reference = Reference::default();
            }
        }
    }
    Ok(scheme_hole)
}

/// Returns a value that is the scheme, and whether what follows is a script.
fn decoded_step(url: &mut Url, byte: u8) -> Result<(Option<u32>, bool), String> {
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
        // Browsers drop these wherever they stand in a URL.
        (_, b'\t' | b'\n' | b'\r') => {}
        // And these at its beginning.
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
            return Err("write a URL's scheme out, or put the whole URL into one {{ }}".to_owned());
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

/// A value stands here.
pub(super) fn hole(url: &mut Url, id: u32) -> Result<(), String> {
    if url.phase != UrlPhase::Settled && url.reference.is_open() {
        return Err(
            "{{ }} here could change the character reference before it; write \"&\" as \"&amp;\"".to_owned()
        );
    }
    url.reference = Reference::default();
    url.phase = match url.phase {
        UrlPhase::Settled => UrlPhase::Settled,
        UrlPhase::Start => UrlPhase::Value(id),
        _ => UrlPhase::Mixed,
    };
    Ok(())
}

/// What holds after both. Where they differ, a value is checked with all that was printed
/// before it.
pub(super) fn merge(a: &Url, b: &Url) -> Option<Url> {
    if a == b {
        return Some(a.clone());
    }
    let alike = a.separator == b.separator && a.reference == b.reference;
    alike.then(|| Url { phase: UrlPhase::Mixed, ..a.clone() })
}
