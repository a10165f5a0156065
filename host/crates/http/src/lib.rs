//! Parts of HTTP that need no server: cookies, paths, percent-encoding, redirects,
//! compression, methods, CORS and the names of headers.

#![deny(unsafe_code)]

pub mod compress;
pub mod cookies;
pub mod cors;
pub mod headers;
pub mod method;
pub mod path;
pub mod percent;
pub mod redirect;
