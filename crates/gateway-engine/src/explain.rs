//! `POST /v1/explain` without HTTP: the dry run of a request, without calling a provider.
//!
//! Everything is decided by the same code as for a real request: route, unavailable targets,
//! dropped parameters, cache, limits.

use crate::{Engine, InboundRequest, Operation, RequestContext, response::RequestFailure};
use gateway_core::{
    DroppedParams, NanoDollars, PlannedAttempt, Price, ProviderRequest, Result, ServiceTier,
    Target, Usage, estimate,
};
use gateway_limits::{LimitPreview, QuotaDemand};
use gateway_wire::InboundDialect;
use std::sync::Arc;

/// The dry run of a request: route, limits, targets and cost, without calling a provider.
#[derive(Debug)]
pub struct Explanation {
    /// The model, as the caller named it.
    pub model: String,
    /// Whether the response would be streamed.
    pub stream: bool,
    /// Whether the body names a session.
    pub names_session: bool,
    /// The rule that routes the request.
    pub rule: &'static str,
    /// The fallback group that serves it, if one does.
    pub group: Option<Arc<str>>,
    /// The parameters that have no effect in the request's own dialect.
    pub dropped: DroppedParams,
    /// The tokens that the model would read, by estimate.
    pub prompt_tokens: Option<u64>,
    /// The preview of the client's limits.
    pub limits: LimitPreview,
    /// The targets in the order of attempts.
    pub targets: Vec<ExplainedTarget>,
}

/// A target of an explained request.
#[derive(Debug)]
pub struct ExplainedTarget {
    /// The planned attempt, with the dropped parameters.
    pub planned: PlannedAttempt,
    /// The cost from no output to the longest possible, if the price is known; the most is absent
    /// if no length is.
    pub cost: Option<(NanoDollars, Option<NanoDollars>)>,
}

impl Engine {
    /// Runs the request in `dialect` as a dry run.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare), or if the request cannot be composed.
    pub async fn explain(
        self: &Arc<Self>,
        dialect: &'static dyn InboundDialect,
        inbound: InboundRequest,
    ) -> Result<Explanation, Box<RequestFailure>> {
        let prepared = self.prepare(dialect, Operation::Explain, inbound).await?;
        let limits = preview(&prepared.context, prepared.envelope.max_output).await;
        let composed = prepared.compose(dialect)?;
        let planned = composed.provider.plan(&composed.request).await;
        let request = &composed.request;
        let tier = composed.context.tier;
        let explained = |planned: PlannedAttempt| {
            let price = self.limits.price(&planned.provider, planned.target.card.as_deref());
            let cost = price.and_then(|price| cost_range(request, (&planned.target, tier), price));
            ExplainedTarget { planned, cost }
        };
        let prompt_tokens =
            request.request().ok().map(|chat| estimate::tokens(chat, &request.target.model));
        Ok(Explanation {
            targets: planned.into_iter().map(explained).collect(),
            prompt_tokens,
            limits,
            model: composed.context.model.clone(),
            stream: composed.context.stream,
            names_session: composed.context.names_session,
            rule: composed.context.plan.route.rule.as_str(),
            group: composed.context.plan.route.chain.clone(),
            dropped: composed.dropped.clone(),
        })
    }
}

async fn preview(context: &RequestContext, max_output: Option<u64>) -> LimitPreview {
    let want = QuotaDemand {
        models: [&*context.model, &*context.target.model],
        input: &context.input,
        output: max_output,
        units: context.units,
        price: context.price.as_ref(),
        tier: context.tier,
    };
    context.engine.limits.limiter.preview(&context.head.client, context.head.peer, &want).await
}

/// The cost from reading alone to writing as much as the request or the model allows.
fn cost_range(
    request: &ProviderRequest,
    (target, tier): (&Target, Option<ServiceTier>),
    price: &Price,
) -> Option<(NanoDollars, Option<NanoDollars>)> {
    let chat = request.request().ok()?;
    let input = estimate::tokens(chat, &target.model);
    let longest = target.card.as_deref().and_then(|card| card.max_output);
    let output = match (chat.options.max_tokens, longest) {
        (Some(one), Some(other)) => Some(one.min(other)),
        // A free model costs nothing at any length.
        (None, None) if price.is_free() => Some(0),
        (one, other) => one.or(other),
    };
    let cost = |output| price.cost(&Usage { input, output, tier, ..Usage::default() });
    let choices = u64::from(chat.options.n.unwrap_or(1).max(1));
    Some((cost(0), output.map(|output| cost(output.saturating_mul(choices)))))
}
