// How late updates were, minute by minute, over the last hour: a light bar up to the worst, a dark one up to the median.

import { many, svg } from "./dom.js";
import { hour, took } from "./times.js";

const MINUTES = 60;
const WIDTH = 300;
const HEIGHT = 46;
const LEAST_MS = 1;
export const GOAL_MS = 2000;
const MARKS = [[10, "10 ms"], [100, "100 ms"], [1000, "1 s"], [10000, "10 s"], [60000, "1 min"], [600000, "10 min"]];

// By the logarithm: 10 ms and 10 s are both worth seeing.
const height = (ms, most) => (Math.log10(Math.max(ms, LEAST_MS) / LEAST_MS) / Math.log10(most / LEAST_MS)) * HEIGHT;

export function inWords(lateness) {
  if (!lateness.count) return "No update was due in the last hour.";
  const worst = lateness.minutes.reduce((one, other) => (other.max_ms > one.max_ms ? other : one));
  return [
    `${many(lateness.count, "update")} in the last hour:`,
    `half of them within ${took(lateness.p50_ms)} of being due, 99 % within ${took(lateness.p99_ms)},`,
    `the latest ${took(lateness.max_ms)} after, at ${hour.format(Date.parse(worst.at))}.`,
  ].join(" ");
}

export function plot(lateness, now) {
  const most = Math.max(GOAL_MS * 1.6, ...lateness.minutes.map((one) => one.max_ms * 1.15));
  const picture = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": inWords(lateness) });
  for (const [ms] of MARKS.filter(([one]) => one < most)) {
    const y = HEIGHT - height(ms, most);
    picture.append(svg("line", { x1: 0, x2: WIDTH, y1: y, y2: y, class: "mark" }));
  }
  const goal = HEIGHT - height(GOAL_MS, most);
  picture.append(svg("line", { x1: 0, x2: WIDTH, y1: goal, y2: goal, class: "goal" }));
  const width = WIDTH / MINUTES;
  for (const one of lateness.minutes) {
    const age = Math.floor(now / 60000) - Math.floor(Date.parse(one.at) / 60000);
    if (age < 0 || age >= MINUTES) continue;
    const box = { x: WIDTH - (age + 1) * width + width * 0.15, width: width * 0.7 };
    const [top, middle] = [Math.max(height(one.max_ms, most), 1.5), Math.max(height(one.p50_ms, most), 1)];
    const says = `${hour.format(Date.parse(one.at))}: ${many(one.count, "update")}, median ${took(one.p50_ms)}, worst ${took(one.max_ms)}`;
    picture.append(svg(
      "g", {}, svg("title", {}, says),
      svg("rect", { ...box, y: HEIGHT - top, height: top, class: one.max_ms > GOAL_MS ? "max late" : "max" }),
      svg("rect", { ...box, y: HEIGHT - middle, height: middle, class: "median" }),
    ));
  }
  return picture;
}
