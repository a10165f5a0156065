//! The names of headers that neither scripts nor the settings of a site can set.

/// Headers that control connections, other origins or proxies.
const REFUSED: [&str; 23] = [
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
    "edge-control",
    "x-esi",
    "alt-svc",
    "clear-site-data",
    "service-worker-allowed",
    "content-range",
    "proxy-connection",
];
/// Proxies and servers in front of the host obey headers of these families: they send a file, or ask
/// another server, instead of the response.
const REFUSED_PREFIXES: [&str; 8] = [
    "access-control-",
    "proxy-",
    "surrogate-",
    "x-accel-",
    "x-lighttpd-",
    "x-litespeed-",
    "x-reproxy-",
    "x-sendfile",
];

/// Whether scripts and sites are forbidden to set the header of this lower-case name.
pub fn is_refused(name: &str) -> bool {
    REFUSED.contains(&name) || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
