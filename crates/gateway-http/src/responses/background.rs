//! The request whose answer is made in the background.

use super::endpoints::events;
use crate::{App, outcome::Outcome, reply};
use futures_util::future::BoxFuture;
use gateway_core::{Provider, ProviderRequest, ProviderResponse, Result, observe};
use gateway_sessions::responses::{Admitted, BackgroundReply, Keep};
use gateway_wire::Reply;
use http::{Response, StatusCode};
use std::sync::Arc;

/// What is to be done for a request.
pub(crate) struct Work {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) call: ProviderRequest,
    pub(crate) outcome: Box<Outcome>,
}

/// Begins to answer a caller that does not wait for it; `follow` says whether it follows the answer.
///
/// Boxed, so that it takes no room in the future of a request that is waited for.
pub(crate) fn start(
    app: &App,
    keep: Keep,
    work: Work,
    to: Reply,
    follow: bool,
) -> BoxFuture<'static, Result<Response<reply::Body>>> {
    let follow = follow.then_some(app.times.keep_alive);
    Box::pin(async move {
        let Work { provider, call, mut outcome } = work;
        let admitted = match Admitted::new(keep, to).await {
            Ok(admitted) => admitted,
            Err(error) => {
                outcome.failed(&error);
                return Err(error);
            }
        };
        let answering = async move {
            match provider.generate(call).await {
                Ok(ProviderResponse { meta, chunks }) => {
                    outcome.begun(&meta);
                    Ok(observe(chunks, outcome))
                }
                Err(error) => {
                    outcome.failed(&error);
                    Err(error)
                }
            }
        };
        Ok(reply_of(admitted.start(Box::pin(answering), follow)))
    })
}

/// What is replied to a request whose answer is made in the background.
fn reply_of(reply: BackgroundReply) -> Response<reply::Body> {
    match reply {
        BackgroundReply::Queued(object) => reply::written(StatusCode::OK, object),
        BackgroundReply::Followed(blocks) => events(blocks),
    }
}
