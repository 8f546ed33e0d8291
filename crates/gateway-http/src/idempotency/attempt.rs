//! One attempt to do a request.

use super::{Idempotency, LEASE, Mark, TOO_LARGE};
use gateway_core::{
    ErrorKind, GatewayError, Result,
    state::{Begun, Fingerprint, Key, Replay, StoreError},
};
use std::time::Duration;
use tokio::time;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// A request that is being done under its key.
///
/// It ends by [`finish`](Self::finish) or [`abandon`](Self::abandon); dropping it abandons it, in
/// the background. While it lasts it says so, so that an attempt whose process died is not waited
/// for longer than a lease.
pub(super) struct Attempt {
    desk: Idempotency,
    key: Key,
    token: String,
    mark: Mark,
    /// Whether it is to be ended yet.
    open: bool,
    beating: Option<AbortOnDropHandle<()>>,
}

/// How an attempt begins.
pub(super) enum Beginning {
    /// The request is ours to do.
    Ours(Attempt),
    /// It was done; this was the reply.
    Known(Replay),
}

impl Attempt {
    /// Announces a request.
    pub(super) async fn begin(
        desk: &Idempotency,
        key: Key,
        fingerprint: Fingerprint,
    ) -> Result<Beginning> {
        let mark = Mark::new(&key, &fingerprint);
        let token = Uuid::new_v4().simple().to_string();
        let mut attempt = Self { desk: desk.clone(), key, token, mark, open: true, beating: None };
        // If this fails, or nobody waits for it, it may have been announced all the same: it is
        // abandoned when it is dropped.
        let begun = attempt.desk.store.begin(&attempt.key, &fingerprint, &attempt.token, LEASE);
        let begun = begun.await?;
        attempt.open = begun == Begun::New;
        match begun {
            Begun::New => {
                attempt.beating = Some(attempt.keep_beating(fingerprint));
                Ok(Beginning::Ours(attempt))
            }
            Begun::Done(replay) => Ok(Beginning::Known(replay)),
            Begun::InProgress => Err(in_progress()),
            Begun::Mismatch => Err(mismatch()),
        }
    }

    /// What those who do the work are to know of it.
    pub(super) fn mark(&self) -> Mark {
        self.mark.clone()
    }

    /// The largest reply that is kept.
    pub(super) fn max_bytes(&self) -> usize {
        self.desk.max_bytes
    }

    /// Whether an answer failed after its head was sent.
    pub(super) fn has_failed(&self) -> bool {
        self.mark.has_failed()
    }

    /// Keeps the reply, so that it can be told again. Begins at once, and is done to its end even if
    /// the future is dropped.
    pub(super) fn finish(
        mut self,
        mut replay: Replay,
    ) -> impl Future<Output = ()> + Send + 'static {
        if replay.body.len() > self.max_bytes() {
            replay = too_large();
        }
        self.open = false;
        let attempts = self.desk.attempts.clone();
        let finishing = attempts.spawn(async move {
            let desk = &self.desk;
            let finished = desk.store.finish(&self.key, &self.token, &replay, desk.ttl).await;
            note(finished.map(drop), "a reply could not be kept: its request may be done again");
            // The beating goes on until then.
            drop(self);
        });
        async move { drop(finishing.await) }
    }

    /// Forgets the attempt: it may be made again. Begins at once, and is done to its end even if the
    /// future is dropped.
    pub(super) fn abandon(mut self) -> impl Future<Output = ()> + Send + 'static {
        self.open = false;
        let forgetting = self.desk.attempts.spawn(self.forgetting());
        async move { drop(forgetting.await) }
    }

    fn forgetting(&self) -> impl Future<Output = ()> + Send + use<> {
        let (desk, key, token) = (self.desk.clone(), self.key.clone(), self.token.clone());
        async move {
            let forgotten = desk.store.abandon(&key, &token).await;
            note(forgotten, "an attempt could not be forgotten: it ends with its lease");
        }
    }

    /// Says again and again that the attempt lasts.
    fn keep_beating(&self, fingerprint: Fingerprint) -> AbortOnDropHandle<()> {
        let (desk, key, token) = (self.desk.clone(), self.key.clone(), self.token.clone());
        AbortOnDropHandle::new(self.desk.attempts.spawn(async move {
            loop {
                time::sleep(LEASE / 3).await;
                let held = desk.store.begin(&key, &fingerprint, &token, LEASE).await;
                if matches!(held, Ok(Begun::InProgress | Begun::Mismatch | Begun::Done(_))) {
                    return;
                }
            }
        }))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.open {
            self.desk.leave(self.forgetting());
        }
    }
}

/// Stands for a reply that is not kept.
pub(super) fn too_large() -> Replay {
    Replay { status: TOO_LARGE.as_u16(), content_type: String::new(), body: bytes::Bytes::new() }
}

fn note(result: Result<(), StoreError>, what: &str) {
    if let Err(error) = result {
        tracing::warn!(%error, "{what}");
    }
}

fn in_progress() -> GatewayError {
    GatewayError::new(ErrorKind::Conflict, "a request with this Idempotency-Key is being done")
        .with_code("idempotency_in_progress")
        .retry_after(Some(Duration::from_secs(1)))
}

fn mismatch() -> GatewayError {
    let message = "another request was sent with this Idempotency-Key";
    GatewayError::new(ErrorKind::Unprocessable, message).with_code("idempotency_mismatch")
}
