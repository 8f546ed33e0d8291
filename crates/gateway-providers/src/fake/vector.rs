//! Vectors of texts: the same for the same text, of length one, and without meaning.

use super::script::words;
use gateway_core::{
    EmbeddingInput, EmbeddingRequest, EmbeddingResponse, GatewayError, Json, Result, Usage, Vector,
};

/// The default number of dimensions.
const USUAL: u64 = 8;

/// Maximum number of dimensions.
const MOST: u64 = 8192;

/// Answers `request`.
///
/// # Errors
///
/// If the caller wants vectors of no numbers, or of too many.
pub(super) fn vectors(model: &str, request: &EmbeddingRequest) -> Result<EmbeddingResponse> {
    let length = request.dimensions.unwrap_or(USUAL);
    if !(1..=MOST).contains(&length) {
        let message = format!("dimensions must be from 1 to {MOST}");
        return Err(GatewayError::invalid("dimensions", message));
    }
    let input = request.inputs.iter().map(size).sum();
    Ok(EmbeddingResponse {
        model: format!("fake/{model}"),
        vectors: request.inputs.iter().map(|input| vector(input, length)).collect(),
        usage: Some(Usage { input, ..Usage::default() }),
    })
}

fn size(input: &EmbeddingInput) -> u64 {
    match input {
        EmbeddingInput::Text(text) => words(text),
        EmbeddingInput::Tokens(tokens) => tokens.len() as u64,
    }
}

fn vector(input: &EmbeddingInput, length: u64) -> Vector {
    let seed = match input {
        EmbeddingInput::Text(text) => hash(text.bytes()),
        EmbeddingInput::Tokens(tokens) => hash(tokens.iter().flat_map(|it| it.to_le_bytes())),
    };
    let numbers: Vec<f64> = (1..=length).map(|index| number(seed, index)).collect();
    let norm = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    let unit: Vec<f64> = numbers.iter().map(|number| (number / norm * 1e6).round() / 1e6).collect();
    Vector::Numbers(Json::of(&unit))
}

/// Returns the FNV-1a hash.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// From -1 to 1 and never 0: the number at `index` of the sequence that `seed` begins
/// (`SplitMix64`).
#[expect(clippy::cast_precision_loss, reason = "31 bits fit")]
fn number(seed: u64, index: u64) -> f64 {
    let mut z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let bits = (z >> 33) as f64;
    (bits + 0.5) / 2_f64.powi(30) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors_of(texts: &[&str], dimensions: Option<u64>) -> Result<Vec<Vec<f64>>> {
        let inputs = texts.iter().map(|text| EmbeddingInput::Text((*text).to_owned())).collect();
        let request = EmbeddingRequest { inputs, dimensions, ..EmbeddingRequest::default() };
        let read = |vector: Vector| match vector {
            Vector::Numbers(numbers) => numbers.read().unwrap(),
            Vector::Base64(_) => panic!("numbers were expected"),
        };
        Ok(vectors("m", &request)?.vectors.into_iter().map(read).collect())
    }

    #[test]
    fn equal_texts_have_equal_vectors() {
        let made = vectors_of(&["a", "b", "a"], None).unwrap();
        assert_eq!(made[0], made[2]);
        assert_ne!(made[0], made[1]);
    }

    #[test]
    fn fake_embeddings_are_normalized() {
        for dimensions in [None, Some(1), Some(3), Some(1536)] {
            for vector in vectors_of(&["", "a", "hello world"], dimensions).unwrap() {
                assert_eq!(vector.len() as u64, dimensions.unwrap_or(USUAL));
                let norm: f64 = vector.iter().map(|number| number * number).sum();
                assert!((norm - 1.0).abs() < 1e-3, "{vector:?}");
            }
        }
    }

    #[test]
    fn absurd_lengths_are_refused() {
        for dimensions in [0, MOST + 1, u64::MAX] {
            assert_eq!(vectors_of(&["a"], Some(dimensions)).unwrap_err().code(), "invalid_request");
        }
    }
}
