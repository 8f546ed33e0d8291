//! What a translation could not carry.

use crate::{ErrorKind, GatewayError, Result};
use std::borrow::Cow;

/// The parameters and parts that a translation left behind, each named once, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DroppedParams(Vec<Cow<'static, str>>);

impl DroppedParams {
    /// Notes that `what` is left behind.
    pub fn insert(&mut self, what: impl Into<Cow<'static, str>>) {
        let what = what.into();
        if !self.0.contains(&what) {
            self.0.push(what);
        }
    }

    /// Notes that `what` is left behind, if it is there.
    pub fn insert_if(&mut self, there: bool, what: &'static str) {
        if there {
            self.insert(what);
        }
    }

    /// Adds what another translation left behind.
    pub fn extend(&mut self, other: Self) {
        for what in other.0 {
            self.insert(what);
        }
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Whether everything was carried.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails if something was left behind, naming it.
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
