//! Blocks of a streamed response: each is closed before the next one opens.
//!
//! Other dialects let calls interleave. Here the block in front is written as it grows, and the
//! others wait in line, until the front one is known to be complete or the response ends.

use super::{
    encode_response::{TypedBlockWire, call_id, ours},
    stream_writer::write,
};
use crate::{IdGenerator, sse, tool_arguments};
use gateway_core::{Dialect, Opaque, Seal, SealKind, ToolCallDelta};
use serde::{Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::{HashSet, VecDeque},
};

/// An addition to the response.
#[derive(Debug)]
pub(super) enum BlockEvent {
    Text(String),
    Refusal(String),
    Thinking(String),
    Seal(Seal),
    Call(ToolCallDelta),
    Opaque(Opaque),
}

/// The blocks that are not complete yet, the one that is being written in front.
#[derive(Debug)]
pub(super) struct BlockSequencer {
    ids: IdGenerator,
    /// The index of the block in front, once it is open.
    index: u32,
    is_open: bool,
    line: VecDeque<PendingBlock>,
    /// Calls that are complete.
    done: HashSet<u32>,
}

/// A block that is not complete yet.
#[derive(Debug)]
struct PendingBlock {
    kind: PendingBlockKind,
    /// The content not written yet.
    pending: String,
    /// Nothing can be added.
    is_final: bool,
}

#[derive(Debug)]
enum PendingBlockKind {
    Text,
    Refusal,
    Thinking {
        signature: String,
    },
    Redacted {
        data: String,
    },
    Call {
        index: u32,
        id: String,
        name: String,
        custom: bool,
        arguments: String,
    },
    Raw(gateway_core::Json),
    /// Something that is not shown, and parts what stands before it from what stands behind.
    Gap,
}

#[derive(Serialize)]
struct BlockStartWire<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
    content_block: &'a T,
}

#[derive(Serialize)]
struct ContentDeltaWire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
    delta: BlockDeltaOutWire<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum BlockDeltaOutWire<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Arguments { partial_json: &'a str },
}

#[derive(Serialize)]
struct BlockStopWire {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
}

impl BlockSequencer {
    pub(super) fn new(ids: IdGenerator) -> Self {
        let (line, done) = (VecDeque::new(), HashSet::new());
        Self { ids, index: 0, is_open: false, line, done }
    }

    /// Takes in a piece and writes what can be written.
    pub(super) fn push(&mut self, piece: BlockEvent, out: &mut Vec<u8>) {
        match piece {
            BlockEvent::Text(text) => self.append(PendingBlockKind::Text, text),
            BlockEvent::Refusal(text) => self.append(PendingBlockKind::Refusal, text),
            BlockEvent::Thinking(text) => {
                self.append(PendingBlockKind::Thinking { signature: String::new() }, text);
            }
            BlockEvent::Seal(seal) => self.seal(&seal),
            BlockEvent::Call(delta) => self.call(delta),
            BlockEvent::Opaque(it) if it.dialect == Dialect::Messages => {
                self.hold(PendingBlockKind::Raw(it.json));
            }
            BlockEvent::Opaque(_) => self.hold(PendingBlockKind::Gap),
        }
        while let Some(front) = self.line.front() {
            let may_close = front.is_final || (self.line.len() > 1 && front.may_close());
            self.flush(out);
            if !may_close {
                break;
            }
            self.close(out);
        }
    }

    /// Writes what is left.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        while !self.line.is_empty() {
            self.flush(out);
            self.close(out);
        }
    }

    fn append(&mut self, kind: PendingBlockKind, text: String) {
        match self.line.back_mut() {
            Some(last) if last.takes(&kind) => last.pending.push_str(&text),
            _ => self.line.push_back(PendingBlock { kind, pending: text, is_final: false }),
        }
    }

    fn hold(&mut self, kind: PendingBlockKind) {
        self.line.push_back(PendingBlock { kind, pending: String::new(), is_final: true });
    }

    /// A seal ends the thinking before it; one of another dialect is not shown.
    fn seal(&mut self, seal: &Seal) {
        let signature = ours(seal, SealKind::Signature).unwrap_or_default();
        match self.line.back_mut() {
            Some(PendingBlock {
                kind: PendingBlockKind::Thinking { signature: slot },
                is_final,
                ..
            }) if !*is_final => {
                signature.clone_into(slot);
                *is_final = true;
            }
            _ if signature.is_empty() => self.hold(PendingBlockKind::Gap),
            _ => self.hold(PendingBlockKind::Thinking { signature: signature.to_owned() }),
        }
        if let Some(data) = ours(seal, SealKind::Encrypted) {
            self.hold(PendingBlockKind::Redacted { data: data.to_owned() });
        }
    }

    fn call(&mut self, delta: ToolCallDelta) {
        let ToolCallDelta { index: which, id, name, arguments: more, custom, seal: _ } = delta;
        if self.done.contains(&which) {
            return;
        }
        for held in &mut self.line {
            if let PendingBlockKind::Call { index, arguments, .. } = &mut held.kind
                && *index == which
            {
                arguments.push_str(&more);
                held.pending.push_str(&more);
                return;
            }
        }
        let id = call_id(&id, &mut self.ids).into_owned();
        let kind =
            PendingBlockKind::Call { index: which, id, name, custom, arguments: more.clone() };
        self.line.push_back(PendingBlock { kind, pending: more, is_final: false });
    }

    /// Writes what is known of the block in front, and opens it before that.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let Some(front) = self.line.front_mut() else { return };
        if !self.is_open && front.is_shown() {
            front.start(self.index, out);
            self.is_open = true;
        }
        let pending = std::mem::take(&mut front.pending);
        if let Some(delta) = front.delta(&pending).filter(|_| !pending.is_empty()) {
            add(self.index, delta, out);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(front) = self.line.pop_front() else { return };
        if let PendingBlockKind::Thinking { signature } = &front.kind
            && !signature.is_empty()
        {
            add(self.index, BlockDeltaOutWire::Signature { signature }, out);
        }
        if let PendingBlockKind::Call { index, custom, arguments, .. } = &front.kind {
            if *custom {
                let input = tool_arguments::arguments(arguments, true);
                add(self.index, BlockDeltaOutWire::Arguments { partial_json: input.get() }, out);
            }
            self.done.insert(*index);
        }
        if std::mem::take(&mut self.is_open) {
            let stop = BlockStopWire { kind: "content_block_stop", index: self.index };
            write(out, "content_block_stop", &stop);
            self.index = self.index.saturating_add(1);
        }
    }
}

impl PendingBlock {
    /// Returns whether a piece of `kind` goes on where this block ends.
    const fn takes(&self, kind: &PendingBlockKind) -> bool {
        !self.is_final
            && matches!(
                (&self.kind, kind),
                (PendingBlockKind::Text, PendingBlockKind::Text)
                    | (PendingBlockKind::Refusal, PendingBlockKind::Refusal)
                    | (PendingBlockKind::Thinking { .. }, PendingBlockKind::Thinking { .. })
            )
    }

    /// Returns whether there is anything to show, so far.
    fn is_shown(&self) -> bool {
        match &self.kind {
            PendingBlockKind::Text | PendingBlockKind::Refusal => !self.pending.is_empty(),
            PendingBlockKind::Thinking { signature } => {
                !self.pending.is_empty() || !signature.is_empty()
            }
            PendingBlockKind::Redacted { .. }
            | PendingBlockKind::Call { .. }
            | PendingBlockKind::Raw(_) => true,
            PendingBlockKind::Gap => false,
        }
    }

    /// Returns whether nothing is to be expected once something else has begun: arguments may go on
    /// until they are complete.
    fn may_close(&self) -> bool {
        let PendingBlockKind::Call { custom, arguments, .. } = &self.kind else { return true };
        !custom
            && arguments.trim_end().ends_with('}')
            && serde_json::from_str::<IgnoredAny>(arguments).is_ok()
    }

    fn start(&self, index: u32, out: &mut Vec<u8>) {
        let empty: Cow<'_, RawValue> = tool_arguments::arguments("", false);
        let block = match &self.kind {
            PendingBlockKind::Text | PendingBlockKind::Refusal => TypedBlockWire::Text { text: "" },
            PendingBlockKind::Thinking { .. } => {
                TypedBlockWire::Thinking { thinking: "", signature: "" }
            }
            PendingBlockKind::Redacted { data } => TypedBlockWire::RedactedThinking { data },
            PendingBlockKind::Call { id, name, .. } => {
                TypedBlockWire::ToolUse { id: Cow::Borrowed(id), name, input: empty }
            }
            PendingBlockKind::Raw(json) => {
                // Somebody else wrote this, perhaps in several lines.
                let start =
                    BlockStartWire { kind: "content_block_start", index, content_block: json };
                let data = serde_json::to_string(&start).unwrap_or_default();
                sse::write(out, Some("content_block_start"), &data);
                return;
            }
            PendingBlockKind::Gap => return,
        };
        let start = BlockStartWire { kind: "content_block_start", index, content_block: &block };
        write(out, "content_block_start", &start);
    }

    /// The delta event that appends `text` to this block.
    const fn delta<'a>(&self, text: &'a str) -> Option<BlockDeltaOutWire<'a>> {
        match &self.kind {
            PendingBlockKind::Text | PendingBlockKind::Refusal => {
                Some(BlockDeltaOutWire::Text { text })
            }
            PendingBlockKind::Thinking { .. } => {
                Some(BlockDeltaOutWire::Thinking { thinking: text })
            }
            PendingBlockKind::Call { custom: false, .. } => {
                Some(BlockDeltaOutWire::Arguments { partial_json: text })
            }
            PendingBlockKind::Call { custom: true, .. }
            | PendingBlockKind::Redacted { .. }
            | PendingBlockKind::Raw(_)
            | PendingBlockKind::Gap => None,
        }
    }
}

fn add(index: u32, delta: BlockDeltaOutWire<'_>, out: &mut Vec<u8>) {
    write(
        out,
        "content_block_delta",
        &ContentDeltaWire { kind: "content_block_delta", index, delta },
    );
}
