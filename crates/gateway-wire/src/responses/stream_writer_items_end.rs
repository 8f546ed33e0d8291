//! Completion of output items.

use crate::responses::{
    encode_response_items::{ItemStatus, OutputItem, OutputItemKind, OutputPartWire},
    stream_writer_events::{EventEmitter, ItemEventWire, ItemPartEventWire},
    stream_writer_items::{OutputBuilder, of_call},
};
use serde::de::IgnoredAny;

impl OutputBuilder {
    /// Ends what is open; the last item is incomplete if the response was `cut` short.
    pub(super) fn finish(&mut self, cut: bool, emit: &mut EventEmitter<'_>) {
        let last = self.items.len().saturating_sub(1);
        let status =
            |at| if cut && at == last { ItemStatus::Incomplete } else { ItemStatus::Completed };
        let open: Vec<_> = (0..self.items.len())
            .filter(|at| self.items.get(*at).is_some_and(|it| it.status == ItemStatus::InProgress))
            .collect();
        for at in open {
            self.close(at, status(at), emit);
        }
        self.open = None;
    }

    /// Leaves what is open as it is: nothing will follow.
    pub(super) fn abandon(&mut self) {
        for item in self.items.iter_mut().filter(|item| item.status == ItemStatus::InProgress) {
            item.status = ItemStatus::Incomplete;
        }
    }

    /// Ends the message or the thinking that is being written.
    pub(super) fn close_open(&mut self, status: ItemStatus, emit: &mut EventEmitter<'_>) {
        if let Some(at) = self.open.take() {
            self.close(at, status, emit);
        }
    }

    /// Closes the calls whose arguments can be complete: a JSON object to which nothing can be
    /// added.
    pub(super) fn close_calls(&mut self, emit: &mut EventEmitter<'_>) {
        for (_, at) in self.calls.clone() {
            let Some(item) = self.items.get(at) else { continue };
            if item.status == ItemStatus::InProgress && is_whole(&item.kind) {
                self.close(at, ItemStatus::Completed, emit);
            }
        }
    }

    /// Completes the item at `at` with `status`.
    pub(super) fn close(&mut self, at: usize, status: ItemStatus, emit: &mut EventEmitter<'_>) {
        self.close_part(at, emit);
        self.close_texts(at, status, emit);
        let Some(item) = self.items.get_mut(at) else { return };
        item.status = status;
        emit.event(
            "response.output_item.done",
            ItemEventWire { output_index: at, item: item.wire() },
        );
    }

    /// Ends the last piece of a message.
    pub(super) fn close_part(&mut self, at: usize, emit: &mut EventEmitter<'_>) {
        let Some((id, index, part)) = self.last_part(at) else { return };
        let fields = || ItemPartEventWire {
            item_id: id,
            output_index: at,
            content_index: Some(index),
            ..ItemPartEventWire::default()
        };
        if part.is_refusal {
            let refusal = Some(part.text.as_str());
            emit.event("response.refusal.done", ItemPartEventWire { refusal, ..fields() });
        } else {
            let text = Some(part.text.as_str());
            let logprobs = Some(part.logprobs.as_slice());
            emit.event(
                "response.output_text.done",
                ItemPartEventWire { text, logprobs, ..fields() },
            );
        }
        let part = Some(part.wire());
        emit.event("response.content_part.done", ItemPartEventWire { part, ..fields() });
    }

    /// Ends the text of thinking, or the arguments of a call.
    fn close_texts(&mut self, at: usize, status: ItemStatus, emit: &mut EventEmitter<'_>) {
        let Some(OutputItem { id, kind, .. }) = self.items.get_mut(at) else { return };
        let fields =
            || ItemPartEventWire { item_id: id, output_index: at, ..ItemPartEventWire::default() };
        match kind {
            OutputItemKind::Reasoning { text, .. } if !text.is_empty() => {
                let summary_index = Some(0);
                let (part, text) = (OutputPartWire::SummaryText { text }, Some(text.as_str()));
                let done = ItemPartEventWire { summary_index, text, ..fields() };
                emit.event("response.reasoning_summary_text.done", done);
                let done = ItemPartEventWire { summary_index, part: Some(part), ..fields() };
                emit.event("response.reasoning_summary_part.done", done);
            }
            OutputItemKind::Call { name, arguments, custom, .. } => {
                if arguments.is_empty() && !*custom && status == ItemStatus::Completed {
                    arguments.push_str("{}");
                    let delta = Some(arguments.as_str());
                    emit.event(of_call(false, "delta"), ItemPartEventWire { delta, ..fields() });
                }
                let name = Some(name.as_str());
                let whole = Some(arguments.as_str());
                let done = if *custom {
                    ItemPartEventWire { input: whole, ..fields() }
                } else {
                    ItemPartEventWire { name, arguments: whole, ..fields() }
                };
                emit.event(of_call(*custom, "done"), done);
            }
            OutputItemKind::Reasoning { .. }
            | OutputItemKind::Message(_)
            | OutputItemKind::Raw(_) => {}
        }
    }
}

fn is_whole(kind: &OutputItemKind) -> bool {
    matches!(kind, OutputItemKind::Call { arguments, custom: false, .. }
        if arguments.trim_start().starts_with('{')
            && serde_json::from_str::<IgnoredAny>(arguments).is_ok())
}
