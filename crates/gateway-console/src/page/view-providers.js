// Who answers: what is set up, how it fares, and what the breakers think.

import { get } from "./api.js";
import { el, empty, facts, heading, panel, pill, show, table } from "./dom.js";
import { count, dollars, duration, percent } from "./format.js";
import { samples, sum } from "./prometheus.js";

const EVERY = 5_000;
const BREAKER = ["closed", "half open", "open"];

export async function providers(content, signal) {
  const body = el("div", { class: "stack" });
  show(content, heading("Providers", "Configured providers, their requests since the start of the gateway, and open circuit breakers."), body);
  const draw = async () => {
    const [list, metrics, health] = await Promise.all([get("v1/providers"), samples(), detailed()]);
    if (signal.aborted) return;
    const ids = list.provider_names ?? Object.keys(list.providers);
    const busiest = (id) => sum(metrics, "llm_gateway_provider_requests_total", { provider: id });
    const sorted = [...ids].sort((a, b) => busiest(b) - busiest(a) || a.localeCompare(b));
    show(body,
      panel("Prices", catalogue(metrics)),
      el("div", { class: "cards" }, sorted.map((id) => card(id, list, metrics))),
      panel("Circuit breakers", breakers(metrics)),
      panel("Built in, but not configured", unready(list.status ?? {})),
      health && panel("Dependencies", dependencies(health)));
  };
  await draw();
  const timer = setInterval(() => draw().catch(() => {}), EVERY);
  signal.addEventListener("abort", () => clearInterval(timer));
}

/** The age of the prices, as the metrics report it. */
function catalogue(metrics) {
  const at = sum(metrics, "llm_gateway_catalogue_timestamp_seconds", {});
  if (at === 0) return empty("The age of the prices is unknown.");
  const days = Math.max(0, Math.floor((Date.now() / 1_000 - at) / 86_400));
  return facts([
    ["Prices of", new Date(at * 1_000).toISOString().slice(0, 10)],
    ["Age", `${count(days)} days`],
    ["Models", count(sum(metrics, "llm_gateway_catalogue_models", {}))],
  ]);
}

/** How everything is; a gateway that is not well says so, and why. */
async function detailed() {
  try {
    return await get("health/detailed");
  } catch (error) {
    return error.body?.dependencies ? error.body : undefined;
  }
}

function card(id, list, metrics) {
  const of = (name, labels) => sum(metrics, name, { provider: id, ...labels });
  const requests = of("llm_gateway_provider_requests_total");
  const errors = of("llm_gateway_provider_errors_total");
  const mean = (name) => (1_000 * of(`${name}_sum`)) / of(`${name}_count`);
  const models = list.providers[id] ?? [];
  const paused = list.status?.[id]?.healthy === false;
  const state = paused ? ["paused", "bad"] : requests === 0 ? ["idle", ""] : errors / requests > 0.5 ? ["failing", "bad"] : errors > 0 ? ["some failures", "warn"] : ["well", "good"];
  return el("section", { class: "panel" },
    el("div", { class: "panel-head" }, el("h2", {}, id), pill(...state)),
    facts([
      ["Requests", count(requests)],
      ["Failures", requests > 0 ? percent(errors, requests) : "–"],
      ["Time to first token", requests > 0 ? duration(mean("llm_gateway_time_to_first_token_seconds")) : "–"],
      ["Total time", requests > 0 ? duration(mean("llm_gateway_provider_latency_seconds")) : "–"],
      ["Output tokens", count(of("llm_gateway_tokens_total", { type: "completion" }))],
      ["Cost", requests > 0 && of("llm_gateway_request_cost_dollars_count") === 0 ? "unknown" : dollars(of("llm_gateway_request_cost_dollars_sum"))],
    ]),
    el("details", {},
      el("summary", { class: "muted" }, `${models.length} catalogued models`),
      el("ul", { class: "mono" }, models.map((model) => el("li", {}, model)))));
}

/** Providers that lack something, and what. */
function unready(status) {
  const rows = Object.entries(status).filter(([, it]) => !it.configured);
  return table("Providers without configuration", [
    ["Provider", ([id]) => id],
    ["Lacks", ([, it]) => it.reason ?? "", "wide"],
  ], rows, "All providers are configured.");
}

function breakers(metrics) {
  const states = metrics.filter((it) => it.name === "llm_gateway_circuit_breaker_state");
  if (states.length === 0) return empty("No circuit breaker has opened yet.");
  const kind = (value) => ["good", "warn", "bad"][value] ?? "";
  return table("Circuit breakers", [
    ["Of", (it) => el("code", {}, it.labels.circuit_name ?? Object.values(it.labels).join(" "))],
    ["State", (it) => pill(BREAKER[it.value] ?? String(it.value), kind(it.value))],
    ["Openings", (it) => count(sum(metrics, "llm_gateway_circuit_breaker_state_transitions_total", { circuit_name: it.labels.circuit_name, to_state: "open" })), "number"],
  ], states.sort((a, b) => b.value - a.value), "");
}

/** What the gateway needs of others. */
function dependencies(health) {
  const rows = Object.entries(health.dependencies ?? {}).map(([name, it]) => ({ name, ...it }));
  return table("Dependencies", [
    ["Name", (it) => it.name],
    ["Status", (it) => pill(it.status, it.status === "up" ? "good" : it.critical ? "bad" : "warn")],
    ["Needed", (it) => (it.critical ? "always" : "for some requests")],
    ["Latency", (it) => duration(it.latency_ms), "number"],
    ["Told", told, "wide"],
  ], rows, "No dependency is configured.");
}

/** Everything else that is said of a dependency. */
function told({ name, status, critical, latency_ms, ...others }) {
  const write = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  const kept = Object.entries(others).filter(([, value]) => value !== null && write(value) !== "[]");
  return kept.map(([key, value]) => `${key.replaceAll("_", " ")}: ${write(value)}`).join(", ");
}
