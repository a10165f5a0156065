//! The methods of requests, and which of them a page accepts.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD: answered like GET, but without a body.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// OPTIONS: the host answers it, if a browser asks whether it may send a request (CORS).
    Options,
    /// A method that nothing accepts.
    Other,
}

/// The methods that reach a script, and HEAD.
const OF_PAGES: [Method; 6] =
    [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete];

impl Method {
    /// The method with this name. Names are case-sensitive.
    pub fn of(name: &str) -> Self {
        let known = OF_PAGES.into_iter().chain([Self::Options]);
        known.into_iter().find(|method| method.name() == name).unwrap_or(Self::Other)
    }

    /// The method with this name in any case, if pages can accept it.
    pub fn of_page(name: &str) -> Option<Self> {
        OF_PAGES.into_iter().find(|method| method.name().eq_ignore_ascii_case(name))
    }

    /// The name in upper case, or `_OTHER`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other => "_OTHER",
        }
    }

    /// The method that scripts see. A HEAD request runs the page like the GET request whose headers
    /// it asks for.
    pub fn seen_by_scripts(self) -> &'static str {
        if self == Self::Head { Self::Get.name() } else { self.name() }
    }

    /// Whether a request with this method only reads.
    pub fn only_reads(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }

    /// Whether a request with this method may change something, and whether scripts get its body.
    pub fn may_change(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch | Self::Delete)
    }
}

/// The methods that a page accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<PageMethod>")]
#[schemars(with = "Vec<String>")]
pub struct Methods(u8);

/// A method that a page can accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum PageMethod {
    /// Also accepts HEAD.
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// A list of methods without a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a page must accept at least one method: write `methods = [\"GET\"]`, or remove the setting")]
pub struct NoMethods;

impl Methods {
    fn bit(method: Method) -> u8 {
        match method {
            Method::Get | Method::Head => 1,
            Method::Post => 2,
            Method::Put => 4,
            Method::Patch => 8,
            Method::Delete => 16,
            Method::Options | Method::Other => 0,
        }
    }

    /// Whether the page accepts the method.
    pub fn accept(self, method: Method) -> bool {
        self.0 & Self::bit(method) != 0
    }
}

impl Default for Methods {
    fn default() -> Self {
        Self(Self::bit(Method::Get) | Self::bit(Method::Post))
    }
}

/// The value of the header `Allow`.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted: Vec<_> = OF_PAGES.into_iter().filter(|method| self.accept(*method)).collect();
        f.write_str(&accepted.into_iter().map(Method::name).collect::<Vec<_>>().join(", "))
    }
}

impl TryFrom<Vec<PageMethod>> for Methods {
    type Error = NoMethods;

    fn try_from(listed: Vec<PageMethod>) -> Result<Self, NoMethods> {
        let bits = listed.into_iter().map(|method| Self::bit(method.into())).fold(0, |all, bit| all | bit);
        if bits == 0 { Err(NoMethods) } else { Ok(Self(bits)) }
    }
}

impl From<PageMethod> for Method {
    fn from(method: PageMethod) -> Self {
        match method {
            PageMethod::Get => Self::Get,
            PageMethod::Post => Self::Post,
            PageMethod::Put => Self::Put,
            PageMethod::Patch => Self::Patch,
            PageMethod::Delete => Self::Delete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(listed: Vec<PageMethod>) -> Result<String, NoMethods> {
        Methods::try_from(listed).map(|methods| methods.to_string())
    }

    #[test]
    fn head_goes_with_get() {
        assert_eq!(Methods::default().to_string(), "GET, HEAD, POST");
        let listed = vec![PageMethod::Delete, PageMethod::Get, PageMethod::Delete];
        assert_eq!(methods(listed).as_deref(), Ok("GET, HEAD, DELETE"));
        let put = Methods::try_from(vec![PageMethod::Put]).unwrap();
        assert!(put.accept(Method::Put) && !put.accept(Method::Head) && !put.accept(Method::Get));
        assert_eq!(methods(Vec::new()), Err(NoMethods));
    }

    #[test]
    fn names_of_methods_are_case_sensitive() {
        assert_eq!(Method::of("PATCH"), Method::Patch);
        assert_eq!(Method::of("patch"), Method::Other);
        assert_eq!(Method::of("TRACE"), Method::Other);
        assert!(!Methods::default().accept(Method::Other) && !Methods::default().accept(Method::Options));
    }
}
