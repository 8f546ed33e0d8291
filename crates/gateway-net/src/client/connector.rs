//! Connecting to an upstream: a name, a socket, TLS, all within one limit.

use super::{
    names::Names,
    watched::{Socket, Watched},
};
use gateway_core::BoxError;
use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::ClientConfig;
use std::{
    error::Error,
    fmt,
    future::{Future, Ready, ready},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{self, Instant};
use tower_service::Service;

/// Connects in two steps, so that it is known which of them failed.
#[derive(Clone)]
pub(super) struct Connector {
    http: HttpConnector<Names>,
    tls: Arc<ClientConfig>,
    limit: Duration,
}

impl Connector {
    /// Takes no longer than `limit` for all of it; nor does a head of what comes then.
    pub(super) fn new(http: HttpConnector<Names>, tls: ClientConfig, limit: Duration) -> Self {
        Self { http, tls: Arc::new(tls), limit }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Watched>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.limit;
        let until = Instant::now() + limit;
        let (connecting, tls) = (self.http.call(uri.clone()), Arc::clone(&self.tls));
        Box::pin(async move {
            let socket = time::timeout_at(until, connecting).await??;
            let securing = HttpsConnector::from((Connected(Some(socket)), tls)).call(uri);
            match time::timeout_at(until, securing).await {
                Ok(Ok(secured)) => Ok(TokioIo::new(Watched::new(secured, limit))),
                Ok(Err(error)) => Err(Handshake(error).into()),
                Err(late) => Err(Handshake(late.into()).into()),
            }
        })
    }
}

/// A connection that is there already.
struct Connected(Option<Socket>);

impl Service<Uri> for Connected {
    type Response = Socket;
    type Error = io::Error;
    type Future = Ready<io::Result<Socket>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    }
}

/// Somebody is there, with whom no TLS comes about.
#[derive(Debug)]
struct Handshake(BoxError);

impl fmt::Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no TLS comes about")
    }
}

impl Error for Handshake {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source: &(dyn Error + 'static) = &*self.0;
        Some(source)
    }
}

/// Whether `error` is one of TLS.
pub(super) fn is_handshake(error: &(dyn Error + 'static)) -> bool {
    let mut all = std::iter::successors(Some(error), |&error| error.source());
    all.any(<dyn Error>::is::<Handshake>)
}
