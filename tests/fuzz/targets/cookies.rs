//! Checks what is read from `Cookie` and `Set-Cookie` headers, paths, redirects and percent-encoded text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_http::cookies::{
    KeptCookie, SameSite, SetCookie, decode_value, encode_value, is_reserved, is_token, pairs,
};
use sluice_http::path::{PathForm, canonical};
use sluice_http::{percent, redirect};

fn escape(text: &str) -> impl std::fmt::Display {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

fuzz_target!(|text: &str| {
    for (name, value) in pairs(text) {
        assert!(!name.contains([';', '=']) && !value.contains(';'));
        let _ = (is_reserved(name), is_token(name), decode_value(value));
    }
    let _ = KeptCookie::parse(text);
    let encoded = encode_value(text);
    assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic() && !b";,\"\\".contains(&byte)), "{encoded:?}");
    assert_eq!(decode_value(&encoded), text);
    let cookie = SetCookie {
        name: "n",
        value: &encoded,
        path: "/",
        max_age_s: Some(60),
        http_only: true,
        same_site: SameSite::Lax,
        is_secure: true,
    };
    let kept = KeptCookie::parse(&cookie.to_string()).expect("what is written can be read");
    assert_eq!((kept.name.as_str(), kept.value.as_str(), kept.path.as_str()), ("n", encoded.as_str(), "/"));
    assert!(kept.is_secure && !kept.is_expired);
    let _ = percent::decode(text);
    if let PathForm::Canonical(path) = canonical(text) {
        assert!(path.as_str().starts_with('/') && path.segments().all(|part| part != "." && part != ".."));
        let encoded: String =
            path.as_str().split('/').map(|part| format!("/{}", escape(part))).skip(1).collect();
        let expected =
            if path.as_str().contains('\\') { PathForm::Refused } else { PathForm::Canonical(path) };
        assert_eq!(canonical(&encoded), expected);
    }
    if redirect::check(text).is_ok() {
        let location = redirect::location(text);
        assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location:?}");
    }
});
