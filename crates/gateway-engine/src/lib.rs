//! The request path of the gateway, from bytes to bytes, without HTTP.
//!
//! The engine owns the order of everything that happens to a request between its endpoint and its
//! upstream: routing, limits, sessions, tools, cache, retries, breakers, deadlines, accounting.
//!
//! ```text
//! InboundRequest -> Engine::prepare -> RequestContext -> generate | embed | count_tokens | explain
//! ```
//!
//! A [`RequestContext`] is built once, by one preamble for all operations, and handed from stage to
//! stage. What it holds is released, and what it spent is accounted for, however it ends.

mod accounting;
mod attribution;
mod body_memory;
mod build;
mod compaction;
mod context;
mod context_fit;
mod context_windows;
mod cost_events;
mod count_tokens;
mod decision;
mod embed;
mod engine;
mod event_stream;
mod explain;
mod first_output;
mod generate;
mod local_models;
mod metrics;
mod multi_prompt;
mod observer;
mod passthrough;
mod prepare;
mod relay;
mod request;
mod request_log;
mod request_records;
mod response;
mod revocation;
mod session;
mod thread;
mod tools;
mod wake_gated_stream;
mod write_response;

pub use self::{
    body_memory::{charged_footprint, grow_body_lease},
    build::{
        Backend, BuildError, DirectoryBuilder, EngineBuilder, EngineResources, FallbackRoute,
        Instrument, ProviderDirectory, ProviderSettings, ResilienceSettings, RoutePlan,
        catalogued_card, random_unit,
    },
    context::RequestContext,
    context_fit::{ContextFit, ContextMode},
    context_windows::ContextWindows,
    cost_events::{dollars, write_dollars},
    count_tokens::CountedTokens,
    decision::Decision,
    engine::{Engine, EngineSettings},
    explain::{ExplainedTarget, Explanation},
    local_models::{LocalModel, LocalModels},
    metrics::{InFlight, RefusalLabels, RequestMetrics, names as metric_names},
    observer::{ProgressObserver, RequestObserver, RequestStarted, RequestSummary},
    passthrough::InboundPassthrough,
    prepare::{Operation, PreparedRequest},
    relay::{InboundForm, InboundRelay},
    request::{CacheOptions, InboundRequest, RequestHead, RequestOptions},
    request_log::RequestLog,
    request_records::RequestRecords,
    response::{
        EngineResponse, FailedRequest, RequestFailure, ResponseBody, ResponseCost, ResponseFacts,
    },
    session::{SessionDirective, tenant},
    tools::{ToolSelection, Toolbox, permitted_tools, tool_context},
};
