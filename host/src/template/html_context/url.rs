//! How much of a URL is decided while its literal parts are read.

use super::ValueKind;

/// Only what stands before the first of `: / ? #` can choose the scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum UrlPhase {
    /// Nothing yet: a value here is the URL's beginning.
    Start,
    /// Literal text that could still be, or become, a scheme.
    Literal(String),
    /// A value came first and nothing else; it has this number.
    Value(u32),
    /// Values and text mixed, and still no sign that ends a scheme.
    Mixed,
    /// Past the scheme, if there is one.
    Settled,
}

const SCHEME_BYTES_MAX: usize = 32;

/// Reads a literal byte. Returns the number of a value that has just become the scheme.
pub(super) fn step(kind: &mut ValueKind, byte: u8) -> Result<Option<u32>, String> {
    let ValueKind::Url { phase, list } = kind else {
        return Ok(None);
    };
    if *list && matches!(byte, b',' | b' ' | b'\n' | b'\t') {
        *phase = if byte == b',' { UrlPhase::Start } else { next_in_list(phase) };
        return Ok(None);
    }
    match (&mut *phase, byte) {
        (UrlPhase::Settled, _) => {}
        // Browsers drop these wherever they stand in a URL.
        (_, b'\t' | b'\n' | b'\r') => {}
        (UrlPhase::Start, b' ') => {}
        (_, b'/' | b'?' | b'#' | b'\\') => *phase = UrlPhase::Settled,
        (UrlPhase::Literal(scheme), b':') => {
            if scheme == "javascript" || scheme == "vbscript" {
                *kind = ValueKind::Script;
            } else {
                *phase = UrlPhase::Settled;
            }
        }
        (UrlPhase::Value(id), b':') => {
            let id = *id;
            *phase = UrlPhase::Settled;
            return Ok(Some(id));
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
    Ok(None)
}

/// White space in a list of URLs: leading, or before a descriptor.
fn next_in_list(phase: &UrlPhase) -> UrlPhase {
    match phase {
        UrlPhase::Start => UrlPhase::Start,
        _ => UrlPhase::Settled,
    }
}

/// A value stands here.
pub(super) fn hole(kind: &mut ValueKind, id: u32) {
    if let ValueKind::Url { phase, .. } = kind {
        *phase = match phase {
            UrlPhase::Settled => UrlPhase::Settled,
            UrlPhase::Start => UrlPhase::Value(id),
            _ => UrlPhase::Mixed,
        };
    }
}

/// The phase that asks most of what follows.
pub(super) fn merge(a: &ValueKind, b: &ValueKind) -> Option<ValueKind> {
    use UrlPhase::{Mixed, Settled, Start};
    if a == b {
        return Some(a.clone());
    }
    let (ValueKind::Url { phase: a, list }, ValueKind::Url { phase: b, list: other }) = (a, b) else {
        return None;
    };
    let phase = match (a, b) {
        (Settled, other) | (other, Settled) => match other {
            Start => Start,
            _ => Mixed,
        },
        _ => Mixed,
    };
    (list == other).then_some(ValueKind::Url { phase, list: *list })
}
