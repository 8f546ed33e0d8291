// Reads the OpenAPI document, and writes it for eyes.

import { byId, el, failure, panel, show, table } from "./dom.js";
import { startTheme } from "./theme.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
/** Schemas refer to one another; beyond this depth they are only named. */
const DEPTH = 5;

const document_ = await load();

async function load() {
  startTheme();
  const reply = await fetch(new URL("../openapi.json", import.meta.url));
  if (!reply.ok) throw show(byId("content"), failure(`openapi.json: ${reply.status}`));
  return reply.json();
}

const follow = (it) => (it?.$ref ? { name: it.$ref.split("/").pop(), ...at(it.$ref) } : it);

const at = (reference) => reference.slice(2).split("/").reduce((node, step) => node?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], document_);

function operations() {
  return Object.entries(document_.paths).flatMap(([path, item]) => METHODS
    .filter((method) => item[method])
    .map((method) => ({ path, method, id: `${method}-${path.replace(/\W+/g, "-")}`, shared: item.parameters ?? [], ...item[method] })));
}

const badge = (method) => el("span", { class: `method ${method}` }, method.toUpperCase());

function draw() {
  const needle = byId("filter").value.toLowerCase();
  const shown = operations().filter((it) => `${it.method} ${it.path} ${it.summary ?? ""}`.toLowerCase().includes(needle));
  show(byId("contents"), el("ul", {}, shown.map((it) => el("li", {}, el("a", { href: `#${it.id}` }, badge(it.method), it.path)))));
  const { title, version, description } = document_.info;
  show(byId("content"),
    el("div", { class: "intro" }, el("h1", {}, `${title} ${version}`), paragraphs(description)),
    shown.length > 0 ? shown.map(operation) : panel(undefined, el("p", { class: "empty" }, "No matching endpoint.")));
}

const paragraphs = (text) => (text ?? "").split(/\n\n+/).filter(Boolean).map((it) => el("p", {}, rich(it)));

/** What stands between backquotes is code. */
const rich = (text) => text.split("`").map((it, index) => (index % 2 ? el("code", {}, it) : it));

function operation(it) {
  const parameters = [...it.shared, ...(it.parameters ?? [])].map(follow);
  return el("section", { class: "panel operation", id: it.id },
    el("h2", {}, badge(it.method), it.path),
    it.summary ? el("p", {}, it.summary) : undefined,
    paragraphs(it.description),
    parameters.length > 0 ? table(`Parameters of ${it.path}`, [
      ["Parameter", (one) => el("code", {}, one.name)],
      ["In", (one) => one.in],
      ["Type", (one) => typeOf(follow(one.schema))],
      ["Meaning", (one) => rich(`${one.required ? "Required. " : ""}${one.description ?? ""}`), "wide"],
    ], parameters, "") : undefined,
    it.requestBody ? el("details", {}, el("summary", {}, "Request body"), body(follow(it.requestBody))) : undefined,
    el("details", {}, el("summary", {}, `Responses: ${Object.keys(it.responses).join(", ")}`),
      Object.entries(it.responses).map(([status, reply]) => answer(status, follow(reply)))));
}

function answer(status, reply) {
  return el("div", { class: "schema" }, el("h3", {}, status, " ", el("span", { class: "muted" }, reply.description ?? "")), body(reply));
}

const body = (it) => el("div", {}, Object.entries(it.content ?? {}).map(([kind, { schema }]) =>
  el("div", { class: "schema" }, el("p", {}, el("code", {}, kind)), schema ? members(follow(schema), 0) : undefined)));

function typeOf(schema) {
  if (!schema) return "anything";
  if (schema.enum) return schema.enum.map((it) => JSON.stringify(it)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const choice = schema.oneOf ?? schema.anyOf;
  if (choice) return choice.map((it) => it.$ref?.split("/").pop() ?? typeOf(it)).join(" or ");
  if (schema.type === "array") return `list of ${schema.items?.$ref?.split("/").pop() ?? typeOf(schema.items)}`;
  return [schema.type ?? schema.name ?? "anything"].flat().join(" or ");
}

function members(schema, depth) {
  const parts = (schema.allOf ?? [schema]).map(follow);
  const all = parts.flatMap((part) => Object.entries(part.properties ?? {}));
  const needed = new Set(parts.flatMap((part) => part.required ?? []));
  if (all.length === 0) return el("p", {}, typeOf(schema), schema.description ? `: ${schema.description}` : "");
  return el("ul", {}, all.map(([name, it]) => {
    const inner = follow(it.type === "array" && it.items ? it.items : it);
    const deeper = depth < DEPTH && (follow(inner)?.properties ?? inner?.allOf);
    return el("li", {}, el("code", {}, name), " ", el("span", { class: "type" }, typeOf(follow(it))), " ",
      needed.has(name) ? el("span", { class: "needed" }, "required") : undefined,
      it.description ? el("p", {}, rich(it.description)) : undefined,
      deeper ? members(inner, depth + 1) : undefined);
  }));
}

byId("filter").addEventListener("input", draw);
draw();
