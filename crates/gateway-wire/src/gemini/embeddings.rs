//! Embeddings through `batchEmbedContents`.

use super::{GeminiOutbound, encode_request_contents::TextPartWire, errors::fault};
use crate::{
    EncodedRequest,
    embeddings::{EmbeddingDialect, as_requested, numbers, texts},
    unreadable,
};
use gateway_core::{DroppedParams, EmbeddingRequest, EmbeddingResponse, Json, Result, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Serialize)]
struct EmbedBatchWire<'a> {
    requests: Vec<EmbedContentWire<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EmbedContentWire<'a> {
    model: &'a str,
    content: EmbedTextsWire<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct EmbedTextsWire<'a> {
    parts: [TextPartWire<'a>; 1],
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EmbedBatchResponseWire<'a> {
    #[serde(borrow)]
    embeddings: Option<Vec<EmbeddingValuesWire<'a>>>,
    /// The response to `embedContent`.
    #[serde(borrow)]
    embedding: Option<EmbeddingValuesWire<'a>>,
    usage_metadata: Option<EmbedUsageWire>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct EmbeddingValuesWire<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EmbedUsageWire {
    prompt_token_count: Option<u64>,
}

impl EmbeddingDialect for GeminiOutbound {
    fn embed_request(&self, request: &EmbeddingRequest, model: &str) -> Result<EncodedRequest> {
        let model = super::resource(model);
        let task_type = ["task_type", "taskType"].iter().find_map(|name| request.extra.get(name));
        let requests = texts(request)?.into_iter().map(|text| EmbedContentWire {
            model: &model,
            content: EmbedTextsWire { parts: [TextPartWire { text }] },
            task_type,
            output_dimensionality: request.dimensions,
        });
        let batch = EmbedBatchWire { requests: requests.collect() };
        Ok(EncodedRequest::whole(Json::of(&batch).get().to_owned(), losses(request)))
    }

    fn read_embeddings(
        &self,
        request: &EmbeddingRequest,
        body: &[u8],
    ) -> Result<EmbeddingResponse> {
        let answer: EmbedBatchResponseWire<'_> =
            serde_json::from_slice(body).map_err(unreadable)?;
        if let Some(error) = answer.error {
            return Err(fault(error.get()).into_error());
        }
        let all = answer.embeddings.into_iter().flatten().chain(answer.embedding);
        let vectors = all.map(|vector| numbers(vector.values)).collect::<Result<_>>()?;
        let count = answer.usage_metadata.and_then(|counts| counts.prompt_token_count);
        Ok(EmbeddingResponse {
            model: String::new(),
            vectors: as_requested(request, vectors)?,
            usage: count.map(|input| Usage { input, ..Usage::default() }),
        })
    }
}

fn losses(request: &EmbeddingRequest) -> DroppedParams {
    let mut dropped = DroppedParams::default();
    dropped.insert_if(request.user.is_some(), "user");
    for (name, _) in request.extra.iter() {
        if !matches!(name, "task_type" | "taskType") {
            dropped.insert(name.to_owned());
        }
    }
    dropped
}
