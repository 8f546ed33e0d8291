//! Who may do how much: what stands between a known caller and a model.
//!
//! Whatever is not configured costs nothing: no state is asked, nothing is held.

mod allowance;
mod calendar;
mod limiter;
mod peer;
mod standing;
mod taken;

pub use self::{
    allowance::Allowance,
    limiter::{Limiter, LimiterSettings, Want},
    peer::{Network, Peers},
};
pub(crate) use self::{allowance::Quota, standing::Standing, taken::Taken};

use std::{collections::HashSet, fmt, sync::Arc};

/// Limits and what belongs to them. The default limits nothing.
#[derive(Default)]
pub struct Control {
    /// Whose word counts about where a caller is.
    pub peers: Peers,
    /// How much callers may take.
    pub limiter: Limiter,
    /// Providers whose models cost nothing unless the catalogue says otherwise: they run here.
    pub free: HashSet<Arc<str>>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
