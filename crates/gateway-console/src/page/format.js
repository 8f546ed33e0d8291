// Numbers and times, for eyes.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (number) => (number === undefined || number === null ? "–" : whole.format(number));

export const compact = (number) => (Math.abs(number) < 10_000 ? whole.format(number) : short.format(number));

/** Milliseconds as the largest unit that says something. */
export function duration(ms) {
  if (ms === undefined || ms === null || Number.isNaN(ms)) return "–";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}

/** Dollars; what is small keeps its digits. */
export function dollars(amount) {
  if (amount === undefined || amount === null) return "–";
  if (amount === 0) return "$0";
  if (amount < 0.000_001) return "< $0.000001";
  if (amount < 0.01) return `$${amount.toFixed(6).replace(/0+$/, "")}`;
  return `$${amount.toFixed(amount < 1 ? 4 : 2).replace(/(\.\d\d)0+$/, "$1")}`;
}

export const percent = (part, all) => (all > 0 ? `${((100 * part) / all).toFixed(part > 0 && part < all ? 1 : 0)} %` : "–");

export const clock = (at) => new Date(at).toLocaleTimeString("en-GB");

export const day = (at) => new Date(at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** How long ago, or how long until. */
export function relative(at) {
  const seconds = Math.round((new Date(at) - Date.now()) / 1_000);
  const [unit, size] = [["day", 86_400], ["hour", 3_600], ["minute", 60]].find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.round(seconds / size), unit);
}

/** The middle of some numbers, or another share of them. */
export function quantile(numbers, share) {
  const sorted = numbers.filter((number) => number !== undefined && number !== null).sort((a, b) => a - b);
  return sorted.length > 0 ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] : undefined;
}

/** The words of an outcome, and how good it is. */
export function outcome(name) {
  if (name === "ok") return ["ok", "good"];
  if (name === "client_cancelled") return ["caller left", "warn"];
  return [String(name).replaceAll("_", " "), "bad"];
}

export const json = (value) => JSON.stringify(value, null, 2);
