//! Which of the gateway's tools go with a request, and who runs them.
//!
//! A request comes by tools in four ways: it describes one that the gateway knows, it names some in
//! `x-gateway-tools`, its session lists them, or the configuration offers them to its client or to
//! everybody. What it names replaces what is offered otherwise; `x-gateway-tools: off` hands every
//! call to the caller.

use super::{context, permitted, within::Within};
use crate::App;
use gateway_core::{
    ChatRequest, GatewayError, Payload, Provider, ProviderRequest, Result, Role, ToolError,
    ToolLoop, ToolSpec, Tools,
};
use gateway_limits::Client;
use gateway_sessions::{Chosen, taxonomy};
use gateway_wire::tool_names;
use http::HeaderMap;
use std::sync::Arc;

/// What a request says of the gateway's tools.
#[derive(Debug, PartialEq)]
enum Wish<'a> {
    /// Nothing.
    Usual,
    /// All calls are the caller's.
    Off,
    /// These are to be offered.
    These(Vec<&'a str>),
}

/// Who answers a request, and what of the gateway's tools the model is told of.
pub(crate) struct Equipped {
    /// Whom to ask.
    pub(crate) provider: Arc<dyn Provider>,
    /// The tools that are described to the model besides those of the request.
    pub(crate) added: Vec<Arc<ToolSpec>>,
}

/// Whom to ask instead of `provider`, so that the model has the gateway's tools; `provider` itself
/// if it needs none.
///
/// # Errors
///
/// If a tool is to be offered that does not exist, or the request cannot be read.
pub(crate) fn equip(
    app: &App,
    client: &Client,
    provider: &Arc<dyn Provider>,
    (call, headers): (&ProviderRequest, &HeaderMap),
    chosen: &Chosen,
) -> Result<Equipped> {
    let bare = || Equipped { provider: Arc::clone(provider), added: Vec::new() };
    let toolbox = &app.toolbox;
    let tools = permitted::to(client, &toolbox.tools);
    let offered = match wish(headers)? {
        Wish::Off => return Ok(bare()),
        Wish::These(names) => names,
        Wish::Usual if cannot_call(call) => Vec::new(),
        Wish::Usual => {
            // The configured ones were known at the start: of one that is not, the server is away.
            let configured = toolbox.offered.iter().chain(&client.offered_tools);
            let there = configured.filter(|name| tools.spec(name).is_some());
            there.chain(&chosen.tools).map(String::as_str).collect()
        }
    };
    if offered.is_empty() && !describes(call, &*tools) {
        return Ok(bare());
    }
    if let Some(name) = offered.iter().find(|name| tools.spec(name).is_none()) {
        let unknown = ToolError::unknown(name).message;
        return Err(GatewayError::invalid("tools", unknown).with_code("tool_not_found"));
    }
    let limit = if call.stream { toolbox.stream_total } else { toolbox.total };
    let mut about = context::of(chosen, &call.context, limit);
    about.idempotency_key = context::idempotency_key(headers);
    about.taxonomy = about.taxonomy.or(taxonomy_of(call)?);
    let until = about.deadline;
    let added = added(call.request()?, &offered, &*tools);
    let conversation = ToolLoop::new(Arc::clone(provider))
        .with_tools(tools)
        .with_offered_tools(offered)
        .with_limits(toolbox.rounds)
        .with_context(about);
    Ok(Equipped { provider: Arc::new(Within::new(conversation, until)), added })
}

/// The tools `offered` that `request` does not describe itself, each once.
fn added(request: &ChatRequest, offered: &[&str], tools: &dyn Tools) -> Vec<Arc<ToolSpec>> {
    let mut added: Vec<Arc<ToolSpec>> = Vec::new();
    for spec in offered.iter().filter_map(|name| tools.spec(name)) {
        let mut known = request.tools.iter().chain(added.iter().map(|it| &**it));
        if !known.any(|it| it.name() == spec.name()) {
            added.push(spec);
        }
    }
    added
}

/// The model is known to have no use for tools: what is offered to all is not offered to it.
fn cannot_call(call: &ProviderRequest) -> bool {
    call.target.card.as_ref().is_some_and(|card| card.capabilities.tools == Some(false))
}

/// Whether the request describes a tool that may be one of the gateway's.
fn describes(call: &ProviderRequest, tools: &dyn Tools) -> bool {
    let is_known = |name: &str| tools.spec(name).is_some();
    match &call.payload {
        Payload::Raw(original) => {
            let list = original.envelope.tools.clone().and_then(|span| original.body.get(span));
            list.is_some_and(|list| tool_names::may_name(list, is_known))
        }
        Payload::Parsed(request) => request.tools.iter().any(|tool| is_known(tool.name())),
    }
}

/// The taxonomy that the user asks for in the latest message.
fn taxonomy_of(call: &ProviderRequest) -> Result<Option<String>> {
    let messages = &call.request()?.messages;
    let user = messages.iter().rev().find(|message| message.role == Role::User);
    Ok(user.and_then(|message| taxonomy::asked_for(&message.plain_text())))
}

fn wish(headers: &HeaderMap) -> Result<Wish<'_>> {
    let mut names = Vec::new();
    let mut said = headers.get_all("x-gateway-tools").iter().peekable();
    if said.peek().is_none() {
        return Ok(Wish::Usual);
    }
    for value in said {
        let text = value.to_str().map_err(|error| {
            GatewayError::invalid("tools", "x-gateway-tools must be a list of names")
                .with_source(error)
        })?;
        names.extend(text.split(',').map(str::trim).filter(|name| !name.is_empty()));
    }
    match *names {
        [] => Ok(Wish::Usual),
        [only] if only.eq_ignore_ascii_case("off") => Ok(Wish::Off),
        _ => Ok(Wish::These(names)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    #[track_caller]
    fn check(said: &[&str], expected: &Wish<'_>) {
        let name = HeaderName::from_static("x-gateway-tools");
        let headers: HeaderMap =
            said.iter().map(|value| (name.clone(), value.parse().unwrap())).collect();
        assert_eq!(wish(&headers).as_ref().ok(), Some(expected), "{said:?}");
    }

    #[test]
    fn a_request_says_which_tools_it_wants() {
        check(&[], &Wish::Usual);
        check(&[" , "], &Wish::Usual);
        check(&["OFF"], &Wish::Off);
        check(&["echo"], &Wish::These(vec!["echo"]));
        check(&["echo, calculator", "embed"], &Wish::These(vec!["echo", "calculator", "embed"]));
    }
}
