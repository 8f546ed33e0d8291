// A form for the arguments of a tool, from their JSON Schema.

import { el, field } from "./dom.js";
import { json } from "./format.js";

/** Fields for the members of an object schema, and what reads them: only what was filled in. */
export function schemaForm(schema) {
  const members = Object.entries(schema?.properties ?? {});
  const required = new Set(schema?.required ?? []);
  const parts = members.map(([name, it]) => ({ name, ...input(resolved(it, schema), required.has(name)) }));
  const labels = parts.map(({ name, node, hint }) => field(required.has(name) ? `${name} (required)` : name, node, hint));
  return {
    nodes: labels,
    read() {
      const told = {};
      for (const { name, value } of parts) {
        const given = value();
        if (given !== undefined) told[name] = given;
      }
      return told;
    },
  };
}

/** What a reference or a choice with `null` stands for. */
function resolved(it, root) {
  const reference = it.$ref?.replace(/^#\//, "").split("/").reduce((at, step) => at?.[step], root);
  const choice = (it.anyOf ?? it.oneOf)?.find((one) => one.type !== "null");
  const found = reference ?? (choice ? resolved(choice, root) : undefined);
  return found ? { ...found, description: it.description ?? found.description } : it;
}

const kind = (it) => (Array.isArray(it.type) ? it.type.find((one) => one !== "null") : it.type);

function input(it, required) {
  const hint = [it.description, range(it)].filter(Boolean).join(" ");
  const usual = it.default === undefined || it.default === null ? "" : String(it.default);
  if (it.enum) {
    const node = el("select", { required }, required ? [] : el("option", { value: "" }, "unset"), it.enum.map((one) => el("option", { value: String(one) }, String(one))));
    return { node, hint, value: () => it.enum.find((one) => String(one) === node.value) };
  }
  if (kind(it) === "boolean") {
    const node = el("select", {}, ["", "true", "false"].map((one) => el("option", { value: one }, one || "unset")));
    return { node, hint, value: () => (node.value ? node.value === "true" : undefined) };
  }
  if (kind(it) === "integer" || kind(it) === "number") {
    const node = el("input", { type: "number", required, step: kind(it) === "integer" ? "1" : "any", min: it.minimum, max: it.maximum, placeholder: usual });
    return { node, hint, value: () => (node.value === "" ? undefined : Number(node.value)) };
  }
  if (kind(it) === "string") {
    const node = el("textarea", { rows: "1", required, placeholder: usual });
    return { node, hint, value: () => node.value || undefined };
  }
  const node = el("textarea", { class: "code", rows: "2", required, placeholder: it.default ? json(it.default) : kind(it) === "array" ? "[]" : "{}", spellcheck: "false" });
  return { node, hint: `${hint} As JSON.`.trim(), value: () => (node.value.trim() ? JSON.parse(node.value) : undefined) };
}

function range({ minimum, maximum }) {
  if (minimum !== undefined && maximum !== undefined) return `From ${minimum} to ${maximum}.`;
  if (minimum !== undefined) return `At least ${minimum}.`;
  if (maximum !== undefined) return `At most ${maximum}.`;
  return undefined;
}
