//! The executor over mocked tools and a mocked store: what reaches a tool, and what does not.

use gateway_core::{
    Json, MockTool, ToolCall, ToolContext, ToolError, ToolSpec, Tools as _,
    state::{BeginResult, MockIdempotencyStore, Replay, StoreError},
};
use gateway_tools::{ExecutorLimits, ToolExecutor, ToolPolicy, ToolRegistry};
use serde_json::{Value, json};
use std::sync::Arc;

fn tool() -> MockTool {
    let schema = json!({
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
    });
    let mut tool = MockTool::new();
    tool.expect_spec().return_const(ToolSpec::function("add", "Adds one", Json::of(&schema)));
    tool
}

fn executor(tool: MockTool, policy: ToolPolicy) -> ToolExecutor {
    let mut registry = ToolRegistry::default();
    registry.add(Arc::new(tool), policy).unwrap();
    ToolExecutor::new(registry, &ExecutorLimits::default())
}

/// An executor whose calls are recorded in `store`, since they must not run twice.
fn recording(tool: MockTool, store: MockIdempotencyStore) -> ToolExecutor {
    let policy = ToolPolicy { idempotent: false, ..ToolPolicy::default() };
    executor(tool, policy).remembering(Arc::new(store))
}

async fn run(executor: &ToolExecutor, arguments: &Value) -> Result<Json, ToolError> {
    let call = ToolCall {
        id: "c1".to_owned(),
        name: "add".to_owned(),
        arguments: arguments.to_string(),
        ..ToolCall::default()
    };
    let context = ToolContext { tenant: "acme".into(), ..ToolContext::default() };
    executor.run(&call, &context).await
}

#[tokio::test(start_paused = true)]
async fn invalid_arguments_do_not_reach_the_tool() {
    let mut tool = tool();
    tool.expect_call().never();
    assert!(run(&executor(tool, ToolPolicy::default()), &json!({"n": "three"})).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn call_passes_arguments_a_deadline_and_a_key() {
    let mut tool = tool();
    let called = tool.expect_call().times(1).withf(|arguments, context| {
        arguments == r#"{"n":3}"# && context.deadline.is_some() && context.idempotency_key.is_some()
    });
    called.returning(|_, _| Ok(Json::of(&4)));
    let result = run(&executor(tool, ToolPolicy::default()), &json!({"n": 3})).await.unwrap();
    assert_eq!(result.get(), "4");
}

#[tokio::test(start_paused = true)]
async fn call_in_progress_elsewhere_is_not_repeated() {
    let (mut tool, mut store) = (tool(), MockIdempotencyStore::new());
    tool.expect_call().never();
    store.expect_begin().times(1).returning(|_, _, _, _| Ok(BeginResult::InProgress));
    assert!(run(&recording(tool, store), &json!({"n": 3})).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn recorded_result_is_returned_without_a_call() {
    let (mut tool, mut store) = (tool(), MockIdempotencyStore::new());
    tool.expect_call().never();
    store.expect_begin().times(1).returning(|_, _, _, _| {
        let content_type = "application/json".to_owned();
        Ok(BeginResult::Done(Replay { status: 200, content_type, body: "4".into() }))
    });
    let result = run(&recording(tool, store), &json!({"n": 3})).await.unwrap();
    assert_eq!(result.get(), "4");
}

#[tokio::test(start_paused = true)]
async fn finished_call_is_recorded_with_the_token_it_began_with() {
    let (mut tool, mut store) = (tool(), MockIdempotencyStore::new());
    tool.expect_call().times(1).returning(|_, _| Ok(Json::of(&4)));
    let token = Arc::new(std::sync::Mutex::new(String::new()));
    let begun = Arc::clone(&token);
    store.expect_begin().times(1).returning(move |_, _, token, _| {
        token.clone_into(&mut begun.lock().unwrap());
        Ok(BeginResult::New)
    });
    store
        .expect_finish()
        .times(1)
        .withf(move |_, finished, replay, _| {
            *finished == *token.lock().unwrap() && replay.body == "4"
        })
        .returning(|_, _, _, _| Ok(true));
    assert!(run(&recording(tool, store), &json!({"n": 3})).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn unavailable_store_does_not_stop_the_tool() {
    let (mut tool, mut store) = (tool(), MockIdempotencyStore::new());
    tool.expect_call().times(1).returning(|_, _| Ok(Json::of(&4)));
    store.expect_begin().times(1).returning(|_, _, _, _| Err(StoreError::Busy));
    assert!(run(&recording(tool, store), &json!({"n": 3})).await.is_ok());
}
