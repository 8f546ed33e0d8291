//! Decodes streamed responses, line by line.

use crate::{IdGenerator, StreamReader, framing, unreadable};
use bytes::Bytes;
use gateway_core::{Chunk, ErrorKind, GatewayError, Result, StreamEvent};

/// Reads lines until one says that it is the last.
#[derive(Debug)]
pub(super) struct OllamaStreamReader {
    pub(super) ids: IdGenerator,
    pub(super) has_started: bool,
    pub(super) is_done: bool,
    /// The number of tool calls so far.
    pub(super) calls: u32,
}

impl OllamaStreamReader {
    pub(super) fn new(ids: IdGenerator) -> Self {
        Self { ids, has_started: false, is_done: false, calls: 0 }
    }

    fn lines(&mut self, block: &[u8], events: &mut Vec<StreamEvent>) -> Result<()> {
        for line in framing::lines(block) {
            if self.is_done {
                break;
            }
            // Whatever is not UTF-8 is replaced rather than ending a response.
            let line = String::from_utf8_lossy(line);
            self.line(serde_json::from_str(&line).map_err(unreadable)?, events)?;
        }
        Ok(())
    }

    /// Checks that the response is complete.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UpstreamTruncated`] if it is not.
    pub(super) fn check_end(&self) -> Result<()> {
        if self.is_done {
            return Ok(());
        }
        Err(GatewayError::new(
            ErrorKind::UpstreamTruncated,
            "the provider's response ended before it was complete",
        ))
    }
}

impl StreamReader for OllamaStreamReader {
    fn read(&mut self, block: Bytes, chunk: &mut Chunk) -> Result<()> {
        let done = self.lines(&block, &mut chunk.events);
        chunk.output = chunk.events.iter().any(StreamEvent::is_output);
        done
    }

    fn end(&mut self, _: &mut Chunk) -> Result<()> {
        self.check_end()
    }

    fn is_finished(&self) -> bool {
        self.is_done
    }

    fn is_complete(&self) -> bool {
        self.is_done
    }
}
