//! Compaction for models of providers without it: the model summarizes the conversation, without
//! tools, and the response is one compaction item.

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use gateway_core::{
    ChatRequest, Chunk, ChunkStream, Content, Dialect, ErrorKind, Finish, FinishReason,
    GatewayError, Inspection, Message, Opaque, Part, Payload, Provider, ProviderLayer,
    ProviderRequest, ProviderResponse, Result, Role, StreamEvent, plain_text, state::Tenant,
};
use gateway_sessions::responses::compaction_item;
use std::sync::Arc;

/// The instruction to the model.
const PROMPT: &str = "Summarize the conversation above, so that it can be continued from the \
    summary alone. Keep: the user's goals and instructions, decisions and their reasons, facts, \
    names, paths, identifiers and numbers word for word, the results of tools that still matter, \
    what is done, and what is to be done next. Leave out what no longer matters. Write the summary \
    and nothing else.";

/// A provider layer that responds with a summary of the conversation.
pub(crate) struct CompactionLayer {
    inner: Arc<dyn Provider>,
    tenant: Tenant,
    id: String,
}

impl CompactionLayer {
    /// Lets `inner` write the summary of the compaction item `id`, for `tenant`.
    pub(crate) fn new(inner: Arc<dyn Provider>, tenant: Tenant, id: String) -> Self {
        Self { inner, tenant, id }
    }
}

#[async_trait]
impl ProviderLayer for CompactionLayer {
    fn inner(&self) -> &dyn Provider {
        self.inner.as_ref()
    }

    async fn generate(&self, mut call: ProviderRequest) -> Result<ProviderResponse> {
        call.payload = Payload::Parsed(Arc::new(summarizing(call.request()?)));
        call.inspection = Inspection::Full;
        let ProviderResponse { meta, chunks } = self.inner.generate(call).await?;
        let summary = PendingSummary {
            tenant: self.tenant.clone(),
            id: self.id.clone(),
            text: String::new(),
        };
        Ok(ProviderResponse { meta, chunks: compacted(chunks, summary) })
    }
}

/// The request for a summary of the conversation in `request`.
fn summarizing(request: &ChatRequest) -> ChatRequest {
    let mut summarizing = ChatRequest {
        model: request.model.clone(),
        messages: request.messages.iter().filter_map(message_to_keep).collect(),
        stream: request.stream,
        stream_usage: request.stream_usage,
        ..ChatRequest::default()
    };
    summarizing.options.max_tokens = request.options.max_tokens;
    summarizing.options.user.clone_from(&request.options.user);
    summarizing.messages.push(Message::text(Role::User, PROMPT));
    summarizing
}

/// Returns `message` with calls, results and reasoning converted to text.
fn message_to_keep(message: &Message) -> Option<Message> {
    let parts: Vec<Part> = message.parts.iter().filter_map(told_part).collect();
    let role = if message.role == Role::Tool { Role::User } else { message.role };
    (!parts.is_empty()).then(|| Message { role, parts, name: message.name.clone() })
}

fn told_part(part: &Part) -> Option<Part> {
    let content = match &part.content {
        Content::ToolCall(call) => {
            Content::Text(format!("[calls the tool {} with {}]", call.name, call.arguments))
        }
        Content::ToolResult(result) => {
            let failed = if result.is_error { ", which failed" } else { "" };
            Content::Text(format!("[result of the tool{failed}: {}]", plain_text(&result.parts)))
        }
        Content::Reasoning(_) | Content::Opaque(_) => return None,
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::File(_) => part.content.clone(),
    };
    Some(content.into())
}

/// The summary so far.
struct PendingSummary {
    tenant: Tenant,
    id: String,
    text: String,
}

/// Converts the chunks of a summary to those of a compaction: one item at the end, and the usage.
fn compacted(chunks: ChunkStream, summary: PendingSummary) -> ChunkStream {
    Box::pin(stream::unfold(Some((chunks, summary)), |state| async move {
        let (mut chunks, mut summary) = state?;
        match chunks.next().await? {
            Ok(chunk) => match summary.collect_text(chunk) {
                Ok(chunk) => Some((Ok(chunk), Some((chunks, summary)))),
                Err(error) => Some((Err(error), None)),
            },
            Err(error) => Some((Err(error), None)),
        }
    }))
}

impl PendingSummary {
    fn collect_text(&mut self, chunk: Chunk) -> Result<Chunk> {
        let mut events = Vec::with_capacity(chunk.events.len());
        for event in chunk.events {
            match event {
                StreamEvent::Text(text) => self.text.push_str(&text),
                StreamEvent::Finished(_) => {
                    events.push(StreamEvent::Opaque(self.item()?));
                    events.push(StreamEvent::Finished(Finish::from(FinishReason::Stop)));
                }
                StreamEvent::Started(_) | StreamEvent::Usage(_) => events.push(event),
                StreamEvent::Choice(_)
                | StreamEvent::Refusal(_)
                | StreamEvent::Reasoning(_)
                | StreamEvent::Seal(_)
                | StreamEvent::ToolCall(_)
                | StreamEvent::Annotation(_)
                | StreamEvent::Logprobs(_)
                | StreamEvent::Opaque(_)
                | StreamEvent::Extra(..) => {}
            }
        }
        Ok(Chunk { meta: chunk.meta, ..Chunk::from_events(events) })
    }

    fn item(&self) -> Result<Opaque> {
        let text = self.text.trim();
        if text.is_empty() {
            let message = "the model wrote no summary of the conversation";
            return Err(GatewayError::new(ErrorKind::UpstreamInvalid, message));
        }
        let json = compaction_item(&self.id, text, &self.tenant);
        Ok(Opaque { dialect: Dialect::Responses, kind: "compaction".to_owned(), json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{ToolCall, ToolResult};

    #[test]
    fn tool_calls_become_text() {
        let call = ToolCall {
            id: "c".into(),
            name: "look".into(),
            arguments: "{}".into(),
            ..ToolCall::default()
        };
        let result = ToolResult {
            call_id: "c".into(),
            name: None,
            parts: vec![Content::Text("12 C".into()).into()],
            is_error: false,
        };
        let request = ChatRequest {
            messages: vec![
                Message::text(Role::User, "hi"),
                Message::new(Role::Assistant, [Content::ToolCall(call)]),
                Message::new(Role::Tool, [Content::ToolResult(result)]),
            ],
            ..ChatRequest::default()
        };
        let told = summarizing(&request);
        let texts: Vec<_> = told.messages.iter().map(Message::plain_text).collect();
        assert_eq!(
            texts[..3],
            ["hi", "[calls the tool look with {}]", "[result of the tool: 12 C]"]
        );
        assert_eq!((told.messages[2].role, texts[3].as_str()), (Role::User, PROMPT));
        assert!(told.tools.is_empty());
    }

    #[test]
    fn summary_is_sent_as_single_item() {
        let tenant = Tenant::new("acme").unwrap();
        let mut summary = PendingSummary { tenant, id: "cmp_1".into(), text: String::new() };
        let begun =
            summary.collect_text(Chunk::from_events(vec![StreamEvent::Text("a".into())])).unwrap();
        assert!(begun.events.is_empty() && !begun.output);
        let end = StreamEvent::Finished(FinishReason::Length.into());
        let ended = summary
            .collect_text(Chunk::from_events(vec![StreamEvent::Text("b".into()), end]))
            .unwrap();
        let StreamEvent::Opaque(item) = &ended.events[0] else { panic!("{ended:?}") };
        assert!(item.json.get().contains(":ab\""), "{}", item.json.get());
        let empty = PendingSummary { text: " ".into(), ..summary };
        assert!(empty.item().is_err());
    }
}
