//! Wakes of a connection by its own poll.
//!
//! hyper wakes the task of a connection whenever a part of a request's body is handed over, so that
//! the next is read. The handler runs in that same task: the runtime would schedule it again, and
//! wake another thread for it, which finds nothing. Here such a connection is polled again at once;
//! and not at all for the last part of a body, after which nothing is to be read.

use futures_util::task::AtomicWaker;
use std::{
    cell::Cell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};
use tokio::task::coop;

/// The number of polls in a row before other tasks have their turn.
const MAX_POLLS: usize = 16;

/// A poll of a connection on this thread.
#[derive(Clone, Copy, Debug, Default)]
struct CurrentPoll {
    /// The address of the connection's waker; zero outside of a poll.
    connection: usize,
    is_woken: bool,
}

thread_local! {
    static CURRENT: Cell<CurrentPoll> =
        const { Cell::new(CurrentPoll { connection: 0, is_woken: false }) };
}

/// The waker of a connection: wakes its task, unless the task is the one that wakes.
#[derive(Debug, Default)]
struct ConnectionWaker {
    task: AtomicWaker,
}

impl Wake for ConnectionWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let current = CURRENT.get();
        if current.connection == address(self) {
            CURRENT.set(CurrentPoll { is_woken: true, ..current });
        } else {
            self.task.wake();
        }
    }
}

fn address(waker: &Arc<ConnectionWaker>) -> usize {
    Arc::as_ptr(waker).addr()
}

/// Polls a connection, again at once if it wakes itself.
#[derive(Debug)]
pub(super) struct SelfWakingPoll {
    connection: Arc<ConnectionWaker>,
    /// The same as a waker.
    waker: Waker,
}

impl SelfWakingPoll {
    pub(super) fn new() -> Self {
        let connection = Arc::<ConnectionWaker>::default();
        let waker = Waker::from(Arc::clone(&connection));
        Self { connection, waker }
    }

    /// Polls `future`, which is the same in every call.
    pub(super) fn poll<F: Future>(
        &self,
        mut future: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        self.connection.task.register(cx.waker());
        let mut inner = Context::from_waker(&self.waker);
        for _ in 0..MAX_POLLS {
            let scope = PollScope::enter(&self.connection);
            let polled = future.as_mut().poll(&mut inner);
            let is_woken = CURRENT.get().is_woken;
            drop(scope);
            if polled.is_ready() || !is_woken {
                return polled;
            }
            // Without budget, every read would be pending, and wake the task.
            if !coop::has_budget_remaining() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The time of one poll. Ends with it even if it panics.
struct PollScope;

impl PollScope {
    fn enter(connection: &Arc<ConnectionWaker>) -> Self {
        CURRENT.set(CurrentPoll { connection: address(connection), is_woken: false });
        Self
    }
}

impl Drop for PollScope {
    fn drop(&mut self) {
        CURRENT.set(CurrentPoll::default());
    }
}

/// Calls `read`, which reads a part of a body and returns it with whether it is the last. The wake
/// of the connection for the last part is taken back.
pub(super) fn read_part<T>(read: impl FnOnce() -> (T, bool)) -> T {
    let before = CURRENT.get();
    let (part, is_last) = read();
    if is_last {
        CURRENT.set(before);
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::poll_fn,
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        thread,
    };

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// Polls a connection that calls `wake` in each of its polls, and is pending; returns how often it
    /// was polled, and its task woken.
    fn poll(wake: impl Fn(&Waker, usize)) -> (usize, usize) {
        let (task, mut polls) = (Arc::<Task>::default(), 0);
        let mut connection = pin!(poll_fn(|cx| {
            polls += 1;
            wake(cx.waker(), polls);
            Poll::<()>::Pending
        }));
        let waker = Waker::from(Arc::clone(&task));
        let polled =
            SelfWakingPoll::new().poll(connection.as_mut(), &mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        (polls, task.0.load(Relaxed))
    }

    #[test]
    fn connection_that_wakes_itself_is_polled_again_at_once() {
        assert_eq!(poll(|_, _| ()), (1, 0));
        let three_times = |waker: &Waker, polls| {
            if polls < 4 {
                waker.wake_by_ref();
            }
        };
        assert_eq!(poll(three_times), (4, 0));
        assert_eq!(poll(|waker, _| waker.wake_by_ref()), (MAX_POLLS, 1));
    }

    #[test]
    fn wake_for_last_part_of_body_causes_no_poll() {
        let read = |is_last| {
            move |waker: &Waker, polls| {
                read_part(|| {
                    waker.wake_by_ref();
                    ((), is_last || polls > 1)
                });
            }
        };
        assert_eq!((poll(read(true)), poll(read(false))), ((1, 0), (2, 0)));
        let another = poll(|waker, polls| {
            if polls == 1 {
                waker.wake_by_ref();
            }
            read_part(|| ((), true));
        });
        assert_eq!(another, (2, 0), "another wake of the same poll is kept");
    }

    #[test]
    fn wakes_of_other_threads_and_after_the_poll_reach_the_task() {
        let from_outside = |waker: &Waker, _| {
            thread::scope(|it| {
                it.spawn(|| waker.wake_by_ref());
            });
        };
        assert_eq!(poll(from_outside), (1, 1));
        let task = Arc::<Task>::default();
        let driver = SelfWakingPoll::new();
        let mut kept = None;
        let mut connection = pin!(poll_fn(|cx| {
            kept = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        let waker = Waker::from(Arc::clone(&task));
        assert!(driver.poll(connection.as_mut(), &mut Context::from_waker(&waker)).is_pending());
        kept.unwrap().wake();
        assert_eq!(task.0.load(Relaxed), 1);
    }
}
