//! Redirects.

use std::io::Write as _;

use super::server::{Server, response};
use super::*;
use crate::Redirects;

/// Answers `/STATUS/LOCATION` with a redirect, and everything else with `end`.
fn redirecting() -> Server {
    Server::at((ALLOWED, 0), |request, stream| {
        let path = request.head.split(' ').nth(1).unwrap();
        let answer = match path.strip_prefix("/r/").and_then(|rest| rest.split_once('/')) {
            Some((status, to)) => {
                let to = if to.starts_with("http:") { to.to_owned() } else { format!("/{to}") };
                response(&format!("{status} Moved"), &format!("location: {to}\r\n"), "")
            }
            None => response("200 OK", "", "end"),
        };
        drop(stream.write_all(answer.as_bytes()));
    })
}

fn allowing(servers: &[&Server]) -> Arc<Rules> {
    let own: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
    rules(&own.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_five_redirects() {
    let server = redirecting();
    let rules = allowing(&[&server]);
    let client = client();
    let five = "/r/302".repeat(5) + "/end";
    let response = send(&client, &rules, get(&server.url(&five))).await.unwrap();
    assert_eq!((response.status, response.is_redirected), (200, true));
    assert_eq!(response.url, server.url("/end"));
    let error = send(&client, &rules, get(&server.url(&format!("/r/302{five}")))).await.unwrap_err();
    assert_eq!(error, CallError::TooManyRedirects("127.0.0.9".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_and_error_do_not_follow() {
    let server = redirecting();
    let rules = allowing(&[&server]);
    let call = |redirect| Call { redirect, ..get(&server.url("/r/301/end")) };
    let response = send(&client(), &rules, call(Redirects::Manual)).await.unwrap();
    assert_eq!((response.status, response.is_redirected), (301, false));
    assert!(response.headers.contains(&header("location", "/end")), "{:?}", response.headers);
    let error = send(&client(), &rules, call(Redirects::Error)).await.unwrap_err();
    assert_eq!(error, CallError::Redirected("127.0.0.9".into()));
    assert_eq!(server.requests.lock().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_gets_neither_authorization_nor_cookies() {
    let (first, second) = (redirecting(), redirecting());
    let rules = allowing(&[&first, &second]);
    let headers = vec![header("authorization", "Bearer a"), header("cookie", "a=b"), header("x-own", "kept")];
    let within = Call { headers: headers.clone(), ..get(&first.url("/r/307/end")) };
    send(&client(), &rules, within).await.unwrap();
    for index in 0..2 {
        let head = first.request(index).head;
        assert!(head.contains("authorization: bearer a\r\n") && head.contains("cookie: a=b\r\n"), "{head}");
    }
    let across = Call { headers, ..get(&first.url(&format!("/r/307/{}", second.url("/end")))) };
    send(&client(), &rules, across).await.unwrap();
    let head = second.request(0).head;
    assert!(!head.contains("authorization") && !head.contains("cookie"), "{head}");
    assert!(head.contains("x-own: kept\r\n"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn method_and_body_follow_the_standard() {
    let server = redirecting();
    let rules = allowing(&[&server]);
    for (status, method, expected) in [
        (301, "POST", "get"),
        (302, "POST", "get"),
        (303, "PUT", "get"),
        (307, "POST", "post"),
        (308, "PUT", "put"),
        (301, "PUT", "put"),
        (303, "HEAD", "head"),
    ] {
        server.requests.lock().clear();
        let body = (method != "HEAD").then(|| "body".into());
        let headers = vec![header("content-type", "text/plain")];
        let call =
            Call { method: method.into(), body, headers, ..get(&server.url(&format!("/r/{status}/end"))) };
        send(&client(), &rules, call).await.unwrap();
        let last = server.request(1);
        assert!(last.head.starts_with(&format!("{expected} /end ")), "{status} {method}: {}", last.head);
        let is_get = expected == "get";
        assert_eq!(last.body, if is_get || method == "HEAD" { "" } else { "body" });
        assert_eq!(last.head.contains("content-type"), !is_get, "{status} {method}: {}", last.head);
    }
}
