// Requests and streams as they happen.

import { bars } from "./chart.js";
import { el, facts, heading, panel, pill, show, table } from "./dom.js";
import * as feed from "./feed.js";
import { clock, compact, count, dollars, duration, outcome, percent, quantile } from "./format.js";

export function live(content, signal) {
  const tiles = el("dl", { class: "tiles" });
  const chart = panel("Responses in the last two minutes");
  const underway = panel();
  const ended = el("div");
  const filter = el("select", {},
    ["all", "failed", "streamed"].map((name) => el("option", { value: name }, name)));
  const details = el("div", { "aria-live": "polite" });
  show(content,
    heading("Live", "Open requests to models, and recent results. Prompts and responses are not shown."),
    el("div", { class: "stack" }, tiles, chart, underway, details,
      panel(undefined,
        el("div", { class: "panel-head" }, el("h2", {}, "Ended"), el("label", { class: "check" }, "Show", filter)),
        ended)));
  const draw = () => {
    show(tiles, summary().map(tile));
    show(chart, el("h2", {}, "Responses in the last two minutes"), history());
    show(underway, el("h2", {}, `Open requests: ${feed.live.size}`), running());
    show(ended, list(filter.value, details));
  };
  let due = false;
  const soon = () => {
    if (due) return;
    due = true;
    setTimeout(() => { due = false; if (!signal.aborted) draw(); }, 250);
  };
  feed.changes.addEventListener("changed", soon, { signal });
  filter.addEventListener("change", draw, { signal });
  draw();
}

function summary() {
  const sums = feed.sums();
  const minute = feed.series().slice(-60);
  const total = (name) => minute.reduce((sum, it) => sum + it[name], 0);
  const first = feed.recent.filter((row) => row.stream).map((row) => row.first_output_ms);
  const ended = feed.recent.length;
  const failed = feed.recent.filter((row) => outcome(row.outcome)[1] === "bad").length;
  return [
    ["Open requests", count(feed.live.size), `${[...feed.live.values()].filter((row) => row.stream).length} streams`],
    ["Responses per minute", count(total("ok") + total("failed")), "over the last minute"],
    ["Tokens per minute", compact(total("completion")), "written by models"],
    ["Time to first token", duration(quantile(first, 0.5)), `95 %: ${duration(quantile(first, 0.95))}`],
    ["Failures", percent(failed, ended), `of the last ${ended}`],
    ["Cost", dollars(sums.cost), "since this page is open"],
  ];
}

function tile([name, value, note]) {
  return el("div", { class: "panel tile" }, el("dt", {}, name), el("dd", {}, value, " ", el("div", { class: "note" }, note)));
}

function history() {
  const columns = feed.series().map(({ second, ok, failed }) => ({ label: clock(second * 1_000), values: [ok, failed] }));
  const all = columns.reduce((sum, { values }) => sum + values[0] + values[1], 0);
  const failed = columns.reduce((sum, { values }) => sum + values[1], 0);
  return bars({
    columns,
    series: [{ name: "answered", style: "1" }, { name: "failed", style: "bad" }],
    describe: `${all} answers in the last two minutes, ${failed} of them failed`,
  });
}

function running() {
  const rows = [...feed.live.values()].filter((row) => row.path).slice(0, 50);
  return table("Open requests", [
    ["Began", (row) => clock(row.at)],
    ["Client", (row) => row.client],
    ["Model", model],
    ["Endpoint", (row) => el("code", {}, row.path)],
    ["", (row) => (row.first_output_ms === undefined || row.first_output_ms === null
      ? pill("waiting", "warn") : pill(row.stream ? "streaming" : "answering", "accent"))],
    ["Pieces", (row) => count(row.pieces), "number"],
    ["Time to first token", (row) => duration(row.first_output_ms), "number"],
    ["Since", (row) => duration(row.elapsed_ms ?? Date.now() - row.at), "number"],
  ], rows, "No open requests.");
}

const model = (row) => el("span", {}, row.model, " ", el("span", { class: "muted" }, row.provider));

function list(which, details) {
  const fits = {
    all: () => true,
    failed: (row) => outcome(row.outcome)[1] === "bad",
    streamed: (row) => row.stream,
  }[which];
  return table("Finished requests, newest first", [
    ["Began", (row) => el("button", { class: "link", type: "button", "aria-label": `Details of ${row.request_id}`, onclick: () => show(details, detail(row, () => show(details))) }, clock(row.at))],
    ["Client", (row) => row.client],
    ["Model", model],
    ["Endpoint", (row) => el("code", {}, row.path)],
    ["Outcome", (row) => pill(...outcome(row.outcome))],
    ["Read", (row) => count(row.prompt_tokens), "number"],
    ["Written", (row) => count(row.completion_tokens), "number"],
    ["Cost", (row) => dollars(row.cost_usd), "number"],
    ["Time to first token", (row) => duration(row.first_output_ms), "number"],
    ["Took", (row) => duration(row.duration_ms), "number"],
  ], feed.recent.filter(fits).slice(0, 100), "No finished requests yet.");
}

function detail(row, close) {
  return el("section", { class: "panel" },
    el("div", { class: "panel-head" },
      el("h2", {}, `Request ${row.request_id}`),
      el("button", { type: "button", class: "quiet", onclick: close }, "Close")),
    facts([
    ["Outcome", pill(...outcome(row.outcome))],
    ["Error", row.error],
    ["Finish", row.finish],
    ["Provider", row.provider],
    ["Model", row.model],
    ["Attempts", row.attempts],
    ["Streamed", row.stream ? "yes" : "no"],
    ["Began", new Date(row.at).toISOString()],
    ["Time to first token", duration(row.first_output_ms)],
    ["Took", duration(row.duration_ms)],
  ]));
}
