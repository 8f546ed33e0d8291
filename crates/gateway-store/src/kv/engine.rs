//! The port to a map with transactions.

use super::{ReadView, WriteTxn};
use gateway_core::state::StoreError;

/// The durability that a caller waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durable {
    /// That the change is as safe as the engine makes anything.
    Safe,
    /// That the change is visible. It becomes safe with the next one that is waited for, or within
    /// a second.
    Visible,
}

/// A key-value engine with ordered keys.
pub(crate) trait KvEngine: Send + Sync + 'static {
    /// Whether several processes use the map at once.
    const IS_SHARED: bool = false;

    /// Maximum expired records removed in one step; bounds the time others wait.
    const SWEEP: usize = 1_000;

    /// Looks at one moment of the map.
    fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&dyn ReadView, u64) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Changes the map: all that the operation changed, or nothing if it failed.
    ///
    /// Dropping the future does not undo the change.
    fn write<T: Send + 'static>(
        &self,
        wait: Durable,
        operation: impl FnOnce(&mut WriteTxn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}
