// Tools that the gateway runs, and a form to try each.

import { get, optional, post } from "./api.js";
import { el, empty, failure, heading, panel, pill, show } from "./dom.js";
import { duration, json } from "./format.js";
import { schemaForm } from "./schema-form.js";

export async function tools(content) {
  show(content, heading("Tools", "Tools that the gateway runs. Running one here calls the real service."));
  const found = await optional(get("v1/tools"));
  const all = Array.isArray(found) ? found : (found?.tools ?? []);
  if (all.length === 0) {
    content.append(panel(undefined, empty("This gateway offers no tools.")));
    return;
  }
  const desk = el("div");
  const list = el("ul", { class: "list" });
  const choose = (tool) => {
    for (const button of list.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.name === tool.name));
    }
    show(desk, trial(tool));
  };
  const item = (tool) => el("li", {}, el("button", { type: "button", "data-name": tool.name, "aria-pressed": "false", onclick: () => choose(tool) },
    el("span", {}, tool.name), el("small", {}, tool.description ?? "")));
  show(list, all.map(item));
  content.append(el("div", { class: "split" }, panel(`${all.length} tools`, list), desk));
  choose(all[0]);
}

function trial(tool) {
  const schema = tool.parameters ?? tool.inputSchema ?? {};
  const form = schemaForm(schema);
  const result = el("div", { "aria-live": "polite" });
  const run = el("button", { class: "primary" }, "Run");
  const submit = async (event) => {
    event.preventDefault();
    run.disabled = true;
    const began = performance.now();
    try {
      const told = await post("v1/tools/execute", { name: tool.name, arguments: form.read() });
      show(result, answer(told, performance.now() - began));
    } catch (error) {
      show(result, failure(error));
    } finally {
      run.disabled = false;
    }
  };
  return el("div", { class: "stack" },
    el("section", { class: "panel stack" },
      el("h2", {}, tool.name),
      el("p", { class: "muted" }, tool.description ?? ""),
      el("form", { class: "form", onsubmit: submit },
        form.nodes.length > 0 ? form.nodes : el("p", { class: "hint" }, "No arguments."),
        el("p", { class: "actions" }, run)),
      result),
    el("details", { class: "panel" }, el("summary", {}, "Schema"), el("pre", { class: "block" }, json(schema))));
}

function answer(told, took) {
  return el("div", { class: "stack" },
    el("p", {}, told.success ? pill("succeeded", "good") : pill(told.error_code ?? "failed", "bad"), " ", el("span", { class: "muted" }, duration(took))),
    told.error ? el("p", { class: "notice bad" }, told.error) : undefined,
    told.result === undefined || told.result === null ? undefined : el("pre", { class: "block" }, json(told.result)));
}
