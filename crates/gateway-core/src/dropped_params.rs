//! Parameters that a translation could not carry.

use crate::{ErrorKind, GatewayError, Result};
use std::borrow::Cow;

/// The parameters and parts that a translation left behind, each named once, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DroppedParams(Vec<Cow<'static, str>>);

impl DroppedParams {
    /// Records that `what` was dropped.
    pub fn insert(&mut self, what: impl Into<Cow<'static, str>>) {
        let what = what.into();
        if !self.0.contains(&what) {
            self.0.push(what);
        }
    }

    /// Records that `what` was dropped, if it is `there`.
    pub fn insert_if(&mut self, there: bool, what: &'static str) {
        if there {
            self.insert(what);
        }
    }

    /// Adds the parameters that another translation dropped.
    pub fn extend(&mut self, other: Self) {
        for what in other.0 {
            self.insert(what);
        }
    }

    /// Iterates over the names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Returns whether nothing was dropped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Requires that nothing was dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] with code `unsupported_parameter`, naming the parameters.
    pub fn require_empty(&self) -> Result<()> {
        let Some(first) = self.0.first() else { return Ok(()) };
        let names = self.0.join(", ");
        Err(GatewayError::new(
            ErrorKind::InvalidRequest,
            format!("the model's provider cannot express: {names}"),
        )
        .with_code("unsupported_parameter")
        .with_param(first.clone()))
    }
}
