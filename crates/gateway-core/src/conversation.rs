//! The conversation: ask the model, run the tools it asks for, ask again.

use crate::{
    Call, ChatRequest, ChatResponse, Choice, Content, Part, Provider, Result, Role, Tool, ToolCall,
    ToolChoice, ToolResult, Usage, message::Message,
};
use futures_util::future;
use std::{collections::HashMap, fmt, sync::Arc};

/// How many times one request may go back to the model with tool results.
pub const MAX_ROUNDS: usize = 8;

/// A provider, and the tools that are run here when its model asks for them.
#[derive(Clone)]
pub struct Conversation {
    provider: Arc<dyn Provider>,
    tools: HashMap<String, Arc<dyn Tool>>,
}

impl Conversation {
    /// A conversation with `provider`, without tools.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self { provider, tools: HashMap::new() }
    }

    /// Adds a tool. A later one of the same name replaces it.
    #[must_use]
    pub fn with_tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.tools.insert(tool.spec().name().to_owned(), tool);
        self
    }

    /// Answers `request`, running tools until the model has what it needs.
    ///
    /// A turn that asks for any tool which is not ours is the answer: only the caller can go on.
    /// After [`MAX_ROUNDS`] the model is asked once more, without tools. The usage is the sum over
    /// all rounds. Dropping the future cancels the model's work and the tools'.
    pub async fn ask(&self, mut request: ChatRequest) -> Result<ChatResponse> {
        let offered = self.tools.values().map(|tool| tool.spec().clone());
        let offered =
            offered.filter(|ours| request.tools.iter().all(|it| it.name() != ours.name()));
        let offered: Vec<_> = offered.collect();
        request.tools.extend(offered);
        let mut usage = None;
        for round in 0..=MAX_ROUNDS {
            if round == MAX_ROUNDS {
                request.tool_choice = Some(ToolChoice::None);
            }
            let mut answer =
                self.provider.answer(Call::new(request.clone())).await?.collect().await?;
            add(&mut usage, answer.usage);
            let calls: Vec<_> = answer.tool_calls().cloned().collect();
            let ours = calls.iter().all(|call| self.tools.contains_key(&call.name));
            if calls.is_empty() || !ours || round == MAX_ROUNDS {
                answer.usage = usage;
                return Ok(answer);
            }
            let results = future::join_all(calls.iter().map(|call| self.run(call))).await;
            let said = answer.choices.into_iter().next().map(|Choice { message, .. }| message);
            request.messages.extend(said);
            request.messages.push(Message::new(Role::Tool, results));
            // A forced choice that were kept would never let the model answer.
            request.tool_choice = None;
        }
        Ok(ChatResponse { usage, ..ChatResponse::default() })
    }

    /// Runs one call. A tool's failure is an answer too: the model may recover from it.
    async fn run(&self, call: &ToolCall) -> Part {
        let outcome = match self.tools.get(&call.name) {
            Some(tool) => tool.call(&call.arguments).await.map_err(|error| error.to_string()),
            None => Err(format!("no tool is called {}", call.name)),
        };
        let is_error = outcome.is_err();
        let text = outcome.unwrap_or_else(|error| error);
        Part::from(Content::ToolResult(ToolResult {
            call_id: call.id.clone(),
            name: Some(call.name.clone()),
            parts: vec![Content::Text(text).into()],
            is_error,
        }))
    }
}

fn add(sum: &mut Option<Usage>, more: Option<Usage>) {
    if let Some(more) = more {
        *sum.get_or_insert_default() += more;
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("provider", &self.provider.id())
            .field("tools", &self.tools.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, FinishReason, Frame, Head, Json, StreamEvent, ToolCallDelta, ToolSpec};
    use async_trait::async_trait;
    use futures_util::{FutureExt as _, stream};
    use std::sync::Mutex;

    /// Answers from a list, and remembers what it was asked.
    struct Script {
        answers: Mutex<Vec<Vec<StreamEvent>>>,
        asked: Mutex<Vec<ChatRequest>>,
    }

    #[async_trait]
    impl Provider for Script {
        fn id(&self) -> &'static str {
            "script"
        }

        async fn answer(&self, call: Call) -> Result<Answer> {
            self.asked.lock().unwrap().push(call.request()?.clone());
            let mut answers = self.answers.lock().unwrap();
            let events = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
            let frames = Box::pin(stream::iter([Ok(Frame::of(events))]));
            Ok(Answer { head: Head::default(), frames })
        }
    }

    struct Echo(ToolSpec);

    #[async_trait]
    impl Tool for Echo {
        fn spec(&self) -> &ToolSpec {
            &self.0
        }

        async fn call(&self, arguments: &str) -> Result<String> {
            Ok(arguments.to_owned())
        }
    }

    fn call(name: &str) -> Vec<StreamEvent> {
        let delta = ToolCallDelta {
            id: "1".to_owned(),
            name: name.to_owned(),
            arguments: "{}".to_owned(),
            ..ToolCallDelta::default()
        };
        let usage = Usage { input: 1, ..Usage::default() };
        vec![
            StreamEvent::ToolCall(delta),
            StreamEvent::Usage(usage),
            StreamEvent::Finished(FinishReason::ToolCalls.into()),
        ]
    }

    fn say(text: &str) -> Vec<StreamEvent> {
        let usage = Usage { input: 1, ..Usage::default() };
        vec![
            StreamEvent::Text(text.into()),
            StreamEvent::Usage(usage),
            StreamEvent::Finished(FinishReason::Stop.into()),
        ]
    }

    /// Asks a provider that answers from `script`, the last entry for ever; returns what it was
    /// asked.
    #[track_caller]
    fn check(script: Vec<Vec<StreamEvent>>, expected: &str, rounds: u64) -> Vec<ChatRequest> {
        let script = Arc::new(Script { answers: Mutex::new(script), asked: Mutex::default() });
        let provider: Arc<dyn Provider> = Arc::<Script>::clone(&script);
        let echo = Arc::new(Echo(ToolSpec::function("echo", "", Json::null())));
        let conversation = Conversation::new(provider).with_tool(echo);
        let request = ChatRequest {
            tool_choice: Some(ToolChoice::Required),
            ..ChatRequest::user("m", "hello")
        };
        let answer = conversation.ask(request).now_or_never().unwrap().unwrap();
        let said = match answer.tool_calls().next() {
            Some(call) => format!("call {}", call.name),
            None => answer.text(),
        };
        assert_eq!(said, expected);
        assert_eq!(answer.usage.unwrap().input, rounds, "rounds, by usage");
        script.asked.lock().unwrap().clone()
    }

    #[test]
    fn answers() {
        check(vec![say("hi")], "hi", 1);
    }

    #[test]
    fn runs_tools_and_forces_them_only_once() {
        let asked = check(vec![call("echo"), call("echo"), say("done")], "done", 3);
        assert_eq!(asked[0].tool_choice, Some(ToolChoice::Required));
        assert_eq!(asked[1].tool_choice, None);
        assert_eq!(asked[2].messages.len(), 5);
    }

    #[test]
    fn hands_unknown_tools_to_the_caller() {
        check(vec![call("theirs")], "call theirs", 1);
    }

    #[test]
    fn a_model_that_never_stops_is_asked_once_more_without_tools() {
        let asked = check(vec![call("echo")], "call echo", 9);
        assert_eq!(asked[8].tool_choice, Some(ToolChoice::None));
    }
}
