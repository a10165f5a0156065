use std::sync::LazyLock;

use super::*;

fn request() -> PageRequest {
    PageRequest {
        method: Method::Get,
        host: "shop.example:8080".into(),
        raw_path: "/".into(),
        raw_query: "a=1&b=x+y&a=%C3%BC&c".into(),
        headers: vec![("host", "shop.example:8080".into())],
        named_headers: vec![("x-event".into(), "push".into()), ("x-other".into(), "hidden".into())],
        cookie_lines: vec!["theme=a%20b; sluice_session=secret".into()],
        body: Body::None,
        ip: Some("10.0.0.1".parse().unwrap()),
        is_https: false,
        origin: Origin::default(),
        conditions: Conditions::default(),
        prefers_json: false,
    }
}

fn view(form_bodies: bool) -> View<'static> {
    static NONE: LazyLock<NamedHeaders> = LazyLock::new(NamedHeaders::default);
    View { form_bodies, headers: &NONE }
}

#[test]
fn scripts_see_only_the_headers_that_the_page_names_now() {
    let named = NamedHeaders::try_from(vec!["x-event".to_owned(), "x-missing".to_owned()]).unwrap();
    let value = request().as_value("/", None, View { headers: &named, ..view(false) });
    assert_eq!(value["headers"], json!({"x-event": "push", "host": "shop.example:8080"}));
    let named = NamedHeaders::try_from(vec!["host".to_owned()]).unwrap();
    let named_headers = vec![("host".into(), "other.example".into())];
    let request = PageRequest { named_headers, ..request() };
    let value = request.as_value("/", None, View { headers: &named, ..view(false) });
    assert_eq!(value["headers"], json!({"host": "shop.example:8080"}));
}

#[test]
fn several_headers_with_one_name_are_one() {
    let mut headers = HeaderMap::new();
    for value in ["a", "b"] {
        headers.append(header::HeaderName::from_static("x-event"), header::HeaderValue::from_static(value));
    }
    assert_eq!(named_header(&headers, "x-event"), Some(("x-event".into(), "a, b".into())));
    assert_eq!(named_header(&headers, "x-missing"), None);
}

#[test]
fn scripts_see_the_request_as_a_plain_object() {
    let route = RouteMatch { params: vec![("slug".into(), "x".into())], slug: "x".into() };
    let value = request().as_value("/x", Some(&route), view(false));
    assert_eq!(value["query"], json!({"a": "ü", "b": "x y", "c": ""}));
    assert_eq!(value["queries"], json!({"a": ["1", "ü"], "b": ["x y"], "c": [""]}));
    assert_eq!(value["cookies"], json!({"theme": "a b"}));
    assert_eq!((&value["ip"], &value["ip6"]), (&json!("10.0.0.1"), &Value::Null));
    assert_eq!((&value["route_params"], &value["route_slug"]), (&json!({"slug": "x"}), &json!("x")));
    let value = request().as_value("/x", None, view(false));
    assert_eq!((&value["route_params"], &value["route_slug"]), (&Value::Null, &Value::Null));
}

#[test]
fn scripts_see_get_for_a_head_request() {
    let head = PageRequest { method: Method::Head, ..request() };
    assert_eq!(head.as_value("/", None, view(false))["method"], "GET");
}

#[test]
fn a_cookie_that_is_no_text_does_not_hide_the_others() {
    let mut headers = HeaderMap::new();
    let line = header::HeaderValue::from_bytes(b"a=\xfc; sluice_session=secret; b=1").unwrap();
    headers.insert(header::COOKIE, line);
    let request = PageRequest { cookie_lines: cookie_lines(&headers), ..request() };
    assert_eq!(
        request.cookies().collect::<Vec<_>>(),
        [("a", "\u{fffd}"), ("sluice_session", "secret"), ("b", "1")]
    );
}

#[test]
fn removes_the_token_and_keeps_the_rest_of_the_query() {
    let taken = |query: &str| {
        let mut request = PageRequest { raw_query: query.into(), ..request() };
        (request.take_url_token(), request.raw_query)
    };
    let token = |text: &str| Some(text.to_owned());
    assert_eq!(taken("a=1&&b=%20"), (None, "a=1&&b=%20".into()));
    assert_eq!(taken("ef_session=x.y"), (token("x.y"), String::new()));
    assert_eq!(taken("a=1&ef%5Fsession=x%2By&b=%20"), (token("x+y"), "a=1&b=%20".into()));
    assert_eq!(taken("setSessionToken=old&ef_session=new&c"), (token("new"), "c".into()));
    assert_eq!(taken("ef_session=1&ef_session=2"), (token("2"), String::new()));
}

#[test]
fn scripts_see_forms_only_if_the_brand_accepts_them() {
    let body = Body::Form(b"a=1&b=x+y&a=%C3%BC"[..].into());
    let request = PageRequest { body, ..request() };
    let value = request.as_value("/", None, view(false));
    assert_eq!((&value["body"], &value["bodies"]), (&Value::Null, &Value::Null));
    let value = request.as_value("/", None, view(true));
    assert_eq!(value["body"], json!({"a": "ü", "b": "x y"}));
    assert_eq!(value["bodies"], json!({"a": ["1", "ü"], "b": ["x y"]}));
}

#[test]
fn recognises_requests_that_another_site_caused() {
    let sent = |site: Option<&str>, origin: Option<&str>| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let origin = Origin { sec_fetch_site: own(site), origin: own(origin), ..Origin::default() };
        PageRequest { origin, ..request() }.is_cross_origin()
    };
    assert!(!sent(None, None));
    assert!(!sent(Some("same-origin"), Some("http://evil.example")));
    assert!(!sent(Some("none"), None));
    assert!(sent(Some("same-site"), None));
    assert!(sent(Some("cross-site"), Some("http://shop.example:8080")));
    assert!(!sent(None, Some("http://shop.example:8080")));
    for origin in ["http://evil.example", "https://shop.example:8080", "http://shop.example", "null"] {
        assert!(sent(None, Some(origin)), "{origin}");
    }
}

#[test]
fn tells_phones_tablets_and_desktops_apart() {
    assert_eq!(device("Mozilla/5.0 (iPhone; …) Mobile/15E148"), (true, false));
    assert_eq!(device("Mozilla/5.0 (Linux; Android 14; Pixel) Mobile Safari"), (true, false));
    assert_eq!(device("Mozilla/5.0 (Linux; Android 14; SM-X910) Safari"), (false, true));
    assert_eq!(device("Mozilla/5.0 (X11; Linux x86_64)"), (false, false));
}
