//! Names of headers that scripts and sites cannot set.

/// Headers that decide about connections, other origins or what proxies do.
const REFUSED: [&str; 22] = [
    "set-cookie",
    "set-cookie2",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
    "date",
    "server",
    "strict-transport-security",
    "content-encoding",
    "location",
    "refresh",
    "x-sendfile",
    "alt-svc",
    "clear-site-data",
    "service-worker-allowed",
    "content-range",
    "proxy-connection",
];
const REFUSED_PREFIXES: [&str; 5] = ["access-control-", "proxy-", "x-accel-", "x-lighttpd-", "surrogate-"];

/// Whether no script may set the header of this lower-case name.
pub fn is_refused(name: &str) -> bool {
    REFUSED.contains(&name) || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
