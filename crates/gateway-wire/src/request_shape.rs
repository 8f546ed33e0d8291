//! The members of requests that the neutral request has a place for.
//!
//! A dialect grows new members all the time, on messages, parts, tools and options. What a decoder
//! does not read is lost when the request is written anew, and has to be reported. A table of each
//! dialect says what its decoder reads; one walk over the bytes finds the rest.

use crate::json::JsonCursor;

/// The members of a value that a decoder reads.
#[derive(Debug)]
pub(crate) enum ValueShape {
    /// Any value: it is read whole.
    Any,
    /// A value that says nothing if it is one of these texts, white space aside.
    Usual(&'static [&'static str]),
    /// An object of these members.
    Object(ShapeMembers),
    /// A list of values of one shape.
    List(&'static Self),
    /// An object whose `type`, or else the first word, says which members it has; one of another
    /// type is carried whole, or refused.
    Tagged(&'static str, &'static [(&'static str, ShapeMembers)]),
}

/// The members of an object, by name.
pub(crate) type ShapeMembers = &'static [(&'static str, ValueShape)];

/// The maximum length of a reported name, in bytes.
const MAX_NAME: usize = 64;

/// Returns the members of the request `body` that are not read, by their paths without indices.
/// Members of the request itself, other than `members`, are read whole.
pub(crate) fn members_without_place(members: ShapeMembers, body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(text) = std::str::from_utf8(body) else { return found };
    let mut walk = ShapeWalk { path: Vec::new(), found: &mut found };
    let _ = JsonCursor::parse(text, |cursor| {
        cursor.object(|key, cursor| match find(members, key) {
            Some(shape) => walk.member(key, shape, cursor),
            None => cursor.skip_value().map(drop),
        })
    });
    found
}

struct ShapeWalk<'a, 'f> {
    path: Vec<&'a str>,
    found: &'f mut Vec<String>,
}

impl<'a> ShapeWalk<'a, '_> {
    fn member(
        &mut self,
        key: &'a str,
        shape: &ValueShape,
        cursor: &mut JsonCursor<'a>,
    ) -> Option<()> {
        self.path.push(key);
        let value = cursor.skip_value()?;
        self.value(shape, value);
        self.path.pop();
        Some(())
    }

    fn value(&mut self, shape: &ValueShape, text: &'a str) {
        match shape {
            ValueShape::Any => {}
            ValueShape::Usual(texts) => {
                let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                if !texts.contains(&compact.as_str()) {
                    self.report(text);
                }
            }
            ValueShape::Object(members) => self.object(members, text),
            ValueShape::List(item) => {
                let _ = JsonCursor::parse(text, |cursor| {
                    cursor.array(|cursor| {
                        let text = cursor.skip_value()?;
                        self.value(item, text);
                        Some(())
                    })
                });
            }
            ValueShape::Tagged(usual, kinds) => {
                let kind = tag(text).unwrap_or(usual);
                if let Some((_, members)) = kinds.iter().find(|(name, _)| *name == kind) {
                    self.object(members, text);
                }
            }
        }
    }

    fn object(&mut self, members: ShapeMembers, text: &'a str) {
        let _ = JsonCursor::parse(text, |cursor| {
            cursor.object(|key, cursor| match find(members, key) {
                Some(ValueShape::Any) => cursor.skip_value().map(drop),
                Some(shape) => self.member(key, shape, cursor),
                None => self.member(key, &ValueShape::Usual(&[]), cursor),
            })
        });
    }

    fn report(&mut self, value: &str) {
        if matches!(value, "null" | "false" | "\"\"" | "[]" | "{}") {
            return;
        }
        let name = self.path.join(".");
        let name = name.chars().filter(|c| c.is_ascii_graphic() && *c != ',').take(MAX_NAME);
        let name = name.collect::<String>();
        if !self.found.contains(&name) {
            self.found.push(name);
        }
    }
}

fn find(members: ShapeMembers, key: &str) -> Option<&'static ValueShape> {
    members.iter().find(|(name, _)| *name == key).map(|(_, shape)| shape)
}

/// The `type` of an object, if it is a plain string.
fn tag(text: &str) -> Option<&str> {
    let mut found = None;
    let _ = JsonCursor::parse(text, |cursor| {
        cursor.object(|key, cursor| {
            let value = cursor.skip_value()?;
            if key == "type" {
                found = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
            }
            Some(())
        })
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    static PART: ValueShape = ValueShape::Tagged(
        "text",
        &[
            (
                "text",
                &[
                    ("type", ValueShape::Any),
                    ("text", ValueShape::Any),
                    ("by", ValueShape::Usual(&["1"])),
                ],
            ),
            ("list", &[("type", ValueShape::Any), ("items", ValueShape::List(&PART))]),
        ],
    );
    const ROOT: ShapeMembers = &[
        ("parts", ValueShape::List(&PART)),
        ("own", ValueShape::Object(&[("a", ValueShape::Any)])),
    ];

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let found = members_without_place(ROOT, body.as_bytes());
        assert_eq!(found.join(" "), expected, "{body}");
    }

    #[test]
    fn members_without_a_place_are_found() {
        check(r#"{"parts":[{"text":"a"}],"own":{"a":1},"other":{"x":1}}"#, "");
        check(r#"{"parts":[{"text":"a","x":1},{"type":"text","x":2}]}"#, "parts.x");
        check(r#"{"parts":[{"type":"list","items":[{"y":[1]}]}]}"#, "parts.items.y");
        check(r#"{"own":{"a":{"b":1},"b":1}}"#, "own.b");
    }

    #[test]
    fn values_that_say_nothing_are_not_reported() {
        check(r#"{"parts":[{"x":null,"y":false,"z":[],"v":{},"w":"","by": 1}]}"#, "");
        check(r#"{"parts":[{"by":2}]}"#, "parts.by");
    }

    #[test]
    fn values_of_other_types_are_passed_over() {
        check(r#"{"parts":"text","own":[1]}"#, "");
        check(r#"{"parts":["text",{"type":"new","x":1}]}"#, "");
        check("no json", "");
    }
}
