//! The fitting of conversations into the context windows of models, with the platform's context
//! service.
//!
//! The fill level of the window selects the action: none, exact counting, shortening, shortening in
//! chunks. The caller may override it (`x-cms-mode`). Nothing is measured without such a service or
//! an explicit mode.

mod decide;
mod texts;

pub use self::decide::{ContextFit, ContextMode};

use self::{decide::FitAction, texts::TextPosition};
use futures_util::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use gateway_core::{
    ContextService, ContextShortening, ErrorKind, GatewayError, Inspection, Payload,
    ProviderRequest, Result, ToolSpec, estimate,
};
use std::{sync::Arc, time::Duration};

/// The window of a model that is not catalogued.
const UNKNOWN_WINDOW: u64 = 8192;
/// The number of texts that are shortened at the same time.
const MAX_PARALLEL: usize = 4;
/// The `Retry-After` of a request that needs the service while it is unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Measures the part of the model's window that `request` takes, with the tools `added` to it, and
/// shortens it with `service` if needed. Returns the measurement even for a failure.
///
/// # Errors
///
/// If the conversation needs the service, and it is unavailable.
pub(crate) async fn fit(
    service: Option<&dyn ContextService>,
    mode: Option<ContextMode>,
    request: &mut ProviderRequest,
    added: &[Arc<ToolSpec>],
) -> (Option<ContextFit>, Result<()>) {
    let model = Arc::clone(&request.target.model);
    let window = request.target.card.as_ref().and_then(|card| card.context_window);
    let window = window.unwrap_or(UNKNOWN_WINDOW);
    let extra = tool_tokens(added.iter().map(|it| &**it), &model);
    let tokens = match request.request() {
        Ok(request) => estimate::tokens(request, &model).saturating_add(extra),
        Err(error) => return (None, Err(error)),
    };
    let mut fit = ContextFit::new(tokens, window);
    let action = mode.unwrap_or_default().action(fit.tier());
    let service = service.filter(|_| !request.context.from_context_service);
    if let Some(service) = service.filter(|_| action != FitAction::Nothing) {
        match act(service, action, request).await {
            Ok(Some(tokens)) => {
                let tokens = tokens.saturating_add(extra);
                fit = ContextFit { routed: true, ..ContextFit::new(tokens, window) };
            }
            Ok(None) => fit.routed = true,
            // A conversation that fits goes on as it is.
            Err(error) if fit.tier() < decide::CROWDED => {
                tracing::debug!(
                    error = format!("{error:?}"),
                    "context service unavailable; the conversation is sent unchanged"
                );
            }
            Err(error) => return (Some(fit), Err(unavailable(fit.tier(), error))),
        }
    }
    (Some(fit), Ok(()))
}

/// The tokens that a model reads of `tools`.
fn tool_tokens<'a>(tools: impl Iterator<Item = &'a ToolSpec>, model: &str) -> u64 {
    tools.map(|tool| estimate::tool(tool, model)).sum()
}

/// Performs the action. Returns the exact number of tokens, if it is known now.
async fn act(
    service: &dyn ContextService,
    action: FitAction,
    request: &mut ProviderRequest,
) -> Result<Option<u64>> {
    if !service.is_healthy().await {
        return Err(GatewayError::new(
            ErrorKind::Unavailable,
            "the context service is unavailable",
        ));
    }
    match action {
        FitAction::Nothing => Ok(None),
        FitAction::Count => {
            let (chat, model) = (request.request()?, &*request.target.model);
            let text = service.count(&texts::all(chat), model, &request.context).await?;
            // The service is asked about texts alone.
            Ok(Some(text.saturating_add(tool_tokens(chat.tools.iter(), model))))
        }
        FitAction::Shorten => shorten(service, ContextShortening::Whole, request).await,
        FitAction::ShortenInPieces => shorten(service, ContextShortening::Pieces, request).await,
    }
}

/// The shortened text at a place; `None` if it is unchanged.
type ShortenedText = Result<(TextPosition, Option<String>)>;

/// Shortens the texts of the conversation. Dropping the future cancels the calls in progress.
async fn shorten(
    service: &dyn ContextService,
    how: ContextShortening,
    request: &mut ProviderRequest,
) -> Result<Option<u64>> {
    let (chat, model, context) = (request.request()?, &*request.target.model, &request.context);
    let mut asking: Vec<BoxFuture<'_, ShortenedText>> = Vec::new();
    for (place, text) in texts::places(&chat.messages) {
        let made = service.shorten(text, model, how, context);
        asking.push(Box::pin(async move { Ok((place, made.await?)) }));
    }
    let made: Vec<_> = stream::iter(asking).buffer_unordered(MAX_PARALLEL).try_collect().await?;
    let Some(shorter) = texts::replaced(chat, made) else { return Ok(None) };
    let tokens = estimate::tokens(&shorter, model);
    request.payload = Payload::Parsed(Arc::new(shorter));
    request.inspection = Inspection::Full;
    Ok(Some(tokens))
}

fn unavailable(tier: u8, cause: GatewayError) -> GatewayError {
    let message = format!(
        "the conversation fills its model's window (tier {tier}), and the context service that \
         would shorten it is not available"
    );
    GatewayError::new(ErrorKind::Unavailable, message)
        .with_code("cms_unavailable")
        .with_retry_after(Some(RETRY_AFTER))
        .with_source(cause)
}
