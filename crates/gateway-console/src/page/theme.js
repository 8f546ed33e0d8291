// Light or dark: as the system has it, unless somebody chose.

import { byId } from "./dom.js";

const CHOICE = "gateway-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function apply() {
  const chosen = localStorage.getItem(CHOICE);
  const dark = chosen ? chosen === "dark" : system.matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

/** Applies the choice now and whenever it changes. */
export function startTheme() {
  const select = byId("theme");
  select.value = localStorage.getItem(CHOICE) ?? "system";
  select.addEventListener("change", () => {
    if (select.value === "system") localStorage.removeItem(CHOICE);
    else localStorage.setItem(CHOICE, select.value);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
