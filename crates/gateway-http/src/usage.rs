//! `GET /v1/usage`: usage and cost.

use crate::{HttpService, reply, request::query::QueryParams};
use gateway_core::{Date, ErrorKind, GatewayError, Result, state::Totals};
use gateway_limits::DAY;
use gateway_tasks::unix_time;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, ops::RangeInclusive};

/// The default number of days.
const USUAL: u64 = 30;

/// Maximum number of days.
const MOST: u64 = 400;

/// The grouping of sums.
#[derive(Clone, Debug, Eq, PartialEq)]
enum UsageGroup {
    Day,
    Client,
    Model,
    Provider,
    Outcome,
    /// Each tag; a request counts under each of its tags.
    Tag,
    /// The value of the tag of a name: `tag:team` groups by what `team=` says.
    TagNamed(String),
    User,
}

/// The parameters of a usage request.
#[derive(Debug, PartialEq)]
struct UsageQuery {
    days: RangeInclusive<u64>,
    groups: Vec<UsageGroup>,
}

/// Returns the usage of `client`, or of all clients.
pub(crate) async fn usage(
    service: &HttpService,
    client: Option<&str>,
    query: Option<&str>,
) -> Result<Response<reply::Body>> {
    let question = UsageQuery::read(&QueryParams::parse(query), unix_time().as_secs() / DAY)?;
    let rows = service.engine.limits.usage.totals(question.days.clone(), client).await.map_err(
        |error| {
            GatewayError::new(ErrorKind::Unavailable, "usage is temporarily unavailable")
                .with_code(error.code())
                .with_source(error)
        },
    )?;
    Ok(reply::json(StatusCode::OK, &question.answer(&rows)))
}

impl UsageGroup {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "day" => Self::Day,
            "client" => Self::Client,
            "model" => Self::Model,
            "provider" => Self::Provider,
            "outcome" => Self::Outcome,
            "tag" => Self::Tag,
            "user" => Self::User,
            _ => Self::TagNamed(name.strip_prefix("tag:").filter(|it| !it.is_empty())?.to_owned()),
        })
    }

    fn name(&self) -> String {
        match self {
            Self::Day => "day".to_owned(),
            Self::Client => "client".to_owned(),
            Self::Model => "model".to_owned(),
            Self::Provider => "provider".to_owned(),
            Self::Outcome => "outcome".to_owned(),
            Self::Tag => "tag".to_owned(),
            Self::TagNamed(name) => format!("tag:{name}"),
            Self::User => "user".to_owned(),
        }
    }

    /// Returns the name of the group that `row` belongs to, counted under `tag`.
    fn of(&self, row: &Totals, tag: &str) -> String {
        match self {
            Self::Day => Date::from_days_since_epoch(row.day).text(),
            Self::Client => row.client.clone(),
            Self::Model => row.model.clone(),
            Self::Provider => row.provider.clone(),
            Self::Outcome => row.outcome.clone(),
            Self::Tag => tag.to_owned(),
            Self::TagNamed(name) => tag_value(row, name).to_owned(),
            Self::User => row.user.clone(),
        }
    }
}

impl UsageQuery {
    fn read(query: &QueryParams, today: u64) -> Result<Self> {
        let (mut from, mut to) = (None, None);
        let mut groups = vec![UsageGroup::Day, UsageGroup::Model];
        for (name, value) in query.iter() {
            match name {
                "from" => from = Some(day("from", value)?),
                "to" => to = Some(day("to", value)?),
                "group_by" => groups = group_by(value)?,
                _ => {}
            }
        }
        let to = to.unwrap_or(today);
        let from = from.unwrap_or((to + 1).saturating_sub(USUAL));
        if from > to || to - from >= MOST {
            let message =
                format!("`from` is not after `to`, and the range must be at most {MOST} days");
            return Err(GatewayError::invalid("from", message));
        }
        Ok(Self { days: from..=to, groups })
    }

    /// Returns the tags under which a row counts: a request with several counts under each.
    fn tags<'a>(&self, row: &'a Totals) -> Vec<&'a str> {
        if self.groups.contains(&UsageGroup::Tag) {
            row.tags.split(',').collect()
        } else {
            vec![""]
        }
    }

    fn answer(&self, rows: &[Totals]) -> Value {
        let mut sums: BTreeMap<Vec<String>, Totals> = BTreeMap::new();
        let mut all = Totals::default();
        for row in rows {
            for tag in self.tags(row) {
                let names = self.groups.iter().map(|group| group.of(row, tag)).collect();
                sums.entry(names).or_default().add(row);
            }
            all.add(row);
        }
        let told = |(names, sum): (Vec<String>, Totals)| {
            let names = self.groups.iter().zip(names);
            let mut row: Map<_, _> =
                names.map(|(group, name)| (group.name(), json!(name))).collect();
            row.append(&mut amounts(&sum));
            Value::Object(row)
        };
        let groups: Vec<_> = self.groups.iter().map(UsageGroup::name).collect();
        json!({
            "object": "list",
            "from": Date::from_days_since_epoch(*self.days.start()).text(),
            "to": Date::from_days_since_epoch(*self.days.end()).text(),
            "group_by": groups,
            "data": sums.into_iter().map(told).collect::<Vec<_>>(),
            "total": amounts(&all),
        })
    }
}

/// Returns the value of the tag `name` of a row; empty if it has none.
fn tag_value<'a>(row: &'a Totals, name: &str) -> &'a str {
    let mut pairs = row.tags.split(',').filter_map(|tag| tag.split_once('='));
    pairs.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// Returns the amounts of a sum; money in dollars for display, and in nano-dollars for arithmetic. The
/// cost of requests without a price is unknown, which is not nothing.
fn amounts(sum: &Totals) -> Map<String, Value> {
    let usage = &sum.usage;
    let is_known = sum.unpriced == 0 || sum.cost.0 > 0;
    let amounts = json!({
        "requests": sum.requests,
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write.saturating_add(usage.cache_write_1h),
        "audio_tokens": usage.audio_input.saturating_add(usage.audio_output),
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
        "total_tokens": usage.total(),
        "cost_usd": is_known.then(|| sum.cost.dollars()),
        "cost_nano_usd": is_known.then_some(sum.cost.0),
        "unpriced_requests": sum.unpriced,
        "estimated_requests": sum.estimated,
    });
    if let Value::Object(amounts) = amounts { amounts } else { Map::new() }
}

fn day(name: &'static str, text: &str) -> Result<u64> {
    let known = Date::parse(text).and_then(Date::days);
    known.ok_or_else(|| GatewayError::invalid(name, "a day is written as `2026-11-26`"))
}

fn group_by(text: &str) -> Result<Vec<UsageGroup>> {
    let names = text.split(',').filter(|name| !name.is_empty());
    let mut groups = Vec::new();
    for name in names {
        let group = UsageGroup::parse(name).ok_or_else(|| {
            let message = "any of `day`, `client`, `model`, `provider`, `outcome`, `user`, `tag`, \
                           `tag:NAME`, with commas";
            GatewayError::invalid("group_by", message)
        })?;
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: Result<(u64, u64, &[UsageGroup]), &str>) {
        let question = UsageQuery::read(&QueryParams::parse(Some(query)), 20_783);
        let told = question
            .as_ref()
            .map(|it| (*it.days.start(), *it.days.end(), &*it.groups))
            .map_err(|error| error.param().unwrap_or_default());
        assert_eq!(told, expected, "{query}");
    }

    #[test]
    fn questions_are_read() {
        let usual = [UsageGroup::Day, UsageGroup::Model];
        check("", Ok((20_754, 20_783, &usual[..])));
        check("from=2026-11-26&to=2026-11-26&other=1", Ok((20_783, 20_783, &usual[..])));
        check("group_by=", Ok((20_754, 20_783, &[][..])));
        check(
            "group_by=provider,client,client",
            Ok((20_754, 20_783, &[UsageGroup::Provider, UsageGroup::Client][..])),
        );
        check("from=2026-11-27", Err("from"));
        check("from=2020-01-01", Err("from"));
        check("to=yesterday", Err("to"));
        check(
            "group_by=tag,tag:team,user",
            Ok((
                20_754,
                20_783,
                &[UsageGroup::Tag, UsageGroup::TagNamed("team".into()), UsageGroup::User][..],
            )),
        );
        check("group_by=tenant", Err("group_by"));
        check("group_by=tag:", Err("group_by"));
    }

    #[test]
    fn cost_of_unpriced_requests_is_unknown() {
        let priced =
            Totals { requests: 1, cost: gateway_core::NanoDollars(5), ..Totals::default() };
        let unpriced = Totals { requests: 1, unpriced: 1, ..Totals::default() };
        assert_eq!(amounts(&unpriced)["cost_usd"], Value::Null);
        assert_eq!(amounts(&unpriced)["cost_nano_usd"], Value::Null);
        let mut both = priced;
        both.add(&unpriced);
        assert_eq!(
            (&amounts(&both)["cost_nano_usd"], &amounts(&both)["unpriced_requests"]),
            (&json!(5), &json!(1))
        );
        assert_eq!(amounts(&Totals::default())["cost_nano_usd"], 0);
    }

    #[test]
    fn request_counts_under_each_of_its_tags_and_once_under_a_name() {
        let row = |tags: &str| Totals { tags: tags.into(), requests: 1, ..Totals::default() };
        let rows = [row("env=prod,team=a"), row("team=a"), row("")];
        let counts = |group: UsageGroup| {
            let told = UsageQuery { days: 0..=0, groups: vec![group.clone()] }.answer(&rows);
            let data = told["data"].as_array().unwrap().clone();
            let count = |it: &Value| format!("{}={}", it[group.name()], it["requests"]);
            data.iter().map(count).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(counts(UsageGroup::Tag), r#"""=1 "env=prod"=1 "team=a"=2"#);
        assert_eq!(counts(UsageGroup::TagNamed("team".into())), r#"""=1 "a"=2"#);
    }

    #[test]
    fn usage_is_summed_by_group() {
        let row = |model: &str, cost: u64| Totals {
            day: 20_783,
            model: model.into(),
            client: "c".into(),
            requests: 1,
            cost: gateway_core::NanoDollars(cost),
            ..Totals::default()
        };
        let question =
            UsageQuery { days: 20_783..=20_783, groups: vec![UsageGroup::Day, UsageGroup::Model] };
        let told = question.answer(&[row("a", 1), row("b", 2), row("a", 4)]);
        let data = told["data"].as_array().unwrap();
        assert_eq!(
            (data.len(), &data[0]["model"], &data[0]["cost_nano_usd"]),
            (2, &json!("a"), &json!(5))
        );
        assert_eq!(
            (&data[0]["day"], &told["total"]["requests"]),
            (&json!("2026-11-26"), &json!(3))
        );
    }
}
