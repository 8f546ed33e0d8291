//! Embeddings through `/api/embed`.

use super::{OllamaOutbound, encode_request::KeepAliveWire, errors::OllamaErrorReply};
use crate::{
    EncodedRequest,
    embeddings::{EmbeddingDialect, as_requested, numbers, texts},
    unreadable,
};
use gateway_core::{DroppedParams, EmbeddingRequest, EmbeddingResponse, Json, Result, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Serialize)]
struct OllamaEmbedRequestWire<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<KeepAliveWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<OllamaEmbedOptionsWire>,
}

#[derive(Serialize)]
struct OllamaEmbedOptionsWire {
    num_ctx: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OllamaEmbedResponseWire<'a> {
    model: Option<String>,
    #[serde(borrow)]
    embeddings: Option<Vec<&'a RawValue>>,
    prompt_eval_count: Option<u64>,
    error: Option<OllamaErrorReply>,
}

impl EmbeddingDialect for OllamaOutbound {
    fn embed_request(&self, request: &EmbeddingRequest, model: &str) -> Result<EncodedRequest> {
        let body = OllamaEmbedRequestWire {
            model,
            input: texts(request)?,
            dimensions: request.dimensions,
            truncate: request.extra.get("truncate"),
            keep_alive: self.keep_alive.as_deref().map(KeepAliveWire::of),
            options: self.num_ctx.map(|num_ctx| OllamaEmbedOptionsWire { num_ctx }),
        };
        let mut dropped = DroppedParams::default();
        dropped.insert_if(request.user.is_some(), "user");
        for (name, _) in request.extra.iter().filter(|(name, _)| *name != "truncate") {
            dropped.insert(name.to_owned());
        }
        Ok(EncodedRequest::whole(Json::of(&body).get().to_owned(), dropped))
    }

    fn read_embeddings(
        &self,
        request: &EmbeddingRequest,
        body: &[u8],
    ) -> Result<EmbeddingResponse> {
        let answer: OllamaEmbedResponseWire<'_> =
            serde_json::from_slice(body).map_err(unreadable)?;
        if let Some(error) = answer.error.filter(OllamaErrorReply::is_one) {
            return Err(error.into_fault().into_error());
        }
        let vectors = answer.embeddings.unwrap_or_default();
        let vectors = vectors.into_iter().map(numbers).collect::<Result<_>>()?;
        Ok(EmbeddingResponse {
            model: answer.model.unwrap_or_default(),
            vectors: as_requested(request, vectors)?,
            usage: answer.prompt_eval_count.map(|input| Usage { input, ..Usage::default() }),
        })
    }
}
