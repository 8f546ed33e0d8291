// Stacked bars over time, as a drawing that is also described in words.

import { el, svg } from "./dom.js";
import { compact } from "./format.js";

const WIDTH = 760;
const HEIGHT = 150;
const LEFT = 46;
const BOTTOM = 22;
const TOP = 10;

/**
 * Bars of `columns`: `{ label, values }`, a value for each of `series`: `{ name, style }`.
 * `describe` is what is read instead of the drawing; `write` writes a value.
 */
export function bars({ columns, series, describe, write = compact, labels = 6 }) {
  const sums = columns.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
  const most = ceiling(Math.max(...sums, 0));
  const height = HEIGHT - BOTTOM - TOP;
  const y = (value) => TOP + height - (value / most) * height;
  const step = (WIDTH - LEFT) / Math.max(columns.length, 1);
  const lines = [0, most / 2, most].flatMap((value) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, write(value)),
  ]);
  const drawn = columns.flatMap(({ label, values }, index) => stack(values, series, {
    x: LEFT + index * step + step * 0.1, width: Math.max(step * 0.8, 1), y, label, write,
  }));
  const every = Math.max(1, Math.ceil(columns.length / labels));
  const names = columns.map(({ label }, index) => (index % every === 0
    ? svg("text", { x: LEFT + index * step, y: HEIGHT - 5 }, label) : undefined));
  return el("figure", { class: "chart" },
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": describe }, lines, drawn, names),
    legend(series));
}

function stack(values, series, { x, width, y, label, write }) {
  let below = 0;
  return values.map((value, index) => {
    if (value <= 0) return undefined;
    const [bottom, top] = [y(below), y(below + value)];
    below += value;
    const { name, style } = series[index];
    return svg("rect", { class: `series-${style}`, x, width, y: top, height: Math.max(bottom - top, 1), rx: Math.min(2, width / 3) },
      svg("title", {}, `${label}, ${name}: ${write(value)}`));
  });
}

function legend(series) {
  const sample = ({ name, style }) => el("li", {},
    svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { class: `series-${style}`, width: 10, height: 10, rx: 2 })),
    name);
  return el("ul", { class: "legend chart" }, series.map(sample));
}

/** The next round number above. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 2.5, 4, 5, 10].find((times) => times * power >= value * 0.999_999);
}
