//! How items end.

use crate::responses::{
    encode_response_items::{Kind, OutItem, Status, WirePart},
    stream_writer_events::{Emit, OfItem, Within},
    stream_writer_items::{Output, of_call},
};
use serde::de::IgnoredAny;

impl Output {
    /// Ends what is open; the last item is incomplete if the answer was `cut` short.
    pub(super) fn finish(&mut self, cut: bool, emit: &mut Emit<'_>) {
        let last = self.items.len().saturating_sub(1);
        let status = |at| if cut && at == last { Status::Incomplete } else { Status::Completed };
        let open: Vec<_> = (0..self.items.len())
            .filter(|at| self.items.get(*at).is_some_and(|it| it.status == Status::InProgress))
            .collect();
        for at in open {
            self.close(at, status(at), emit);
        }
        self.open = None;
    }

    /// Leaves what is open as it is: nothing will follow.
    pub(super) fn abandon(&mut self) {
        for item in self.items.iter_mut().filter(|item| item.status == Status::InProgress) {
            item.status = Status::Incomplete;
        }
    }

    /// Ends the message or the thinking that is being written.
    pub(super) fn close_open(&mut self, status: Status, emit: &mut Emit<'_>) {
        if let Some(at) = self.open.take() {
            self.close(at, status, emit);
        }
    }

    /// Closes the calls whose arguments can be complete: a JSON object to which nothing can be
    /// added.
    pub(super) fn close_calls(&mut self, emit: &mut Emit<'_>) {
        for (_, at) in self.calls.clone() {
            let Some(item) = self.items.get(at) else { continue };
            if item.status == Status::InProgress && is_whole(&item.kind) {
                self.close(at, Status::Completed, emit);
            }
        }
    }

    /// Ends an item.
    pub(super) fn close(&mut self, at: usize, status: Status, emit: &mut Emit<'_>) {
        self.close_part(at, emit);
        self.close_texts(at, status, emit);
        let Some(item) = self.items.get_mut(at) else { return };
        item.status = status;
        emit.event("response.output_item.done", OfItem { output_index: at, item: item.wire() });
    }

    /// Ends the last piece of a message.
    pub(super) fn close_part(&mut self, at: usize, emit: &mut Emit<'_>) {
        let Some((id, index, part)) = self.last_part(at) else { return };
        let fields = || Within {
            item_id: id,
            output_index: at,
            content_index: Some(index),
            ..Within::default()
        };
        if part.is_refusal {
            let refusal = Some(part.text.as_str());
            emit.event("response.refusal.done", Within { refusal, ..fields() });
        } else {
            let text = Some(part.text.as_str());
            let logprobs = Some(part.logprobs.as_slice());
            emit.event("response.output_text.done", Within { text, logprobs, ..fields() });
        }
        let part = Some(part.wire());
        emit.event("response.content_part.done", Within { part, ..fields() });
    }

    /// Ends the text of thinking, or the arguments of a call.
    fn close_texts(&mut self, at: usize, status: Status, emit: &mut Emit<'_>) {
        let Some(OutItem { id, kind, .. }) = self.items.get_mut(at) else { return };
        let fields = || Within { item_id: id, output_index: at, ..Within::default() };
        match kind {
            Kind::Reasoning { text, .. } if !text.is_empty() => {
                let summary_index = Some(0);
                let (part, text) = (WirePart::SummaryText { text }, Some(text.as_str()));
                let done = Within { summary_index, text, ..fields() };
                emit.event("response.reasoning_summary_text.done", done);
                let done = Within { summary_index, part: Some(part), ..fields() };
                emit.event("response.reasoning_summary_part.done", done);
            }
            Kind::Call { name, arguments, custom, .. } => {
                if arguments.is_empty() && !*custom && status == Status::Completed {
                    arguments.push_str("{}");
                    let delta = Some(arguments.as_str());
                    emit.event(of_call(false, "delta"), Within { delta, ..fields() });
                }
                let name = Some(name.as_str());
                let whole = Some(arguments.as_str());
                let done = if *custom {
                    Within { input: whole, ..fields() }
                } else {
                    Within { name, arguments: whole, ..fields() }
                };
                emit.event(of_call(*custom, "done"), done);
            }
            Kind::Reasoning { .. } | Kind::Message(_) | Kind::Raw(_) => {}
        }
    }
}

fn is_whole(kind: &Kind) -> bool {
    matches!(kind, Kind::Call { arguments, custom: false, .. }
        if arguments.trim_start().starts_with('{')
            && serde_json::from_str::<IgnoredAny>(arguments).is_ok())
}
