//! A reader of streamed responses that marks the seals in them.

use bytes::Bytes;
use gateway_core::{Chunk, Result, SealOwner};
use gateway_wire::{StreamReader, seals::SealMarker};

/// A stream reader whose chunks have their seals marked with their owner.
pub(crate) struct MarkingReader {
    inner: Box<dyn StreamReader>,
    mark: SealMarker,
    owner: SealOwner,
}

impl MarkingReader {
    /// Returns `inner`, wrapped if its upstream seals anything.
    pub(crate) fn wrap(
        inner: Box<dyn StreamReader>,
        mark: Option<SealMarker>,
        owner: SealOwner,
    ) -> Box<dyn StreamReader> {
        match mark {
            Some(mark) => Box::new(Self { inner, mark, owner }),
            None => inner,
        }
    }
}

impl StreamReader for MarkingReader {
    fn read(&mut self, block: Bytes, chunk: &mut Chunk) -> Result<()> {
        let outcome = self.inner.read(block, chunk);
        (self.mark)(chunk, true, &self.owner);
        outcome
    }

    fn end(&mut self, chunk: &mut Chunk) -> Result<()> {
        let outcome = self.inner.end(chunk);
        (self.mark)(chunk, true, &self.owner);
        outcome
    }

    fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }
}
