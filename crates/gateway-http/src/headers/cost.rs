//! The cost of a response, in a header.

use super::batch::HeaderBatch;
use crate::names;
use gateway_engine::{ResponseCost, write_dollars};

/// Adds the cost of a response, `unknown` without a price.
pub(crate) fn write(batch: &mut HeaderBatch, cost: ResponseCost) {
    match cost {
        ResponseCost::Known(amount) => {
            batch.write(names::COST_USD, |out| write_dollars(amount, out));
        }
        ResponseCost::Unknown => batch.text(names::COST_USD, "unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Price, TokenRates, Usage};
    use http::HeaderMap;

    #[test]
    fn cost_without_price_is_unknown() {
        let usage = Usage { input: 10, ..Usage::default() };
        let written = |price: Option<&Price>| {
            let (mut batch, mut headers) = (HeaderBatch::new(), HeaderMap::new());
            write(&mut batch, ResponseCost::at(price, &usage));
            batch.insert_into(&mut headers);
            headers.get("x-gateway-cost-usd").map(|it| it.to_str().unwrap().to_owned())
        };
        let price = Price::from(TokenRates { input: 1_000_000_000, ..TokenRates::default() });
        assert_eq!(written(Some(&price)).as_deref(), Some("0.00001"));
        assert_eq!(written(None).as_deref(), Some("unknown"));
    }
}
