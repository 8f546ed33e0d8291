//! The limits of tool loops: rounds and parallel tool calls.

use super::*;

#[test]
fn exceeded_rounds_lead_to_final_request_without_tools() {
    let script = Script::new(&["g0"]);
    let chunks = chunks(&script, request());
    let finishes = chunks.iter().flat_map(|chunk| &chunk.events).filter_map(|event| {
        if let StreamEvent::Finished(finish) = event { finish.native.as_deref() } else { None }
    });
    assert_eq!(finishes.collect::<Vec<_>>(), ["tool_rounds_exceeded"]);
    let asked = script.asked();
    assert_eq!(asked.len(), MAX_ROUNDS + 1);
    assert_eq!(asked[MAX_ROUNDS].tool_choice, Some(ToolChoice::None));
}

#[test]
fn oversized_turn_fails() {
    let script = Script::new(&["ta"]);
    let delta = ToolCallDelta {
        name: "ours".to_owned(),
        arguments: "x".repeat(1 << 20),
        ..ToolCallDelta::default()
    };
    *script.turns.lock().unwrap() = vec![vec![StreamEvent::ToolCall(delta); 64]];
    let error = block_on(conversation(&script).run(request())).unwrap_err();
    assert_eq!(error.code(), "upstream_invalid_response");
}

#[test]
fn tool_parallelism_is_limited_to_eight() {
    let words: Vec<_> = (0..64).map(|at| format!("g{at}")).collect();
    let script = Script::new(&[&words.join(" "), "ta"]);
    let echo = Echo::new("ours");
    let tool: Arc<dyn Tool> = Arc::<Echo>::clone(&echo);
    let conversation = ToolLoop::new(script).with_tool(tool);
    block_on(conversation.run(request())).unwrap();
    assert_eq!(echo.most.load(Ordering::Relaxed), MAX_PARALLEL);
}

#[test]
fn dropped_stream_cancels_running_tools() {
    struct Guard(Arc<AtomicUsize>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    struct Endless(ToolSpec, Arc<AtomicUsize>);
    #[async_trait]
    impl Tool for Endless {
        fn spec(&self) -> &ToolSpec {
            &self.0
        }

        async fn call(&self, _: &str, _: &ToolContext) -> Result<Json, ToolError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let _guard = Guard(Arc::clone(&self.1));
            std::future::pending().await
        }
    }
    let running = Arc::new(AtomicUsize::new(0));
    let spec = ToolSpec::function("ours", "", Json::null());
    let endless = Arc::new(Endless(spec, Arc::clone(&running)));
    let conversation = ToolLoop::new(Script::new(&["g0 g1"])).with_tool(endless);
    let call = ProviderRequest::new(ChatRequest { stream: true, ..request() });
    let mut chunks: ChunkStream =
        block_on(ProviderLayer::generate(&conversation, call)).unwrap().chunks;
    while chunks.next().now_or_never().is_some() {}
    assert_eq!(running.load(Ordering::Relaxed), 2);
    drop(chunks);
    assert_eq!(running.load(Ordering::Relaxed), 0);
}
