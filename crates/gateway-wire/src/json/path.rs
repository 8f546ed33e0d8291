//! Positions of values in a request, for errors that name the parameter.

use gateway_core::{GatewayError, Json, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt;

/// The position of a value in a request, rendered only when an error names it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum JsonPath<'a> {
    Root,
    Member(&'a JsonPath<'a>, &'a str),
    Item(&'a JsonPath<'a>, usize),
}

impl JsonPath<'_> {
    pub(crate) fn member<'a>(&'a self, name: &'a str) -> JsonPath<'a> {
        JsonPath::Member(self, name)
    }

    pub(crate) fn item(&self, index: usize) -> JsonPath<'_> {
        JsonPath::Item(self, index)
    }

    /// The error of what stands here.
    pub(crate) fn invalid(&self, because: impl fmt::Display) -> GatewayError {
        let param = self.to_string();
        let message = format!("{param}: {because}");
        GatewayError::invalid(param, message)
    }
}

impl fmt::Display for JsonPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonPath::Root => Ok(()),
            JsonPath::Member(JsonPath::Root, name) => f.write_str(name),
            JsonPath::Member(parent, name) => write!(f, "{parent}.{name}"),
            JsonPath::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads what stands at `at` as a `T`.
pub(crate) fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue, at: &JsonPath<'_>) -> Result<T> {
    serde_json::from_str(raw.get()).map_err(|error| at.invalid(reason(&error)))
}

/// Returns serde's message without the position, which refers to text the caller never saw.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    const MAX: usize = 160;
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    said.chars().take(MAX).collect()
}

/// Deserializes `raw`; an error names `param`.
pub(crate) fn read_param<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    param: impl FnOnce() -> String,
) -> Result<T> {
    serde_json::from_str(raw.get()).map_err(|error| {
        let param = param();
        GatewayError::invalid(param.clone(), format!("{param} has the wrong shape"))
            .with_source(error)
    })
}

/// Returns the elements of a list.
pub(crate) fn items<'a>(raw: &'a RawValue, param: &str) -> Result<Vec<&'a RawValue>> {
    read_param(raw, || param.to_owned())
}

/// Returns `value`, or `None` for `null`.
pub(crate) fn some(value: &Json) -> Option<&Json> {
    Some(value).filter(|value| value.get() != "null")
}
