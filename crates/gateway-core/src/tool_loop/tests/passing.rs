//! What passes as it came.

use super::*;

#[test]
fn what_needs_no_tools_passes_as_it_came() {
    let decode = |_: &[u8]| -> Result<ChatRequest> { panic!("nobody needs to look inside") };
    let original = Original::new(
        crate::Dialect::Chat,
        bytes::Bytes::new(),
        crate::Envelope::default(),
        decode,
    );
    let mut call = Call::new(request());
    call.ask = Payload::Raw(Arc::new(original));
    call.look = Inspection::UsageOnly;
    let script = Script::new(&["ta"]);
    let provider: Arc<dyn Provider> = Arc::<Script>::clone(&script);
    let conversation = Conversation::new(provider).with_tools(Arc::new(OneTool(Echo::new("ours"))));
    let answer = block_on(Layer::answer(&conversation, call)).unwrap();
    let frames: Vec<_> = block_on(answer.frames.map(Result::unwrap).collect());
    assert!(frames.iter().all(|frame| frame.verbatim.is_some()));
}

#[test]
fn who_only_listens_hears_the_bytes_too() {
    let script = Script::new(&["ta"]);
    let provider: Arc<dyn Provider> = Arc::<Script>::clone(&script);
    let call = Call::new(ChatRequest { stream: true, ..request() });
    let answer = block_on(Layer::answer(&Conversation::new(provider), call)).unwrap();
    let frames: Vec<_> = block_on(answer.frames.map(Result::unwrap).collect());
    let (last, rest) = frames.split_last().unwrap();
    assert!(rest.iter().all(|frame| frame.verbatim.is_some()));
    assert_eq!(last.exchanged.iter().map(spell).collect::<Vec<_>>(), ["ta"]);
}
