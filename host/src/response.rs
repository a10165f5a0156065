//! Html and effects to an HTTP response, applied once.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::redirect;
use crate::script::outcome::{CookieEffect, Effects, SameSite, Stop};
use crate::session::cookie;
use crate::session::storage::IssuedCookie;

/// What the journey of a request comes to.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// `Set-Cookie` values.
    pub cookies: Vec<String>,
    pub body: String,
}

/// Sane defaults; a page may set others.
const SECURITY_HEADERS: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("x-frame-options", "SAMEORIGIN"),
];

impl Reply {
    /// A page of the host's own: no details, no markup of anybody else.
    pub fn plain(status: u16, title: &str) -> Self {
        let body = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
             <style>body{{font:16px/1.5 system-ui,sans-serif;margin:20vh auto;max-width:32rem;padding:0 1rem}}</style>\
             <h1>{title}</h1></html>"
        );
        Self::html(status, body)
    }

    pub fn html(status: u16, body: String) -> Self {
        let headers = vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())];
        Self { status, headers, cookies: Vec::new(), body }
    }

    /// A redirect of the host's own, to a path of this host.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self {
            status,
            headers: vec![("location".into(), location.into())],
            cookies: Vec::new(),
            body: String::new(),
        }
    }

    /// The reply that a run's effects ask for; `html` is the rendered page,
    /// which a stop call replaces.
    pub fn of_effects(effects: Effects, html: Option<String>, is_https: bool) -> Self {
        let mut reply = match (effects.stop, html) {
            (Some(Stop::Redirect { url, status }), _) => Self::redirect(status, &redirect::location(&url)),
            (Some(Stop::Json(text)), _) => Self {
                status: effects.status.unwrap_or(200),
                headers: vec![("content-type".into(), "application/json; charset=utf-8".into())],
                cookies: Vec::new(),
                body: text,
            },
            (Some(Stop::Html(html)), _) => Self::html(effects.status.unwrap_or(200), html),
            (None, html) => Self::html(effects.status.unwrap_or(200), html.unwrap_or_default()),
        };
        for (name, value) in effects.headers {
            reply.set_header(&name, value);
        }
        reply.cookies = effects.cookies.iter().map(|cookie| set_cookie(cookie, is_https)).collect();
        reply
    }

    pub fn set_header(&mut self, name: &str, value: String) {
        match self.headers.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.headers.push((name.to_owned(), value)),
        }
    }

    /// Adds the cookie of a session that got a new id.
    pub fn issue_session(&mut self, issued: &IssuedCookie, is_https: bool) {
        let secure = if is_https { "; Secure" } else { "" };
        let name = cookie::name(is_https);
        let seconds = issued.max_age.as_secs();
        self.cookies
            .push(format!("{name}={}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", issued.id));
    }

    pub fn into_response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        let has = |name: &str| self.headers.iter().any(|(known, _)| known == name);
        for (name, value) in SECURITY_HEADERS.iter().chain(&[("cache-control", "no-store")]) {
            if !has(name) {
                response.insert_header((*name, *value));
            }
        }
        for (name, value) in &self.headers {
            // Names and values were checked where they were recorded.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value))
            {
                response.insert_header((name, value));
            }
        }
        for cookie in &self.cookies {
            if let Ok(value) = HeaderValue::from_str(cookie) {
                response.append_header(("set-cookie", value));
            }
        }
        if matches!(self.status, 204 | 205 | 304) { response.finish() } else { response.body(self.body) }
    }
}

fn set_cookie(cookie: &CookieEffect, is_https: bool) -> String {
    let mut line =
        format!("{}={}; Path={}", cookie.name, cookie.value.as_deref().unwrap_or_default(), cookie.path);
    let max_age = if cookie.value.is_none() { Some(0) } else { cookie.max_age_s };
    if let Some(seconds) = max_age {
        line.push_str(&format!("; Max-Age={seconds}"));
    }
    if cookie.http_only {
        line.push_str("; HttpOnly");
    }
    line.push_str(match cookie.same_site {
        SameSite::Strict => "; SameSite=Strict",
        SameSite::Lax => "; SameSite=Lax",
        SameSite::None => "; SameSite=None",
    });
    if cookie.secure.unwrap_or(is_https) {
        line.push_str("; Secure");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_closed_by_default() {
        let cookie = CookieEffect {
            name: "a".into(),
            value: Some("b".into()),
            path: "/".into(),
            max_age_s: Some(60),
            http_only: true,
            same_site: SameSite::Lax,
            secure: None,
        };
        assert_eq!(set_cookie(&cookie, false), "a=b; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        assert_eq!(set_cookie(&cookie, true), "a=b; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        let gone = CookieEffect { value: None, max_age_s: None, ..cookie };
        assert_eq!(set_cookie(&gone, false), "a=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
