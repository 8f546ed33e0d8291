//! Fits conversations into the windows of models, with the help of the platform's context service.
//!
//! How full a window is decides what is done: nothing, exact counting, shortening, shortening in
//! pieces. The caller may decide otherwise by `x-cms-mode`. Nothing is measured, and nobody asked,
//! if there is no such service and the caller does not name a mode.

mod decide;
mod texts;

use self::{
    decide::{Action, Facts, Mode},
    texts::Place,
};
use crate::{App, names};
use futures_util::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use gateway_core::{
    ContextService, ErrorKind, GatewayError, Inspection, Payload, ProviderRequest, Result,
    Shortening, ToolSpec, estimate,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// What the caller is told, whether or not its request succeeds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fitted(Option<Facts>);

/// The window of a model of which nothing is known.
const UNKNOWN_WINDOW: u64 = 8192;
/// So many texts are shortened at once.
const AT_ONCE: usize = 4;
/// How long the service is said to be given before it is worth trying again, in seconds.
const PAUSE: u64 = 5;

/// Looks at how much of its model's window `call` takes, with the tools that are `added` to it, and
/// has it shortened if need be.
///
/// Tells what it found in `fitted`, even if it fails.
///
/// # Errors
///
/// If the conversation needs the service, and it is away.
pub(crate) async fn fit(
    app: &App,
    headers: &HeaderMap,
    (call, added): (&mut ProviderRequest, &[Arc<ToolSpec>]),
    fitted: &mut Fitted,
) -> Result<()> {
    let wish = headers.get(names::CMS_MODE);
    if app.context_service.is_none() && wish.is_none() {
        return Ok(());
    }
    // Boxed, so that it takes no room in the future of a request that is not measured.
    Box::pin(measure(app, wish, (call, added), fitted)).await
}

async fn measure(
    app: &App,
    wish: Option<&HeaderValue>,
    (call, added): (&mut ProviderRequest, &[Arc<ToolSpec>]),
    fitted: &mut Fitted,
) -> Result<()> {
    let mode = Mode::parse(wish.and_then(|wish| wish.to_str().ok()).unwrap_or_default());
    let model = Arc::clone(&call.target.model);
    let window = call.target.card.as_ref().and_then(|card| card.context_window);
    let window = window.unwrap_or(UNKNOWN_WINDOW);
    let besides = of_tools(added.iter().map(|it| &**it), &model);
    let tokens = estimate::tokens(call.request()?, &model).saturating_add(besides);
    let mut facts = Facts::new(tokens, window);
    let action = mode.action(facts.tier());
    let service = app.context_service.as_deref().filter(|_| !call.context.from_context_service);
    if let Some(service) = service.filter(|_| action != Action::Nothing) {
        match act(service, action, call).await {
            Ok(Some(tokens)) => {
                let tokens = tokens.saturating_add(besides);
                facts = Facts { routed: true, ..Facts::new(tokens, window) };
            }
            Ok(None) => facts.routed = true,
            // A conversation that fits goes on as it is.
            Err(error) if facts.tier() < decide::CROWDED => {
                tracing::debug!(error = format!("{error:?}"), "the context service did not help");
            }
            Err(error) => {
                fitted.0 = Some(facts);
                return Err(away(facts.tier(), error));
            }
        }
    }
    fitted.0 = Some(facts);
    Ok(())
}

/// What a model reads of `tools`, in tokens.
fn of_tools<'a>(tools: impl Iterator<Item = &'a ToolSpec>, model: &str) -> u64 {
    tools.map(|tool| estimate::tool(tool, model)).sum()
}

/// Does what was decided; tells how many tokens there are, if that is known better now.
async fn act(
    service: &dyn ContextService,
    action: Action,
    call: &mut ProviderRequest,
) -> Result<Option<u64>> {
    if !service.is_healthy().await {
        return Err(GatewayError::new(ErrorKind::Unavailable, "the context service is away"));
    }
    match action {
        Action::Nothing => Ok(None),
        Action::Count => {
            let (request, model) = (call.request()?, &*call.target.model);
            let text = service.count(&texts::all(request), model, &call.context).await?;
            // The service is asked about texts alone.
            Ok(Some(text.saturating_add(of_tools(request.tools.iter(), model))))
        }
        Action::Shorten => shorten(service, Shortening::Whole, call).await,
        Action::ShortenInPieces => shorten(service, Shortening::Pieces, call).await,
    }
}

/// What became of the text at a place; nothing, if it stays as it is.
type Made = Result<(Place, Option<String>)>;

/// Dropping the future drops what is under way.
async fn shorten(
    service: &dyn ContextService,
    how: Shortening,
    call: &mut ProviderRequest,
) -> Result<Option<u64>> {
    let (request, model, context) = (call.request()?, &*call.target.model, &call.context);
    let mut asking: Vec<BoxFuture<'_, Made>> = Vec::new();
    for (place, text) in texts::places(&request.messages) {
        let made = service.shorten(text, model, how, context);
        asking.push(Box::pin(async move { Ok((place, made.await?)) }));
    }
    let made: Vec<_> = stream::iter(asking).buffer_unordered(AT_ONCE).try_collect().await?;
    let Some(shorter) = texts::replaced(request, made) else { return Ok(None) };
    let tokens = estimate::tokens(&shorter, model);
    call.payload = Payload::Parsed(Arc::new(shorter));
    call.inspection = Inspection::Full;
    Ok(Some(tokens))
}

fn away(tier: u8, cause: GatewayError) -> GatewayError {
    let message = format!(
        "the conversation fills its model's window (tier {tier}), and the context service that \
         would shorten it is not available"
    );
    GatewayError::new(ErrorKind::Unavailable, message)
        .with_code("cms_unavailable")
        .with_retry_after(Some(std::time::Duration::from_secs(PAUSE)))
        .with_source(cause)
}

impl Fitted {
    pub(crate) const fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Tells what was found in headers.
    pub(crate) fn add_facts(self, headers: &mut HeaderMap) {
        let Some(facts) = self.0 else { return };
        let routed = HeaderValue::from_static(if facts.routed { "true" } else { "false" });
        headers.insert(HeaderName::from_static("x-cms-routed"), routed);
        for (name, value) in [
            ("x-cms-tier", u64::from(facts.tier())),
            ("x-token-count", facts.tokens),
            ("x-token-limit", facts.window),
            ("x-headroom-pct", facts.headroom()),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}
