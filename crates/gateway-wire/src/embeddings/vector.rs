//! Vectors in their two spellings.

use crate::unreadable;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use gateway_core::{EmbeddingFormat, EmbeddingRequest, Json, Result, Vector};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A vector as a caller reads it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum VectorWire<'a> {
    Json(&'a Json),
    Numbers(Vec<f32>),
    Base64(Cow<'a, str>),
}

/// `vector` in the spelling of `format`.
pub(super) fn written(vector: &Vector, format: EmbeddingFormat) -> VectorWire<'_> {
    match (vector, format) {
        (Vector::Numbers(json), EmbeddingFormat::Float) => VectorWire::Json(json),
        (Vector::Numbers(json), EmbeddingFormat::Base64) => {
            let numbers: Vec<f32> = json.read().unwrap_or_default();
            let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
            VectorWire::Base64(STANDARD.encode(bytes).into())
        }
        (Vector::Base64(text), EmbeddingFormat::Base64) => VectorWire::Base64(text.into()),
        (Vector::Base64(text), EmbeddingFormat::Float) => {
            VectorWire::Numbers(floats(text).unwrap_or_default())
        }
    }
}

/// A list of numbers, if it is one.
pub(crate) fn numbers(raw: &RawValue) -> Result<Vector> {
    let _: Vec<f32> = serde_json::from_str(raw.get()).map_err(unreadable)?;
    Ok(Vector::Numbers(raw.into()))
}

/// A vector in either spelling, if it is one.
pub(super) fn either(raw: &RawValue) -> Result<Vector> {
    if !raw.get().starts_with('"') {
        return numbers(raw);
    }
    let text: String = serde_json::from_str(raw.get()).map_err(unreadable)?;
    if floats(&text).is_none() {
        return Err(unreadable("a vector is not base64 of 32-bit floats"));
    }
    Ok(Vector::Base64(text))
}

fn floats(base64: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(base64).ok()?;
    let (groups, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| groups.iter().map(|group| f32::from_le_bytes(*group)).collect())
}

/// `vectors`, if there is one for each input of `request`.
pub(crate) fn same_number(request: &EmbeddingRequest, vectors: Vec<Vector>) -> Result<Vec<Vector>> {
    if vectors.len() == request.inputs.len() {
        return Ok(vectors);
    }
    Err(unreadable(format!("{} vectors for {} inputs", vectors.len(), request.inputs.len())))
}
