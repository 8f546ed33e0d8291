//! Fallback targets and their availability.

use gateway_core::{
    Content, Context, EmbeddingCall, Part, Payload, PlannedAttempt, Provider, ProviderRequest,
    SealOwner, Target, UnavailableReason, admits, estimate,
};
use std::sync::Arc;

/// A target of a fallback group.
pub struct FallbackTarget {
    /// Name in the configuration.
    name: String,
    provider_id: Arc<str>,
    /// Provider; absent if it is not configured.
    provider: Option<Arc<dyn Provider>>,
    /// Model of the target; default: the requested model.
    target: Option<Target>,
    /// The names by which a client's patterns admit the model.
    permitted_names: Vec<String>,
    weight: f64,
}

impl FallbackTarget {
    /// Creates a target for a credential of `provider`, for any model.
    pub fn credential(provider: Arc<dyn Provider>) -> Self {
        let provider_id = provider.id().into();
        let (name, permitted_names) = (String::new(), Vec::new());
        let (provider, target) = (Some(provider), None);
        Self { name, provider_id, provider, target, permitted_names, weight: 1.0 }
    }

    /// Creates a target for a model of the provider `provider_id`; `provider` is `None` if not
    /// configured. `name` is what the operator called it.
    pub fn model(
        name: impl Into<String>,
        provider_id: &str,
        provider: Option<Arc<dyn Provider>>,
        target: Target,
    ) -> Self {
        let (name, provider_id) = (name.into(), provider_id.into());
        let id = target.card.as_ref().map(|card| card.id.clone());
        let permitted_names = id.into_iter().chain([target.model.to_string()]).collect();
        let target = Some(target);
        Self { name, provider_id, provider, target, permitted_names, weight: 1.0 }
    }

    /// Sets the names by which clients' patterns admit the model, besides the target's own; default:
    /// the provider's name for it, and the catalogue's.
    #[must_use]
    pub fn with_permitted_names(mut self, names: Vec<String>) -> Self {
        self.permitted_names = names;
        self
    }

    /// Sets the weight for the weighted order.
    #[must_use]
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = f64::from(weight.max(1));
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn weight(&self) -> f64 {
        self.weight
    }

    pub(super) const fn provider(&self) -> Option<&Arc<dyn Provider>> {
        self.provider.as_ref()
    }

    pub(super) const fn provider_id(&self) -> &Arc<str> {
        &self.provider_id
    }

    /// Returns the model that is called for a request for `target`.
    pub(super) fn target<'a>(&'a self, target: &'a Target) -> &'a Target {
        self.target.as_ref().unwrap_or(target)
    }

    /// Returns the owners under which the target seals reasoning for a request for `target`.
    pub(super) fn seal_owners(&self, target: &Target) -> Vec<SealOwner> {
        let provider = self.provider.as_ref();
        provider.map(|it| it.seal_owners(self.target(target))).unwrap_or_default()
    }

    /// Returns why the target is unavailable for every request.
    pub(super) fn unavailability(
        &self,
        target: &Target,
        respect_breakers: bool,
    ) -> Option<UnavailableReason> {
        match &self.provider {
            None => Some(UnavailableReason::NotConfigured),
            Some(provider) if respect_breakers => provider.unavailability(self.target(target)),
            Some(_) => None,
        }
    }

    /// Returns why the target is unavailable for `request`.
    pub(super) fn unavailability_for(
        &self,
        request: &impl FallbackRequest,
    ) -> Option<UnavailableReason> {
        let context = request.context();
        if let Some(target) = &self.target {
            let is_allowed = |models: &[String]| {
                let mut names = self.permitted_names.iter().chain([&self.name]);
                names.any(|name| admits(models, &[name]))
            };
            if context.models.as_deref().is_some_and(|models| !is_allowed(models)) {
                return Some(UnavailableReason::NotAllowed);
            }
            if let Some(reason) = request.incompatibility(target) {
                return Some(reason);
            }
        }
        self.unavailability(request.target(), !context.breaker.bypass_breaker)
    }

    /// Plans a call of the target.
    pub(super) async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        let reason = self.unavailability_for(call);
        let target = self.target(&call.target).clone();
        let mut planned = match &self.provider {
            Some(provider) => provider.plan(&ProviderRequest { target, ..call.clone() }).await,
            None => vec![PlannedAttempt {
                provider: Arc::clone(&self.provider_id),
                target,
                credential: None,
                unavailable: reason,
                dropped: Ok(gateway_core::DroppedParams::default()),
                cache: None,
            }],
        };
        // What a single credential has against it is its own: of several others may serve.
        let is_permanent = reason.is_some_and(|reason| reason.wait().is_none());
        for attempt in planned.iter_mut().filter(|_| is_permanent) {
            attempt.unavailable = reason;
        }
        planned
    }
}

impl std::fmt::Debug for FallbackTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("name", &self.name)
            .field("provider", &self.provider_id)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// A request that a fallback group can send.
pub(super) trait FallbackRequest: Clone + Send {
    /// Returns the requested model.
    fn target(&self) -> &Target;

    /// Returns the request context.
    fn context(&self) -> &Context;

    /// Returns the owner of the last seal in the conversation.
    fn latest_seal_owner(&self) -> Option<SealOwner>;

    /// Returns why `target` cannot serve the request.
    fn incompatibility(&self, target: &Target) -> Option<UnavailableReason>;

    /// Whether the request can be sent to another target after one that failed.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// Copies the request for `target`, with `change` applied to its context.
    fn retargeted(&self, target: Target, change: impl FnOnce(&mut Context)) -> Self;
}

impl FallbackRequest for ProviderRequest {
    fn target(&self) -> &Target {
        &self.target
    }

    fn context(&self) -> &Context {
        &self.context
    }

    fn latest_seal_owner(&self) -> Option<SealOwner> {
        Self::latest_seal_owner(self)
    }

    fn incompatibility(&self, target: &Target) -> Option<UnavailableReason> {
        let card = target.card.as_ref().filter(|_| self.relayed().is_none())?;
        if card.capabilities.tools == Some(false) && has_tools(self) {
            return Some(UnavailableReason::NoTools);
        }
        if card.capabilities.vision == Some(false) && has_images(self) {
            return Some(UnavailableReason::NoVision);
        }
        let window = card.context_window?;
        // A token is a byte at least: what is no longer than the window need not be looked at.
        if raw_size(self).is_some_and(|bytes| bytes as u64 <= window) {
            return None;
        }
        let needs = estimate::tokens(self.request().ok()?, &target.model);
        (needs > window).then_some(UnavailableReason::ContextWindow { needs, window })
    }

    fn is_repeatable(&self) -> bool {
        Self::is_repeatable(self)
    }

    fn retargeted(&self, target: Target, change: impl FnOnce(&mut Context)) -> Self {
        let mut call = Self { target, ..self.clone() };
        change(&mut call.context);
        call
    }
}

impl FallbackRequest for EmbeddingCall {
    fn target(&self) -> &Target {
        &self.target
    }

    fn context(&self) -> &Context {
        &self.context
    }

    fn latest_seal_owner(&self) -> Option<SealOwner> {
        None
    }

    fn incompatibility(&self, _: &Target) -> Option<UnavailableReason> {
        None
    }

    fn retargeted(&self, target: Target, change: impl FnOnce(&mut Context)) -> Self {
        let mut call = Self { target, ..self.clone() };
        change(&mut call.context);
        call
    }
}

/// Returns whether the request has tools, without decoding it if avoidable.
fn has_tools(call: &ProviderRequest) -> bool {
    if let Payload::Raw(original) = &call.payload
        && original.envelope.tools.is_none()
    {
        return false;
    }
    call.request().is_ok_and(|request| !request.tools.is_empty())
}

fn has_images(call: &ProviderRequest) -> bool {
    let is_image = |part: &Part| matches!(part.content, Content::Image(_));
    call.request().is_ok_and(|request| {
        request.messages.iter().any(|message| message.parts.iter().any(is_image))
    })
}

/// Returns the body length of an undecoded request.
fn raw_size(call: &ProviderRequest) -> Option<usize> {
    match &call.payload {
        Payload::Raw(original) => Some(original.body.len()),
        Payload::Parsed(_) | Payload::Relayed(_) => None,
    }
}
