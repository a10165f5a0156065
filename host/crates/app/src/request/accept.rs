//! Whether a client asks for JSON.

use actix_web::http::header::{self, HeaderMap};

/// How many media ranges of a request are looked at.
const RANGES_MAX: usize = 32;

/// Whether the client names JSON in `Accept`, and HTML not at all or with less weight. `*/*` names
/// neither.
pub(super) fn prefers_json(headers: &HeaderMap) -> bool {
    let (mut json, mut html) = (0.0_f32, 0.0_f32);
    let lines = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    for range in lines.flat_map(|line| line.split(',')).take(RANGES_MAX) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight: f32 = weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
        if media == "application/json" || media.ends_with("+json") {
            json = json.max(weight);
        } else if matches!(media.as_str(), "text/html" | "application/xhtml+xml" | "text/*") {
            html = html.max(weight);
        }
    }
    json > html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(accept: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, header::HeaderValue::try_from(accept).unwrap());
        prefers_json(&headers)
    }

    #[test]
    fn json_must_be_named_and_weigh_more_than_html() {
        for accept in ["application/json", "application/problem+json", "application/json, text/plain, */*"] {
            assert!(asks(accept), "{accept}");
        }
        assert!(asks("text/html;q=0.5, Application/JSON; q=0.9"));
        for accept in ["", "*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html, application/json"]
        {
            assert!(!asks(accept), "{accept}");
        }
        assert!(!asks("application/json;q=0"));
        assert!(!prefers_json(&HeaderMap::new()));
    }
}
