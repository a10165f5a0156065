//! Seals private keys with the application key.

use sluice_kit::keys::{KeyError, Keys};

use crate::store::NameKey;

/// The `info` of sealed keys of certificates and accounts. The salt is the name, which is empty for an
/// account, and what is sealed belongs to the directory.
pub const CERTIFICATE_KEY: &str = "sluice-acme-key-v1";

pub(crate) fn seal(keys: &Keys, of: &NameKey, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    keys.seal(CERTIFICATE_KEY, of.name.as_bytes(), of.directory.as_bytes(), plain)
}

pub(crate) fn open(keys: &Keys, of: &NameKey, sealed: &[u8]) -> Option<Vec<u8>> {
    keys.open(CERTIFICATE_KEY, of.name.as_bytes(), of.directory.as_bytes(), sealed)
}
