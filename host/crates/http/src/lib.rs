//! Parts of HTTP that need no server: cookies, paths, percent-encoding, redirects,
//! compression and the names of headers.

#![deny(unsafe_code)]

pub mod compress;
pub mod cookies;
pub mod headers;
pub mod path;
pub mod percent;
pub mod redirect;
