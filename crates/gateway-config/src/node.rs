//! What was written, before it means anything: a tree of values that remember where they stood.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// A table of the configuration.
pub(super) type Table = BTreeMap<String, Node>;

/// Where a value was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// In this file.
    File(Arc<str>),
    /// In this variable.
    Variable(Arc<str>),
}

/// A value, and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The value.
    pub(super) content: Content,
    /// The file or the variable that holds it.
    pub(super) source: Source,
}

/// A value of the configuration. Variables give only text; every type reads itself from text too.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Text(String),
    Integer(i128),
    Decimal(f64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::File(name) | Self::Variable(name)) = self;
        f.write_str(name)
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl Node {
    /// The kind of the value, in words. Never the value: it may be a secret in the wrong place.
    pub(super) fn kind(&self) -> &'static str {
        match self.content {
            Content::Text(_) => "a text",
            Content::Integer(_) => "a whole number",
            Content::Decimal(_) => "a decimal number",
            Content::Flag(_) => "true or false",
            Content::List(_) => "a list",
            Content::Table(_) => "a table",
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let Content::Text(text) = &self.content { Some(text.trim()) } else { None }
    }
}
