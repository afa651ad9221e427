// Times, in the viewer's zone and by the daemon's clock. `body[data-rate]` says how fast that goes, until "calsyncd:rate"
// says otherwise; while nobody answers it stands still.

import { el } from "./dom.js";

export const DAY_MS = 86400000;
export const FOREVER = Date.parse("9999-01-01T00:00:00Z"); // what ends later has no end

// By 24 hours in every language: so do the daemon's sentences tell times, and they stand beside these.
const MINUTE = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const format = (options) => new Intl.DateTimeFormat(undefined, options);

// What shows an instant by a zone's clock, the viewer's if none is named.
const forms = (timeZone) => ({
  hour: format({ ...MINUTE, timeZone }),
  second: format({ ...MINUTE, second: "2-digit", timeZone }),
  weekday: format({ ...MINUTE, weekday: "short", timeZone }),
  date: format({ ...MINUTE, day: "numeric", month: "short", timeZone }),
});
const mine = forms();
export const { hour, second } = mine;
const whole = format({ dateStyle: "full", timeStyle: "long", hourCycle: "h23" });
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const others = new Map(); // zone → its forms; the viewer's, where this browser does not know the zone

function formsIn(name) {
  if (!others.has(name)) {
    try { others.set(name, forms(name)); } catch { others.set(name, mine); }
  }
  return others.get(name);
}

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

function shown(at, form) {
  if (at >= FOREVER) return "no end";
  if (new Date(at).toDateString() === new Date(now()).toDateString()) return (at % 60000 ? form.second : form.hour).format(at);
  return (Math.abs(at - now()) < 6 * DAY_MS ? form.weekday : form.date).format(at);
}

export const clock = (at) => shown(at, mine);
export const clockIn = (name, at) => shown(at, formsIn(name));
export const secondIn = (name, at) => formsIn(name).second.format(at);

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
