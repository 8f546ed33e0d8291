// The frame around the views: which one is shown, the key, the connection.

import { key, wanted } from "./api.js";
import { byId, el, failure, show } from "./dom.js";
import * as feed from "./feed.js";
import { startTheme } from "./theme.js";
import { explain } from "./view-explain.js";
import { live } from "./view-live.js";
import { playground } from "./view-playground.js";
import { providers } from "./view-providers.js";
import { sessions } from "./view-sessions.js";
import { tools } from "./view-tools.js";
import { usage } from "./view-usage.js";

/** A view is a function that fills an element; the signal ends what it does in the background. */
const VIEWS = { live, usage, providers, sessions, tools, playground, explain };

let leaving = new AbortController();

function open() {
  const name = location.hash.slice(1).split("/")[0];
  const chosen = name in VIEWS ? name : "live";
  leaving.abort();
  leaving = new AbortController();
  const content = show(byId("content"));
  const title = chosen[0].toUpperCase() + chosen.slice(1);
  document.title = `${title} · LLM gateway console`;
  for (const link of byId("views").querySelectorAll("a")) {
    if (link.hash === `#${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  Promise.resolve(VIEWS[chosen](content, leaving.signal)).catch((error) => content.append(failure(error)));
}

function startViews() {
  const link = (name) => el("li", {}, el("a", { href: `#${name}` }, name[0].toUpperCase() + name.slice(1)));
  show(byId("views"), Object.keys(VIEWS).map(link));
  addEventListener("hashchange", () => {
    open();
    byId("content").focus();
  });
  open();
}

function startKey() {
  const dialog = byId("key-dialog");
  const ask = () => dialog.open || (dialog.returnValue = "cancel", dialog.showModal());
  byId("key").addEventListener("click", ask);
  wanted.addEventListener("key", ask);
  dialog.addEventListener("close", () => {
    const typed = byId("key-input").value.trim();
    byId("key-input").value = "";
    if (dialog.returnValue !== "use") return;
    key.set(typed);
    feed.restart();
    open();
  });
}

const STATES = {
  connecting: "Connecting",
  on: "Live",
  off: "Not connected",
  locked: "API key required",
};

function startConnection() {
  const told = byId("connection");
  const tell = () => {
    told.dataset.state = feed.state;
    show(told, STATES[feed.state]);
  };
  feed.changes.addEventListener("state", tell);
  tell();
  feed.start();
}

startTheme();
startKey();
startViews();
startConnection();
