//! The ways in which arguments of a call do not match the schema of its tool.

use thiserror::Error;

/// The first mismatch of a call's arguments with their schema. The message is for the model and the
/// caller; it quotes the schema, never a value.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ArgumentMismatch {
    /// The schema names no such argument, and admits no others.
    #[error("unknown argument '{0}'")]
    Unknown(String),
    /// A required argument is absent.
    #[error("the argument '{0}' is required")]
    Missing(String),
    /// The schema admits no value here.
    #[error("the argument '{0}' is not allowed")]
    NotAllowed(String),
    /// The value has another type.
    #[error("the argument '{argument}' must be {expected}")]
    WrongType {
        /// The path of the argument.
        argument: String,
        /// The types that the schema admits, in words.
        expected: String,
    },
    /// The value is none of those that the schema lists.
    #[error("the argument '{argument}' must be one of {values}")]
    NotListed {
        /// The path of the argument.
        argument: String,
        /// The listed values, as JSON.
        values: String,
    },
    /// A number is too small or too large.
    #[error("the argument '{argument}' must be {bound}")]
    Bound {
        /// The path of the argument.
        argument: String,
        /// The bound, in words.
        bound: String,
    },
    /// A text or a list is too short or too long.
    #[error("the length of the argument '{argument}' must be {bound}")]
    Length {
        /// The path of the argument.
        argument: String,
        /// The bound, in words.
        bound: String,
    },
    /// A number is not between exclusive bounds.
    #[error("the argument '{0}' is out of range")]
    OutOfRange(String),
    /// The value matches none, or more than one, of the alternatives.
    #[error("the argument '{0}' fits none of its alternatives")]
    NoAlternative(String),
}
