//! The scripts of the fake provider, selected by the model's name.

use gateway_core::{
    ChatRequest, Content, ErrorKind, FinishReason, GatewayError, Json, Message, Result, Role,
    Started, StreamEvent, ToolCallDelta, Usage,
};
use gateway_wire::UpstreamErrorBody;
use std::time::Duration;

/// A step of a script.
#[derive(Debug)]
pub(super) enum ScriptStep {
    /// Sends these events.
    Say(Vec<StreamEvent>),
    /// Waits for this time.
    Wait(Duration),
    /// Fails with this error.
    Fail(GatewayError),
    /// Says nothing for ever.
    Hang,
}

/// Maximum number of chunks of a scripted response.
const MAX_CHUNKS: usize = 1_000_000;

/// The steps for `model`.
///
/// # Errors
///
/// For `error-STATUS`, that error.
pub(super) fn script(model: &str, request: &ChatRequest) -> Result<Vec<ScriptStep>> {
    let echo = echo(request);
    let (verb, arguments) = model.split_once('-').unwrap_or((model, ""));
    let number = || arguments.split('-').next().and_then(|it| it.parse().ok()).unwrap_or(1);
    let mut play = ScriptPlayer::new(model, request);
    match verb {
        "chunks" => play.chunks(number(), delay(arguments)),
        "slow" => {
            play.steps.push(ScriptStep::Wait(delay(arguments)));
            play.text(&echo);
        }
        "tool" => play.tool(arguments, request),
        "reasoning" => {
            play.say(StreamEvent::Reasoning("The user said something. I repeat it.".into()));
            play.text(&echo);
        }
        "refusal" => play.say(StreamEvent::Refusal("I would rather not.".into())),
        "filter" => return Ok(play.text_then(&echo, FinishReason::ContentFilter)),
        "json" => play.text(&format!(r#"{{"echo":{}}}"#, Json::of(&echo).get())),
        "error" => return Err(status_error(arguments)),
        "cut" => return Ok(play.ending_with_error(number(), cut())),
        "truncate" => return Ok(play.ending_with_error(number(), truncated())),
        "stall" => {
            play.chunks(number(), Duration::ZERO);
            play.steps.push(ScriptStep::Hang);
        }
        _ => play.text(&echo),
    }
    let reason = match verb {
        "length" => FinishReason::Length,
        "tool" if play.called => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    Ok(play.finish(reason))
}

/// Returns the delay before the script of `model`.
///
/// # Errors
///
/// For `error-STATUS`, that error.
pub(super) fn pause(model: &str) -> Result<Duration> {
    match model.split_once('-') {
        Some(("slow", arguments)) => Ok(delay(arguments)),
        Some(("error", status)) => Err(status_error(status)),
        Some(_) | None => Ok(Duration::ZERO),
    }
}

struct ScriptPlayer {
    steps: Vec<ScriptStep>,
    usage: Usage,
    called: bool,
}

impl ScriptPlayer {
    fn new(model: &str, request: &ChatRequest) -> Self {
        let started = Started { model: Some(format!("fake/{model}")), ..Started::default() };
        let input = request.messages.iter().map(|message| words(&message.plain_text())).sum();
        Self {
            steps: vec![ScriptStep::Say(vec![StreamEvent::Started(started)])],
            usage: Usage { input, ..Usage::default() },
            called: false,
        }
    }

    fn say(&mut self, event: StreamEvent) {
        self.usage.output += 1;
        self.steps.push(ScriptStep::Say(vec![event]));
    }

    /// A piece a word, each with the space before it.
    fn text(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
            let length = rest.get(word..).and_then(|it| it.find(char::is_whitespace));
            let end = length.map_or(rest.len(), |length| word + length);
            let (piece, after) = rest.split_at(end);
            self.say(StreamEvent::Text(piece.to_owned()));
            rest = after;
        }
    }

    fn chunks(&mut self, number: usize, delay: Duration) {
        for index in 0..number.min(MAX_CHUNKS) {
            if !delay.is_zero() {
                self.steps.push(ScriptStep::Wait(delay));
            }
            self.say(StreamEvent::Text(format!("c{index} ")));
        }
    }

    /// Calls the tool once; with its result in the request, repeats the result.
    fn tool(&mut self, name: &str, request: &ChatRequest) {
        if let Some(result) = tool_result(request) {
            return self.text(&format!("The tool said: {result}"));
        }
        let said = echo(request);
        let is_object = said.starts_with('{') && Json::parse(said.as_str()).is_ok();
        self.called = true;
        self.say(StreamEvent::ToolCall(ToolCallDelta {
            id: format!("call_fake_{}", request.messages.len()),
            name: name.to_owned(),
            arguments: if is_object { said } else { "{}".to_owned() },
            ..ToolCallDelta::default()
        }));
    }

    fn text_then(mut self, text: &str, reason: FinishReason) -> Vec<ScriptStep> {
        self.text(text);
        self.finish(reason)
    }

    fn ending_with_error(mut self, number: usize, error: GatewayError) -> Vec<ScriptStep> {
        self.chunks(number, Duration::ZERO);
        self.steps.push(ScriptStep::Fail(error));
        self.steps
    }

    fn finish(mut self, reason: FinishReason) -> Vec<ScriptStep> {
        self.steps.push(ScriptStep::Say(vec![
            StreamEvent::Finished(reason.into()),
            StreamEvent::Usage(self.usage),
        ]));
        self.steps
    }
}

pub(super) fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

fn echo(request: &ChatRequest) -> String {
    let user = request.messages.iter().rev().find(|message| message.role == Role::User);
    user.map(Message::plain_text).unwrap_or_default()
}

/// The result that ends the conversation, if one does.
fn tool_result(request: &ChatRequest) -> Option<String> {
    request.messages.last()?.parts.iter().find_map(|part| {
        if let Content::ToolResult(result) = &part.content {
            Some(gateway_core::plain_text(&result.parts))
        } else {
            None
        }
    })
}

/// The `Tms` among `arguments`.
fn delay(arguments: &str) -> Duration {
    let millis = arguments.split('-').find_map(|it| it.strip_suffix("ms")?.parse().ok());
    Duration::from_millis(millis.unwrap_or_default())
}

fn status_error(status: &str) -> GatewayError {
    let status = status.parse().ok().filter(|status| (400..=599).contains(status));
    UpstreamErrorBody {
        status: Some(status.unwrap_or(500)),
        message: Some("the model's name asks for this".to_owned()),
        ..UpstreamErrorBody::default()
    }
    .into_error()
}

fn cut() -> GatewayError {
    GatewayError::new(
        ErrorKind::UpstreamCut,
        "the connection to the provider failed during the response",
    )
}

fn truncated() -> GatewayError {
    GatewayError::new(ErrorKind::UpstreamTruncated, "the provider's response ended too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `model` does when told `said`, in short.
    #[track_caller]
    fn check(model: &str, said: &str, expected: &str) {
        let request = ChatRequest::user(model, said);
        let told = match script(model, &request) {
            Err(error) => format!("refuses: {}", error.code()),
            Ok(steps) => steps.iter().skip(1).map(describe).collect::<Vec<_>>().join("; "),
        };
        assert_eq!(told, expected);
    }

    fn describe(step: &ScriptStep) -> String {
        match step {
            ScriptStep::Say(events) => events.iter().map(tell_event).collect::<Vec<_>>().join(", "),
            ScriptStep::Wait(delay) => format!("waits {delay:?}"),
            ScriptStep::Fail(error) => format!("fails: {}", error.code()),
            ScriptStep::Hang => "hangs".to_owned(),
        }
    }

    fn tell_event(event: &StreamEvent) -> String {
        if let StreamEvent::Text(text) | StreamEvent::Refusal(text) = event {
            format!("{text:?}")
        } else if let StreamEvent::Finished(finish) = event {
            finish.reason.as_str().to_owned()
        } else if let StreamEvent::ToolCall(call) = event {
            format!("{} {}", call.name, call.arguments)
        } else if let StreamEvent::Usage(usage) = event {
            format!("{}+{}", usage.prompt(), usage.completion())
        } else {
            "something".to_owned()
        }
    }

    #[test]
    fn echoes() {
        check("echo", "hello  there\n", r#""hello"; "  there"; "\n"; stop, 2+3"#);
        check("whatever", "x", r#""x"; stop, 1+1"#);
        check("echo", "", "stop, 0+0");
    }

    #[test]
    fn speaks_in_pieces() {
        check("chunks-2", "x", r#""c0 "; "c1 "; stop, 1+2"#);
        check("chunks-1-50ms", "x", r#"waits 50ms; "c0 "; stop, 1+1"#);
        check("slow-10ms", "x", r#"waits 10ms; "x"; stop, 1+1"#);
    }

    #[test]
    fn scripted_finish_reason_ends_response() {
        check("length", "x", r#""x"; length, 1+1"#);
        check("filter", "x", r#""x"; content_filter, 1+1"#);
        check("refusal", "x", r#""I would rather not."; stop, 1+1"#);
        check("json", "x", r#""{\"echo\":\"x\"}"; stop, 1+1"#);
    }

    #[test]
    fn calls_tools() {
        check("tool-get-weather", "x", "get-weather {}; tool_calls, 1+1");
        check("tool-f", r#"{"a":1.0}"#, r#"f {"a":1.0}; tool_calls, 1+1"#);
    }

    #[test]
    fn scripted_failure_breaks_stream() {
        check("error-503", "x", "refuses: upstream_overloaded");
        check("error-nonsense", "x", "refuses: upstream_error");
        check("cut-1", "x", r#""c0 "; fails: upstream_cut"#);
        check("truncate-0", "x", "fails: upstream_truncated");
        check("stall-1", "x", r#""c0 "; hangs; stop, 1+1"#);
    }
}
