//! The body of a response, read on poll.

use super::{
    connection::{BodyStart, Http1Connection, Input},
    framing::BodyDecoder,
};
use crate::client::error::BodyError;
use bytes::Bytes;
use std::task::{Context, Poll, ready};

/// A body on its way. Dropping it before its end closes the connection.
#[derive(Debug)]
pub(in crate::client) struct Http1Body {
    /// The connection, until the body ends.
    connection: Option<Box<Http1Connection>>,
    decoder: BodyDecoder,
    /// The received bytes that were not yet returned.
    ready: Bytes,
    keep_alive: bool,
}

impl Http1Body {
    pub(in crate::client) fn new(
        connection: Box<Http1Connection>,
        decoder: BodyDecoder,
        keep_alive: bool,
        start: BodyStart,
    ) -> Self {
        let BodyStart { data: ready, has_excess } = start;
        let keep_alive = keep_alive && !has_excess;
        let mut body = Self { connection: Some(connection), decoder, ready, keep_alive };
        body.release_at_end();
        body
    }

    /// Whether all of it was taken.
    pub(in crate::client) fn is_end(&self) -> bool {
        self.ready.is_empty() && self.decoder.is_end()
    }

    /// The number of bytes to come, if it is known.
    pub(in crate::client) fn remaining(&self) -> Option<u64> {
        Some(self.decoder.remaining()? + self.ready.len() as u64)
    }

    /// The next data: all that one read brought.
    pub(in crate::client) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if !self.ready.is_empty() {
                return Poll::Ready(Some(Ok(std::mem::take(&mut self.ready))));
            }
            let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
            if let Some(error) = self.decoder.error() {
                self.connection = None;
                return Poll::Ready(Some(Err(error.into())));
            }
            let decoder = &mut self.decoder;
            let read = ready!(connection.poll_read(cx, |came| decoder.decode(came)));
            match read {
                Ok((Input::Bytes(came), (data, used))) => {
                    self.ready = data;
                    self.keep_alive &= used == came;
                }
                Ok((Input::End, _)) => {
                    self.keep_alive = false;
                    self.decoder.finish();
                }
                Err(error) => {
                    self.connection = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
            self.release_at_end();
        }
    }

    /// Gives the connection to others as soon as nothing more of it is ours.
    fn release_at_end(&mut self) {
        if self.decoder.is_end()
            && let Some(connection) = self.connection.take()
            && self.keep_alive
        {
            connection.release();
        }
    }
}
