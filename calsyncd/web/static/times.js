// Times, in the viewer's zone and by the daemon's clock. `body[data-rate]` says how fast that goes, until "calsyncd:rate"
// says otherwise; while nobody answers it stands still.

import { el } from "./dom.js";

export const DAY_MS = 86400000;
export const FOREVER = Date.parse("9999-01-01T00:00:00Z"); // what ends later has no end

export const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
export const second = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

let told = { now: Date.now(), at: performance.now(), stands: true };

export const rate = () => Number(document.body.dataset.rate ?? 1);
export const now = () => told.now + (told.stands ? 0 : (performance.now() - told.at) * rate());

export function learn(iso) {
  told = { now: Date.parse(iso), at: performance.now(), stands: false };
}

export function stand() {
  told = { now: now(), at: performance.now(), stands: true };
}

export function goOn(pace) {
  told = { ...told, now: now(), at: performance.now() };
  document.body.dataset.rate = pace;
}

export function clock(at) {
  if (at >= FOREVER) return "no end";
  if (new Date(at).toDateString() === new Date(now()).toDateString()) return (at % 60000 ? second : hour).format(at);
  return Math.abs(at - now()) < 6 * DAY_MS ? weekday.format(at) : date.format(at);
}

export function length(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  return `${Math.round(minutes / 1440)} days`;
}

// What took a while: 12 ms, 1.3 s, 4 min.
export function took(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 10000 ? `${(ms / 1000).toFixed(1)} s` : length(ms);
}

export function relative(at) {
  const ms = at - now();
  if (ms > 0) return `in ${length(ms)}`;
  return ms > -1500 ? "now" : `${length(-ms)} ago`;
}

export const exactly = (at) => whole.format(at);

export function ago(iso) {
  const at = Date.parse(iso);
  return el("time", { datetime: iso, title: exactly(at), "data-at": at }, relative(at));
}

export function at(iso) {
  const when = Date.parse(iso);
  return el("time", { datetime: iso, title: when >= FOREVER ? null : exactly(when) }, clock(when));
}

export function tick(root) {
  for (const time of root.querySelectorAll("time[data-at]")) {
    const text = relative(Number(time.dataset.at));
    if (time.textContent !== text) time.textContent = text;
  }
}
