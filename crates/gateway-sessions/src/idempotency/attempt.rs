//! An attempt to run a request with an idempotency key.

use super::{
    IdempotencyToken,
    service::{Idempotency, LEASE},
};
use bytes::Bytes;
use gateway_core::{
    ErrorKind, GatewayError, Result,
    state::{BeginResult, Fingerprint, Key, Replay, StoreError},
};
use std::time::Duration;
use tokio::{sync::oneshot, time};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// The pauses between attempts to report the result of a request to an unavailable store.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
];

/// The status that marks a reply which was too large to be stored; no stored reply has it.
const TOO_LARGE: u16 = 422;

/// A running request with an idempotency key.
///
/// It ends with [`finish`](Self::finish) or [`abandon`](Self::abandon); dropping it abandons it in
/// the background. While it runs, its lease is renewed, so that a crashed attempt blocks others no
/// longer than a lease.
#[derive(Debug)]
pub struct IdempotentAttempt {
    name: AttemptKey,
    mark: IdempotencyToken,
    /// Whether it is to be ended yet.
    open: bool,
    beating: Option<AbortOnDropHandle<()>>,
}

/// The result of starting an attempt.
#[derive(Debug)]
pub enum AttemptStart {
    /// The request is ours to do.
    Ours(IdempotentAttempt),
    /// It was done; this was the reply.
    Known(Replay),
}

/// The store's key of an attempt.
#[derive(Clone, Debug)]
struct AttemptKey {
    desk: Idempotency,
    key: Key,
    token: String,
}

/// The result of an attempt.
enum AttemptEnd {
    Keep(Replay),
    Forget,
}

impl IdempotentAttempt {
    /// Starts an attempt at a request.
    pub async fn begin(
        desk: &Idempotency,
        key: Key,
        fingerprint: Fingerprint,
    ) -> Result<AttemptStart> {
        let mark = IdempotencyToken::new(&key, &fingerprint);
        let token = Uuid::new_v4().simple().to_string();
        let name = AttemptKey { desk: desk.clone(), key, token };
        let mut attempt = Self { name, mark, open: true, beating: None };
        // If this fails, or nobody waits for it, it may have been announced all the same: it is
        // abandoned when it is dropped.
        let begun = attempt.name.begin(&fingerprint).await?;
        attempt.open = begun == BeginResult::New;
        match begun {
            BeginResult::New => {
                let beating = desk.attempts.spawn(attempt.name.clone().beat(fingerprint));
                attempt.beating = Some(AbortOnDropHandle::new(beating));
                Ok(AttemptStart::Ours(attempt))
            }
            BeginResult::Done(replay) if replay.status == TOO_LARGE => Err(reply_too_large()),
            BeginResult::Done(replay) => Ok(AttemptStart::Known(replay)),
            BeginResult::InProgress => Err(in_progress()),
            BeginResult::Mismatch => Err(mismatch()),
        }
    }

    /// Returns the token that is passed to the code that runs the request.
    pub fn mark(&self) -> IdempotencyToken {
        self.mark.clone()
    }

    /// Returns the maximum size of a stored reply, in bytes.
    pub fn max_bytes(&self) -> usize {
        self.name.desk.max_bytes
    }

    /// Whether the response failed after its head was sent.
    pub fn has_failed(&self) -> bool {
        self.mark.has_failed()
    }

    /// Stores the response for replay.
    ///
    /// Starts at once and completes even if the future is dropped; the future does not wait for an
    /// unavailable store.
    pub fn finish(self, replay: Replay) -> impl Future<Output = ()> + Send + 'static {
        let fits = replay.body.len() <= self.max_bytes();
        self.end(AttemptEnd::Keep(if fits { replay } else { too_large() }))
    }

    /// Records that the request was completed, with a reply too large to be stored. For the future,
    /// see [`finish`](Self::finish).
    pub fn finish_without_reply(self) -> impl Future<Output = ()> + Send + 'static {
        self.end(AttemptEnd::Keep(too_large()))
    }

    /// Removes the attempt: the request may run again. For the future, see
    /// [`finish`](Self::finish).
    pub fn abandon(self) -> impl Future<Output = ()> + Send + 'static {
        self.end(AttemptEnd::Forget)
    }

    fn end(mut self, last: AttemptEnd) -> impl Future<Output = ()> + Send + 'static {
        self.open = false;
        // It is said to last until the store knows better.
        self.name.clone().end(last, self.beating.take())
    }
}

impl Drop for IdempotentAttempt {
    fn drop(&mut self) {
        // Without a runtime nothing is under way.
        if self.open && tokio::runtime::Handle::try_current().is_ok() {
            drop(self.name.clone().end(AttemptEnd::Forget, self.beating.take()));
        }
    }
}

impl AttemptKey {
    async fn begin(&self, fingerprint: &Fingerprint) -> Result<BeginResult, StoreError> {
        self.desk.store.begin(&self.key, fingerprint, &self.token, LEASE).await
    }

    /// Renews the lease of the attempt until dropped.
    async fn beat(self, fingerprint: Fingerprint) {
        loop {
            time::sleep(LEASE / 3).await;
            let begun = self.begin(&fingerprint).await;
            if matches!(
                begun,
                Ok(BeginResult::InProgress | BeginResult::Mismatch | BeginResult::Done(_))
            ) {
                return;
            }
        }
    }

    /// Reports the result of the attempt to the store, with retries while it is unavailable. The
    /// future waits for the first time only.
    fn end(
        self,
        last: AttemptEnd,
        beating: Option<AbortOnDropHandle<()>>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (tell, told) = oneshot::channel();
        let attempts = self.desk.attempts.clone();
        // What is forgotten must not be announced once more.
        let beating = beating.filter(|_| matches!(last, AttemptEnd::Keep(_)));
        attempts.spawn(async move {
            let mut ended = self.store_end(&last).await;
            tell.send(()).ok();
            for pause in PAUSES {
                if !ended.as_ref().is_err_and(StoreError::is_outage) {
                    break;
                }
                time::sleep(pause).await;
                ended = self.store_end(&last).await;
            }
            if let Err(error) = ended {
                tracing::warn!(%error, "failed to store the result of an idempotent request");
            }
            drop(beating);
        });
        async move { drop(told.await) }
    }

    async fn store_end(&self, last: &AttemptEnd) -> Result<(), StoreError> {
        let Self { desk, key, token } = self;
        match last {
            AttemptEnd::Keep(replay) => {
                desk.store.finish(key, token, replay, desk.ttl).await.map(drop)
            }
            AttemptEnd::Forget => desk.store.abandon(key, token).await,
        }
    }
}

/// Returns the placeholder of a reply that is too large.
fn too_large() -> Replay {
    Replay { status: TOO_LARGE, content_type: String::new(), body: Bytes::new() }
}

fn in_progress() -> GatewayError {
    GatewayError::new(ErrorKind::Conflict, "a request with this Idempotency-Key is being done")
        .with_code("idempotency_in_progress")
        .with_retry_after(Some(Duration::from_secs(1)))
}

fn mismatch() -> GatewayError {
    let message = "another request was sent with this Idempotency-Key";
    GatewayError::new(ErrorKind::Unprocessable, message).with_code("idempotency_mismatch")
}

fn reply_too_large() -> GatewayError {
    let message = "the request was completed, but its reply is too large to be replayed";
    GatewayError::new(ErrorKind::Unprocessable, message).with_code("idempotency_reply_too_large")
}
