//! The names of headers that neither scripts nor the settings of a site can set.

/// Headers that control connections, other origins or proxies.
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

/// Whether scripts and sites are forbidden to set the header of this lower-case name.
pub fn is_refused(name: &str) -> bool {
    REFUSED.contains(&name) || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
