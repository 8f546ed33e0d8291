//! Requests and chunks that pass unchanged.

use super::*;

#[test]
fn request_without_tools_passes_raw_bytes() {
    let decode = |_: &[u8]| -> Result<ChatRequest> { panic!("nobody needs to look inside") };
    let original = RawRequest::new(
        crate::Dialect::Chat,
        bytes::Bytes::new(),
        crate::Envelope::default(),
        decode,
    );
    let mut call = ProviderRequest::new(request());
    call.payload = Payload::Raw(Arc::new(original));
    call.inspection = Inspection::UsageOnly;
    let script = Script::new(&["ta"]);
    let provider: Arc<dyn Provider> = Arc::<Script>::clone(&script);
    let conversation = ToolLoop::new(provider).with_tools(Arc::new(OneTool(Echo::new("ours"))));
    let answer = block_on(ProviderLayer::generate(&conversation, call)).unwrap();
    let chunks: Vec<_> = block_on(answer.chunks.map(Result::unwrap).collect());
    assert!(chunks.iter().all(|chunk| chunk.verbatim.is_some()));
}

#[test]
fn inspected_request_without_tools_keeps_raw_bytes() {
    let script = Script::new(&["ta"]);
    let provider: Arc<dyn Provider> = Arc::<Script>::clone(&script);
    let call = ProviderRequest::new(ChatRequest { stream: true, ..request() });
    let answer = block_on(ProviderLayer::generate(&ToolLoop::new(provider), call)).unwrap();
    let chunks: Vec<_> = block_on(answer.chunks.map(Result::unwrap).collect());
    let (last, rest) = chunks.split_last().unwrap();
    assert!(rest.iter().all(|chunk| chunk.verbatim.is_some()));
    assert_eq!(last.completed_messages.iter().map(spell).collect::<Vec<_>>(), ["ta"]);
}
