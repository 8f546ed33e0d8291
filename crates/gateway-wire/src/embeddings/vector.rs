//! Vectors in their two spellings.

use crate::unreadable;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use gateway_core::{EmbeddingFormat, EmbeddingRequest, GatewayError, Json, Result, Vector};
use serde::{Serialize, de::IgnoredAny};
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

/// A list of finite numbers, if it is one.
pub(crate) fn numbers(raw: &RawValue) -> Result<Vector> {
    let numbers: Vec<f32> = serde_json::from_str(raw.get()).map_err(unreadable)?;
    check_finite(&numbers)?;
    Ok(Vector::Numbers(raw.into()))
}

/// A vector of signed bytes in base64, if it is one.
pub(super) fn signed_bytes(raw: &RawValue) -> Result<Vector> {
    if !raw.get().starts_with('"') {
        return numbers(raw);
    }
    let text: String = serde_json::from_str(raw.get()).map_err(unreadable)?;
    let bytes = STANDARD.decode(text);
    let bytes = bytes.map_err(|_| unreadable("a vector is not base64 of signed bytes"))?;
    let numbers: Vec<i8> = bytes.into_iter().map(u8::cast_signed).collect();
    Ok(Vector::Numbers(Json::of(&numbers)))
}

fn check_finite(numbers: &[f32]) -> Result<()> {
    let is_finite = numbers.iter().all(|number| number.is_finite());
    is_finite.then_some(()).ok_or_else(|| unreadable("a vector has numbers that are not finite"))
}

/// The length of a vector.
fn length(vector: &Vector) -> usize {
    match vector {
        Vector::Numbers(json) => json.read::<Vec<IgnoredAny>>().map_or(0, |it| it.len()),
        Vector::Base64(text) => floats(text).map_or(0, |it| it.len()),
    }
}

/// A vector in either spelling, if it is one.
pub(super) fn either(raw: &RawValue) -> Result<Vector> {
    if !raw.get().starts_with('"') {
        return numbers(raw);
    }
    let text: String = serde_json::from_str(raw.get()).map_err(unreadable)?;
    let numbers = floats(&text);
    let numbers = numbers.ok_or_else(|| unreadable("a vector is not base64 of 32-bit floats"))?;
    check_finite(&numbers)?;
    Ok(Vector::Base64(text))
}

fn floats(base64: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(base64).ok()?;
    let (groups, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| groups.iter().map(|group| f32::from_le_bytes(*group)).collect())
}

/// `vectors`, if there is one for each input of `request`, none longer than it asks for.
pub(crate) fn as_requested(
    request: &EmbeddingRequest,
    vectors: Vec<Vector>,
) -> Result<Vec<Vector>> {
    let (found, inputs) = (vectors.len(), request.inputs.len());
    if found != inputs {
        return Err(unreadable(format!("{found} vectors for {inputs} inputs")));
    }
    let Some(wanted) = request.dimensions else { return Ok(vectors) };
    let longer = vectors.iter().map(length).find(|length| *length as u64 > wanted);
    longer.map_or(Ok(vectors), |length| Err(other_length(length, wanted)))
}

/// Checks that each vector has the length that `request` asks for.
///
/// # Errors
///
/// If one has not: its model has none of that length, or ignores the parameter.
pub fn check_lengths(request: &EmbeddingRequest, vectors: &[Vector]) -> Result<()> {
    let Some(wanted) = request.dimensions else { return Ok(()) };
    let other = vectors.iter().map(length).find(|length| *length as u64 != wanted);
    other.map_or(Ok(()), |length| Err(other_length(length, wanted)))
}

fn other_length(length: usize, wanted: u64) -> GatewayError {
    unreadable(format!("a vector of {length} dimensions instead of {wanted}"))
}
