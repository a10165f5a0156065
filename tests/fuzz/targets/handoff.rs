//! Checks that only tokens that the host sealed itself log a customer in, and that sealed bytes of another
//! version cause no panic.

#![no_main]

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use sluice_kit::keys::{HANDOFF_TOKEN, Keys};
use sluice_kit::{BoxFuture, StoreError};
use sluice_session::TokenStore;
use sluice_session::cookie::SessionId;
use sluice_session::handoff::Handoff;

/// Remembers no token.
struct Unused;

impl TokenStore for Unused {
    fn is_token_used(&self, _: &str, _: [u8; 16]) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async { Ok(false) })
    }

    fn delete_expired_tokens(&self, _: i64, _: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async { Ok(0) })
    }
}

static HOST: LazyLock<(tokio::runtime::Runtime, Handoff)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let keys = Keys::load(Some("base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), None, None);
    let keys = Arc::new(keys.expect("a key"));
    (runtime, Handoff { keys, tokens: Arc::new(Unused), brand: "shop".into() })
});

/// A moment at which the tokens of the seeds are valid, in Unix milliseconds.
const NOW_MS: i64 = 1_700_000_000_000;

fuzz_target!(|bytes: &[u8]| {
    let (runtime, handoff) = &*HOST;
    let take = |token: &str| runtime.block_on(handoff.take(token, NOW_MS));
    let _ = SessionId::find([("sluice_session", String::from_utf8_lossy(bytes).as_ref())].into_iter(), false);
    if let Ok(token) = std::str::from_utf8(bytes) {
        assert!(take(token).is_err(), "{token:?} was not sealed by this host");
    }
    // Bytes without a seal.
    assert!(take(&format!("v1.{}", URL_SAFE_NO_PAD.encode(bytes))).is_err());
    // What another version could have sealed.
    let sealed = handoff.keys.seal(HANDOFF_TOKEN, b"shop", b"", bytes).expect("bytes can be sealed");
    if let Ok(handed) = take(&format!("v1.{}", URL_SAFE_NO_PAD.encode(sealed))) {
        assert!(handed.identity.email.contains('@') && handed.token.remember_until > NOW_MS);
    }
});
