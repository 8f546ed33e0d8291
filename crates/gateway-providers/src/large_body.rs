//! Work on large bodies: it takes so long that the thread must not serve others meanwhile, and so
//! much memory that only a few are worked on at the same time.

use gateway_core::sync::lock;
use std::{
    sync::{Condvar, Mutex, PoisonError},
    thread,
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

/// The size from which on a body is large, in bytes: it takes longer to read than to hand the other
/// tasks over.
const LARGE: usize = 2 << 20;

/// The number of large bodies that are being worked on.
static WORKING: Mutex<usize> = Mutex::new(0);
static IS_FREE: Condvar = Condvar::new();

/// Does `work` on a body of `bytes`. If it is large, the other tasks of this thread go on in another
/// one, and half of the processors stay free for them.
pub fn process_body<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LARGE {
        return work();
    }
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if !matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
        return work();
    }
    block_in_place(|| {
        let _permit = WorkPermit::wait();
        work()
    })
}

/// A permit to work on a large body; released when dropped, by a panic too.
struct WorkPermit;

impl WorkPermit {
    fn wait() -> Self {
        let most = thread::available_parallelism().map_or(1, |count| count.get().div_ceil(2));
        let mut working = lock(&WORKING);
        while *working >= most {
            working = IS_FREE.wait(working).unwrap_or_else(PoisonError::into_inner);
        }
        *working += 1;
        Self
    }
}

impl Drop for WorkPermit {
    fn drop(&mut self) {
        *lock(&WORKING) -= 1;
        IS_FREE.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_on_every_runtime() {
        assert_eq!(process_body(LARGE, || 1), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_go_on_during_large_work() {
        let (done, wait) = std::sync::mpsc::channel();
        let mut other = tokio::task::JoinSet::new();
        other.spawn(async move { done.send(()) });
        process_body(LARGE, || wait.recv()).unwrap();
        assert!(other.join_next().await.unwrap().unwrap().is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_large_body_gets_its_turn() {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..20 {
            tasks.spawn(async move { process_body(LARGE, || number) });
        }
        let sum: usize = tasks.join_all().await.into_iter().sum();
        assert_eq!((sum, *lock(&WORKING)), (190, 0));
    }
}
