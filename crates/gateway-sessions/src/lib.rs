//! Stored conversations: sessions, stored responses, conversations, background responses and
//! idempotency. No HTTP.
//!
//! [`Sessions`] are the operations on sessions; the rules are pure functions: joining history and
//! request ([`history`]), trimming to a context window ([`context_window`]), dropping unpaired tool calls
//! ([`tool_pairs`]), recognizing a taxonomy ([`taxonomy`]), and validating a session's context
//! ([`context`]). A [`SessionManager`] takes a request through one turn.
//!
//! [`Responses`] stores responses by id, and runs them in the background; [`conversations`] are
//! those of the Responses API; [`MessageThreads`] are those of the Messages API; [`Idempotency`]
//! replays responses by idempotency key. [`McpSessions`] are those of clients of the Model Context
//! Protocol.

mod commit;
pub mod conversations;
pub mod idempotency;
mod mcp_sessions;
pub mod responses;
mod session;
mod threads;

pub use self::{
    commit::{CommitResult, NOT_STORED_COMMENT, NotStored, StorageReport, StoredItem, describe},
    idempotency::Idempotency,
    mcp_sessions::{
        McpLogLevel, McpSessionId, McpSessionKey, McpSessions, McpStream, PendingRequest,
    },
    responses::Responses,
    session::{
        ActiveTurn, CompositionFacts, OnConflict, OpenTurn, OpenedSession, SessionId,
        SessionManager, SessionOptions, SessionRules, SessionTools, Sessions, TurnResult, context,
        context_window, history, open, taxonomy, tool_pairs,
    },
    threads::{MessageThreads, ThreadRecorder, ThreadTurn},
};
