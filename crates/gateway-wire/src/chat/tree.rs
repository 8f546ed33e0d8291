//! A JSON value that is opened only where it is edited.
//!
//! What is not opened is written as it came: numbers, escapes, members nobody knows.

use super::{lenient::Text, object::Object};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// As it came.
    Raw(&'a RawValue),
    Null,
    Number(u64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Members<'a>),
}

/// The members of an object, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Node<'a> {
    /// Opens an object.
    pub(super) fn object(&mut self) -> Option<&mut Members<'a>> {
        if let Node::Raw(raw) = self
            && raw.get().starts_with('{')
        {
            let object: Object<'a> = serde_json::from_str(raw.get()).ok()?;
            let members = object.0.into_iter().map(|(name, raw)| (name, Node::Raw(raw)));
            *self = Node::Object(Members(members.collect()));
        }
        if let Node::Object(members) = self { Some(members) } else { None }
    }

    /// Opens a list.
    pub(super) fn list(&mut self) -> Option<&mut Vec<Node<'a>>> {
        if let Node::Raw(raw) = self
            && raw.get().starts_with('[')
        {
            let items: Vec<&'a RawValue> = serde_json::from_str(raw.get()).ok()?;
            *self = Node::List(items.into_iter().map(Node::Raw).collect());
        }
        if let Node::List(items) = self { Some(items) } else { None }
    }

    /// The text, if it is a string.
    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Node::Raw(raw) => serde_json::from_str::<Text<'a>>(raw.get()).ok().map(|text| text.0),
            Node::Text(text) => Some(text.clone()),
            Node::Null | Node::Number(_) | Node::List(_) | Node::Object(_) => None,
        }
    }

    /// Whether it is `null`.
    pub(super) fn is_null(&self) -> bool {
        match self {
            Node::Raw(raw) => raw.get() == "null",
            Node::Null => true,
            Node::Number(_) | Node::Text(_) | Node::List(_) | Node::Object(_) => false,
        }
    }

    /// Whether it says nothing: `null`, `""`, `[]`.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Node::Raw(raw) => matches!(raw.get(), "null" | "\"\"" | "[]"),
            Node::Null => true,
            Node::Text(text) => text.is_empty(),
            Node::List(items) => items.is_empty(),
            Node::Number(_) | Node::Object(_) => false,
        }
    }
}

impl<'a> Members<'a> {
    /// The member called `name`, unless it is `null`.
    pub(super) fn get(&self, name: &str) -> Option<&Node<'a>> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, it)| it).filter(|it| !it.is_null())
    }

    /// The same, to be opened.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Node<'a>> {
        self.0.iter_mut().find(|(key, _)| key == name).map(|(_, it)| it).filter(|it| !it.is_null())
    }

    /// Whether there is a member called `name`, be it `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// Sets the member called `name`, in its place if there is one, else at the end.
    pub(super) fn set(&mut self, name: &'static str, value: Node<'a>) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((Cow::Borrowed(name), value)),
        }
    }

    /// Sets the member called `name` if it is missing.
    pub(super) fn fill(&mut self, name: &'static str, value: Node<'a>) {
        if !self.has(name) {
            self.0.push((Cow::Borrowed(name), value));
        }
    }

    /// Sets the member called `name`, before all others if it is new.
    pub(super) fn lead(&mut self, name: &'static str, value: Node<'a>) {
        if self.has(name) {
            self.set(name, value);
        } else {
            self.0.insert(0, (Cow::Borrowed(name), value));
        }
    }

    /// Takes the member called `name` out; `None` if it was `null`.
    pub(super) fn remove(&mut self, name: &str) -> Option<Node<'a>> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1).filter(|node| !node.is_null())
    }

    /// Keeps the members that `keep` wants.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str, &Node<'a>) -> bool) {
        self.0.retain(|(name, node)| keep(name, node));
    }

    /// Whether every member says nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, node)| node.is_empty())
    }

    /// The JSON.
    pub(super) fn to_json(&self) -> String {
        // Strings, numbers and what was JSON before: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Raw(raw) => raw.serialize(serializer),
            Node::Null => serializer.serialize_unit(),
            Node::Number(number) => serializer.serialize_u64(*number),
            Node::Text(text) => serializer.serialize_str(text),
            Node::List(items) => serializer.collect_seq(items),
            Node::Object(members) => members.serialize(serializer),
        }
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
