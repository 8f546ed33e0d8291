// Asking a model, and seeing every event that comes.

import { get, key, optional, send } from "./api.js";
import { DIALECTS, USUAL_MODEL, modelNames } from "./dialects.js";
import { el, empty, facts, failure, field, heading, panel, pill, show } from "./dom.js";
import { count, duration, json } from "./format.js";
import { events } from "./sse.js";

/** More are counted, but not shown. */
const MOST_EVENTS = 2_000;
/** Headers of a reply that say something of the gateway. */
const TOLD = /^x-(gateway|request|cache|ratelimit|upstream)/;

export async function playground(content, signal) {
  const inputs = {
    dialect: el("select", { id: "dialect" }, Object.entries(DIALECTS).map(([name, it]) => el("option", { value: name }, it.title))),
    model: el("input", { id: "model", list: "models", required: true, value: USUAL_MODEL, autocomplete: "off", spellcheck: "false" }),
    system: el("textarea", { id: "system", rows: "1", placeholder: "none" }),
    message: el("textarea", { id: "message", rows: "4", required: true, value: "Say hello." }),
    stream: el("input", { id: "stream", type: "checkbox", checked: true }),
    besides: el("textarea", { id: "besides", class: "code", rows: "2", placeholder: "{ \"temperature\": 0 }", spellcheck: "false" }),
  };
  const models = el("datalist", { id: "models" });
  const ask = el("button", { class: "primary", id: "ask" }, "Send");
  const stop = el("button", { type: "button", id: "stop", disabled: true }, "Stop");
  const out = { answer: el("div", { class: "answer", id: "answer", "aria-live": "polite", "aria-busy": "false" }, empty("The response appears here.")), told: el("div"), events: el("div", { class: "events", id: "events", tabindex: "0", role: "log", "aria-label": "Events" }), curl: el("pre", { class: "block" }) };
  const form = el("form", { class: "form" },
    field("API", inputs.dialect), field("Model", inputs.model), models, field("Instructions", inputs.system),
    field("Message", inputs.message), field("Other members", inputs.besides, "An object, added to the body."),
    el("label", { class: "check" }, inputs.stream, "Stream the response"), el("p", { class: "actions" }, stop, ask));
  show(content,
    heading("Playground", "Send a request through one of the three APIs, and see the response event by event."),
    el("div", { class: "split" },
      panel("Request", form),
      el("div", { class: "stack" },
        panel("Answer", out.answer, out.told),
        panel("Raw events", out.events),
        el("details", { class: "panel" }, el("summary", {}, "As a curl command"), out.curl))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const abort = new AbortController();
    signal.addEventListener("abort", () => abort.abort());
    stop.onclick = () => abort.abort();
    [ask.disabled, stop.disabled] = [true, false];
    await put(inputs, out, abort.signal);
    [ask.disabled, stop.disabled] = [false, true];
  });
  show(models, modelNames(await optional(get("v1/models"))).map((name) => el("option", { value: name })));
}

async function put(inputs, out, signal) {
  const dialect = DIALECTS[inputs.dialect.value];
  const seen = { began: performance.now(), first: undefined, number: 0, usage: undefined };
  show(out.answer);
  show(out.told);
  show(out.events);
  out.answer.setAttribute("aria-busy", "true");
  try {
    const besides = inputs.besides.value.trim() ? JSON.parse(inputs.besides.value) : {};
    const asked = { model: inputs.model.value, system: inputs.system.value, message: inputs.message.value, stream: inputs.stream.checked };
    const body = { ...dialect.body(asked), ...besides };
    show(out.curl, curl(dialect.path, body));
    const reply = await send(dialect.path, { method: "POST", body, signal });
    seen.headers = [...reply.headers].filter(([name]) => TOLD.test(name));
    if (reply.headers.get("content-type")?.startsWith("text/event-stream")) await streamed(reply, dialect, out, seen);
    else whole(await reply.json(), dialect, out, seen);
    show(out.told, summary(seen, pill("complete", "good")));
  } catch (error) {
    if (error.body) out.events.append(entry(seen, "error", error.body, ""));
    if (signal.aborted) show(out.told, summary(seen, pill("stopped", "warn")));
    else show(out.told, failure(error));
  }
  out.answer.setAttribute("aria-busy", "false");
}

async function streamed(reply, dialect, out, seen) {
  for await (const { event, data } of events(reply)) {
    if (data === "[DONE]") {
      out.events.append(entry(seen, "[DONE]"));
      continue;
    }
    const told = JSON.parse(data);
    const { text, thinking, gist } = dialect.piece(told);
    seen.usage = dialect.usage(told) ?? seen.usage;
    if (text || thinking) seen.first ??= performance.now();
    if (thinking) out.answer.append(el("span", { class: "thinking" }, thinking));
    if (text) out.answer.append(text);
    if (seen.number < MOST_EVENTS) out.events.append(entry(seen, event || told.object || "event", told, gist));
    if (told.error ?? (told.type === "error")) throw new Error(told.error?.message ?? told.message ?? "the answer failed");
  }
}

function whole(body, dialect, out, seen) {
  const { text, thinking } = dialect.whole(body);
  seen.usage = dialect.usage(body);
  show(out.answer, thinking && el("span", { class: "thinking" }, thinking), text ?? "");
  out.events.append(entry(seen, "reply", body, ""));
}

/** One event: when it came, what it is called, what it holds. */
function entry(seen, name, content, gist = "") {
  seen.number += 1;
  const when = `+${Math.round(performance.now() - seen.began)} ms`;
  const line = el("summary", {}, el("span", { class: "when" }, when), el("span", {}, name), el("span", { class: "gist" }, String(gist ?? "")));
  return el("details", {}, line, content === undefined ? undefined : el("pre", {}, json(content)));
}

function summary(seen, state) {
  const took = performance.now() - seen.began;
  return el("div", { class: "stack" }, el("p", {}, state), facts([
    ["Time to first token", seen.first ? duration(seen.first - seen.began) : undefined],
    ["Took", duration(took)],
    ["Events", count(seen.number)],
    ["Input tokens", seen.usage && count(seen.usage[0])],
    ["Output tokens", seen.usage && count(seen.usage[1])],
    ...(seen.headers ?? []),
  ]));
}

function curl(path, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const auth = key.get() ? " \\\n  -H \"authorization: Bearer $LLM_GATEWAY_KEY\"" : "";
  return `curl -N ${new URL(`../${path}`, import.meta.url)} \\\n  -H 'content-type: application/json'${auth} \\\n  -d '${quoted}'`;
}
