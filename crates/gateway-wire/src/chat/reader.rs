//! Reads streams that need more than being passed on: they are mended, translated, or both.

use super::{
    decoder::Decoder,
    errors,
    mend::{Mended, Mender},
};
use crate::{StreamReader, sse};
use bytes::Bytes;
use gateway_core::{Frame, Look, Result, StreamEvent};

/// Reads chunks into events and, if the caller speaks this dialect, into mended chunks.
pub(super) struct Reader {
    decoder: Decoder,
    mender: Option<Mender>,
    /// Hand on chunks beside events.
    relays: bool,
    look: Look,
    expected: usize,
    done: bool,
}

impl Reader {
    /// For a caller of another dialect.
    pub(super) const fn translating(
        decoder: Decoder,
        mender: Option<Mender>,
        expected: usize,
    ) -> Self {
        Self { decoder, mender, relays: false, look: Look::Events, expected, done: false }
    }

    /// For a caller of this dialect.
    pub(super) const fn mending(
        decoder: Decoder,
        mender: Mender,
        look: Look,
        expected: usize,
    ) -> Self {
        Self { decoder, mender: Some(mender), relays: true, look, expected, done: false }
    }

    fn each(&mut self, block: &[u8], frame: &mut Frame, out: &mut Vec<u8>) -> Result<()> {
        for event in sse::events(block) {
            let data = event.data.trim();
            if self.done || data.is_empty() {
                continue;
            }
            if data == "[DONE]" {
                self.done = true;
                self.close(frame, out)?;
            } else if event.name == "error" {
                return Err(errors::event(data));
            } else {
                self.chunk(data, frame, out)?;
            }
        }
        Ok(())
    }

    fn chunk(&mut self, data: &str, frame: &mut Frame, out: &mut Vec<u8>) -> Result<()> {
        let Some(mender) = &mut self.mender else {
            return self.decoder.read(data, &mut frame.events);
        };
        let Mended { chunk, usage } = mender.chunk(data)?;
        if let Some(chunk) = chunk {
            self.decoder.read(&chunk, &mut frame.events)?;
            sse::write(out, None, &chunk);
        }
        frame.events.extend(usage.map(StreamEvent::Usage));
        Ok(())
    }

    /// What the mender kept for the end.
    fn close(&mut self, frame: &mut Frame, out: &mut Vec<u8>) -> Result<()> {
        let Some(mender) = &mut self.mender else { return Ok(()) };
        let (ends, usage) = mender.end();
        for chunk in ends {
            self.decoder.read(&chunk, &mut frame.events)?;
            sse::write(out, None, &chunk);
        }
        if let Some(chunk) = usage {
            sse::write(out, None, &chunk);
        }
        Ok(())
    }

    /// Completes `frame`, whose events are all there.
    fn settle(&self, frame: &mut Frame, out: Vec<u8>) {
        frame.output = frame.events.iter().any(StreamEvent::is_output);
        if !self.relays {
            return;
        }
        frame.verbatim = (!out.is_empty()).then(|| out.into());
        if self.look == Look::Digest {
            frame
                .events
                .retain(|it| matches!(it, StreamEvent::Usage(_) | StreamEvent::Finished(_)));
        }
    }
}

impl StreamReader for Reader {
    fn read(&mut self, block: Bytes, frame: &mut Frame) -> Result<()> {
        let mut out = Vec::new();
        let outcome = self.each(&block, frame, &mut out);
        self.settle(frame, out);
        outcome
    }

    fn end(&mut self, frame: &mut Frame) -> Result<()> {
        let mut out = Vec::new();
        if self.is_finished() {
            self.close(frame, &mut out)?;
        }
        self.settle(frame, out);
        // Whoever says that this is all may give fewer choices than were asked for.
        self.decoder.end(if self.done { 1 } else { self.expected })
    }

    fn is_finished(&self) -> bool {
        match &self.mender {
            Some(mender) => mender.is_finished() || self.decoder.is_finished(self.expected),
            None => self.decoder.is_finished(self.expected),
        }
    }

    fn is_complete(&self) -> bool {
        self.done
    }
}
