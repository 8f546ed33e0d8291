//! The defects of a text that should be a catalogue.

use crate::text;

/// The defect in the text of a catalogue.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CatalogueError {
    /// A line that cannot be understood.
    #[error(transparent)]
    Line(#[from] text::TextError),
    /// Rows that are not in order: they would not be found.
    #[error("`{0}` is not in order, or is there twice")]
    Order(String),
    /// Not a catalogue at all.
    #[error("no catalogue: {0}")]
    Format(String),
}
