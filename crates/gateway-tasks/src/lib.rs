//! Services that the tasks of a process share: supervision, failpoints of debug builds, and the
//! wall clock.
//!
//! A panic ends neither a supervised task nor its duty: the task is started again within a second,
//! counted in a metric, and shown in the health of the process until it has run for a while.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mut attempts = 0;
//! let result = gateway_tasks::supervise("example", || {
//!     attempts += 1;
//!     let is_first = attempts == 1;
//!     async move { if is_first { panic!("a bug") } else { "done" } }
//! });
//! assert_eq!(result.await, "done");
//! # }
//! ```

mod failpoint;
mod registry;
mod supervisor;
mod wall_clock;

pub use self::{
    failpoint::{failpoint, watch_failpoints},
    registry::{TaskStatus, tasks},
    supervisor::{supervise, supervise_thread},
    wall_clock::{run_name, unix_time},
};
