// Tokens and cost over time, by model, client or provider.

import { get, optional } from "./api.js";
import { bars } from "./chart.js";
import { el, empty, field, heading, panel, show, table } from "./dom.js";
import { compact, count, dollars } from "./format.js";
import { samples } from "./prometheus.js";

/** More groups than these are summed up as `others`. */
const MOST_SERIES = 5;

const MEASURES = {
  cost: ["Cost", (row) => row.cost_usd, dollars],
  tokens: ["Tokens", (row) => row.prompt_tokens + row.completion_tokens, compact],
  requests: ["Requests", (row) => row.requests, compact],
};

export async function usage(content) {
  const body = el("div", { class: "stack" });
  const choose = (id, options) => el("select", { id }, options.map((name) => el("option", { value: name }, name)));
  const by = choose("usage-by", ["model", "client", "provider"]);
  const measure = el("select", { id: "usage-measure" }, Object.entries(MEASURES).map(([name, [title]]) => el("option", { value: name }, title)));
  const days = el("select", { id: "usage-days" }, [7, 30, 90].map((number) => el("option", { value: String(number) }, `${number} days`)));
  show(content,
    heading("Usage", "Tokens and cost. The cost of models without a known price is unknown.",
      field("Measure", measure), field("By", by), field("Over", days)),
    body);
  const draw = async () => {
    const told = await optional(get(`v1/usage?from=${since(Number(days.value))}&group_by=day,${by.value}`));
    const rows = told ? normal(told, by.value) : undefined;
    show(body, rows ? history(rows, MEASURES[measure.value], by.value) : sinceStart(await samples()));
  };
  for (const input of [by, measure, days]) input.addEventListener("change", draw);
  await draw();
}

/** The day that began so many days ago, today counted. */
const since = (days) => new Date(Date.now() - (days - 1) * 86_400_000).toISOString().slice(0, 10);

/** Rows of the ledger: a day, a group, and what it took. */
function normal(told, by) {
  return told.data.map((row) => ({
    day: row.day,
    group: row[by] || "–",
    requests: row.requests,
    prompt_tokens: row.input_tokens + row.cache_read_tokens + row.cache_write_tokens,
    completion_tokens: row.output_tokens + row.reasoning_tokens,
    cost_usd: row.cost_usd ?? 0,
    unpriced: row.unpriced_requests ?? 0,
  }));
}

function history(rows, [title, value, write], by) {
  if (rows.length === 0) return panel(undefined, empty("No usage in this period."));
  const groups = sums(rows, (row) => row.group);
  const ranked = [...groups].sort((a, b) => value(b) - value(a));
  const shown = ranked.slice(0, MOST_SERIES).map((it) => it.group);
  const others = ranked.length > shown.length;
  const series = [...shown, ...(others ? ["others"] : [])].map((name, index) => ({ name, style: String(index + 1) }));
  const columns = [...new Set(rows.map((row) => row.day))].sort().map((day) => ({
    label: String(day).slice(5),
    values: series.map(({ name }) => rows
      .filter((row) => row.day === day && (shown.includes(row.group) ? row.group === name : name === "others"))
      .reduce((sum, row) => sum + value(row), 0)),
  }));
  const total = ranked.reduce((sum, row) => sum + value(row), 0);
  const describe = `${title} by ${by} and day: ${write(total)} in all`;
  return [
    panel(`${title} by ${by}`, total > 0 ? bars({ columns, series, write, describe }) : empty("None in this period.")),
    panel(undefined, totals(ranked, by)),
  ];
}

function sums(rows, group) {
  const all = new Map();
  for (const row of rows) {
    const sum = all.get(group(row)) ?? { group: group(row), requests: 0, prompt_tokens: 0, completion_tokens: 0, cost_usd: 0, unpriced: 0 };
    for (const name of ["requests", "prompt_tokens", "completion_tokens", "cost_usd", "unpriced"]) sum[name] += row[name];
    all.set(group(row), sum);
  }
  return all.values();
}

function totals(rows, by) {
  return table(`Usage by ${by}`, [
    [by[0].toUpperCase() + by.slice(1), (row) => row.group],
    ["Requests", (row) => count(row.requests), "number"],
    ["Input tokens", (row) => count(row.prompt_tokens), "number"],
    ["Output tokens", (row) => count(row.completion_tokens), "number"],
    ["Cost", cost, "number"],
    ["Without a price", (row) => (row.unpriced > 0 ? count(row.unpriced) : ""), "number"],
  ], rows, "No usage.");
}

/** The cost of a group: unknown, if none of its requests has a price. */
const cost = (row) => (row.unpriced > 0 && row.cost_usd === 0 ? "unknown" : dollars(row.cost_usd));

/** Without a ledger, what the metrics of this process say. */
function sinceStart(metrics) {
  const rows = new Map();
  for (const it of metrics) {
    if (it.name !== "llm_gateway_tokens_total" && it.name !== "llm_gateway_request_cost_dollars_sum") continue;
    const name = `${it.labels.provider} ${it.labels.model}`;
    const row = rows.get(name) ?? { group: name, prompt_tokens: 0, completion_tokens: 0, cost_usd: undefined };
    if (it.name === "llm_gateway_tokens_total") row[`${it.labels.type}_tokens`] += it.value;
    else row.cost_usd = it.value;
    rows.set(name, row);
  }
  return panel("Since this gateway started", table("Usage since the start", [
    ["Provider and model", (row) => row.group],
    ["Input tokens", (row) => count(row.prompt_tokens), "number"],
    ["Output tokens", (row) => count(row.completion_tokens), "number"],
    ["Cost", (row) => (row.cost_usd === undefined ? "unknown" : dollars(row.cost_usd)), "number"],
  ], [...rows.values()], "No usage."));
}
