//! The cost of a response, in a header.

use crate::names;
use gateway_core::{Price, Usage};
use gateway_engine::dollars;
use http::{HeaderMap, HeaderValue};

/// Adds the cost of `usage`, or `unknown` without a price.
pub(crate) fn write(headers: &mut HeaderMap, usage: &Usage, price: Option<&Price>) {
    let value = match price {
        Some(price) => HeaderValue::try_from(dollars(price.cost(usage))).ok(),
        None => Some(HeaderValue::from_static("unknown")),
    };
    if let Some(value) = value {
        headers.insert(names::COST_USD, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_without_price_is_unknown() {
        let usage = Usage { input: 10, ..Usage::default() };
        let written = |price: Option<&Price>| {
            let mut headers = HeaderMap::new();
            write(&mut headers, &usage, price);
            headers.get("x-gateway-cost-usd").map(|it| it.to_str().unwrap().to_owned())
        };
        let price = Price { input: 1_000_000_000, ..Price::default() };
        assert_eq!(written(Some(&price)).as_deref(), Some("0.00001"));
        assert_eq!(written(None).as_deref(), Some("unknown"));
    }
}
