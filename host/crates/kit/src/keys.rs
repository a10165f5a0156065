//! The application key, and sealing with keys that are derived from it. `session` seals
//! its rows and handoff tokens, `sandbox` authenticates its code cache, and `server` signs
//! console tokens with it.
//!
//! A sealed box is `nonce(12) ‖ ciphertext ‖ tag(16)`: AES-256-GCM under the key
//! HKDF-SHA256(ikm = application key, salt, info). Each use has its own `info`, so that a
//! box made for one use never opens for another. Previous keys open boxes but never seal
//! them. Derived keys are not kept: deriving one costs a few SHA-256 blocks, and each
//! session row has its own salt.

mod file;

use std::fmt;
use std::path::PathBuf;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::operator_dir::{OperatorDir, OperatorDirError};

pub use file::KEY_FILE;

/// The `info` of session handoff tokens. The salt is the brand id. The token format fixes it.
pub const HANDOFF_TOKEN: &str = "ef-session-handoff-v1";
/// The `info` of session rows. The salt is the row's id, so that no key ever seals more
/// boxes than random nonces allow (2^32).
pub const SESSION_ROW: &str = "sluice-session-row-v1";

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Standard base64. Laravel and OpenSSL write it with padding, which is often omitted when
/// copied.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a key could not be loaded or used. It never contains the text of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The given text is not a key.
    #[error("{name} must be 32 bytes, raw or in base64 (a `base64:` prefix is allowed)")]
    NotAKey {
        /// Where the text came from: the name of a variable or the path of a file.
        name: String,
    },
    /// No key was given, and there is no folder in which one may be made.
    #[error("APP_KEY is not set: every host on one PostgreSQL database needs the same key")]
    Missing,
    /// The key file could not be read or made.
    #[error("{}: {source}", path.display())]
    File {
        /// The path of the key file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The key file is a link into the site.
    #[error(transparent)]
    Place(#[from] OperatorDirError),
    /// The system gave no random bytes for a nonce.
    #[error("the system returned no random bytes")]
    NoRandomBytes(#[source] getrandom::Error),
    /// No key could be derived. HKDF fails only for outputs over 8,160 bytes.
    #[error("no key could be derived")]
    NoKey,
    /// The text is longer than AES-GCM can seal.
    #[error("the text is too long")]
    TooLong,
}

/// The current application key and the previous ones. `Debug` does not show them.
pub struct Keys {
    current: [u8; KEY_BYTES],
    previous: Vec<[u8; KEY_BYTES]>,
}

impl Keys {
    /// Reads the values of `APP_KEY` and `APP_KEYS_PREVIOUS` (comma separated). Without an
    /// `APP_KEY`, the key is read from a file in `data_dir`, which is made if it is missing,
    /// and a log line names the file. Pass `None` for `data_dir` if hosts share the data.
    ///
    /// # Errors
    /// A given text is not a key, the key file cannot be read or made, or there is neither
    /// a key nor a folder.
    pub fn load(
        app_key: Option<&str>,
        previous: Option<&str>,
        data_dir: Option<&OperatorDir>,
    ) -> Result<Self, KeyError> {
        let current = match (app_key, data_dir) {
            (Some(text), _) => parse(text, "APP_KEY")?,
            (None, Some(dir)) => {
                let file::FolderKey { key, path, is_new } = file::read_or_make(dir)?;
                let file = path.display();
                if is_new {
                    tracing::warn!(%file, "APP_KEY is not set: created this file with a new key; keep it with your backups");
                } else {
                    tracing::info!(%file, "APP_KEY is not set: using the key in this file");
                }
                key
            }
            (None, None) => return Err(KeyError::Missing),
        };
        let mut older = Vec::new();
        for (index, text) in previous.unwrap_or("").split(',').enumerate() {
            if !text.trim().is_empty() {
                let name = format!("key {} of APP_KEYS_PREVIOUS", index + 1);
                older.push(parse(text, &name)?);
            }
        }
        Ok(Self { current, previous: older })
    }

    /// Reads the key of `dir`, which is made if it is missing. Use it for data that can be
    /// lost, such as a cache.
    ///
    /// # Errors
    /// The file cannot be read or made, or does not contain a key.
    pub fn of_dir(dir: &OperatorDir) -> Result<Self, KeyError> {
        Ok(Self { current: file::read_or_make(dir)?.key, previous: Vec::new() })
    }

    /// Derives a key for one use from the current application key.
    pub fn derive(&self, info: &str) -> [u8; KEY_BYTES] {
        let mut derived = [0u8; KEY_BYTES];
        let expanded = Hkdf::<Sha256>::new(None, &self.current).expand(info.as_bytes(), &mut derived);
        // HKDF fails only for outputs over 8,160 bytes.
        debug_assert!(expanded.is_ok());
        derived
    }

    /// Seals `plain` with the current key. The box does not contain `aad`: opening it needs
    /// the same `info`, `salt` and `aad`.
    ///
    /// # Errors
    /// The system gave no random bytes, or `plain` is too long.
    pub fn seal(&self, info: &str, salt: &[u8], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut nonce = [0u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(KeyError::NoRandomBytes)?;
        let text = cipher(&self.current, info, salt)
            .ok_or(KeyError::NoKey)?
            .encrypt(Nonce::from_slice(&nonce), Payload { msg: plain, aad })
            .map_err(|_| KeyError::TooLong)?;
        let mut sealed = Vec::with_capacity(NONCE_BYTES + text.len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        Ok(sealed)
    }

    /// Opens a box with the current key, or with the first previous key that fits. Returns
    /// `None` if the box was made with another key or for another use, or was changed.
    pub fn open(&self, info: &str, salt: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_BYTES)?;
        if text.len() < TAG_BYTES {
            return None;
        }
        std::iter::once(&self.current).chain(&self.previous).find_map(|key| {
            cipher(key, info, salt)?.decrypt(Nonce::from_slice(nonce), Payload { msg: text, aad }).ok()
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys(1 current, {} previous)", self.previous.len())
    }
}

/// Returns the cipher for one use. `None` does not occur: HKDF fails only for outputs over
/// 8,160 bytes.
fn cipher(key: &[u8; KEY_BYTES], info: &str, salt: &[u8]) -> Option<Aes256Gcm> {
    let mut derived = [0u8; KEY_BYTES];
    Hkdf::<Sha256>::new(Some(salt), key).expand(info.as_bytes(), &mut derived).ok()?;
    Some(Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&derived)))
}

/// Reads a key: 32 raw bytes, or base64 of 32 bytes. Base64 has 43 or 44 characters, so the two
/// forms cannot be confused.
fn parse(text: &str, name: &str) -> Result<[u8; KEY_BYTES], KeyError> {
    let text = text.trim();
    let bytes = match text.strip_prefix("base64:") {
        Some(encoded) => BASE64.decode(encoded).ok(),
        None if text.len() == KEY_BYTES => Some(text.as_bytes().to_vec()),
        None => BASE64.decode(text).ok(),
    };
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| KeyError::NotAKey { name: name.to_owned() })
}

#[cfg(test)]
mod tests;
