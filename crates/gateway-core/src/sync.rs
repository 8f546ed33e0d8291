//! Locks that outlive a panic.
//!
//! A panic while a lock is held poisons it. The gateway's locks guard state that is consistent
//! between statements, so that the next holder goes on with it instead of failing every request.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks `mutex`, poisoned or not. Never hold the guard across an `.await`.
///
/// ```
/// let counter = std::sync::Mutex::new(1);
/// *gateway_core::sync::lock(&counter) += 1;
/// assert_eq!(*gateway_core::sync::lock(&counter), 2);
/// ```
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `lock` for reading, poisoned or not.
pub fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `lock` for writing, poisoned or not.
pub fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn poisoned_lock_is_usable() {
        let mutex = Mutex::new(1);
        let poisoned = catch_unwind(AssertUnwindSafe(|| {
            let _held = lock(&mutex);
            panic!("while the lock is held");
        }));
        assert!(poisoned.is_err() && mutex.is_poisoned());
        *lock(&mutex) += 1;
        assert_eq!(*lock(&mutex), 2);
    }
}
