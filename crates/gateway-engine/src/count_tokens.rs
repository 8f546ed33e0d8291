//! `POST /v1/messages/count_tokens` without HTTP: how many tokens a model would read.

use crate::{Engine, InboundRequest, Operation, PreparedRequest, response::RequestFailure};
use gateway_core::{
    Dialect, ErrorKind, Inspection, Payload, ProviderRequest, RawRequest, Result, estimate,
};
use gateway_limits::TokenEstimate;
use gateway_wire::messages::MessagesInbound;
use std::sync::Arc;

/// The number of tokens of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CountedTokens {
    /// The number of input tokens.
    pub tokens: u64,
    /// The model's provider did not count them.
    pub is_estimated: bool,
}

impl Engine {
    /// Counts the tokens of a Messages request, or has the model's provider count them.
    ///
    /// Where the provider does not count for others, or refuses the translated request, the number
    /// is an estimate.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare), or if the provider fails.
    pub async fn count_tokens(
        self: &Arc<Self>,
        inbound: InboundRequest,
    ) -> Result<CountedTokens, Box<RequestFailure>> {
        let prepared = self.prepare(&MessagesInbound, Operation::CountTokens, inbound).await?;
        let PreparedRequest { mut context, body, envelope } = prepared;
        let decode = MessagesInbound.decode_count();
        let raw = Arc::new(RawRequest::new(Dialect::Messages, body, envelope, decode));
        let request = ProviderRequest {
            target: context.target.clone(),
            payload: Payload::Raw(Arc::clone(&raw)),
            stream: false,
            inspection: Inspection::UsageOnly,
            strict: context.is_strict(),
            context: context.call_context(),
        };
        let (target, provider) = (request.target.clone(), Arc::clone(&context.provider.0));
        let is_translated =
            provider.upstream_dialect(&target, Dialect::Messages) != Some(Dialect::Messages);
        let counted = provider.count_tokens(request).await;
        context.input = TokenEstimate::known(0);
        let estimated = || Ok(estimate::tokens(raw.decoded()?, &target.model));
        let tokens = match counted {
            // No provider was asked: there is nothing to account for.
            Ok(None) => estimated(),
            Ok(Some(tokens)) => {
                let started = context.head.started;
                context.accounting(&target).since(started).completed(None);
                return Ok(CountedTokens { tokens, is_estimated: false });
            }
            Err(error) => {
                let started = context.head.started;
                context.accounting(&target).since(started).failed(&error);
                // The refusal of a translated request says nothing about the caller's.
                if !is_translated || error.kind() != ErrorKind::InvalidRequest {
                    return Err(context.accounted_failure(error));
                }
                estimated()
            }
        };
        match tokens {
            Ok(tokens) => Ok(CountedTokens { tokens, is_estimated: true }),
            Err(error) => Err(context.failure(error)),
        }
    }
}
