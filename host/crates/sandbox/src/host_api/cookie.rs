//! Cookies on the visitor's browser: names, values and options by rule.

use serde_json::Value;

use sluice_http::cookies;
use sluice_kit::value;

use super::page::sluice::page::cookie::Host;
use crate::RunState;
use crate::outcome::{CookieEffect, SameSite};

impl Host for RunState {
    async fn set(&mut self, name: String, value: String, options: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter(name.len() + value.len() + options.len()).await;
        let done = self.record_cookie(&name, Some(&value), &options);
        Ok(self.answer("cookie.set", done))
    }

    async fn delete(&mut self, name: String, options: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter(name.len() + options.len()).await;
        let done = self.record_cookie(&name, None, &options);
        Ok(self.answer("cookie.delete", done))
    }
}

impl RunState {
    fn record_cookie(&mut self, name: &str, value: Option<&str>, options: &[u8]) -> Result<(), String> {
        let shown = name.escape_debug();
        if !cookies::is_token(name) {
            return Err(format!("`{shown}` is not a cookie name"));
        }
        if cookies::is_reserved(name) {
            return Err(format!("the name `{shown}` is reserved"));
        }
        let mut cookie = with_options(name, options)?;
        cookie.value = value.map(cookies::encode_value);
        if cookie.same_site == SameSite::None && !cookie.secure.unwrap_or(self.context.is_https) {
            return Err("sameSite None needs a secure cookie".into());
        }
        let size = name.len() + cookie.value.as_ref().map_or(0, String::len) + cookie.path.len();
        let limits = &self.context.limits;
        if size > limits.cookie_bytes_max {
            return Err(format!("`{shown}` has {size} bytes; the limit is {}", limits.cookie_bytes_max));
        }
        let cookies = &mut self.effects.cookies;
        let same = |known: &CookieEffect| known.name == cookie.name && known.path == cookie.path;
        let count = cookies.len();
        match cookies.iter_mut().find(|known| same(known)) {
            Some(earlier) => *earlier = cookie,
            None if count >= limits.cookies_max => {
                return Err(format!("there are {count} cookies already, which is the limit"));
            }
            None => cookies.push(cookie),
        }
        Ok(())
    }
}

/// A cookie with the options of the call; unknown options are ignored, as
/// browsers do.
fn with_options(name: &str, options: &[u8]) -> Result<CookieEffect, String> {
    let options = value::decode(options).map_err(|error| error.to_string())?;
    if !(options.is_object() || options.is_null()) {
        return Err("options must be an object".into());
    }
    let given = |key: &str| options.get(key).filter(|value| !value.is_null());
    let path = match given("path") {
        None => "/",
        Some(Value::String(path)) if is_path(path) => path,
        Some(_) => return Err("path must start with / and have no ; or control character".into()),
    };
    let max_age_s = match given("maxAge") {
        None => None,
        Some(age) => Some(whole_seconds(age).ok_or("maxAge must be a whole number of seconds")?),
    };
    let same_site = match given("sameSite").map(|text| text.as_str().map(str::to_ascii_lowercase)) {
        None => SameSite::Lax,
        Some(Some(text)) if text == "lax" => SameSite::Lax,
        Some(Some(text)) if text == "strict" => SameSite::Strict,
        Some(Some(text)) if text == "none" => SameSite::None,
        Some(_) => return Err("sameSite must be Strict, Lax or None".into()),
    };
    let flag = |key: &str| match given(key) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(format!("{key} must be true or false")),
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
