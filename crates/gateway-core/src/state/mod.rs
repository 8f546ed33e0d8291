//! State that outlives a request, and the ports to its backends.
//!
//! Every port takes a [`Key`], which cannot be built without a tenant: what one client keeps is
//! out of reach of any other, by type. Every port answers with a [`StoreError`] that says what kind
//! of trouble the backend is in, and never blocks the caller beyond the backend's own deadline.
//!
//! Times are milliseconds since 1970, by the clock of the backend: replicas that share a backend
//! share its clock.

mod cache;
mod client_key;
mod error;
pub mod gcra;
mod idempotency;
mod key;
mod lease;
mod ledger;
mod quota;
mod reasoning;
mod request_log;
mod response;
mod session;
mod usage_journal;

pub use self::{
    cache::Cache,
    client_key::{ClientKey, ClientKeys, KeyHash},
    error::{StorageQuota, StoreError},
    gcra::Rate,
    idempotency::{BeginResult, Fingerprint, IdempotencyStore, Replay},
    key::{Key, Tenant},
    lease::{SharedLimits, SpentBudget},
    ledger::{AdmittedRequest, Batch, Ledger, RequestOutcome, ReservedUsage, Totals},
    quota::{
        BudgetGrant, BudgetLease, LeaseReply, LeaseRequest, Quotas, RateGrant, RateLease,
        RateRemaining, Refusal, SlotGrant, SlotLease,
    },
    reasoning::{ReasoningStore, StoredReasoning},
    request_log::{
        InvalidCursor, LoggedAttempt, LoggedRequest, RequestLogBatch, RequestLogCursor,
        RequestLogEntry, RequestLogKey, RequestLogPage, RequestLogQuery, RequestLogRows,
        RequestLogStore,
    },
    response::{ResponseEvents, ResponseStore, StoredResponse},
    session::{
        ClaimResult, MessageRange, NewSession, Session, SessionContext, SessionEntry, SessionFork,
        SessionPage, SessionPageQuery, SessionPatch, SessionSnapshot, SessionStore, SessionTurn,
        WriteOutcome,
    },
    usage_journal::{AbandonedJournal, UsageJournal},
};
#[cfg(feature = "test-support")]
pub use self::{
    cache::MockCache, client_key::MockClientKeys, idempotency::MockIdempotencyStore,
    ledger::MockLedger, quota::MockQuotas, reasoning::MockReasoningStore,
    request_log::MockRequestLogStore, response::MockResponseStore, session::MockSessionStore,
};
