// Making and finding elements. Text is always set as text: nothing a server says becomes markup.

export const byId = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick`) and children (elements, texts, or nothing). */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

const SVG = "http://www.w3.org/2000/svg";

/** The same, of a drawing. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return element;
}

/** Replaces what is in an element. */
export function show(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== undefined && child !== null));
  return element;
}

/** A label with its field; what is hinted at is read with it. */
export function field(text, input, hint) {
  return el("label", {}, el("span", {}, text), input, hint && el("small", {}, hint));
}

export function panel(title, ...children) {
  return el("section", { class: "panel" }, title && el("h2", {}, title), ...children);
}

/** The head of a view: its title, what it is for, what can be done. */
export function heading(title, about, ...actions) {
  return el("header", {},
    el("div", {}, el("h1", {}, title), el("p", {}, about)),
    actions.length > 0 && el("div", { class: "actions" }, actions) || undefined);
}

export const empty = (text) => el("p", { class: "empty" }, text);

export const pill = (text, kind = "") => el("span", { class: `pill ${kind}` }, text);

/** What went wrong, told where it is looked for. */
export const failure = (error) => el("p", { class: "notice bad", role: "alert" }, String(error.message ?? error));

/** A table: columns are `[title, cell of a row, class]`. */
export function table(caption, columns, rows, none) {
  if (rows.length === 0) return empty(none);
  const head = columns.map(([title, , kind]) => el("th", { scope: "col", class: kind }, title));
  const line = (row) => el("tr", {}, columns.map(([, cell, kind]) => el("td", { class: kind }, cell(row) ?? "")));
  return el("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {},
      el("caption", { class: "hidden-label" }, caption),
      el("thead", {}, el("tr", {}, head)),
      el("tbody", {}, rows.map(line))));
}

/** Names and values. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return el("dl", { class: "facts" }, known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** Asks before something is lost. */
export function confirmed(question, verb) {
  const dialog = byId("confirm-dialog");
  show(byId("confirm-text"), question);
  show(byId("confirm-yes"), verb);
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}
