//! The cookie that carries a session of the console.

use actix_web::http::header::{self, HeaderMap};
use cookie::{Cookie, SameSite};

use super::token::SESSION_SECONDS;

/// The console's cookie.
const COOKIE: &str = "sluice_console";

/// The value of the console's cookie in a request.
pub(crate) fn console_session(headers: &HeaderMap) -> Option<String> {
    let mut cookies = Cookie::split_parse(headers.get(header::COOKIE)?.to_str().ok()?).filter_map(Result::ok);
    cookies.find_map(|cookie| (cookie.name() == COOKIE).then(|| cookie.value().to_owned()))
}

/// The `Set-Cookie` header of a console session. An empty session deletes the cookie.
pub(crate) fn session_cookie(session: &str, is_https: bool) -> String {
    let seconds = if session.is_empty() { 0 } else { SESSION_SECONDS };
    let pair = Cookie::new(COOKIE, session);
    // `Cookie` alone would write the attributes in a different order, which would change the header.
    let secure = if is_https { "; Secure" } else { "" };
    format!("{}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={}{secure}", pair.stripped(), SameSite::Strict)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn writes_the_console_cookie_in_a_fixed_form() {
        assert_eq!(
            session_cookie("1700000000.ab12", false),
            "sluice_console=1700000000.ab12; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            session_cookie("", true),
            "sluice_console=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"
        );
    }

    #[test]
    fn reads_the_console_cookie_among_others() {
        let session = |line: &'static str| {
            console_session(&[(header::COOKIE, HeaderValue::from_static(line))].into_iter().collect())
        };
        for line in ["sluice_console=1.ab", "a=b; sluice_console=1.ab", "broken;;=x;sluice_console=1.ab; c=d"]
        {
            assert_eq!(session(line).as_deref(), Some("1.ab"), "{line}");
        }
        assert_eq!(session("sluice_console=1.%61").as_deref(), Some("1.%61"), "nothing is decoded");
        for line in ["", "sluice_console", "sluice_console2=1.ab", "a=sluice_console=1.ab"] {
            assert_eq!(session(line), None, "{line}");
        }
    }
}
