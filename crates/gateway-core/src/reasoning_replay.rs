//! Reasoning replay: signed reasoning is stored and restored for models that require it.
//!
//! Anthropic and Gemini sign what their models think, and want it back with the results of the
//! tools that were called upon it. A caller that speaks another dialect cannot carry that; so it is
//! remembered here, under the ids of the tool calls, which every dialect carries.

use crate::{
    ChatRequest, Chunk, ChunkStream, Content, Dialect, Inspection, Message, Part, Payload,
    Provider, ProviderLayer, ProviderRequest, ProviderResponse, Reasoning, ResponsesOnly, Result,
    Role, StreamEvent, ToolCall,
    state::{ReasoningStore, StoredReasoning, Tenant},
};
use async_trait::async_trait;
use futures_util::Stream;
use std::{
    collections::HashMap,
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

/// A provider layer that stores signed reasoning and restores it in follow-up requests.
///
/// A failing store loses the reasoning, not the response.
pub struct ReasoningReplay {
    inner: Arc<dyn Provider>,
    side: Arc<dyn ReasoningStore>,
    /// Callers of these dialects carry the thinking themselves; their bytes are left alone.
    carried_by: &'static [Dialect],
    ttl: Duration,
}

impl ReasoningReplay {
    /// Remembers the thinking of `inner` in `side` for `ttl`, except for callers of the dialects
    /// `carried_by`.
    pub fn new(
        inner: Arc<dyn Provider>,
        side: Arc<dyn ReasoningStore>,
        carried_by: &'static [Dialect],
        ttl: Duration,
    ) -> Self {
        Self { inner, side, carried_by, ttl }
    }

    /// Puts back what is remembered of the calls in `request` that came without their thinking.
    async fn restore(&self, request: &ChatRequest, tenant: &Tenant) -> Option<ChatRequest> {
        let bare: Vec<_> = request.messages.iter().filter(|it| is_bare(it)).collect();
        let calls = bare.iter().flat_map(|message| message.tool_calls());
        let keys: Vec<_> = calls.map(|call| tenant.key(call.id.as_str())).collect();
        if keys.is_empty() {
            return None;
        }
        let asides = self.side.get(&keys).await.ok()?;
        let known =
            keys.iter().zip(asides).filter_map(|(key, it)| Some((key.id().to_owned(), it?)));
        let mut known: HashMap<_, _> = known.collect();
        if known.is_empty() {
            return None;
        }
        let mut request = request.clone();
        for message in request.messages.iter_mut().filter(|message| is_bare(message)) {
            restore_message(message, &mut known);
        }
        Some(request)
    }
}

#[async_trait]
impl ProviderLayer for ReasoningReplay {
    fn inner(&self) -> &dyn Provider {
        self.inner.as_ref()
    }

    /// A caller that carries the thinking itself costs nothing here: the future is that of the
    /// wrapped provider.
    fn generate<'s, 'a>(&'s self, call: ProviderRequest) -> ResponseFuture<'a>
    where
        's: 'a,
    {
        let card = call.target.card.as_deref();
        let api = card.and_then(|card| card.api);
        // Calls with tools go to such a model through the Responses API, for whose seals Chat
        // Completions has no place.
        let moves = card.is_some_and(|card| card.rules.responses_only != ResponsesOnly::Never);
        let speaks = |dialect: &Dialect| {
            call.original(*dialect).is_some_and(|original| {
                let is_moved =
                    moves && *dialect == Dialect::Chat && original.envelope.tools.is_some();
                api.is_none_or(|api| api == *dialect) && !is_moved
            })
        };
        let is_carried = call.relayed().is_some() || self.carried_by.iter().any(speaks);
        match Tenant::new(Arc::clone(&call.context.tenant)).filter(|_| !is_carried) {
            Some(tenant) => Box::pin(self.replay(call, tenant)),
            None => self.inner.generate(call),
        }
    }
}

/// The future that `async_trait` returns.
type ResponseFuture<'a> = Pin<Box<dyn Future<Output = Result<ProviderResponse>> + Send + 'a>>;

impl ReasoningReplay {
    /// Restores the thinking of earlier turns, and stores that of this one.
    async fn replay(&self, mut call: ProviderRequest, tenant: Tenant) -> Result<ProviderResponse> {
        if let Some(restored) = self.restore(call.request()?, &tenant).await {
            call.payload = Payload::Parsed(Arc::new(restored));
        }
        call.inspection = Inspection::Full;
        let mut answer = self.inner.generate(call).await?;
        let notes = CollectedReasoning {
            side: Arc::clone(&self.side),
            ttl: self.ttl,
            tenant,
            heard: ObservedReasoning::default(),
        };
        let (chunks, notes) = (answer.chunks, Some(notes));
        answer.chunks = Box::pin(RememberedStream { chunks, notes, keeping: None });
        Ok(answer)
    }
}

impl fmt::Debug for ReasoningReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recall").field("inner", &self.inner.id()).finish_non_exhaustive()
    }
}

/// A message of the model with calls, and without the thinking that led to them.
fn is_bare(message: &Message) -> bool {
    let thinks = |part: &Part| matches!(&part.content, Content::Reasoning(it) if it.seal.is_some());
    message.role == Role::Assistant
        && message.tool_calls().any(|call| call.seal.is_none())
        && !message.parts.iter().any(thinks)
}

fn restore_message(message: &mut Message, known: &mut HashMap<String, StoredReasoning>) {
    let mut thinking = Vec::new();
    for part in &mut message.parts {
        let Content::ToolCall(call) = &mut part.content else { continue };
        if let Some(aside) = known.remove(&call.id) {
            call.seal = call.seal.take().or(aside.seal);
            thinking.extend(aside.reasoning);
        }
    }
    if thinking.is_empty() {
        return;
    }
    // What was thought is what the provider signed, not what the caller made of it.
    message.parts.retain(|part| !matches!(part.content, Content::Reasoning(_)));
    let thinking = thinking.into_iter().map(|it| Part::from(Content::Reasoning(it)));
    message.parts.splice(..0, thinking);
}

/// The reasoning collected from a response, and its destination.
struct CollectedReasoning {
    side: Arc<dyn ReasoningStore>,
    ttl: Duration,
    tenant: Tenant,
    heard: ObservedReasoning,
}

/// The chunks of a response; before the end is reported, the collected reasoning is stored.
///
/// Written by hand, because it runs for each chunk of every stream.
struct RememberedStream {
    chunks: ChunkStream,
    /// Absent once the response has ended.
    notes: Option<CollectedReasoning>,
    /// The reasoning that is being stored.
    keeping: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Stream for RememberedStream {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let this = &mut *self;
        if let Some(notes) = &mut this.notes {
            let next = ready!(this.chunks.as_mut().poll_next(cx));
            match &next {
                Some(Ok(chunk)) => notes.heard.chunk(chunk),
                Some(Err(_)) => this.notes = None,
                None => {
                    let keep = |notes: CollectedReasoning| Box::pin(notes.keep()) as Pin<Box<_>>;
                    this.keeping = this.notes.take().map(keep);
                }
            }
            if next.is_some() {
                return Poll::Ready(next);
            }
        }
        if let Some(keeping) = &mut this.keeping {
            ready!(keeping.as_mut().poll(cx));
            this.keeping = None;
        }
        Poll::Ready(None)
    }
}

impl CollectedReasoning {
    /// The thinking goes with the first call: a dialect that shows it shows it once.
    async fn keep(self) {
        let Self { side, ttl, tenant, heard } = self;
        let mut reasoning = heard.thinking();
        for call in heard.calls.into_iter().filter(|call| !call.id.is_empty()) {
            let aside = StoredReasoning { reasoning: mem::take(&mut reasoning), seal: call.seal };
            if aside != StoredReasoning::default() {
                // A store that fails costs the thinking, not the answer.
                let _ = side.put(&tenant.key(call.id), &aside, ttl).await;
            }
        }
    }
}

/// The thinking and the calls of the first choice of an answer.
#[derive(Default)]
struct ObservedReasoning {
    other_choice: bool,
    reasoning: Vec<Reasoning>,
    calls: Vec<ToolCall>,
}

impl ObservedReasoning {
    fn chunk(&mut self, chunk: &Chunk) {
        for event in &chunk.events {
            if let StreamEvent::Choice(index) = event {
                self.other_choice = *index > 0;
            } else if !self.other_choice {
                self.event(event);
            }
        }
    }

    fn event(&mut self, event: &StreamEvent) {
        if let StreamEvent::Reasoning(text) = event {
            match self.reasoning.last_mut().filter(|last| last.seal.is_none()) {
                Some(last) => last.text.push_str(text),
                None => self.reasoning.push(Reasoning { text: text.clone(), seal: None }),
            }
        } else if let StreamEvent::Seal(seal) = event {
            let seal = Some(seal.clone());
            if let Some(last) = self.reasoning.last_mut().filter(|last| last.seal.is_none()) {
                last.seal = seal;
            } else {
                self.reasoning.push(Reasoning { text: String::new(), seal });
            }
        } else if let StreamEvent::ToolCall(delta) = event {
            let index = usize::try_from(delta.index).unwrap_or(usize::MAX);
            if index == self.calls.len() && index < MAX_CALLS {
                self.calls.push(ToolCall::default());
            }
            if let Some(call) = self.calls.get_mut(index) {
                call.id.push_str(&delta.id);
                if delta.seal.is_some() {
                    call.seal.clone_from(&delta.seal);
                }
            }
        }
    }

    /// Thinking without any seal is remembered too: some providers want the text itself.
    fn thinking(&self) -> Vec<Reasoning> {
        if self.calls.is_empty() { Vec::new() } else { self.reasoning.clone() }
    }
}

/// More calls than a model makes in one turn.
const MAX_CALLS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        FinishReason, ResponseMeta, Seal, SealKind, ToolCallDelta,
        state::{Key, StoreError},
    };
    use futures_util::{FutureExt as _, stream};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Memory(Mutex<HashMap<Key, StoredReasoning>>);

    #[async_trait]
    impl ReasoningStore for Memory {
        async fn put(
            &self,
            key: &Key,
            aside: &StoredReasoning,
            _: Duration,
        ) -> Result<(), StoreError> {
            self.0.lock().unwrap().insert(key.clone(), aside.clone());
            Ok(())
        }

        async fn get(&self, keys: &[Key]) -> Result<Vec<Option<StoredReasoning>>, StoreError> {
            let kept = self.0.lock().unwrap();
            Ok(keys.iter().map(|key| kept.get(key).cloned()).collect())
        }
    }

    /// Thinks, signs and calls; keeps what it was asked.
    #[derive(Default)]
    struct ReasoningModel(Mutex<Vec<ChatRequest>>);

    #[async_trait]
    impl Provider for ReasoningModel {
        fn id(&self) -> &'static str {
            "thinker"
        }

        async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
            self.0.lock().unwrap().push(call.request()?.clone());
            let call = |index, id: &str, seal| {
                StreamEvent::ToolCall(ToolCallDelta {
                    index,
                    id: id.to_owned(),
                    seal,
                    ..ToolCallDelta::default()
                })
            };
            let events = vec![
                StreamEvent::Reasoning("hm".to_owned()),
                StreamEvent::Reasoning("m".to_owned()),
                StreamEvent::Seal(seal("thought")),
                call(0, "c1", None),
                call(1, "c2", Some(seal("called"))),
                StreamEvent::Finished(FinishReason::ToolCalls.into()),
            ];
            let chunks = events.into_iter().map(|event| Ok(Chunk::from_events(vec![event])));
            let chunks = Box::pin(stream::iter(chunks.collect::<Vec<_>>()));
            Ok(ProviderResponse { meta: ResponseMeta::default(), chunks })
        }
    }

    fn seal(data: &str) -> Seal {
        let data = data.to_owned();
        Seal { dialect: Dialect::Messages, kind: SealKind::Signature, id: None, data }
    }

    fn call(id: &str) -> Content {
        Content::ToolCall(ToolCall { id: id.to_owned(), ..ToolCall::default() })
    }

    /// Lets `first` ask, then `second` go on with the calls `ids`: what is put back, in short.
    #[track_caller]
    fn check(first: &str, second: &str, ids: &[&str], expected: &str) {
        let thinker = Arc::new(ReasoningModel::default());
        let side = Arc::new(Memory::default());
        let inner: Arc<dyn Provider> = Arc::<ReasoningModel>::clone(&thinker);
        let recall = ReasoningReplay::new(inner, side, &[], Duration::from_mins(1));
        let ask = |tenant: &str, messages: Vec<Message>| {
            let mut call = ProviderRequest::new(ChatRequest { messages, ..ChatRequest::default() });
            call.context.tenant = tenant.into();
            ProviderLayer::generate(&recall, call)
                .now_or_never()
                .unwrap()
                .unwrap()
                .collect()
                .now_or_never()
                .unwrap()
        };
        ask(first, vec![Message::text(Role::User, "hello")]).unwrap();
        let said = Message::new(Role::Assistant, ids.iter().map(|id| call(id)));
        ask(second, vec![said]).unwrap();
        let asked = thinker.0.lock().unwrap();
        let parts = asked[1].messages[0].parts.iter().map(|part| {
            if let Content::Reasoning(Reasoning { text, seal }) = &part.content {
                format!("{text}:{}", seal.as_ref().map_or("", |seal| &seal.data))
            } else if let Content::ToolCall(ToolCall { id, seal, .. }) = &part.content {
                format!("{id}:{}", seal.as_ref().map_or("", |seal| &seal.data))
            } else {
                panic!("unexpected {part:?}")
            }
        });
        assert_eq!(parts.collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn stored_reasoning_is_restored_with_tool_calls() {
        check("a", "a", &["c1", "c2"], "hmm:thought c1: c2:called");
    }

    #[test]
    fn unknown_tool_call_is_left_unchanged() {
        check("a", "a", &["other"], "other:");
        check("a", "a", &["c2"], "c2:called");
    }

    #[test]
    fn reasoning_is_not_shared_between_tenants() {
        check("a", "b", &["c1", "c2"], "c1: c2:");
    }

    #[test]
    fn reasoning_without_tenant_is_not_stored() {
        check("", "", &["c1"], "c1:");
    }
}
