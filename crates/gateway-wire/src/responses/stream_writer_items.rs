//! The output items of a response while they are written.
//!
//! Stream events go in; items and their events come out. One item is open at a time, except for
//! calls: some upstreams write several at once, so a call stays open until its arguments can be
//! complete.
//!
//! ```text
//!   item added -> (part added -> delta* -> text done -> part done)* -> item done
//! ```

use crate::{
    IdGenerator,
    responses::{
        annotations::{self, ResponsesLogprob},
        encode_response_items::{
            ItemStatus, OutputItem, OutputItemKind, OutputPart, OutputPartWire,
        },
        reasoning_seals,
        stream_writer_events::{EventEmitter, ItemEventWire, ItemPartEventWire},
    },
};
use gateway_core::{Dialect, Json, Opaque, Seal, ToolCallDelta};

/// The items so far.
#[derive(Debug)]
pub(super) struct OutputBuilder {
    pub(super) items: Vec<OutputItem>,
    /// The message or the thinking that is being written.
    pub(super) open: Option<usize>,
    /// The item index of each call, by call number.
    pub(super) calls: Vec<(u32, usize)>,
    ids: IdGenerator,
}

impl OutputBuilder {
    pub(super) const fn new(ids: IdGenerator) -> Self {
        Self { items: Vec::new(), open: None, calls: Vec::new(), ids }
    }

    /// The items, for the response.
    pub(super) fn items(&self) -> &[OutputItem] {
        &self.items
    }

    /// More text, or more of a refusal, with the log probabilities of it.
    pub(super) fn text(
        &mut self,
        more: &str,
        is_refusal: bool,
        logprobs: Vec<ResponsesLogprob>,
        emit: &mut EventEmitter<'_>,
    ) {
        if more.is_empty() {
            return;
        }
        let at = self.message(is_refusal, emit);
        let Some((id, index, part)) = self.last_part(at) else { return };
        part.text.push_str(more);
        let field = |logprobs| ItemPartEventWire {
            item_id: id,
            output_index: at,
            content_index: Some(index),
            delta: Some(more),
            logprobs,
            ..ItemPartEventWire::default()
        };
        if is_refusal {
            emit.event("response.refusal.delta", field(None));
        } else {
            emit.event("response.output_text.delta", field(Some(&logprobs)));
            part.logprobs.extend(logprobs);
        }
    }

    /// Log probabilities that came after their text.
    pub(super) fn late_logprobs(
        &mut self,
        logprobs: Vec<ResponsesLogprob>,
        emit: &EventEmitter<'_>,
    ) {
        let at = if emit.out.is_none() { self.last_text() } else { self.open };
        if let Some((_, _, part)) = at.and_then(|at| self.last_part(at))
            && !part.is_refusal
        {
            part.logprobs.extend(logprobs);
        }
    }

    /// A note on the text so far.
    pub(super) fn annotation(&mut self, annotation: &Json, emit: &mut EventEmitter<'_>) {
        let annotation = annotations::from_chat(annotation);
        // Of a whole response the notes come last, and the text need not be open any more.
        let last = if emit.out.is_none() { self.last_text() } else { None };
        let at = last.unwrap_or_else(|| self.message(false, emit));
        let Some((id, index, part)) = self.last_part(at) else { return };
        let fields = ItemPartEventWire {
            item_id: id,
            output_index: at,
            content_index: Some(index),
            annotation_index: Some(part.annotations.len()),
            annotation: Some(&annotation),
            ..ItemPartEventWire::default()
        };
        emit.event("response.output_text.annotation.added", fields);
        part.annotations.push(annotation);
    }

    /// Appends reasoning text.
    pub(super) fn thinking(&mut self, more: &str, emit: &mut EventEmitter<'_>) {
        if more.is_empty() {
            return;
        }
        let at = self.reasoning(None, emit);
        let Some(OutputItem { id, kind: OutputItemKind::Reasoning { text, .. }, .. }) =
            self.items.get_mut(at)
        else {
            return;
        };
        let fields = |part, delta| ItemPartEventWire {
            item_id: id,
            output_index: at,
            summary_index: Some(0),
            part,
            delta,
            ..ItemPartEventWire::default()
        };
        if text.is_empty() {
            let part = OutputPartWire::SummaryText { text: "" };
            emit.event("response.reasoning_summary_part.added", fields(Some(part), None));
        }
        emit.event("response.reasoning_summary_text.delta", fields(None, Some(more)));
        text.push_str(more);
    }

    /// The seal of the thinking that is open, or of some that is not shown.
    pub(super) fn seal(&mut self, seal: &Seal, emit: &mut EventEmitter<'_>) {
        let id = seal.id.as_deref().filter(|_| seal.dialect == Dialect::Responses);
        let at = self.reasoning(id, emit);
        if let Some(OutputItem {
            id: own, kind: OutputItemKind::Reasoning { encrypted, .. }, ..
        }) = self.items.get_mut(at)
        {
            // Nobody was told yet what the item of a whole response is called.
            if let Some(id) = id.filter(|_| emit.out.is_none()) {
                id.clone_into(own);
            }
            *encrypted = Some(reasoning_seals::wrap(seal, None, own));
        }
        self.close_open(ItemStatus::Completed, emit);
    }

    /// More of a call.
    pub(super) fn call(&mut self, delta: ToolCallDelta, emit: &mut EventEmitter<'_>) {
        let ToolCallDelta { index, id, name, arguments: more, custom, seal } = delta;
        let known = self.calls.iter().find(|(call, _)| *call == index).map(|(_, at)| *at);
        let at = known.unwrap_or_else(|| {
            let call_id = if id.is_empty() { self.ids.next("call_") } else { id };
            if let Some(seal) = seal {
                self.proof_of_call(&seal, &call_id, emit);
            }
            self.close_open(ItemStatus::Completed, emit);
            self.close_calls(emit);
            let id = self.ids.next(if custom { "ctc_" } else { "fc_" });
            let kind = OutputItemKind::Call { call_id, name, arguments: String::new(), custom };
            let at = self.add(id, kind, emit);
            self.calls.push((index, at));
            at
        });
        let Some(item) = self.items.get_mut(at) else { return };
        let OutputItemKind::Call { arguments, custom, .. } = &mut item.kind else { return };
        if item.status == ItemStatus::InProgress && !more.is_empty() {
            arguments.push_str(&more);
            emit.event(
                of_call(*custom, "delta"),
                ItemPartEventWire {
                    item_id: &item.id,
                    output_index: at,
                    delta: Some(&more),
                    ..ItemPartEventWire::default()
                },
            );
        }
    }

    /// A whole item of this dialect. Other dialects' have no form here.
    pub(super) fn opaque(&mut self, opaque: Opaque, emit: &mut EventEmitter<'_>) {
        if opaque.dialect == Dialect::Responses {
            self.close_open(ItemStatus::Completed, emit);
            self.close_calls(emit);
            let at = self.add(String::new(), OutputItemKind::Raw(opaque.json), emit);
            self.close(at, ItemStatus::Completed, emit);
        }
    }

    /// The message that is open, with an open piece of the right sort.
    fn message(&mut self, is_refusal: bool, emit: &mut EventEmitter<'_>) -> usize {
        let open = self.open.filter(|at| {
            self.items.get(*at).is_some_and(|item| matches!(item.kind, OutputItemKind::Message(_)))
        });
        let at = open.unwrap_or_else(|| {
            self.close_open(ItemStatus::Completed, emit);
            self.close_calls(emit);
            let id = self.ids.next("msg_");
            let at = self.add(id, OutputItemKind::Message(Vec::new()), emit);
            self.open = Some(at);
            at
        });
        let fits = self.last_part(at).is_some_and(|(_, _, part)| part.is_refusal == is_refusal);
        if !fits {
            self.close_part(at, emit);
            self.add_part(at, is_refusal, emit);
        }
        at
    }

    fn add_part(&mut self, at: usize, is_refusal: bool, emit: &mut EventEmitter<'_>) {
        let Some(OutputItem { id, kind: OutputItemKind::Message(parts), .. }) =
            self.items.get_mut(at)
        else {
            return;
        };
        let part = OutputPart { is_refusal, ..OutputPart::default() };
        let fields = ItemPartEventWire {
            item_id: id,
            output_index: at,
            content_index: Some(parts.len()),
            part: Some(part.wire()),
            ..ItemPartEventWire::default()
        };
        emit.event("response.content_part.added", fields);
        parts.push(part);
    }

    /// The thinking that is open; if none is, a new item, by its own name if it has one.
    fn reasoning(&mut self, id: Option<&str>, emit: &mut EventEmitter<'_>) -> usize {
        let open = self.open.filter(|at| {
            self.items
                .get(*at)
                .is_some_and(|item| matches!(item.kind, OutputItemKind::Reasoning { .. }))
        });
        open.unwrap_or_else(|| {
            self.close_open(ItemStatus::Completed, emit);
            self.close_calls(emit);
            let id = id.map_or_else(|| self.ids.next("rs_"), str::to_owned);
            let kind = OutputItemKind::Reasoning { text: String::new(), encrypted: None };
            let at = self.add(id, kind, emit);
            self.open = Some(at);
            at
        })
    }

    /// Writes the reasoning item that carries the seal of a call, before the call itself.
    fn proof_of_call(&mut self, seal: &Seal, call_id: &str, emit: &mut EventEmitter<'_>) {
        self.close_open(ItemStatus::Completed, emit);
        let at = self.reasoning(None, emit);
        if let Some(OutputItem { id, kind: OutputItemKind::Reasoning { encrypted, .. }, .. }) =
            self.items.get_mut(at)
        {
            *encrypted = Some(reasoning_seals::wrap(seal, Some(call_id), id));
        }
    }

    fn add(&mut self, id: String, kind: OutputItemKind, emit: &mut EventEmitter<'_>) -> usize {
        let output_index = self.items.len();
        let item = OutputItem { id, kind, status: ItemStatus::InProgress };
        let fields = ItemEventWire { output_index, item: item.empty_wire() };
        emit.event("response.output_item.added", fields);
        self.items.push(item);
        output_index
    }

    /// The last piece of the message at `at`, its number, and the message's id.
    pub(super) fn last_part(&mut self, at: usize) -> Option<(&str, usize, &mut OutputPart)> {
        let OutputItem { id, kind: OutputItemKind::Message(parts), .. } = self.items.get_mut(at)?
        else {
            return None;
        };
        let index = parts.len().checked_sub(1)?;
        Some((id, index, parts.last_mut()?))
    }

    /// The last message that ends with text.
    fn last_text(&self) -> Option<usize> {
        self.items.iter().rposition(|item| {
            matches!(&item.kind, OutputItemKind::Message(parts)
                if parts.last().is_some_and(|part| !part.is_refusal))
        })
    }
}

/// The name of the event about a call's arguments.
pub(super) fn of_call(custom: bool, what: &str) -> &'static str {
    match (custom, what) {
        (true, "delta") => "response.custom_tool_call_input.delta",
        (true, _) => "response.custom_tool_call_input.done",
        (false, "delta") => "response.function_call_arguments.delta",
        (false, _) => "response.function_call_arguments.done",
    }
}
