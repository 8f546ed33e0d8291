// What would become of a request, without sending it.

import { get, optional, post } from "./api.js";
import { DIALECTS, USUAL_MODEL, modelNames } from "./dialects.js";
import { el, empty, failure, field, heading, panel, pill, show, table } from "./dom.js";
import { dollars, json } from "./format.js";

export async function explain(content) {
  const dialect = el("select", { id: "explain-dialect" }, Object.entries(DIALECTS).map(([name, it]) => el("option", { value: name }, it.title)));
  const model = el("input", { id: "explain-model", list: "explain-models", value: USUAL_MODEL, autocomplete: "off", spellcheck: "false" });
  const models = el("datalist", { id: "explain-models" });
  const body = el("textarea", { id: "explain-body", class: "code", rows: "12", spellcheck: "false" });
  const answer = el("div", { class: "stack", "aria-live": "polite" }, panel(undefined, empty("The decisions appear here.")));
  const draft = () => {
    const asked = { model: model.value, system: "", message: "Hello", stream: false };
    body.value = json(DIALECTS[dialect.value].body(asked));
  };
  dialect.addEventListener("change", draft);
  model.addEventListener("change", draft);
  draft();
  const submit = async (event) => {
    event.preventDefault();
    try {
      const path = `/${DIALECTS[dialect.value].path}`;
      const told = await post(`v1/explain?path=${path}`, JSON.parse(body.value));
      show(answer, decisions(told));
    } catch (error) {
      show(answer, failure(error));
    }
  };
  const form = el("form", { class: "form", onsubmit: submit },
    field("API", dialect), field("Model", model), models, field("Body", body), el("p", { class: "actions" }, el("button", { class: "primary", id: "explain" }, "Explain")));
  show(content,
    heading("Explain", "Dry run of a request: route, limits, cost and dropped parameters. No model is called."),
    el("div", { class: "split" }, panel("Request", form), answer));
  show(models, modelNames(await optional(get("v1/models"))).map((name) => el("option", { value: name })));
}

/** A panel for each decision, whatever it holds. */
function decisions(told) {
  const plain = Object.entries(told).filter(([, value]) => typeof value !== "object" || value === null);
  const nested = Object.entries(told).filter(([, value]) => typeof value === "object" && value !== null);
  return [
    plain.length > 0 ? panel("In short", tree(Object.fromEntries(plain))) : undefined,
    Array.isArray(told.targets) ? panel("Targets, in the order of attempts", targets(told.targets)) : undefined,
    ...nested.filter(([name]) => name !== "targets").map(([name, value]) => panel(words(name), tree(value))),
    el("details", { class: "panel" }, el("summary", {}, "As JSON"), el("pre", { class: "block" }, json(told))),
  ];
}

const KINDS = { asked: "good", fallback: "accent", passed_over: "warn", refused: "bad" };

/** Who would be asked, and what speaks against the others. */
function targets(all) {
  const nano = (amount) => dollars(amount === null || amount === undefined ? undefined : amount / 1e9);
  const range = (cost) => (cost ? `${nano(cost.least)} to ${nano(cost.most)}` : "not known");
  return table("Targets", [
    ["Provider", (it) => it.provider],
    ["Model", (it) => it.model],
    ["Verdict", (it) => pill(words(it.verdict ?? "").toLowerCase(), KINDS[it.verdict])],
    ["Reason to skip", (it) => [it.against?.reason, it.error?.message].filter(Boolean).map((text) => words(text)).join(": "), "wide"],
    ["Dropped parameters", (it) => (it.dropped ?? []).join(", ")],
    ["Cost", (it) => range(it.cost_nano_dollars), "number"],
  ], all, "None.");
}

/** Names and values, as deep as they go. */
function tree(value) {
  if (Array.isArray(value)) {
    if (value.length === 0) return el("p", { class: "muted" }, "none");
    if (value.every((it) => typeof it !== "object")) return el("p", { class: "row" }, value.map((it) => pill(String(it))));
    return el("ul", { class: "stack" }, value.map((it) => el("li", {}, tree(it))));
  }
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value).filter(([, it]) => it !== null);
    if (pairs.length === 0) return el("p", { class: "muted" }, "none");
    return el("dl", { class: "facts" }, pairs.flatMap(([name, it]) => [el("dt", {}, words(name)), el("dd", {}, tree(it))]));
  }
  if (value === true) return pill("yes", "good");
  if (value === false) return pill("no");
  return String(value);
}

const words = (name) => name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
