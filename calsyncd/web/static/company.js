// What the page knows: the agents, their timelines, and the window of time that the strips show.

import { DAY_MS, now } from "./times.js";

const ZOOM_DAY = 86400;
export const ZOOMS = [[ZOOM_DAY, "day"], [8 * 3600, "8 h"], [3600, "1 h"], [600, "10 min"], [180, "3 min"]];
const PAST = 0.4; // the now-line's place in a strip that slides
const MORE = 0.25; // of a window is loaded on either side of it, so that it can slide

export const company = {
  agents: new Map(), // email → the agent as the API has it
  timelines: new Map(), // email → its timeline
  overview: null,
  zoom: Number(document.body.dataset.window) || 8 * 3600, // seconds that the strips show
  loaded: null, // from when to when the timelines reach
};

// From when to when the strips show.
export function span() {
  const at = now();
  if (company.zoom === ZOOM_DAY) {
    const midnight = new Date(at).setHours(0, 0, 0, 0);
    return [midnight, new Date(midnight).setHours(24, 0, 0, 0)];
  }
  const length = company.zoom * 1000;
  return [at - length * PAST, at + length * (1 - PAST)];
}

export function windowToLoad() {
  const [low, high] = span();
  const more = high - low < DAY_MS * 0.9 ? (high - low) * MORE : 0;
  return [low - more, high + more];
}

export const query = ([low, high]) => `from=${new Date(low).toISOString()}&to=${new Date(high).toISOString()}`;

export function isLoaded() {
  const [low, high] = span();
  return company.loaded !== null && company.loaded[0] <= low && high <= company.loaded[1];
}
