//! Connections over pipes, with short times.

use actix_service::fn_service;
use actix_web::body::{MessageBody as _, SizedStream};
use actix_web::http::StatusCode;
use bytes::Bytes;
use futures_util::stream;
use h2::client::SendRequest;
use tokio::io::DuplexStream;

use super::*;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

/// What a service of the tests answers.
type Answer = Result<Response<BoxBody>, Response<BoxBody>>;

/// Serves a connection with this service, and runs `client` at its other end. Returns how the connection ended.
fn served<C: Future>(
    answer: impl Fn(Request) -> Answer + Clone + 'static,
    times: Times,
    stopping: impl Future<Output = ()>,
    client: impl FnOnce(DuplexStream) -> C,
) -> Result<(), DispatchError> {
    let service = Rc::new(fn_service(move |request| std::future::ready(answer(request))));
    rt::System::new().block_on(async {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let served = serve(ours, None, service, times, stopping);
        tokio::join!(served, client(theirs)).0
    })
}

/// A client, whose connection runs until it ends.
async fn connect(io: DuplexStream) -> (SendRequest<Bytes>, rt::task::JoinHandle<Result<(), h2::Error>>) {
    let (requests, connection) = h2::client::handshake(io).await.unwrap();
    (requests, rt::spawn(connection))
}

async fn get(requests: &SendRequest<Bytes>) -> Result<(http::response::Parts, Vec<u8>), h2::Error> {
    let request = http::Request::get("https://shop.test/").body(()).unwrap();
    let (head, mut body) = requests.clone().ready().await?.send_request(request, true)?.0.await?.into_parts();
    let mut all = Vec::new();
    while let Some(chunk) = body.data().await {
        all.extend_from_slice(&chunk?);
    }
    Ok((head, all))
}

fn ok(_: Request) -> Answer {
    Ok(Response::ok())
}

#[test]
fn client_that_does_not_begin_is_disconnected() {
    let times = Times { preface: SHORT, idle: LONG, write: LONG };
    let ended = served(ok, times, std::future::pending(), std::future::ready);
    assert!(matches!(ended, Err(DispatchError::SlowRequestTimeout)), "{ended:?}");
}

#[test]
fn idle_connection_is_closed_after_its_requests() {
    let times = Times { preface: LONG, idle: SHORT, write: LONG };
    // The client may be the first to close the connection.
    let _ = served(ok, times, std::future::pending(), async |io| {
        let (requests, connection) = connect(io).await;
        for _ in 0..3 {
            assert_eq!(get(&requests).await.unwrap().0.status, 200);
        }
        connection.await.unwrap().unwrap();
    });
}

#[test]
fn idle_client_that_does_not_confirm_the_end_is_disconnected() {
    let times = Times { preface: LONG, idle: SHORT, write: LONG };
    let ended = served(ok, times, std::future::pending(), async |mut io| {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut all = Vec::new();
        io.read_to_end(&mut all).await.unwrap();
        let go_away = [7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        assert!(all.windows(go_away.len()).any(|frame| frame == go_away), "{all:?}");
    });
    assert!(ended.is_ok(), "{ended:?}");
}

#[test]
fn response_that_closes_its_connection_is_the_last() {
    let times = Times { preface: LONG, idle: LONG, write: LONG };
    let close = |_| {
        let mut response = Response::ok().map_into_boxed_body();
        response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
        Ok(response)
    };
    // The client may be the first to close the connection.
    let _ = served(close, times, std::future::pending(), async |io| {
        let (requests, connection) = connect(io).await;
        assert_eq!(get(&requests).await.unwrap().0.status, 200);
        connection.await.unwrap().unwrap();
        assert!(get(&requests).await.is_err());
    });
}

#[test]
fn client_that_goes_on_after_the_end_is_disconnected() {
    let times = Times { preface: LONG, idle: LONG, write: LONG };
    // The pong that would confirm the end is never sent, so h2 goes on accepting requests.
    let ended = served(ok, times, std::future::ready(()), async |mut io| {
        use tokio::io::AsyncWriteExt as _;
        let mut sent = io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        let mut stream = 1_u32;
        while sent.is_ok() {
            // `GET /` of `a`, with literal headers.
            let block = b"\x82\x87\x84\x01\x01a";
            let frame = [&[0, 0, 6, 1, 5][..], &stream.to_be_bytes(), block].concat();
            sent = io.write_all(&frame).await;
            stream += 2;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(ended.is_ok(), "{ended:?}");
}

#[test]
fn body_that_is_too_short_is_not_taken_for_complete() {
    let times = Times { preface: LONG, idle: SHORT, write: LONG };
    let sized = |announced: u64| {
        move |_| {
            let chunks =
                ["one", "two"].map(|chunk| Ok::<_, std::io::Error>(Bytes::from_static(chunk.as_bytes())));
            Ok(Response::ok().set_body(SizedStream::new(announced, stream::iter(chunks)).boxed()))
        }
    };
    for (announced, expected) in [(6, Some("onetwo")), (4, Some("onet")), (7, None)] {
        let ended = served(sized(announced), times, std::future::pending(), async |io| {
            let (requests, _connection) = connect(io).await;
            let answer = get(&requests).await;
            let body = answer.ok().map(|(_, body)| String::from_utf8(body).unwrap());
            assert_eq!(body.as_deref(), expected, "{announced}");
        });
        assert!(ended.is_ok(), "{ended:?}");
    }
}

#[test]
fn heads_have_the_length_of_the_body_and_no_headers_of_the_connection() {
    let head = |status: StatusCode, size| {
        let mut response = Response::new(status).drop_body();
        for (name, value) in [("content-length", "9"), ("connection", "close"), ("x-a", "b"), ("date", "now")]
        {
            let name = actix_web::http::header::HeaderName::from_static(name);
            let value = actix_web::http::header::HeaderValue::from_static(value);
            response.headers_mut().append(name, value);
        }
        let head = head::response(&response, size).unwrap();
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let mut headers: Vec<_> = head.headers().iter().map(text).collect();
        headers.sort_unstable();
        headers.join(", ")
    };
    use actix_web::body::BodySize;
    let (ok, empty, known) = (StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED);
    assert_eq!(head(ok, BodySize::Sized(5)), "content-length: 5, date: now, x-a: b");
    assert_eq!(head(ok, BodySize::Sized(0)), "content-length: 0, date: now, x-a: b");
    assert_eq!(head(ok, BodySize::Stream), "date: now, x-a: b");
    assert_eq!(head(known, BodySize::None), "content-length: 9, date: now, x-a: b");
    assert_eq!(head(empty, BodySize::Sized(0)), "date: now, x-a: b");
    assert_eq!(head(empty, BodySize::None), "date: now, x-a: b");
}
