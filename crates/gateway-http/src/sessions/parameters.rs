//! The parameters of a session request: members of its body, its query, its conditions.

use crate::request::query::QueryParams;
use bytes::Bytes;
use gateway_core::{ErrorKind, GatewayError, JsonObject, Result};
use gateway_wire::json;
use http::{HeaderMap, header::IF_MATCH};
use serde::de::DeserializeOwned;
use std::{num::ParseIntError, str::FromStr};

/// The members of a body; those that mean nothing here are ignored.
pub(super) struct BodyMembers(JsonObject);

impl BodyMembers {
    /// Reads a body; an absent one has no members.
    pub(super) fn read(body: &Bytes, depth: usize) -> Result<Self> {
        if body.is_empty() {
            return Ok(Self(JsonObject::new()));
        }
        json::members(body, &json::JsonLimits { depth }, |_| ()).map_err(|error| {
            let error = GatewayError::from(error);
            let code = error.code().to_owned();
            unprocessable(error.message().to_owned()).with_code(code)
        })?;
        let members = serde_json::from_slice(body)
            .map_err(|error| unprocessable("invalid JSON body").with_source(error))?;
        Ok(Self(members))
    }

    /// The member called `name`, which is `wanted`; absent and `null` are the same.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        name: &'static str,
        wanted: &str,
    ) -> Result<Option<T>> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        serde_json::from_str(value.get())
            .map_err(|_| unprocessable(format!("{name} must be {wanted}")).with_param(name))
    }
}

/// The position of a message in its session, as a cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MessagePosition(u32);

impl MessagePosition {
    /// The position behind this one.
    pub(super) fn next(self) -> u64 {
        u64::from(self.0) + 1
    }
}

impl FromStr for MessagePosition {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The parameters of a session request's query.
pub(super) struct SessionQuery(pub(super) QueryParams);

impl SessionQuery {
    /// Returns the first value of `name` that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.text(name)
    }

    /// The number called `name`, if it is there.
    pub(super) fn number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let wrong = |_| unprocessable(format!("{name} must be a whole number")).with_param(name);
        text.parse().map(Some).map_err(wrong)
    }

    /// Returns the requested page size: at least one, at most `most`.
    pub(super) fn limit(&self, usual: usize, most: usize) -> Result<usize> {
        let limit = self.number("limit")?.unwrap_or(usual);
        if (1..=most).contains(&limit) {
            return Ok(limit);
        }
        Err(unprocessable(format!("limit must be between 1 and {most}")).with_param("limit"))
    }
}

/// Returns the version that a change expects; any, without the header or with `*`.
pub(super) fn expected_version(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(tag) = headers.get(IF_MATCH) else { return Ok(None) };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    let bare = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    bare.parse().map(Some).map_err(|_| {
        GatewayError::new(
            ErrorKind::InvalidRequest,
            "If-Match must be a session's version, as in If-Match: \"3\"",
        )
    })
}

/// Returns the error for a well-formed request with an impossible value.
pub(super) fn unprocessable(message: impl Into<std::borrow::Cow<'static, str>>) -> GatewayError {
    GatewayError::new(ErrorKind::Unprocessable, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    #[track_caller]
    fn check_body(body: &'static str, expected: Result<Option<u64>, &str>) {
        let members = BodyMembers::read(&Bytes::from(body), 8);
        let read = members.and_then(|it| it.get::<u64>("n", "a number"));
        assert_eq!(read.as_ref().copied().map_err(GatewayError::code), expected, "{body}");
        assert!(read.is_ok() || read.is_err_and(|it| it.kind() == ErrorKind::Unprocessable));
    }

    #[test]
    fn members_are_read() {
        check_body("", Ok(None));
        check_body("{}", Ok(None));
        check_body(r#"{"n":null}"#, Ok(None));
        check_body(r#"{"n":7,"other":[]}"#, Ok(Some(7)));
        for wrong in [r#"{"n":"7"}"#, r#"{"n":-1}"#, r#"{"n":1.5}"#] {
            check_body(wrong, Err("unprocessable"));
        }
        check_body("[]", Err("invalid_json"));
        check_body("{", Err("invalid_json"));
        check_body(r#"{"n":1,"n":2}"#, Err("duplicate_key"));
    }

    #[track_caller]
    fn check<T: Copy + Debug + PartialEq>(read: Result<T>, expected: Result<T, ErrorKind>) {
        assert_eq!(read.map_err(|error| error.kind()), expected);
    }

    fn query(text: Option<&str>) -> SessionQuery {
        SessionQuery(QueryParams::parse(text))
    }

    #[test]
    fn session_query_reads_text_and_limit() {
        let found = query(Some("after=x&limit=5&after=y&empty="));
        assert_eq!((found.text("after"), found.text("empty")), (Some("x"), None));
        check(found.limit(20, 100), Ok(5));
        check(query(None).limit(20, 100), Ok(20));
        check(query(Some("limit=0")).limit(20, 100), Err(ErrorKind::Unprocessable));
        check(query(Some("limit=101")).limit(20, 100), Err(ErrorKind::Unprocessable));
        check(query(Some("limit=all")).limit(20, 100), Err(ErrorKind::Unprocessable));
    }

    #[test]
    fn message_position_has_a_bound() {
        let position = |text: &'static str| {
            let number = query(Some(text)).number::<MessagePosition>("after");
            number.map(|it| it.map(MessagePosition::next))
        };
        check(position("after=0"), Ok(Some(1)));
        check(position("after=4294967295"), Ok(Some(4_294_967_296)));
        check(position("after=4294967296"), Err(ErrorKind::Unprocessable));
        check(position("after=18446744073709551614"), Err(ErrorKind::Unprocessable));
        check(position("after=18446744073709551615"), Err(ErrorKind::Unprocessable));
    }

    #[track_caller]
    fn check_version(tag: &str, expected: Result<Option<u64>, ErrorKind>) {
        let headers = HeaderMap::from_iter([(IF_MATCH, tag.parse().unwrap())]);
        check(expected_version(&headers), expected);
    }

    #[test]
    fn if_match_selects_version() {
        check(expected_version(&HeaderMap::new()), Ok(None));
        check_version("\"3\"", Ok(Some(3)));
        check_version("3", Ok(Some(3)));
        check_version("*", Ok(None));
        check_version("\"x\"", Err(ErrorKind::InvalidRequest));
    }
}
