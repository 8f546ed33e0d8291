//! A connection that fails rather than pass on a head from which no answer is to be had.

use super::heads::Heads;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

pub(super) type Socket = TokioIo<TcpStream>;

/// A connection, in the open or under TLS, that fails when a head is unsound.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TokioIo<MaybeHttpsStream<Socket>>,
    /// Nothing with HTTP/2, whose heads have limits of their own.
    heads: Option<Heads>,
}

impl Watched {
    /// A head takes no longer than `limit`.
    pub(super) fn new(stream: MaybeHttpsStream<Socket>, limit: Duration) -> Self {
        let heads = (!stream.connected().is_negotiated_h2()).then(|| Heads::new(limit));
        Self { stream: TokioIo::new(stream), heads }
    }

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        if let (Some(heads), Poll::Ready(Ok(1..))) = (&mut self.heads, written) {
            heads.asked();
        }
    }
}

impl Connection for Watched {
    fn connected(&self) -> Connected {
        self.stream.inner().connected()
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        // A body, of which most reads are, is not looked at, nor is the clock.
        if let Some(heads) = self.heads.as_mut().filter(|heads| heads.expect_one()) {
            heads.came(came, Instant::now()).map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
