//! Hexadecimal digits of hashes and keys: for file names in the cache, names of imports
//! and console tokens.

/// Returns `bytes` as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
