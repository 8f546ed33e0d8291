// Conversations that the gateway keeps: list, read, copy, forget.

import { get, post, remove } from "./api.js";
import { confirmed, el, empty, facts, failure, heading, panel, show } from "./dom.js";
import { day, json, relative } from "./format.js";

export async function sessions(content, signal) {
  const list = el("ul", { class: "list" });
  const more = el("button", { type: "button", class: "quiet", hidden: true }, "Older");
  const reader = el("div", { "aria-live": "polite" }, panel(undefined, empty("Choose a session to read it.")));
  const told = el("p", { role: "status", class: "hidden-label" });
  const create = el("button", { type: "button", class: "primary" }, "New session");
  show(content,
    heading("Sessions", "Stored conversations of your tenant.", create),
    told,
    el("div", { class: "split" }, panel("Newest first", list, more), reader));

  const desk = { list, more, reader, told, signal };
  desk.reload = async () => {
    show(list);
    await page(desk);
  };
  create.addEventListener("click", () => attempt(desk, async () => {
    const made = await post("v1/sessions", {});
    await desk.reload();
    await read(desk, made.id);
    show(told, "A session was created.");
  }));
  await desk.reload();
}

async function page(desk, after) {
  const query = after ? `?limit=50&after=${encodeURIComponent(after)}` : "?limit=50";
  const found = await get(`v1/sessions${query}`);
  if (desk.signal.aborted) return;
  desk.list.append(...found.data.map((session) => item(desk, session)));
  if (desk.list.children.length === 0) show(desk.list, el("li", {}, empty("None.")));
  desk.more.hidden = !found.has_more;
  desk.more.onclick = () => attempt(desk, () => page(desk, found.next));
}

function item(desk, session) {
  return el("li", {}, el("button", { type: "button", "data-id": session.id, "aria-pressed": "false", onclick: () => attempt(desk, () => read(desk, session.id)) },
    el("span", {}, relative(session.created_at)),
    el("small", { class: "mono" }, `${session.message_count} messages · ${session.id}`)));
}

async function read(desk, id) {
  const session = await get(`v1/sessions/${encodeURIComponent(id)}`);
  for (const button of desk.list.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.id === id));
  }
  const fork = el("button", { type: "button", onclick: () => attempt(desk, async () => {
    const copy = await post(`v1/sessions/${encodeURIComponent(id)}/fork`, {});
    await desk.reload();
    await read(desk, copy.id);
    show(desk.told, "The session was copied.");
  }) }, "Fork");
  const forget = el("button", { type: "button", class: "danger", onclick: () => attempt(desk, async () => {
    if (!(await confirmed("Delete this session and all its messages?", "Delete"))) return;
    await remove(`v1/sessions/${encodeURIComponent(id)}`);
    await desk.reload();
    show(desk.reader, panel(undefined, empty("The session does not exist any more.")));
    show(desk.told, "The session was deleted.");
  }) }, "Delete");
  show(desk.reader, el("section", { class: "panel stack" },
    el("div", { class: "panel-head" }, el("h2", {}, "Session ", el("code", {}, session.id)), el("div", { class: "actions" }, fork, forget)),
    facts([
      ["Created", day(session.created_at)],
      ["Ends", `${day(session.expires_at)}, ${relative(session.expires_at)}`],
      ["Version", session.version],
    ]),
    Object.keys(session.context ?? {}).length > 0 ? el("pre", { class: "block" }, json(session.context)) : undefined,
    el("div", { class: "bubbles" }, session.messages.length > 0 ? session.messages.map(bubble) : empty("No messages yet."))));
}

function bubble(message) {
  const calls = (message.tool_calls ?? []).map((call) => el("pre", {}, `${call.function?.name}(${call.function?.arguments})`));
  return el("div", { class: `bubble ${message.role}` }, el("span", { class: "who" }, message.role), said(message.content), calls);
}

/** The text of a message; of parts that are none, their kind. */
function said(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? part.refusal ?? `[${part.type}]`).join("\n");
}

async function attempt(desk, work) {
  try {
    await work();
  } catch (error) {
    show(desk.reader, failure(error));
  }
}
