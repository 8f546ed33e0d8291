//! Requests and responses as a whole.

mod decode_response;
mod encode_request;

use super::*;
use gateway_core::{ChatRequest, ErrorKind};

fn ask(model: &str, request: ChatRequest) -> ProviderRequest {
    ProviderRequest::new(ChatRequest { model: model.to_owned(), ..request })
}
