//! Lists of items, in pages.

use super::items;
use gateway_core::{GatewayError, Json, Result};
use std::collections::HashMap;

/// Default and maximum number of items per page.
const PAGE: (usize, usize) = (20, 100);

/// The requested page of items.
#[derive(Debug)]
pub struct ItemPageQuery<'a> {
    limit: usize,
    oldest_first: bool,
    after: Option<&'a str>,
}

/// The items of the page.
pub(crate) struct ItemPage {
    pub(crate) items: Vec<Json>,
    pub(crate) has_more: bool,
}

impl<'a> ItemPageQuery<'a> {
    /// Reads them of a query.
    pub fn read(query: &HashMap<&'a str, &'a str>) -> Result<Self> {
        let (usual, most) = PAGE;
        let limit = match query.get("limit") {
            None => usual,
            Some(limit) => {
                limit.parse().ok().filter(|limit| (1..=most).contains(limit)).ok_or_else(|| {
                    GatewayError::invalid("limit", "limit is a number from 1 to 100")
                })?
            }
        };
        let oldest_first = match query.get("order").copied() {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(_) => {
                return Err(GatewayError::invalid("order", "order is 'asc' or 'desc'"));
            }
        };
        Ok(Self { limit, oldest_first, after: query.get("after").copied() })
    }

    /// Returns the requested page of `items`, which are in chronological order.
    pub(crate) fn of(&self, mut items: Vec<Json>) -> Result<ItemPage> {
        if !self.oldest_first {
            items.reverse();
        }
        if let Some(after) = self.after {
            let at = items.iter().position(|item| items::id_of(item).is_some_and(|id| id == after));
            let at = at.ok_or_else(|| GatewayError::invalid("after", "there is no such item"))?;
            items.drain(..=at);
        }
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        Ok(ItemPage { items, has_more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The page of the items 1 to 5 that `query` asks for; `+` if there are more.
    #[track_caller]
    fn check(query: &str, expected: &str) {
        let items = (1..=5).map(|at| Json::of(&json!({ "id": at.to_string() }))).collect();
        let told = match ItemPageQuery::read(
            &query.split('&').filter_map(|it| it.split_once('=')).collect(),
        )
        .and_then(|page| page.of(items))
        {
            Ok(found) => {
                let ids: String = found.items.iter().filter_map(items::id_of).collect();
                ids + if found.has_more { "+" } else { "" }
            }
            Err(error) => error.param().unwrap().to_owned(),
        };
        assert_eq!(told, expected, "{query}");
    }

    #[test]
    fn pages_follow_each_other() {
        check("", "54321");
        check("order=asc", "12345");
        check("limit=2", "54+");
        check("limit=2&after=4", "32+");
        check("limit=2&after=2&order=asc", "34+");
        check("limit=2&after=3&order=asc", "45");
        check("after=1", "");
    }

    #[test]
    fn invalid_page_parameters_are_named() {
        for limit in ["0", "101", "-1", "x", ""] {
            check(&format!("limit={limit}"), "limit");
        }
        check("order=up", "order");
        check("after=9", "after");
    }
}
