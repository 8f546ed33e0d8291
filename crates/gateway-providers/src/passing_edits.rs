//! The edits of a response that passes on while it arrives.

use crate::upstream_reply::read_whole;
use bytes::Bytes;
use gateway_core::{Chunk, ProviderRequest, Result, SealOwner};
use gateway_wire::{IdGenerator, OutboundDialect, json::JsonOutline, unreadable};
use memchr::memmem;
use std::sync::Arc;
use uuid::Uuid;

/// The strings of a response that are left out of its outline at most; further ones stay in it.
const MAX_LEFT_OUT: usize = 64;

/// The beginning of the marks in the places of strings.
const MARK: &str = "left_out_";

/// Edits the outline of a response as its whole would be: normalizes it, and marks its seals.
pub(crate) struct PassingEdits {
    upstream: Arc<dyn OutboundDialect>,
    call: ProviderRequest,
    ids: IdGenerator,
    owner: SealOwner,
    /// Makes the marks in the places of strings: an upstream cannot guess them.
    marks: IdGenerator,
    left_out: usize,
    /// The bytes that were passed on, with marks in the places of strings.
    passed: Vec<u8>,
}

impl PassingEdits {
    pub(crate) fn new(
        upstream: &Arc<dyn OutboundDialect>,
        call: &ProviderRequest,
        (ids, owner): (IdGenerator, SealOwner),
    ) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            call: call.clone(),
            ids,
            owner,
            marks: IdGenerator::new(Uuid::new_v4().as_u128()),
            left_out: 0,
            passed: Vec::new(),
        }
    }

    /// Whether every response stays as it is.
    pub(crate) fn change_nothing(&self) -> bool {
        self.upstream.passes_bytes_unchanged()
    }

    /// Returns what is passed on before the content of the long string that `outline` has come to,
    /// and the mark for its place; `None` if the string has to stay, because what is before it may
    /// look different in the end.
    pub(crate) fn before(&mut self, outline: &JsonOutline) -> Option<(String, Vec<u8>)> {
        if self.left_out == MAX_LEFT_OUT {
            return None;
        }
        let mark = self.marks.next(MARK);
        let closed = Bytes::from(outline.closed_with(&mark));
        let mut chunk = self.read(closed.clone()).ok()?;
        let before = |text: &[u8]| {
            let mut places = memmem::find_iter(text, mark.as_bytes());
            let place = places.next().filter(|_| places.next().is_none())?;
            text.get(..place).map(<[u8]>::to_vec)
        };
        let is_unchanged =
            without_space(&before(chunk.verbatim.as_ref()?)?) == without_space(&before(&closed)?);
        if !is_unchanged {
            return None;
        }
        self.mark_seals(&mut chunk);
        let text = before(chunk.verbatim.as_ref()?)?;
        let more = text.strip_prefix(self.passed.as_slice())?.to_vec();
        self.passed = text;
        self.passed.extend_from_slice(mark.as_bytes());
        self.left_out += 1;
        Some((mark, more))
    }

    /// Returns what is metered of the response, which is complete, with the rest of its bytes.
    ///
    /// # Errors
    ///
    /// If it is no response, or does not begin with what was passed on.
    pub(crate) fn end(&mut self, outline: Vec<u8>) -> Result<Chunk> {
        let mut chunk = self.read(outline.into())?;
        self.mark_seals(&mut chunk);
        let text = chunk.verbatim.take().unwrap_or_default();
        if !text.starts_with(&self.passed) {
            return Err(unreadable("a response whose end changes its beginning"));
        }
        let rest = text.slice(self.passed.len()..);
        let mark = self.marks.clone().next(MARK);
        // All marks have this in common.
        let common = mark.as_bytes().get(..MARK.len() + 28).unwrap_or_default();
        if memmem::find(&rest, common).is_some() {
            return Err(unreadable("a response that repeats what was passed on"));
        }
        chunk.verbatim = Some(rest);
        Ok(chunk)
    }

    fn read(&self, body: Bytes) -> Result<Chunk> {
        read_whole(&*self.upstream, &self.call, body, self.ids.clone())
    }

    fn mark_seals(&self, chunk: &mut Chunk) {
        if let Some(mark) = self.upstream.seal_marker() {
            mark(chunk, false, &self.owner);
        }
    }
}

/// `json` without the space outside of its strings. It may end within one.
fn without_space(json: &[u8]) -> Vec<u8> {
    let (mut is_string, mut is_escaped) = (false, false);
    let mut compact = json.to_vec();
    compact.retain(|byte| {
        let is_space = !is_string && byte.is_ascii_whitespace();
        if *byte == b'"' && !is_escaped {
            is_string = !is_string;
        }
        is_escaped = is_string && !is_escaped && *byte == b'\\';
        !is_space
    });
    compact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_within_strings_counts() {
        for (json, expected) in [
            ("{ \"a b\" :\n[1, 2] }", "{\"a b\":[1,2]}"),
            (r#"" \" " , "\\" , " "#, r#"" \" ","\\"," "#),
        ] {
            assert_eq!(without_space(json.as_bytes()), expected.as_bytes());
        }
    }
}
