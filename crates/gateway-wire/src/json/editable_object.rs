//! A JSON value that is opened only where it is edited.
//!
//! What is not opened is written as it came: numbers, escapes, members no one knows.

use super::{lazy_object::LazyObject, lenient::LossyText};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A JSON value, parsed as far as edits required.
#[derive(Clone, Debug)]
pub(crate) enum JsonNode<'a> {
    /// The unparsed text of the value.
    Raw(&'a RawValue),
    Null,
    Number(u64),
    Text(Cow<'a, str>),
    List(Vec<JsonNode<'a>>),
    Object(EditableObject<'a>),
}

/// The members of an object, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct EditableObject<'a>(Vec<(Cow<'a, str>, JsonNode<'a>)>);

impl<'a> JsonNode<'a> {
    /// Parses the value as an object, if it is one.
    pub(crate) fn object(&mut self) -> Option<&mut EditableObject<'a>> {
        if let JsonNode::Raw(raw) = self
            && raw.get().starts_with('{')
        {
            let object: LazyObject<'a> = serde_json::from_str(raw.get()).ok()?;
            let members = object.0.into_iter().map(|(name, raw)| (name, JsonNode::Raw(raw)));
            *self = JsonNode::Object(EditableObject(members.collect()));
        }
        if let JsonNode::Object(members) = self { Some(members) } else { None }
    }

    /// Parses the value as an array, if it is one.
    pub(crate) fn list(&mut self) -> Option<&mut Vec<JsonNode<'a>>> {
        if let JsonNode::Raw(raw) = self
            && raw.get().starts_with('[')
        {
            let items: Vec<&'a RawValue> = serde_json::from_str(raw.get()).ok()?;
            *self = JsonNode::List(items.into_iter().map(JsonNode::Raw).collect());
        }
        if let JsonNode::List(items) = self { Some(items) } else { None }
    }

    /// The text, if it is a string.
    pub(crate) fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            JsonNode::Raw(raw) => {
                serde_json::from_str::<LossyText<'a>>(raw.get()).ok().map(|text| text.0)
            }
            JsonNode::Text(text) => Some(text.clone()),
            JsonNode::Null | JsonNode::Number(_) | JsonNode::List(_) | JsonNode::Object(_) => None,
        }
    }

    /// Returns whether it is `null`.
    pub(crate) fn is_null(&self) -> bool {
        match self {
            JsonNode::Raw(raw) => raw.get() == "null",
            JsonNode::Null => true,
            JsonNode::Number(_) | JsonNode::Text(_) | JsonNode::List(_) | JsonNode::Object(_) => {
                false
            }
        }
    }

    /// Returns whether it says nothing: `null`, `""`, `[]`.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            JsonNode::Raw(raw) => matches!(raw.get(), "null" | "\"\"" | "[]"),
            JsonNode::Null => true,
            JsonNode::Text(text) => text.is_empty(),
            JsonNode::List(items) => items.is_empty(),
            JsonNode::Number(_) | JsonNode::Object(_) => false,
        }
    }
}

impl<'a> EditableObject<'a> {
    /// The member called `name`, unless it is `null`.
    pub(crate) fn get(&self, name: &str) -> Option<&JsonNode<'a>> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, it)| it).filter(|it| !it.is_null())
    }

    /// The same, to be opened.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut JsonNode<'a>> {
        self.0.iter_mut().find(|(key, _)| key == name).map(|(_, it)| it).filter(|it| !it.is_null())
    }

    /// Returns whether there is a member called `name`, be it `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// Sets the member called `name`, in its place if there is one, else at the end.
    pub(crate) fn set(&mut self, name: &'static str, value: JsonNode<'a>) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((Cow::Borrowed(name), value)),
        }
    }

    /// Sets the member called `name`, in its place if there is one, else at the end.
    pub(crate) fn replace(&mut self, name: &str, value: JsonNode<'a>) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((Cow::Owned(name.to_owned()), value)),
        }
    }

    /// Sets the member called `name` if it is missing.
    pub(crate) fn fill(&mut self, name: &'static str, value: JsonNode<'a>) {
        if !self.has(name) {
            self.0.push((Cow::Borrowed(name), value));
        }
    }

    /// Sets the member called `name`, before all others if it is new.
    pub(crate) fn lead(&mut self, name: &'static str, value: JsonNode<'a>) {
        if self.has(name) {
            self.set(name, value);
        } else {
            self.0.insert(0, (Cow::Borrowed(name), value));
        }
    }

    /// Takes the member called `name` out; `None` if it was `null`.
    pub(crate) fn remove(&mut self, name: &str) -> Option<JsonNode<'a>> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1).filter(|node| !node.is_null())
    }

    /// Keeps the members that `keep` wants.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &JsonNode<'a>) -> bool) {
        self.0.retain(|(name, node)| keep(name, node));
    }

    /// Returns whether every member says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, node)| node.is_empty())
    }

    /// Serializes the object to JSON text.
    pub(crate) fn to_json(&self) -> String {
        // Strings, numbers and what was JSON before: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for JsonNode<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            JsonNode::Raw(raw) => raw.serialize(serializer),
            JsonNode::Null => serializer.serialize_unit(),
            JsonNode::Number(number) => serializer.serialize_u64(*number),
            JsonNode::Text(text) => serializer.serialize_str(text),
            JsonNode::List(items) => serializer.collect_seq(items),
            JsonNode::Object(members) => members.serialize(serializer),
        }
    }
}

impl Serialize for EditableObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
