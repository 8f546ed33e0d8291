//! Models: what the catalogue knows of each, and the rules that its provider enforces.

mod card;
mod catalogue;
mod conform;
mod kind;
mod rules;

pub use self::{
    card::{Capabilities, ModelCard, ReasoningStyle},
    catalogue::ModelCatalogue,
    conform::conform,
    kind::ModelKind,
    rules::{
        EffortSet, ForcedTools, ModelRules, ReasoningControl, ReasoningOff, ResponsesOnly,
        SamplingSupport, StrictSchemas,
    },
};
