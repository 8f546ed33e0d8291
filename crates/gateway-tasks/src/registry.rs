//! The supervised tasks of the process.

use gateway_core::sync;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

/// The time after a restart for which a task counts as failing.
const PROBATION: Duration = Duration::from_secs(10);

/// The tasks that run now. Like metrics, they are those of the process.
static TASKS: Mutex<Vec<Arc<TaskState>>> = Mutex::new(Vec::new());

/// The state of a supervised task.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TaskStatus {
    /// The task's name.
    pub name: &'static str,
    /// The number of restarts after panics.
    pub restarts: u64,
    /// Whether it is waiting for a restart, or was restarted a moment ago.
    pub is_failing: bool,
}

#[derive(Debug)]
struct TaskState {
    name: &'static str,
    failures: Mutex<TaskFailures>,
}

#[derive(Clone, Copy, Debug, Default)]
struct TaskFailures {
    count: u64,
    last: Option<Instant>,
}

/// The entry of a running task; removed on drop.
#[derive(Debug)]
pub(crate) struct TaskEntry(Arc<TaskState>);

/// Returns the state of every supervised task of the process, by name.
pub fn tasks() -> Vec<TaskStatus> {
    let tasks = sync::lock(&TASKS);
    let mut states: Vec<_> = tasks.iter().map(|task| task.status()).collect();
    drop(tasks);
    states.sort_by_key(|task| task.name);
    states
}

impl TaskState {
    fn status(&self) -> TaskStatus {
        let TaskFailures { count, last } = *sync::lock(&self.failures);
        let is_failing = last.is_some_and(|at| at.elapsed() < PROBATION);
        TaskStatus { name: self.name, restarts: count, is_failing }
    }
}

impl TaskEntry {
    pub(crate) fn new(name: &'static str) -> Self {
        let state = Arc::new(TaskState { name, failures: Mutex::default() });
        sync::lock(&TASKS).push(Arc::clone(&state));
        Self(state)
    }

    /// Notes a panic of the task.
    pub(crate) fn failed(&self) {
        let mut failures = sync::lock(&self.0.failures);
        failures.count += 1;
        failures.last = Some(Instant::now());
    }
}

impl Drop for TaskEntry {
    fn drop(&mut self) {
        sync::lock(&TASKS).retain(|task| !Arc::ptr_eq(task, &self.0));
    }
}
