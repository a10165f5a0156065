//! `cookie.set` and `cookie.delete`: the rules for names, values and options.

use serde_json::Value;

use sluice_http::cookies;
use sluice_kit::value::{self, Room, ValueError};
use sluice_page_cache::Dependence;

use super::EscapedName;
use super::page::sluice::page::cookie::Host;
use crate::RunState;
use crate::outcome::{CookieEffect, SameSite};

/// Why a cookie is not set or deleted, in the author's terms.
#[derive(Debug, thiserror::Error)]
enum CookieRefusal {
    #[error("`{0}` is not a cookie name")]
    Name(EscapedName),
    #[error("the name `{0}` is reserved")]
    Reserved(EscapedName),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("options must be an object")]
    Options,
    #[error("path must start with / and must not contain ; or control characters")]
    Path,
    #[error("maxAge must be a whole number of seconds")]
    MaxAge,
    #[error("sameSite must be Strict, Lax or None")]
    SameSite,
    #[error("{0} must be true or false")]
    Flag(&'static str),
    #[error("sameSite None needs secure: true")]
    InsecureSameSiteNone,
    #[error("`{name}` has {size} bytes; the limit is {max}")]
    TooLarge { name: EscapedName, size: usize, max: usize },
    #[error("there are {0} cookies already, which is the limit")]
    TooMany(usize),
}

impl Host for RunState {
    async fn set(&mut self, name: String, value: String, options: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter(name.len() + value.len() + options.len()).await;
        self.depends_on(Dependence::SetCookie);
        let done = self.record_cookie(&name, Some(&value), &options);
        Ok(self.answer("cookie.set", done))
    }

    async fn delete(&mut self, name: String, options: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter(name.len() + options.len()).await;
        self.depends_on(Dependence::SetCookie);
        let done = self.record_cookie(&name, None, &options);
        Ok(self.answer("cookie.delete", done))
    }
}

impl RunState {
    /// Records a cookie to set, or to delete if there is no value.
    fn record_cookie(
        &mut self,
        name: &str,
        value: Option<&str>,
        options: &[u8],
    ) -> Result<(), CookieRefusal> {
        if !cookies::is_token(name) {
            return Err(CookieRefusal::Name(EscapedName::from(name)));
        }
        if cookies::is_reserved(name) {
            return Err(CookieRefusal::Reserved(EscapedName::from(name)));
        }
        let mut cookie = with_options(name, options, &self.limiter.room())?;
        cookie.value = value.map(cookies::encode_value);
        if cookie.same_site == SameSite::None && !cookie.secure.unwrap_or(self.context.is_https) {
            return Err(CookieRefusal::InsecureSameSiteNone);
        }
        let size = name.len() + cookie.value.as_ref().map_or(0, String::len) + cookie.path.len();
        let limits = &self.context.limits;
        let max = limits.cookie_bytes_max;
        if size > max {
            return Err(CookieRefusal::TooLarge { name: EscapedName::from(name), size, max });
        }
        let cookies = &mut self.effects.cookies;
        let same = |known: &CookieEffect| known.name == cookie.name && known.path == cookie.path;
        let count = cookies.len();
        match cookies.iter_mut().find(|known| same(known)) {
            Some(earlier) => *earlier = cookie,
            None if count >= limits.cookies_max => return Err(CookieRefusal::TooMany(count)),
            None => cookies.push(cookie),
        }
        Ok(())
    }
}

/// A cookie without a value and with the options of the call. Like browsers, this ignores
/// unknown options.
fn with_options(name: &str, options: &[u8], room: &Room) -> Result<CookieEffect, CookieRefusal> {
    let options = value::decode(options, room)?;
    if !(options.is_object() || options.is_null()) {
        return Err(CookieRefusal::Options);
    }
    let given = |key: &str| options.get(key).filter(|value| !value.is_null());
    let path = match given("path") {
        None => "/",
        Some(Value::String(path)) if is_path(path) => path,
        Some(_) => return Err(CookieRefusal::Path),
    };
    let max_age_s = match given("maxAge") {
        None => None,
        Some(age) => Some(whole_seconds(age).ok_or(CookieRefusal::MaxAge)?),
    };
    let same_site = match given("sameSite").map(|text| text.as_str().map(str::to_ascii_lowercase)) {
        None => SameSite::Lax,
        Some(Some(text)) if text == "lax" => SameSite::Lax,
        Some(Some(text)) if text == "strict" => SameSite::Strict,
        Some(Some(text)) if text == "none" => SameSite::None,
        Some(_) => return Err(CookieRefusal::SameSite),
    };
    let flag = |key: &'static str| match given(key) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(CookieRefusal::Flag(key)),
    };
    Ok(CookieEffect {
        name: name.to_owned(),
        value: None,
        path: path.to_owned(),
        max_age_s,
        http_only: flag("httpOnly")?.unwrap_or(true),
        same_site,
        secure: flag("secure")?,
    })
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte != b';' && (0x20..0x7f).contains(&byte))
}

fn whole_seconds(age: &Value) -> Option<i64> {
    age.as_i64().or_else(|| {
        let age = age.as_f64()?;
        (age.fract() == 0.0 && age.abs() <= 9e15).then_some(age as i64)
    })
}
