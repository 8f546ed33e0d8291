// What happens in the gateway, as it happens: kept while the page is open, whatever view is shown.

import { stream } from "./api.js";

/** How many ended requests are kept. */
const MOST_RECENT = 300;
/** How many seconds the charts go back. */
export const SECONDS = 120;

export const live = new Map();
export let recent = [];
export let state = "connecting";

/** `changed` after news, `state` after the connection came or went. */
export const changes = new EventTarget();

/** What ended in each of the last seconds, by the second. */
const buckets = new Map();
const totals = { cost: undefined };

export const sums = () => ({ ...totals });

/** The last seconds, oldest first: `{ second, ok, failed, completion }`. */
export function series() {
  const now = Math.floor(Date.now() / 1_000);
  return Array.from({ length: SECONDS }, (_, index) => {
    const second = now - SECONDS + 1 + index;
    return buckets.get(second) ?? { second, ok: 0, failed: 0, completion: 0 };
  });
}

let abort = new AbortController();

/** Connects, and again whenever the connection is lost; `restart` uses another key. */
export async function start() {
  const mine = abort;
  for (let wait = 500; !mine.signal.aborted; wait = Math.min(wait * 2, 10_000)) {
    try {
      for await (const { event, data } of stream("console/feed", { signal: mine.signal })) {
        tell("on");
        wait = 500;
        take(event, JSON.parse(data));
      }
    } catch (error) {
      if (mine.signal.aborted) return;
      tell(error.status === 401 ? "locked" : "off");
    }
    await new Promise((done) => setTimeout(done, wait));
  }
}

export function restart() {
  abort.abort();
  abort = new AbortController();
  live.clear();
  recent = [];
  tell("connecting");
  start();
}

function tell(next) {
  if (state === next) return;
  state = next;
  changes.dispatchEvent(new Event("state"));
}

function take(event, data) {
  if (event === "snapshot") snapshot(data);
  else if (event === "began") live.set(data.request_id, { ...data, pieces: 0 });
  else if (event === "ended") ended(data);
  else if (event === "progress") data.forEach((step) => live.set(step.request_id, { ...live.get(step.request_id), ...step }));
  changes.dispatchEvent(new Event("changed"));
}

function snapshot(data) {
  live.clear();
  data.live.forEach((row) => live.set(row.request_id, row));
  recent = data.recent;
  buckets.clear();
  recent.forEach((row) => drop(row, row.at + row.duration_ms));
}

function ended(row) {
  live.delete(row.request_id);
  recent = [row, ...recent].slice(0, MOST_RECENT);
  // Unknown is not nothing: the sum begins with the first known cost.
  if (row.cost_usd !== undefined && row.cost_usd !== null) totals.cost = (totals.cost ?? 0) + row.cost_usd;
  drop(row, Date.now());
}

/** Puts what ended into the bucket of its second; those that are too old are emptied. */
function drop(row, at) {
  const failed = row.outcome !== "ok" && row.outcome !== "client_cancelled";
  const second = Math.floor(at / 1_000);
  const bucket = buckets.get(second) ?? { second, ok: 0, failed: 0, completion: 0 };
  bucket[failed ? "failed" : "ok"] += 1;
  bucket.completion += row.completion_tokens ?? 0;
  buckets.set(second, bucket);
  const now = Math.floor(Date.now() / 1_000);
  for (const old of buckets.keys()) if (old < now - SECONDS) buckets.delete(old);
}
