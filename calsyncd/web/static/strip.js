// One agent's strip: what the calendar holds, what is wanted for it, and what was really set, over a window of time.

import { svg } from "./dom.js";
import { hour as minute, second } from "./times.js";
import { status as setting } from "./words.js";

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].map((s) => s * 1000);
const LANES = { event: [1, 12], wanted: [15, 5], set: [23, 17] };
const FOOT = { event: 3, set: 4 }; // a word's foot, below the middle
export const HEIGHT = 41;

const percent = (at, [low, high]) => ((Math.min(Math.max(at, low), high) - low) / (high - low)) * 100;
const exact = (at) => second.format(at);

function bar(one, span, lane, name, says, word, most = 0) {
  const from = percent(Date.parse(one.start), span);
  const width = percent(Date.parse(one.end), span) - from;
  if (width <= 0) return [];
  const [y, height] = LANES[lane];
  const box = { x: `${from}%`, width: `${Math.max(width, 0.15)}%`, y, height };
  const found = [svg("rect", { ...box, rx: 2.5, class: `${lane} ${name}` }, svg("title", {}, says))];
  if (word && (width / 100) * most > word.length * 6.6 + 8) found.push(svg("text", { x: `${from}%`, dx: 5, y: y + height / 2 + FOOT[lane], class: `word ${name}` }, word));
  return found;
}

function step([low, high], most) {
  return STEPS.find((one) => (high - low) / one <= most) ?? 86400000;
}

function ticks(span, most) {
  const size = step(span, most);
  const zone = new Date(span[0]).getTimezoneOffset() * 60000;
  const found = [];
  for (let at = Math.ceil((span[0] - zone) / size) * size + zone; at <= span[1]; at += size) found.push(at);
  return found;
}

function settings(one) {
  if (one.availability_status === null) return "unknown";
  if (one.availability_status === "unavailable") return { calsyncd: "ours", aircall: "own" }[one.actor] ?? "someones";
  return one.availability_status === "custom" ? "auto" : "open";
}

export function axis(span, now, most, width) {
  const format = step(span, most) < 60000 ? second : minute;
  const picture = svg("svg", { class: "axis", height: 16, width: "100%", "aria-hidden": "true" });
  const here = percent(now, span);
  for (const at of ticks(span, most)) {
    const x = percent(at, span);
    if (x > 3 && x < 97 && (Math.abs(x - here) / 100) * width > 78) picture.append(svg("text", { x: `${x}%`, y: 12 }, format.format(at)));
  }
  picture.append(svg("text", { x: `${here}%`, y: 12, class: "now" }, second.format(now)));
  return picture;
}

export function words(timeline, now) {
  const running = timeline.spans.find((one) => Date.parse(one.start) <= now && now < Date.parse(one.end));
  const next = timeline.spans.find((one) => Date.parse(one.start) > now);
  const last = timeline.set.at(-1);
  const counted = timeline.events.filter((one) => !one.why_not).length;
  return [
    `${counted} of ${timeline.events.length} events count.`,
    running ? `Wanted unavailable until ${exact(Date.parse(running.end))}.` : "Nothing wanted now.",
    next ? `Next from ${exact(Date.parse(next.start))} to ${exact(Date.parse(next.end))}.` : "",
    last ? `Aircall has ${setting(last.availability_status)}.` : "",
  ].join(" ");
}

export function strip(timeline, span, now, most, width) {
  const picture = svg("svg", { class: "strip", height: HEIGHT, width: "100%", role: "img", "aria-label": words(timeline, now) });
  for (const at of ticks(span, most)) {
    const x = `${percent(at, span)}%`;
    picture.append(svg("line", { x1: x, x2: x, y1: 0, y2: HEIGHT, class: "tick" }));
  }
  const [counted, others] = [timeline.events.filter((one) => !one.why_not), timeline.events.filter((one) => one.why_not)];
  const meets = (one) => counted.some((other) => other.start < one.end && one.start < other.end);
  for (const one of [...others, ...counted]) {
    const says = `${exact(Date.parse(one.start))} to ${exact(Date.parse(one.end))}: ${one.why_not ? `does not count, ${one.why_not}` : "counts"}`;
    picture.append(...bar(one, span, "event", one.why_not ? "out" : "in", says, meets(one) ? "" : one.why_not, width));
  }
  for (const one of timeline.spans) {
    picture.append(...bar(one, span, "wanted", "in", `wanted ${one.wanted.availability_status} until ${exact(Date.parse(one.end))}`));
  }
  for (const one of timeline.set) {
    const end = one === timeline.set.at(-1) ? new Date(Math.max(now, Date.parse(one.start))).toISOString() : one.end;
    const word = setting(one.availability_status);
    const who = one.actor === "calsyncd" ? ", set by calsyncd" : one.actor ? ", set in Aircall" : "";
    const says = `${word} since ${exact(Date.parse(one.start))}${who}`;
    picture.append(...bar({ start: one.start, end }, span, "set", settings(one), says, word, width));
  }
  const here = `${percent(now, span)}%`;
  picture.append(svg("line", { x1: here, x2: here, y1: 0, y2: HEIGHT, class: "now" }));
  return picture;
}
