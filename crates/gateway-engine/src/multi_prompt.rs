//! Several prompts of one request, merged into one response.

use futures_util::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use gateway_core::{
    Chunk, ChunkStream, ErrorKind, GatewayError, Payload, Provider, ProviderRequest,
    ProviderResponse, Result, StreamEvent, Usage,
};
use std::{future, mem, sync::Arc};

/// The number of prompts that are with the provider at the same time.
const MAX_PARALLEL: usize = 4;

/// Sends each of `prompts` to `provider` as `request`. The responses are concatenated, with their
/// choices numbered consecutively and their usage summed.
///
/// # Errors
///
/// If a response fails before it begins.
pub(crate) async fn generate(
    provider: &Arc<dyn Provider>,
    request: ProviderRequest,
    mut prompts: Vec<Payload>,
) -> Result<ProviderResponse> {
    if prompts.len() < 2 {
        let payload = prompts.pop().unwrap_or_else(|| request.payload.clone());
        return provider.generate(ProviderRequest { payload, ..request }).await;
    }
    let each = request.request()?.options.n.unwrap_or(1).max(1);
    let provider = Arc::clone(provider);
    let mut responses = stream::iter(prompts)
        .map(move |payload| {
            let request = ProviderRequest { payload, ..request.clone() };
            let provider = Arc::clone(&provider);
            async move { provider.generate(request).await }
        })
        .buffered(MAX_PARALLEL);
    let Some(first) = responses.next().await.transpose()? else {
        return Err(GatewayError::new(ErrorKind::Internal, "a request without a prompt"));
    };
    let ProviderResponse { meta, chunks } = first;
    let first = stream::once(future::ready(Ok(chunks)));
    let responses = first.chain(responses.map_ok(|response| response.chunks)).boxed();
    let usage = UsageTotal::default();
    let joined = ConcatenatedResponses { responses, current: None, offset: 0, each, usage };
    let chunks = stream::try_unfold(joined, |mut joined| async move {
        Ok(joined.next().await?.map(|chunk| (chunk, joined)))
    });
    Ok(ProviderResponse { meta, chunks: Box::pin(chunks) })
}

/// Responses, of which one is being read.
struct ConcatenatedResponses {
    responses: BoxStream<'static, Result<ChunkStream>>,
    current: Option<ChunkStream>,
    /// The number of the current response's first choice.
    offset: u32,
    /// The number of choices in a response.
    each: u32,
    usage: UsageTotal,
}

/// The usage of the responses.
#[derive(Default)]
struct UsageTotal {
    before: Usage,
    current: Usage,
}

impl ConcatenatedResponses {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(chunks) = &mut self.current {
                if let Some(chunk) = chunks.try_next().await? {
                    return Ok(Some(self.renumbered(chunk)));
                }
                self.current = None;
                self.usage.before += mem::take(&mut self.usage.current);
                self.offset = self.offset.saturating_add(self.each);
            }
            let Some(chunks) = self.responses.try_next().await? else { return Ok(None) };
            self.current = Some(chunks);
            if self.offset > 0 {
                return Ok(Some(Chunk::from_events(vec![StreamEvent::Choice(self.offset)])));
            }
        }
    }

    /// Renumbers the choices, and adds up the usage. Only the first response has a start.
    fn renumbered(&mut self, mut chunk: Chunk) -> Chunk {
        let mut events = Vec::with_capacity(chunk.events.len());
        for event in mem::take(&mut chunk.events) {
            if let StreamEvent::Choice(index) = event {
                events.push(StreamEvent::Choice(index.saturating_add(self.offset)));
            } else if let StreamEvent::Usage(usage) = event {
                self.usage.current = usage;
                let mut total = self.usage.before;
                total += usage;
                events.push(StreamEvent::Usage(total));
            } else if self.offset == 0 || !matches!(event, StreamEvent::Started(_)) {
                events.push(event);
            }
        }
        Chunk { events, verbatim: None, ..chunk }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use gateway_core::{ChatRequest, Collector, Finish, ResponseMeta, Started};

    /// Says the prompt, twice if two answers are wanted, and counts a token for each letter.
    struct Echo;

    #[async_trait]
    impl Provider for Echo {
        fn id(&self) -> &'static str {
            "echo"
        }

        async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
            let request = call.request()?;
            let text = request.messages[0].plain_text();
            if text == "fail" {
                return Err(GatewayError::new(ErrorKind::Upstream, "failed"));
            }
            let id = Some(text.clone());
            let mut chunks = vec![Chunk::from_events(vec![StreamEvent::Started(Started {
                id,
                ..Started::default()
            })])];
            for index in 0..request.options.n.unwrap_or(1) {
                let events = vec![
                    StreamEvent::Choice(index),
                    StreamEvent::Text(text.clone()),
                    StreamEvent::Finished(Finish::default()),
                ];
                chunks.push(Chunk::from_events(events));
            }
            let output = text.len() as u64;
            chunks.push(Chunk::from_events(vec![StreamEvent::Usage(Usage {
                output,
                ..Usage::default()
            })]));
            let chunks = Box::pin(stream::iter(chunks.into_iter().map(Ok)));
            Ok(ProviderResponse { meta: ResponseMeta::default(), chunks })
        }
    }

    /// What is answered to `prompts`, how the answer is called, and what it took.
    async fn check(prompts: &[&str], n: u32, expected: Result<(&str, &str, u64), &str>) {
        let ask = |prompt: &&str| {
            let mut request = ChatRequest::user("m", *prompt);
            request.options.n = Some(n);
            Payload::Parsed(Arc::new(request))
        };
        let asks: Vec<_> = prompts.iter().map(ask).collect();
        let call = ProviderRequest {
            payload: asks[0].clone(),
            ..ProviderRequest::new(ChatRequest::default())
        };
        let provider: Arc<dyn Provider> = Arc::new(Echo);
        let collecting = async {
            let mut answer = generate(&provider, call, asks).await?;
            let mut all = Collector::default();
            while let Some(chunk) = answer.chunks.try_next().await? {
                all.extend(chunk.events);
            }
            Ok(all.finish())
        };
        let told = collecting.await.map(|it| {
            let texts: Vec<_> =
                it.choices.iter().map(|choice| choice.message.plain_text()).collect();
            (texts.join(" "), it.id, it.usage.unwrap_or_default().output)
        });
        let told = told.as_ref().map(|it| (it.0.as_str(), it.1.as_str(), it.2));
        assert_eq!(told.map_err(|it: &GatewayError| it.code()), expected);
    }

    #[tokio::test]
    async fn single_prompt_is_passed_through() {
        check(&["a"], 1, Ok(("a", "a", 1))).await;
        check(&["a"], 2, Ok(("a a", "a", 1))).await;
    }

    #[tokio::test]
    async fn choices_are_numbered_consecutively() {
        check(&["a", "bb"], 1, Ok(("a bb", "a", 3))).await;
        check(&["a", "bb", "c"], 2, Ok(("a a bb bb c c", "a", 4))).await;
        check(&["a"; 11], 1, Ok(("a a a a a a a a a a a", "a", 11))).await;
    }

    #[tokio::test]
    async fn failed_prompt_fails_the_response() {
        check(&["fail", "a"], 1, Err("upstream_error")).await;
        check(&["a", "fail"], 1, Err("upstream_error")).await;
    }
}
