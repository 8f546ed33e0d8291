//! The tool loop: request, run the tools that the model calls, request again.

mod stream;
#[cfg(test)]
mod tests;
mod turn;

use self::stream::ToolLoopStream;
use crate::{
    ChatRequest, ChatResponse, GatewayError, Inspection, Json, Payload, Provider, ProviderLayer,
    ProviderRequest, ProviderResponse, Result, Tool, ToolCall, ToolContext, ToolError, ToolSpec,
    Tools,
};
use async_trait::async_trait;
use std::{
    collections::{HashMap, HashSet},
    fmt, mem,
    sync::Arc,
};

/// Default maximum of requests with tool results after the first.
pub const MAX_ROUNDS: usize = 8;

/// Default maximum of tools that run at once for a request.
const MAX_PARALLEL: usize = 8;

/// More calls than a model makes in one turn.
const MAX_CALLS: usize = 128;

/// Maximum bytes of all tool results of a turn.
const MAX_RESULTS: usize = 8 << 20;

/// Limits of a tool loop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToolLoopLimits {
    /// Maximum number of requests with tool results. Default: 8.
    pub max_rounds: usize,
    /// Maximum number of tools that run at once. Default: 8.
    pub max_parallel: usize,
}

impl Default for ToolLoopLimits {
    fn default() -> Self {
        Self { max_rounds: MAX_ROUNDS, max_parallel: MAX_PARALLEL }
    }
}

/// A provider layer that runs gateway tools for the model.
///
/// A tool runs here if it is registered and the request shows it to the model: because the caller
/// defined it (the caller's schema is what the model sees) or because it is
/// [offered](Self::with_offered_tools). A definition that lacks a parameter for a required argument
/// is a different tool of the caller's. A turn that calls any other tool is the response, with all
/// its calls: only the caller can continue. The events of a response are those of one round: one
/// start, one end, calls numbered from 0, the usage of all rounds together.
///
/// The completed messages are in [`Chunk::completed_messages`](crate::Chunk::completed_messages);
/// for a request that runs no tool, only with [full inspection](Inspection::Full). A request for
/// several choices gets no tools, because each choice would need a loop of its own.
///
/// # Cancellation
///
/// Dropping the future or the stream stops the model and the tools.
#[derive(Clone)]
pub struct ToolLoop {
    provider: Arc<dyn Provider>,
    toolbox: Arc<Toolbox>,
    offered: Vec<String>,
    context: ToolContext,
    limits: ToolLoopLimits,
}

/// The tools of a loop.
#[derive(Clone, Default)]
struct Toolbox {
    own: HashMap<String, Arc<dyn Tool>>,
    tools: Option<Arc<dyn Tools>>,
}

impl ToolLoop {
    /// Creates a tool loop around `provider`, without tools.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            toolbox: Arc::default(),
            offered: Vec::new(),
            context: ToolContext::default(),
            limits: ToolLoopLimits::default(),
        }
    }

    /// Adds a tool and offers it. A later one of the same name replaces it.
    #[must_use]
    pub fn with_tool(mut self, tool: Arc<dyn Tool>) -> Self {
        let name = tool.spec().name().to_owned();
        Arc::make_mut(&mut self.toolbox).own.insert(name.clone(), tool);
        self.with_offered_tools([name])
    }

    /// Runs `tools` too, for requests that describe them.
    #[must_use]
    pub fn with_tools(mut self, tools: Arc<dyn Tools>) -> Self {
        Arc::make_mut(&mut self.toolbox).tools = Some(tools);
        self
    }

    /// Offers the tools of these names to the model, whether or not a request describes them.
    #[must_use]
    pub fn with_offered_tools(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.offered.extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets the context of tool calls. The ids of the request and its caller, and its trace,
    /// are taken from the request itself.
    #[must_use]
    pub fn with_context(mut self, context: ToolContext) -> Self {
        self.context = context;
        self
    }

    /// Sets the limits of rounds and parallelism.
    #[must_use]
    pub fn with_limits(mut self, limits: ToolLoopLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Runs `request` to its end, including all tool rounds.
    ///
    /// After so many [`ToolLoopLimits`] the model is asked once more, without tools. Dropping the
    /// future cancels the model's work and the tools'.
    pub async fn run(&self, request: ChatRequest) -> Result<ChatResponse> {
        ProviderLayer::generate(self, ProviderRequest::new(request)).await?.collect().await
    }

    /// The tools that may be run for `call`, which is made to show them all.
    ///
    /// # Errors
    ///
    /// If a tool is offered that does not exist.
    fn prepare(&self, call: &mut ProviderRequest) -> Result<HashSet<String>> {
        let described = match &call.payload {
            Payload::Raw(original) => original.envelope.tools.is_some(),
            Payload::Parsed(request) => !request.tools.is_empty(),
            Payload::Relayed(_) => false,
        };
        if self.offered.is_empty() && !described {
            return Ok(HashSet::new());
        }
        let request = call.request()?;
        if request.options.n.is_some_and(|n| n > 1) {
            return Ok(HashSet::new());
        }
        let shown = request.tools.iter().filter(|described| self.toolbox.recognizes(described));
        let mut ours: HashSet<_> = shown.map(|it| it.name().to_owned()).collect();
        let mut added = Vec::new();
        for name in &self.offered {
            let spec = self.toolbox.spec(name).ok_or_else(|| {
                GatewayError::invalid("tools", ToolError::unknown(name).message)
                    .with_code("tool_not_found")
            })?;
            let taken = request.tools.iter().any(|it| it.name() == name);
            if !taken && ours.insert(name.clone()) {
                added.push(spec);
            }
        }
        if !added.is_empty() {
            let mut request = request.clone();
            request.tools.extend(added);
            call.payload = Payload::Parsed(Arc::new(request));
        }
        Ok(ours)
    }

    fn context(&self, call: &ProviderRequest) -> ToolContext {
        let about = &call.context;
        let mut context = self.context.clone();
        context.tenant = Arc::clone(&about.tenant);
        context.request_id = Arc::clone(&about.request_id);
        context.traceparent.clone_from(&about.traceparent);
        context.tracestate.clone_from(&about.tracestate);
        if context.conversation.is_empty() {
            context.conversation = Arc::clone(&about.request_id);
        }
        context
    }
}

#[async_trait]
impl ProviderLayer for ToolLoop {
    fn inner(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    async fn generate(&self, mut call: ProviderRequest) -> Result<ProviderResponse> {
        let ours = self.prepare(&mut call)?;
        if ours.is_empty() && call.inspection == Inspection::UsageOnly {
            return self.provider.generate(call).await;
        }
        call.inspection = Inspection::Full;
        let mut answer = self.provider.generate(call.clone()).await?;
        let first = mem::replace(&mut answer.chunks, Box::pin(futures_util::stream::empty()));
        let (provider, toolbox) = (Arc::clone(&self.provider), Arc::clone(&self.toolbox));
        let context = self.context(&call);
        let talk = ToolLoopStream::new(provider, toolbox, context, (ours, self.limits), call);
        answer.chunks = talk.chunks(first);
        Ok(answer)
    }
}

impl Toolbox {
    fn spec(&self, name: &str) -> Option<ToolSpec> {
        if let Some(tool) = self.own.get(name) {
            return Some(tool.spec().clone());
        }
        self.tools.as_ref()?.spec(name).map(|spec| ToolSpec::clone(&spec))
    }

    fn recognizes(&self, described: &ToolSpec) -> bool {
        match (self.own.get(described.name()), &self.tools) {
            (Some(tool), _) => described.may_describe(tool.spec()),
            (None, Some(tools)) => tools.recognizes(described),
            (None, None) => false,
        }
    }

    async fn run(&self, call: &ToolCall, context: &ToolContext) -> Result<Json, ToolError> {
        match (self.own.get(&call.name), &self.tools) {
            (Some(tool), _) => tool.call(&call.arguments, context).await,
            (None, Some(tools)) => tools.run(call, context).await,
            (None, None) => Err(ToolError::unknown(&call.name)),
        }
    }
}

impl fmt::Debug for ToolLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("provider", &self.provider.id())
            .field("own", &self.toolbox.own.keys())
            .field("offered", &self.offered)
            .finish_non_exhaustive()
    }
}
