//! Serves each connection in the protocol that its client has asked for.

use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::error::DispatchError;
use actix_http::{Request, Response};
use actix_server::GracefulShutdownSignal;
use actix_service::{Service, ServiceFactory};
use actix_web::body::BoxBody;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Times, serve};

/// A connection whose handshake is over, and the client's address.
type Accepted<T> = (T, Option<SocketAddr>);

/// The services of a listener, for both protocols.
pub(crate) struct ByProtocol<H, A, T> {
    /// Serves connections of HTTP/1.1.
    pub(crate) http1: H,
    /// Answers requests of HTTP/2.
    pub(crate) app: A,
    pub(crate) is_http2: fn(&T) -> bool,
    pub(crate) times: Times,
    pub(crate) stopping: GracefulShutdownSignal,
}

impl<H, A, T> ServiceFactory<Accepted<T>> for ByProtocol<H, A, T>
where
    H: ServiceFactory<Accepted<T>, Config = (), Response = (), Error = DispatchError, InitError = ()>,
    H::Future: 'static,
    <H::Service as Service<Accepted<T>>>::Future: 'static,
    A: ServiceFactory<Request, Config = (), Response = Response<BoxBody>, Error = Response<BoxBody>>,
    A::Future: 'static,
    A::Service: 'static,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    type Response = ();
    type Error = DispatchError;
    type Config = ();
    type Service = ByProtocol<H::Service, Rc<A::Service>, T>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Service, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let (http1, app) = (self.http1.new_service(()), self.app.new_service(()));
        let (is_http2, times, stopping) = (self.is_http2, self.times, self.stopping.clone());
        async move {
            // The services of HTTP/1.1 have logged what failed: both are made of the same application.
            let (http1, app) = (http1.await?, Rc::new(app.await.map_err(drop)?));
            Ok(ByProtocol { http1, app, is_http2, times, stopping })
        }
        .boxed_local()
    }
}

impl<H, S, T> Service<Accepted<T>> for ByProtocol<H, Rc<S>, T>
where
    H: Service<Accepted<T>, Response = (), Error = DispatchError>,
    H::Future: 'static,
    S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>> + 'static,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    type Response = ();
    type Error = DispatchError;
    type Future = LocalBoxFuture<'static, Result<(), DispatchError>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), DispatchError>> {
        self.http1.poll_ready(context)
    }

    fn call(&self, (stream, peer): Accepted<T>) -> Self::Future {
        if (self.is_http2)(&stream) {
            let stopping = self.stopping.clone();
            let stopping = async move { stopping.notified().await };
            serve(stream, peer, Rc::clone(&self.app), self.times, stopping).boxed_local()
        } else {
            self.http1.call((stream, peer)).boxed_local()
        }
    }
}
