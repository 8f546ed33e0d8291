//! The query string of a request.

use std::collections::HashMap;

/// The parameters of a query string, percent-decoded, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct QueryParams(Vec<(String, String)>);

impl QueryParams {
    /// Parses a query string; a parameter without `=` has an empty value.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// Returns the first value of `name` that is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// Returns the names and values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the parameters by name; the last value of a repeated one.
    pub(crate) fn by_name(&self) -> HashMap<&str, &str> {
        self.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_in_order() {
        let query = QueryParams::parse(Some("a=1&path=%2Fv1%2Fmessages&b=x+y&a=2&flag&empty="));
        let expected = [
            ("a", "1"),
            ("path", "/v1/messages"),
            ("b", "x y"),
            ("a", "2"),
            ("flag", ""),
            ("empty", ""),
        ];
        assert_eq!(query.iter().collect::<Vec<_>>(), expected);
        assert_eq!((query.text("a"), query.by_name().get("a")), (Some("1"), Some(&"2")));
        assert_eq!((query.text("empty"), query.text("none")), (None, None));
    }

    #[test]
    fn missing_query_has_no_parameters() {
        assert_eq!(QueryParams::parse(None).iter().count(), 0);
        assert_eq!(QueryParams::parse(Some("")), QueryParams::default());
    }
}
