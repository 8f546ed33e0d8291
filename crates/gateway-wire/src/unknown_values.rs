//! The one rule for values of enumerations that the gateway does not know.
//!
//! Providers add efforts, tiers and choices all the time. In every dialect:
//!
//! | an unknown value of | to a provider of the caller's dialect | to any other |
//! |---|---|---|
//! | what tunes an answer: effort, thinking, tier, verbosity | as it is | left out, and reported; a strict request is refused |
//! | what changes its meaning: tool choice, response format | as it is | refused with `unsupported_value` |
//! | a role | refused: no message can be understood without it | refused |
//!
//! A decoder keeps a member with an unknown value in `extra`, which is where this looks for it. In
//! responses, an unknown finish reason stands for the nearest that is known, and is kept beside it.

use gateway_core::{ChatRequest, Dialect, Extra, GatewayError, Result};

/// The members that change the meaning of an answer: the dialect, the member, the member of it that
/// counts, and the parameter as it is reported.
const MEANINGFUL: [(Dialect, &str, Option<&str>, &str); 7] = [
    (Dialect::Chat, "tool_choice", None, "tool_choice"),
    (Dialect::Chat, "response_format", None, "response_format"),
    (Dialect::Responses, "tool_choice", None, "tool_choice"),
    (Dialect::Responses, "text", Some("format"), "text.format"),
    (Dialect::Messages, "tool_choice", None, "tool_choice"),
    (Dialect::Messages, "output_format", None, "output_format"),
    (Dialect::Messages, "output_config", Some("format"), "output_config.format"),
];

/// Refuses a request on its way to another dialect that asks for something unknown without which it
/// would mean something else.
pub(crate) fn refuse_unknown_values(request: &ChatRequest) -> Result<()> {
    let is_there = |(dialect, member, inner, _): &&(Dialect, &str, Option<&str>, &str)| {
        let value = request.extra.get(member).filter(|_| request.dialect == Some(*dialect));
        value.is_some_and(|value| match inner {
            None => true,
            Some(inner) => value.read::<Extra>().is_ok_and(|it| it.get(inner).is_some()),
        })
    };
    match MEANINGFUL.iter().find(is_there) {
        Some((.., param)) => Err(GatewayError::invalid(
            *param,
            format!(
                "the value of '{param}' is unknown: only a provider of the same API can be sent it"
            ),
        )
        .with_code("unsupported_value")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        InboundDialect, OutboundDialect as _, chat, messages, report_translation_losses, responses,
    };
    use gateway_core::{Context, DroppedParams, Inspection, Payload, ProviderRequest, Target};
    use std::sync::Arc;

    fn decoded(dialect: Dialect, member: &str) -> ChatRequest {
        let (inbound, rest): (&dyn InboundDialect, _) = match dialect {
            Dialect::Responses => (&responses::ResponsesInbound, r#""input":"a""#),
            Dialect::Messages => (
                &messages::MessagesInbound,
                r#""max_tokens":9,"messages":[{"role":"user","content":"a"}]"#,
            ),
            Dialect::Chat | Dialect::Gemini | Dialect::Ollama => {
                (&chat::ChatInbound, r#""messages":[{"role":"user","content":"a"}]"#)
            }
        };
        let body = format!(r#"{{"model":"m",{member},{rest}}}"#);
        inbound.decode()(body.as_bytes()).unwrap()
    }

    /// What a provider of the caller's dialect is sent, once the request was written anew.
    fn sent_to_own(request: &ChatRequest) -> String {
        let call = ProviderRequest {
            target: Target { model: "n".into(), card: None },
            payload: Payload::Parsed(Arc::new(request.clone())),
            inspection: Inspection::Full,
            stream: false,
            strict: false,
            context: Context::default(),
        };
        let encoded = match request.dialect {
            Some(Dialect::Responses) => responses::ResponsesOutbound.encode(&call),
            Some(Dialect::Messages) => messages::MessagesOutbound.encode(&call),
            _ => chat::ChatOutbound { quirks: chat::Quirks::OPENAI }.encode(&call),
        };
        String::from_utf8(encoded.unwrap().to_vec()).unwrap()
    }

    /// What is reported on the way to another dialect, or the parameter that is refused.
    fn lost(request: &ChatRequest) -> String {
        let mut dropped = DroppedParams::default();
        let result = report_translation_losses(request, Dialect::Gemini, &mut dropped);
        if let Err(error) = result {
            return format!("{} {}", error.code(), error.param().unwrap_or_default());
        }
        crate::translation_losses::report_extra(request, &[], &mut dropped);
        dropped.iter().collect::<Vec<_>>().join(",")
    }

    #[test]
    fn unknown_value_is_sent_as_it_is_or_reported_or_refused() {
        use Dialect::{Chat, Messages, Responses};
        for (dialect, member, expected) in [
            (Chat, r#""reasoning_effort":"ultra""#, "reasoning_effort"),
            (Chat, r#""reasoning":{"effort":"ultra"}"#, "reasoning"),
            (Chat, r#""thinking":{"type":"between_tools"}"#, "thinking"),
            (Chat, r#""tool_choice":"sometimes""#, "unsupported_value tool_choice"),
            (Chat, r#""tool_choice":{"type":"some"}"#, "unsupported_value tool_choice"),
            (Chat, r#""response_format":{"type":"grammar"}"#, "unsupported_value response_format"),
            (Responses, r#""reasoning":{"effort":"ultra"}"#, "reasoning"),
            (Responses, r#""tool_choice":"sometimes""#, "unsupported_value tool_choice"),
            (Responses, r#""text":{"format":{"type":"xml"}}"#, "unsupported_value text.format"),
            (Messages, r#""thinking":{"type":"between_tools"}"#, "thinking"),
            (Messages, r#""service_tier":"turbo""#, "service_tier"),
            (Messages, r#""output_config":{"effort":"ultra"}"#, "output_config"),
            (Messages, r#""tool_choice":{"type":"some"}"#, "unsupported_value tool_choice"),
            (Messages, r#""output_format":{"type":"xml"}"#, "unsupported_value output_format"),
            (
                Messages,
                r#""output_config":{"format":{"type":"xml"}}"#,
                "unsupported_value output_config.format",
            ),
        ] {
            let request = decoded(dialect, member);
            let sent = sent_to_own(&request);
            assert!(sent.contains(member), "{dialect:?} {member} is not in {sent}");
            assert_eq!(lost(&request), expected, "{dialect:?} {member}");
        }
    }
}
