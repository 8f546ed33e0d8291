// Asking the gateway, with the key of whoever looks.

import { events } from "./sse.js";

/** Where the gateway is, also behind a proxy that put it below a path. */
const BASE = new URL("../", import.meta.url);
const KEY = "gateway-key";

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** Told when the gateway wants a key. */
export const wanted = new EventTarget();

/** A reply that says no. */
export class Refused extends Error {
  constructor(status, body) {
    const told = body?.error?.message ?? (typeof body?.detail === "string" ? body.detail : undefined);
    super(told ? `${told} (${status})` : `the gateway answered ${status}`);
    this.status = status;
    this.body = body;
  }
}

/** Sends a request; fails unless it succeeds. */
export async function send(path, { method = "GET", body, headers = {}, signal } = {}) {
  const all = { ...headers };
  if (key.get()) all.authorization = `Bearer ${key.get()}`;
  if (body !== undefined) all["content-type"] = "application/json";
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const reply = await fetch(new URL(path, BASE), { method, headers: all, body: text, signal, cache: "no-store" });
  if (reply.ok) return reply;
  if (reply.status === 401) wanted.dispatchEvent(new Event("key"));
  throw new Refused(reply.status, await reply.json().catch(() => undefined));
}

export const get = async (path, options) => (await send(path, options)).json();

export const text = async (path) => (await send(path)).text();

export const post = async (path, body, options) => (await send(path, { ...options, method: "POST", body })).json();

export const remove = (path) => send(path, { method: "DELETE" });

/** The events of `path`, as they come. */
export async function* stream(path, options) {
  yield* events(await send(path, options));
}

/** The value of a promise, or nothing if the gateway does not serve that. */
export async function optional(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof Refused && [403, 404, 405, 501].includes(error.status)) return undefined;
    throw error;
  }
}
