//! The rules of a model, applied to a call before a dialect writes it.

use crate::{
    editable_call::EditableCall,
    learned_refusals::{self, LearnedRefusals},
};
use gateway_core::{
    Dialect, DroppedParams, ModelRules, Payload, ProviderRequest, ResponsesOnly, Result, ToolKind,
    ToolSpec,
};
use gateway_wire::{
    conform_original, conform_schemas, report_translation_losses, without_unsupported_tools,
};
use memchr::memmem;
use std::sync::Arc;

/// Returns whether a model serves a call through the Responses API only. A request that cannot matter is not
/// decoded.
pub(crate) fn needs_responses(rules: &ModelRules, call: &ProviderRequest) -> Result<bool> {
    match rules.responses_only {
        ResponsesOnly::Always => return Ok(true),
        ResponsesOnly::Never if rules.efforts_of_responses.is_empty() => return Ok(false),
        ResponsesOnly::Never | ResponsesOnly::Tools => {}
    }
    if let Some(raw) = call.original(Dialect::Chat) {
        let names_effort = || {
            let mut words = rules.efforts_of_responses.iter().map(gateway_core::Effort::as_str);
            words.any(|word| memmem::find(&raw.body, word.as_bytes()).is_some())
        };
        if raw.envelope.tools.is_none() && !names_effort() {
            return Ok(false);
        }
    }
    let request = call.request()?;
    let is_function = |tool: &ToolSpec| matches!(tool.kind, ToolKind::Function(_));
    let reasoning = request.options.reasoning.as_ref();
    let effort = reasoning.and_then(|it| it.effort);
    Ok(rules.needs_responses(request.tools.iter().any(is_function), effort))
}

/// Makes the call one that its model accepts. Of what is passed on in the caller's own bytes, only what
/// the model is documented to refuse is edited, and nothing if the request is strict.
pub(crate) fn conform(
    call: &mut EditableCall<'_>,
    dialect: Dialect,
    dropped: &mut DroppedParams,
) -> Result<()> {
    let Some(card) = &call.target.card else { return Ok(()) };
    if card.rules == ModelRules::default() {
        return Ok(());
    }
    if let Some(raw) = call.original(dialect) {
        let may_edit = !call.strict;
        let edited = may_edit.then(|| conform_original(raw, &card.rules, dropped)).flatten();
        if let Some(edited) = edited {
            call.edit().payload = Payload::Raw(Arc::new(edited));
        }
        return Ok(());
    }
    let rules = card.rules;
    if let Some(edited) = gateway_core::conform(call.request()?, &rules, dialect, dropped) {
        call.edit().payload = Payload::Parsed(Arc::new(edited));
    }
    if let Some(edited) = conform_schemas(call.request()?, rules.strict_schemas, dialect, dropped) {
        call.edit().payload = Payload::Parsed(Arc::new(edited));
    }
    Ok(())
}

/// Leaves out what the provider is known to refuse: as documented, or as learned.
pub(crate) fn strip_refused(
    call: &mut EditableCall<'_>,
    learned: &LearnedRefusals,
    dialect: Dialect,
    dropped: &mut DroppedParams,
) -> Result<()> {
    let mut refused = learned_refusals::documented(call, dialect);
    if !call.strict {
        refused.extend(learned.of(&call.target.model));
    }
    if refused.is_empty() {
        return Ok(());
    }
    if let Some(payload) = learned_refusals::without(call, &refused, dialect, dropped)? {
        call.edit().payload = payload;
    }
    Ok(())
}

/// Leaves out tools that only other providers have, and returns what is lost of the call in
/// `dialect`.
pub(crate) fn strip_unsupported_tools(
    call: &mut EditableCall<'_>,
    dialect: Dialect,
) -> Result<DroppedParams> {
    let mut dropped = DroppedParams::default();
    let is_sent_verbatim =
        call.original(dialect).is_some_and(|original| original.envelope.stream == call.stream);
    if is_sent_verbatim {
        return Ok(dropped);
    }
    report_translation_losses(call.request()?, dialect, &mut dropped)?;
    if call.original(dialect).is_none()
        && let Some(rest) = without_unsupported_tools(call.request()?, dialect, &mut dropped)?
    {
        call.edit().payload = Payload::Parsed(Arc::new(rest));
    }
    Ok(dropped)
}
