//! The request id: the caller's `x-request-id` if it can be logged, else a new one.

use crate::names;
use http::HeaderMap;
use std::sync::Arc;
use uuid::Uuid;

/// The id of a request with these headers: 8 to 64 letters, digits, `-` and `_`.
pub(crate) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(names::REQUEST_ID).and_then(|id| id.to_str().ok());
    if let Some(id) = given.filter(|id| is_valid(id)) {
        return id.into();
    }
    let mut buffer = Uuid::encode_buffer();
    let id: &str = Uuid::new_v4().simple().encode_lower(&mut buffer);
    id.into()
}

fn is_valid(id: &str) -> bool {
    (8..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, is_kept: bool) {
        let headers =
            HeaderMap::from_iter([("x-request-id".parse().unwrap(), id.parse().unwrap())]);
        assert_eq!(&*request_id(&headers) == id, is_kept, "{id}");
    }

    #[test]
    fn valid_request_id_is_kept() {
        check("12345678", true);
        check("A-b_c-12345", true);
    }

    #[test]
    fn invalid_request_id_is_replaced() {
        for id in ["", "1234567", "has space", "x\ty567890", &"a".repeat(65)] {
            check(id, false);
        }
        assert_eq!(request_id(&HeaderMap::new()).len(), 32);
    }
}
