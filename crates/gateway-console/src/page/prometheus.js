// Reads Prometheus' text format.

import { optional, text } from "./api.js";

/** All samples: `{ name, labels, value }`; none if metrics are off. */
export async function samples() {
  return parse((await optional(text("metrics"))) ?? "");
}

export function parse(page) {
  return page.split("\n").filter((line) => line && !line.startsWith("#")).map(sample).filter(Boolean);
}

function sample(line) {
  const found = /^([\w:]+)(?:\{(.*)\})? (\S+)/.exec(line);
  if (!found) return undefined;
  const labels = {};
  for (const [, name, value] of (found[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
    labels[name] = value.replace(/\\(.)/g, (_, it) => (it === "n" ? "\n" : it));
  }
  return { name: found[1], labels, value: Number(found[3].replace("Inf", "Infinity")) };
}

/** The sum of a metric over the samples whose labels fit. */
export function sum(all, name, labels = {}) {
  const fits = (it) => it.name === name && Object.entries(labels).every(([key, value]) => it.labels[key] === value);
  return all.filter(fits).reduce((total, it) => total + it.value, 0);
}
