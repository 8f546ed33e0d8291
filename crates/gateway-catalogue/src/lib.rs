//! The catalogue of models: data with provenance, the resolution of names, and the rules of each
//! family. No I/O: the text of a catalogue comes in, cards come out.
//!
//! ```
//! use gateway_catalogue::TextCatalogue;
//! use gateway_core::{Date, ModelCatalogue};
//!
//! let catalogue = TextCatalogue::built_in();
//! let card = catalogue.card("anthropic", "claude-opus-5-5").expect("a known model");
//! let price = card.prices.at(Date::parse("2026-11-30").expect("a day")).expect("a price");
//! assert_eq!(price.price.rates.input, 4_000_000_000);
//! ```
//!
//! [`TextCatalogue`] looks rows up in a text that stays where it is: a lookup parses one row, and the
//! built-in text is never copied to the heap. [`import`] reads the formats of public data sets, and
//! [`merge`] makes one catalogue of several, with the disagreements between them.

mod card;
mod catalogue;
mod description;
mod difference;
mod error;
pub mod families;
pub mod import;
pub mod merge;
pub mod names;
pub mod row;
mod table;
pub mod text;

pub use self::{
    catalogue::TextCatalogue,
    difference::{ModelDifference, catalogue_differences},
    error::CatalogueError,
    table::RowTable,
};
