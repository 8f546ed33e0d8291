//! The usage meter of a request: every upstream call made for it, and the tokens each has used as
//! far as they are known.
//!
//! Providers report to it at the place where they write and read, so that what was spent is known
//! whatever became of the response: retried, left by its caller, one round of several.

use crate::{BilledUnits, ModelCard, Usage, estimate, sync};
use bytes::Bytes;
use smallvec::SmallVec;
use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

/// The upstream calls of one request. Shared by everything that serves it.
#[derive(Debug, Default)]
pub struct UsageMeter {
    /// Most requests make one call.
    calls: Mutex<MeteredCalls>,
    observer: OnceLock<Box<dyn CallObserver>>,
}

/// An observer of the upstream calls of a request after its first one: retries, further rounds, and
/// calls that are written again.
pub trait CallObserver: fmt::Debug + Send + Sync {
    /// Observes that a call is about to be written. `owed` is what is owed once it is: the usage of
    /// the earlier calls, and the input of this one for each time that it is written.
    fn call_planned(&self, owed: &[CallUsage]);
}

/// A handle on one upstream call of a request; does nothing for a request without a meter.
#[derive(Clone, Debug, Default)]
pub struct CallMeter(Option<(Arc<UsageMeter>, usize)>);

/// The tokens that an upstream call has used.
#[derive(Clone, Debug)]
pub struct CallUsage {
    /// Id of the provider that was called.
    pub provider: Arc<str>,
    /// Catalogue entry of the model.
    pub card: Option<Arc<ModelCard>>,
    /// Tokens, reported or estimated.
    pub usage: Usage,
    /// Whether the provider did not report them, or not all.
    pub is_estimated: bool,
}

type MeteredCalls = SmallVec<[MeteredCall; 1]>;

#[derive(Debug)]
struct MeteredCall {
    provider: Arc<str>,
    card: Option<Arc<ModelCard>>,
    input: InputSize,
    /// The units that are owed beside the input once it is sent.
    units: BilledUnits,
    state: CallState,
    /// The number of times that it was written to a connection that broke without an answer.
    unanswered: u64,
    usage: Option<Usage>,
    /// The number of events with output: roughly one per token.
    outputs: u64,
}

/// The progress of an upstream call, as far as it decides what is owed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CallState {
    /// Nothing was written to the upstream: nothing is owed.
    Planned,
    /// The request was written: its input is owed.
    Sent,
    /// The upstream refused with a status: nothing is owed.
    Refused,
    /// The response is there to its end.
    Completed,
}

/// The input of a call: an estimate, or the body that it is made of when it is needed.
#[derive(Debug)]
enum InputSize {
    Tokens(u64),
    Body(Vec<Bytes>),
}

/// Bodies up to this size are estimated at once, by their length.
const SMALL: usize = 4 << 10;

/// Bodies above this size are not kept while a response is streamed.
const LARGE: usize = 16 << 10;

impl UsageMeter {
    /// Opens the record of a call to `provider` whose body is `body`. Nothing is owed for it until
    /// it is [`sent`](CallMeter::sent).
    pub fn call(
        self: &Arc<Self>,
        provider: &Arc<str>,
        card: Option<&Arc<ModelCard>>,
        body: &[Bytes],
    ) -> CallMeter {
        let bytes: usize = body.iter().map(Bytes::len).sum();
        let input = if bytes < SMALL {
            InputSize::Tokens((bytes / 4) as u64)
        } else {
            InputSize::Body(body.to_vec())
        };
        let call = MeteredCall {
            provider: Arc::clone(provider),
            card: card.cloned(),
            input,
            units: BilledUnits::NONE,
            state: CallState::Planned,
            unanswered: 0,
            usage: None,
            outputs: 0,
        };
        let mut calls = sync::lock(&self.calls);
        calls.push(call);
        let index = calls.len() - 1;
        if index > 0 {
            self.announce(calls);
        }
        CallMeter(Some((Arc::clone(self), index)))
    }

    /// Lets the observer know that the last one of `calls` is about to be written.
    fn announce(&self, mut calls: MutexGuard<'_, MeteredCalls>) {
        if let Some(observer) = self.observer.get() {
            let owed: Vec<_> = calls.iter_mut().filter_map(MeteredCall::usage_once_sent).collect();
            drop(calls);
            observer.call_planned(&owed);
        }
    }

    /// Sets the observer of further calls; the first one stays.
    pub fn observe(&self, observer: Box<dyn CallObserver>) {
        // A request has one accounting.
        drop(self.observer.set(observer));
    }

    /// Whether a provider has reported any call, sent or not.
    pub fn is_used(&self) -> bool {
        !sync::lock(&self.calls).is_empty()
    }

    /// Visits the usage of every call for which something is owed.
    ///
    /// A call whose response broke off, or never came, is owed at what was seen of it, and never
    /// below the estimate of its input.
    pub fn each_usage(&self, visit: impl FnMut(CallUsage)) {
        sync::lock(&self.calls).iter_mut().filter_map(MeteredCall::usage).for_each(visit);
    }
}

impl CallMeter {
    /// Sets the units that are owed beside the input from when the request is written, unless the
    /// upstream reports what it has used.
    pub fn set_units(&self, units: BilledUnits) {
        self.update(|call| call.units = units);
    }

    /// Records that the request was written to the upstream: from now on its input is owed.
    pub fn sent(&self) {
        self.update(|call| {
            if call.state == CallState::Planned {
                call.state = CallState::Sent;
            }
        });
    }

    /// Records that the request is about to be written again, after a connection that had taken it
    /// broke without an answer: the upstream may have read it twice.
    pub fn resent(&self) {
        let Some((meter, index)) = &self.0 else { return };
        let mut calls = sync::lock(&meter.calls);
        if let Some(call) = calls.get_mut(*index) {
            call.unanswered = call.unanswered.saturating_add(1);
        }
        meter.announce(calls);
    }

    /// Records that the upstream refused the request with a status: nothing is owed.
    pub fn refused(&self) {
        self.update(|call| call.state = CallState::Refused);
    }

    /// Records that a response has begun whose end may be far: large bodies are let go.
    pub fn response_started(&self) {
        self.update(|call| {
            if let InputSize::Body(body) = &call.input
                && body.iter().map(Bytes::len).sum::<usize>() > LARGE
            {
                call.input_tokens();
            }
        });
    }

    /// Records output, as a number of events, and the usage so far, if it was reported.
    pub(crate) fn record(&self, outputs: u64, usage: Option<Usage>) {
        if outputs == 0 && usage.is_none() {
            return;
        }
        self.update(|call| {
            call.outputs = call.outputs.saturating_add(outputs);
            call.usage = usage.or(call.usage);
        });
    }

    /// Records the end of the response, and its usage if the provider reported it elsewhere than in
    /// a chunk.
    pub fn completed(&self, usage: Option<Usage>) {
        self.update(|call| {
            call.usage = usage.or(call.usage);
            call.state = CallState::Completed;
        });
    }

    fn update(&self, change: impl FnOnce(&mut MeteredCall)) {
        let Some((meter, index)) = &self.0 else { return };
        if let Some(call) = sync::lock(&meter.calls).get_mut(*index) {
            change(call);
        }
    }
}

impl MeteredCall {
    /// The usage for which something is owed, if anything is.
    fn usage(&mut self) -> Option<CallUsage> {
        let mut owed = self.usage_of_response();
        if self.unanswered > 0 {
            let input = self.input_tokens().saturating_mul(self.unanswered);
            let unanswered = Usage { input, ..Usage::default() };
            let (provider, card) = (Arc::clone(&self.provider), self.card.clone());
            let none = CallUsage { provider, card, usage: Usage::default(), is_estimated: true };
            let owed = owed.get_or_insert(none);
            owed.usage += unanswered;
            owed.is_estimated = true;
        }
        owed
    }

    fn usage_of_response(&mut self) -> Option<CallUsage> {
        let is_complete = match self.state {
            CallState::Planned | CallState::Refused => return None,
            CallState::Sent => false,
            CallState::Completed => true,
        };
        // A report of no tokens at all reports nothing.
        let reported = self.usage.filter(Usage::is_reported);
        let (usage, is_estimated) = match reported {
            Some(usage) if is_complete => (usage, false),
            // What the provider reported before the end is what it knew then.
            Some(usage) => {
                let unreported = self.outputs.saturating_sub(usage.completion());
                let output = usage.output.saturating_add(unreported);
                let missing = if usage.prompt() == 0 { self.input_tokens() } else { 0 };
                let input = usage.input.saturating_add(missing);
                (Usage { input, output, stated_total: None, ..usage }, true)
            }
            None => {
                let (input, output, units) = (self.input_tokens(), self.outputs, self.units);
                (Usage { input, output, units, ..Usage::default() }, true)
            }
        };
        let (provider, card) = (Arc::clone(&self.provider), self.card.clone());
        Some(CallUsage { provider, card, usage, is_estimated })
    }

    /// The usage of the call, if it is sent: a planned one owes its input.
    fn usage_once_sent(&mut self) -> Option<CallUsage> {
        if self.state != CallState::Planned {
            return self.usage();
        }
        let (input, units) = (self.input_tokens(), self.units);
        let usage = Usage { input, units, ..Usage::default() };
        let (provider, card) = (Arc::clone(&self.provider), self.card.clone());
        Some(CallUsage { provider, card, usage, is_estimated: true })
    }

    /// The estimate of the input. The body is let go.
    fn input_tokens(&mut self) -> u64 {
        let tokens = match &self.input {
            InputSize::Tokens(tokens) => *tokens,
            InputSize::Body(body) => body.iter().map(|part| estimate::tokens_of_json(part)).sum(),
        };
        drop(mem::replace(&mut self.input, InputSize::Tokens(tokens)));
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = &[b'x'; 400];

    fn usage(meter: &UsageMeter) -> Vec<CallUsage> {
        let mut calls = Vec::new();
        meter.each_usage(|call| calls.push(call));
        calls
    }

    /// A call with an input of 100 tokens, after `change`: its input, output, and `~` if estimated.
    #[track_caller]
    fn check(change: impl FnOnce(&CallMeter), expected: &str) {
        let meter = Arc::new(UsageMeter::default());
        change(&meter.call(&"p".into(), None, &[Bytes::from_static(BODY)]));
        let sign = |it: &CallUsage| if it.is_estimated { "~" } else { "" };
        let calls = usage(&meter);
        let shown = calls
            .iter()
            .map(|it| format!("{} {}{}", it.usage.prompt(), it.usage.completion(), sign(it)));
        assert_eq!(shown.collect::<Vec<_>>().join(", "), expected);
    }

    fn reported(input: u64, output: u64) -> Usage {
        Usage { input, output, ..Usage::default() }
    }

    #[test]
    fn unsent_or_refused_call_owes_nothing() {
        check(|_| {}, "");
        check(
            |call| {
                call.sent();
                call.refused();
            },
            "",
        );
    }

    #[test]
    fn sent_call_owes_its_input() {
        check(CallMeter::sent, "100 0~");
    }

    #[test]
    fn broken_response_owes_the_output_that_was_seen() {
        check(
            |call| {
                call.sent();
                call.record(1, None);
                call.record(1, None);
            },
            "100 2~",
        );
        check(
            |call| {
                call.sent();
                call.record(0, Some(reported(30, 1)));
                call.record(1, None);
                call.record(1, None);
            },
            "30 2~",
        );
    }

    #[test]
    fn request_that_is_sent_again_owes_its_input_again() {
        check(
            |call| {
                call.sent();
                call.resent();
                call.record(0, Some(reported(30, 5)));
                call.completed(None);
            },
            "130 5~",
        );
        check(
            |call| {
                call.sent();
                call.resent();
                call.refused();
            },
            "100 0~",
        );
    }

    #[test]
    fn complete_response_owes_its_reported_usage() {
        check(
            |call| {
                call.sent();
                call.record(1, None);
                call.record(0, Some(reported(30, 5)));
                call.completed(None);
            },
            "30 5",
        );
    }

    #[test]
    fn complete_response_without_usage_is_estimated() {
        check(
            |call| {
                call.sent();
                call.record(1, None);
                call.completed(None);
            },
            "100 1~",
        );
    }

    #[test]
    fn units_are_owed_unless_usage_is_reported() {
        let units = BilledUnits { images: 2, ..BilledUnits::NONE };
        for (reply, expected) in [(None, units), (Some(reported(30, 5)), BilledUnits::NONE)] {
            let meter = Arc::new(UsageMeter::default());
            let call = meter.call(&"p".into(), None, &[]);
            call.set_units(units);
            assert!(usage(&meter).is_empty());
            call.sent();
            call.completed(reply);
            assert_eq!(usage(&meter).first().map(|it| it.usage.units), Some(expected));
        }
    }

    /// Keeps the input and output tokens owed at each further call.
    #[derive(Debug)]
    struct OwedAtCalls(Arc<Mutex<Vec<Vec<[u64; 2]>>>>);

    impl CallObserver for OwedAtCalls {
        fn call_planned(&self, owed: &[CallUsage]) {
            let tokens = |it: &CallUsage| [it.usage.prompt(), it.usage.completion()];
            self.0.lock().unwrap().push(owed.iter().map(tokens).collect());
        }
    }

    #[test]
    fn further_calls_are_observed_with_owed_usage() {
        let (meter, seen) = (Arc::new(UsageMeter::default()), Arc::default());
        meter.observe(Box::new(OwedAtCalls(Arc::clone(&seen))));
        let call = || meter.call(&"p".into(), None, &[Bytes::from_static(BODY)]);
        let first = call();
        first.sent();
        first.record(0, Some(reported(30, 5)));
        first.completed(None);
        call().refused();
        call();
        assert_eq!(*seen.lock().unwrap(), [vec![[30, 5], [100, 0]], vec![[30, 5], [100, 0]]]);
    }

    #[test]
    fn resent_call_is_observed_with_both_inputs() {
        let (meter, seen) = (Arc::new(UsageMeter::default()), Arc::default());
        meter.observe(Box::new(OwedAtCalls(Arc::clone(&seen))));
        let call = meter.call(&"p".into(), None, &[Bytes::from_static(BODY)]);
        call.sent();
        call.resent();
        assert_eq!(*seen.lock().unwrap(), [vec![[200, 0]]]);
    }

    #[test]
    fn large_body_is_estimated_when_needed() {
        let meter = Arc::new(UsageMeter::default());
        let body = [Bytes::from(vec![b'x'; 20 << 10]), Bytes::from(vec![b'x'; 20 << 10])];
        let call = meter.call(&"p".into(), None, &body);
        call.sent();
        call.response_started();
        drop(body);
        assert_eq!(usage(&meter).first().map(|it| it.usage.input), Some(10 << 10));
    }
}
