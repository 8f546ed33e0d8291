//! The log of requests: every request to a model and every refusal, on its way to the store.
//!
//! ```text
//! request ends ----> bounded rows ---- batch by batch ----> RequestLogStore
//!                        |
//!                        `-- full: dropped, and counted
//! ```

mod batches;
mod recorder;

pub use self::recorder::RequestRecorder;
