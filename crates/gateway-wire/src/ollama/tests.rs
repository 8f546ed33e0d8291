//! Requests and answers as a whole.

mod answers;
mod requests;

use super::*;
use gateway_core::{ChatRequest, ErrorKind};

fn ask(model: &str, request: ChatRequest) -> ProviderRequest {
    ProviderRequest::new(ChatRequest { model: model.to_owned(), ..request })
}
