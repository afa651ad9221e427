// The agents as they are, and each one's day as a strip. What is shown comes from /api/v1 and goes in as text, never as
// HTML. `body[data-window]` sets how many seconds the strips show at first, `body[data-rate]` how fast the daemon's clock
// goes until "calsyncd:rate" says otherwise; after each drawing the document hears "calsyncd:drawn", and it asks anew when
// it hears "calsyncd:refresh".

import { WORDS, axis, strip } from "./strip.js";

const EVERY_MS = 1000;
const PATIENCE_MS = 6000;
const DAY = 86400;
const ZOOMS = [[DAY, "day"], [8 * 3600, "8 h"], [3600, "1 h"], [600, "10 min"], [180, "3 min"]];
const PAST = 0.4; // the now-line's place in a strip that slides

const STATES = {
  pending: ["pending", "an update is owed and on its way"],
  held: ["held", "calsyncd has made the agent unavailable and will put them back"],
  paused: ["paused", "somebody has told calsyncd to leave the agent alone"],
  suspended: ["suspended", "calsyncd cannot go on without a human"],
  unsynced: ["unsynced", "the calendars have not been read yet: nothing is done"],
  overridden: ["overridden", "the agent chose otherwise; calsyncd stands back until the meeting ends"],
  kept: ["kept", "kept available, since too few others are"],
  left_alone: ["left alone", "the agent was unavailable already; that stays the agent's"],
  idle: ["idle", "nothing is wanted: the agent's own setting stands"],
};
const SHAPES = { unsynced: "hollow", left_alone: "hollow", paused: "square", suspended: "square" };
const ORDER = ["suspended", "unsynced", "pending", "held", "overridden", "kept", "left_alone", "paused", "idle"];
const PUSH = {
  healthy: "Google tells of changes at once",
  unverified: "Google has not yet shown that it can reach this machine; polled meanwhile",
  expired: "Google tells no more; polled until renewed",
  silent: "a poll found what Google had not told; polled meanwhile",
  off: "polled only",
};

const $ = (id) => document.getElementById(id);
const table = document.querySelector("table");
const shown = new Map(); // email → {text, state, body, rows, picture}
const narrow = matchMedia("(width < 66rem)");
let agents = [];
let timelines = new Map();
let filter = "all";
let zoom = Number(document.body.dataset.window) || 8 * 3600;
let answeredAt = null; // by this browser's clock
let told = { now: Date.now(), at: performance.now() }; // the daemon's clock, when it last told
let outage = null;
let outageAt = 0;
let hiddenOutage = null; // the beginning of the one that was closed
let timer = 0;
let drawing = 0;

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Times, in the viewer's zone

const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const second = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

const rate = () => Number(document.body.dataset.rate ?? 1);
const now = () => told.now + (document.body.classList.contains("stale") ? 0 : performance.now() - told.at) * rate();

function clock(at) {
  const days = Math.abs(at - now()) / 86400000;
  if (new Date(at).toDateString() === new Date(now()).toDateString()) return (at % 60000 ? second : hour).format(at);
  return days < 6 ? weekday.format(at) : date.format(at);
}

function length(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  return `${Math.round(minutes / 1440)} days`;
}

function relative(at) {
  const ms = at - now();
  if (ms > 0) return `in ${length(ms)}`;
  return ms > -1500 ? "now" : `${length(-ms)} ago`;
}

function ago(iso) {
  const at = Date.parse(iso);
  return el("time", { datetime: iso, title: whole.format(at), "data-at": at }, relative(at));
}

// One agent

function setting(value) {
  if (!value) return el("span", { class: "nothing" }, "–");
  const status = el("span", { class: "setting", title: value.availability_status }, WORDS[value.availability_status] ?? value.availability_status);
  if (!value.substatus || value.substatus.startsWith("always_")) return status;
  status.append(el("span", { class: "small" }, value.substatus.replaceAll("_", " ")));
  return status;
}

function cell(label, className, ...children) {
  return el("td", { role: "cell", class: className, "data-label": label }, ...children);
}

function until(agent) {
  const iso = agent.paused_until && agent.state === "paused" ? agent.paused_until : agent.until;
  if (!iso) return agent.state === "paused" ? el("span", { class: "until" }, "until resumed") : null;
  const at = Date.parse(iso);
  return el("span", { class: "until" }, el("b", { title: whole.format(at) }, clock(at)), " ", ago(iso));
}

function calendar(one) {
  const trouble = one.trouble ? el("span", { class: "small bad" }, one.trouble.message ?? String(one.trouble)) : null;
  return el(
    "div", { class: "calendar" },
    el("span", { class: "id", title: one.id }, one.id),
    el(
      "span", { class: "small facts" },
      one.synced_at ? el("span", {}, "read ", ago(one.synced_at)) : el("span", { class: "bad" }, "never read"),
      el("span", { class: `push ${one.push}`, title: PUSH[one.push] ?? "" }, `push ${one.push}`),
    ),
    trouble,
  );
}

function mainRow(agent, picture) {
  const [word, meaning] = STATES[agent.state] ?? [agent.state, ""];
  const [name, domain] = agent.email.split(/@(.*)/s);
  const wanted = agent.wanted?.availability_status;
  const differs = wanted !== undefined && wanted !== agent.setting?.availability_status;
  const unsure = agent.hold && agent.hold.confirmed === false;
  const calendars = agent.calendars ?? [];
  return el(
    "tr", { role: "row", class: "main" },
    el(
      "th", { role: "rowheader", scope: "row", class: "agent" },
      el("b", {}, name),
      domain ? el("span", { class: "small" }, `@${domain}`) : null,
      agent.aircall_user === null ? el("span", { class: "small bad" }, "no Aircall user") : null,
    ),
    el(
      "td", { role: "cell", class: "state-cell" },
      el("span", { class: `state t-${agent.state} ${SHAPES[agent.state] ?? ""}`, title: meaning }, word),
      unsure ? el("span", { class: "small" }, "not yet confirmed") : null,
      agent.mode === "observe" ? el("span", { class: "small", title: "calsyncd changes nothing for this agent; it shows what it would do" }, "only observed") : null,
    ),
    cell(
      "In Aircall", agent.state === "pending" ? "differs" : "", setting(agent.setting),
      differs ? el("span", { class: "small" }, `wanted: ${WORDS[wanted] ?? wanted}`) : null,
    ),
    cell("Until, and why", "why", until(agent), el("span", { class: "small" }, agent.reason ?? "")),
    el(
      "td", { role: "cell", class: "day" },
      picture,
      el("div", { class: "calendars" }, ...(calendars.length ? calendars.map(calendar) : [el("span", { class: "nothing" }, "no calendar")])),
    ),
  );
}

function troubleRow({ message, do: todo, owner, since }) {
  return el(
    "tr", { role: "row", class: "trouble" },
    el("td", { role: "cell", colspan: 5 }, el(
      "div", {},
      el("span", { class: "mark", "aria-hidden": "true" }, "!"),
      el(
        "span", {},
        el("b", {}, message),
        todo ? el("span", { class: "do" }, todo) : null,
        el("span", { class: "small" }, owner ? `for ${owner} · since ` : "since ", since ? ago(since) : "now"),
      ),
    )),
  );
}

// A row's parts are exchanged inside a body that stays, so that what others have put into it, and the focus, stay too.
function update(agent) {
  const text = JSON.stringify(agent);
  const entry = shown.get(agent.email) ?? { body: el("tbody", { role: "rowgroup", "data-email": agent.email }), picture: el("div") };
  if (entry.text === text) return entry;
  for (const old of entry.rows ?? []) old.remove();
  const rows = [mainRow(agent, entry.picture), ...(agent.trouble ? [troubleRow(agent.trouble)] : [])];
  entry.body.prepend(...rows);
  entry.body.classList.remove("changed");
  if (entry.state && entry.state !== agent.state) {
    void entry.body.offsetWidth; // begins the animation anew
    entry.body.classList.add("changed");
  }
  Object.assign(entry, { text, rows, state: agent.state });
  shown.set(agent.email, entry);
  return entry;
}

// The strips

function span() {
  const at = now();
  if (zoom === DAY) {
    const midnight = new Date(at).setHours(0, 0, 0, 0);
    return [midnight, new Date(midnight).setHours(24, 0, 0, 0)];
  }
  const length = zoom * 1000;
  return [at - length * PAST, at + length * (1 - PAST)];
}

function drawStrips() {
  clearTimeout(drawing);
  const shownSpan = span();
  const at = now();
  const place = narrow.matches ? table.tBodies[0] : $("scale");
  const width = place ? place.clientWidth : 600;
  const most = Math.max(Math.floor(width / 95), 3);
  $("scale").replaceChildren(axis(shownSpan, at, most, width));
  for (const [email, entry] of shown) {
    const timeline = timelines.get(email);
    if (entry.body.hidden || !timeline) continue;
    entry.picture.replaceChildren(strip(timeline, shownSpan, at, most, width), ...(narrow.matches ? [axis(shownSpan, at, most, width)] : []));
  }
  // Often enough that the strips are seen to move, but no oftener.
  const pace = (shownSpan[1] - shownSpan[0]) / 600 / Math.max(rate(), 1);
  drawing = setTimeout(drawStrips, Math.min(Math.max(pace, 150), 20000));
}

function zooms() {
  $("zoom").replaceChildren(...ZOOMS.map(([seconds, word]) => {
    const choice = el("button", { type: "button", class: "chip", "aria-pressed": String(seconds === zoom) }, word);
    choice.addEventListener("click", () => { zoom = seconds; zooms(); $("zoom").children[ZOOMS.findIndex(([one]) => one === zoom)].focus(); refresh(); });
    return choice;
  }));
}

// All agents

// Who needs somebody comes first; the others stay where they are, whatever their state, so that the eye finds them again.
const matters = (agent) => (agent.trouble ? 0 : agent.state === "suspended" ? 1 : 2);

function passes(agent) {
  const text = $("search").value.trim().toLowerCase();
  if (text && !agent.email.toLowerCase().includes(text)) return false;
  if (filter === "all") return true;
  return filter === "trouble" ? Boolean(agent.trouble) : agent.state === filter;
}

function chips() {
  const counts = new Map([["all", agents.length], ["trouble", agents.filter((agent) => agent.trouble).length]]);
  for (const state of ORDER) counts.set(state, agents.filter((agent) => agent.state === state).length);
  if (!counts.get(filter)) filter = "all";
  const wanted = [...counts].filter(([name, count]) => name === "all" || count);
  const key = JSON.stringify([wanted, filter]);
  if ($("chips").dataset.key === key) return;
  $("chips").dataset.key = key;
  const focused = document.activeElement?.dataset?.filter;
  $("chips").replaceChildren(...wanted.map(([name, count]) => {
    const word = name === "all" ? "everybody" : name === "trouble" ? "in trouble" : STATES[name][0];
    const chip = el(
      "button", { type: "button", class: `chip t-${name}`, "data-filter": name, "aria-pressed": String(name === filter) },
      name === "all" ? null : el("span", { class: "dot", "aria-hidden": "true" }), el("b", {}, String(count)), word,
    );
    chip.addEventListener("click", () => { filter = filter === name ? "all" : name; draw(); });
    return chip;
  }));
  if (focused) document.querySelector(`[data-filter="${focused}"]`)?.focus();
}

function draw() {
  chips();
  const sorted = [...agents].sort((a, b) => matters(a) - matters(b) || a.email.localeCompare(b.email));
  const present = new Set(sorted.map((agent) => agent.email));
  for (const [email, { body }] of shown) {
    if (!present.has(email)) { body.remove(); shown.delete(email); }
  }
  let before = table.tHead;
  let visible = 0;
  for (const agent of sorted) {
    const entry = update(agent);
    if (before.nextElementSibling !== entry.body) before.after(entry.body);
    before = entry.body;
    entry.body.hidden = !passes(agent);
    visible += entry.body.hidden ? 0 : 1;
  }
  $("none-match").hidden = visible > 0;
  table.hidden = visible === 0;
  $("first").hidden = true;
  $("empty").hidden = agents.length > 0;
  $("board").hidden = $("tools").hidden = $("legend").hidden = $("search").hidden = agents.length === 0;
  const troubled = agents.filter((agent) => agent.trouble).length;
  document.title = troubled ? `(${troubled}) calsyncd` : "calsyncd";
  drawStrips();
  document.dispatchEvent(new CustomEvent("calsyncd:drawn"));
}

function say(kind, text) {
  $("link").className = `link ${kind}`;
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
}

function alarm(kind, title, reasons) {
  const box = $("alarm");
  const key = JSON.stringify([kind, title, reasons]);
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.className = `alarm ${kind}`;
  $("alarm-title").textContent = title;
  $("alarm-list").replaceChildren(...reasons.map((reason) => el("li", {}, reason)));
  box.hidden = !title;
}

// The last absence: shown until all are right again, and for an hour after it, unless it is closed.

const WORTH_SECONDS = 5; // a shorter one is a restart, and worth a word only if it concerned somebody
const HOUR_MS = 3600000;
const LISTED = 100;
const OUTAGE_AGAIN_MS = 30000;

function fell(one) {
  const times = one.boundaries.map((iso) => clock(Date.parse(iso)));
  return times.length ? `due at ${times.join(", ")}` : "an update was owed";
}

function after(at, end) {
  const ms = Math.max(0, at - end);
  return `after ${ms < 60000 ? `${(ms / 1000).toFixed(ms < 1000 ? 2 : 1)} s` : length(ms)}`;
}

function became(one, end) {
  if (!one.right_at) return "not right yet";
  return `${one.updated ? "right again" : "found right"} ${after(Date.parse(one.right_at), end)}`;
}

function outageText(report) {
  const open = report.agents.filter((one) => !one.right_at).length;
  const all = report.agents.length + report.unconcerned + report.waiting;
  const many = (count) => `${count} ${count === 1 ? "agent" : "agents"}`;
  const parts = [];
  if (open) parts.push(`${many(open)} not right yet.`);
  if (report.waiting) parts.push(`The calendars of ${many(report.waiting)} are still to be read.`);
  if (!report.over) return parts.join(" ");
  if (!report.agents.length) return "Nobody was concerned.";
  const last = Math.max(...report.agents.map((one) => Date.parse(one.right_at)));
  return `It concerned ${report.agents.length} of ${many(all)}; everybody was right again ${after(last, Date.parse(report.to))}.`;
}

function drawOutage(report) {
  const box = $("outage");
  outage = report;
  const end = report && Date.parse(report.to);
  const worth = report && (report.agents.length > 0 || report.seconds > WORTH_SECONDS);
  const current = worth && (!report.over || now() - end < HOUR_MS) && hiddenOutage !== report.from;
  const key = current ? JSON.stringify(report) : "";
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.hidden = !current;
  if (!current) return;
  box.classList.toggle("open", !report.over);
  const was = report.cause === "slept" ? "The machine slept" : "calsyncd was away";
  $("outage-title").textContent = `${was} from ${clock(Date.parse(report.from))} to ${clock(end)} (${length(report.seconds * 1000)}).`;
  $("outage-text").textContent = outageText(report);
  $("outage-more").hidden = !report.agents.length;
  $("outage-more").querySelector("summary").textContent = "Who, and when each was right again";
  const listed = [...report.agents].sort((a, b) => Boolean(a.right_at) - Boolean(b.right_at)).slice(0, LISTED);
  const rest = report.agents.length - listed.length;
  $("outage-list").replaceChildren(
    ...listed.map((one) => el("li", { class: one.right_at ? "" : "open" }, el("b", {}, one.email), el("span", {}, fell(one)), el("span", {}, became(one, end)))),
    ...(rest ? [el("li", {}, `and ${rest} more`)] : []),
  );
}

// A report that is over changes no more, but another one may take its place.
function askOutage() {
  if (outage?.over && performance.now() - outageAt < OUTAGE_AGAIN_MS) return { outage };
  outageAt = performance.now();
  return answered("/api/v1/outage");
}

function hideOutage() {
  hiddenOutage = outage?.from;
  try { sessionStorage.setItem("calsyncd.outage", hiddenOutage); } catch { /* it is hidden until the next loading */ }
  drawOutage(outage);
  $("search").focus();
}

function ask(path) {
  return fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
}

async function answered(path) {
  const response = await ask(path);
  if (!response.ok) throw new Error(`it answered ${response.status}`);
  return response.json();
}

// The strips of a while more than is shown, so that they can slide until the next answer.
function timelinesPath() {
  const [low, high] = span();
  const more = (high - low) / 4;
  return `/api/v1/timelines?from=${new Date(low - more).toISOString()}&to=${new Date(high + more).toISOString()}`;
}

async function refresh() {
  clearTimeout(timer);
  const began = performance.now();
  try {
    // The agents are told from memory, the strips from the database: while that fails, the others are worth showing.
    const days = answered(timelinesPath()).catch(() => null);
    const [listed, raised, ready, absence] = await Promise.all([
      answered("/api/v1/agents"), answered("/api/v1/alarms"), ask("/readyz"), askOutage(),
    ]);
    agents = listed.agents;
    const strips = await days;
    document.body.classList.toggle("old-strips", !strips);
    if (strips) {
      timelines = new Map(strips.timelines.map((one) => [one.email, one]));
      told = { now: Date.parse(strips.now), at: performance.now() };
    }
    answeredAt = Date.now();
    document.body.classList.remove("stale");
    say("live", "live");
    draw();
    drawOutage(absence.outage);
    const { ready: well, reasons } = await ready.json();
    // Those of single agents stand at the agent.
    const everybodys = raised.alarms.filter((one) => one.who === "company");
    const all = [...everybodys.map((one) => `${one.message}. To do (${one.owner}): ${one.do}.`), ...(well ? [] : reasons)];
    alarm("", all.length ? "Not all is as it should be" : "", all);
  } catch (error) {
    lost(error);
  }
  clearTimeout(timer);
  // A big company's answer takes its time: the daemon is not to be kept busy by those who watch it.
  if (!document.hidden) timer = setTimeout(refresh, Math.max(EVERY_MS, (performance.now() - began) * 10));
}

function lost(error) {
  const known = /^it answered/.test(error.message) ? ` (${error.message})` : "";
  document.body.classList.add("stale");
  outageAt = -OUTAGE_AGAIN_MS;
  say("lost", "not reachable");
  $("first").hidden = true;
  const seen = answeredAt ? ` What you see is from ${second.format(answeredAt)}.` : "";
  alarm("lost", `calsyncd does not answer${known}.${seen}`, ["This page keeps asking and goes on by itself as soon as it is back."]);
}

function tick() {
  for (const time of document.querySelectorAll("time[data-at]")) {
    const text = relative(Number(time.dataset.at));
    if (time.textContent !== text) time.textContent = text;
  }
}

$("search").addEventListener("input", draw);
$("outage-close").addEventListener("click", hideOutage);
$("outage").addEventListener("keydown", (event) => { if (event.key === "Escape") hideOutage(); });
try { hiddenOutage = sessionStorage.getItem("calsyncd.outage"); } catch { /* nothing was closed */ }
$("show-all").addEventListener("click", () => { filter = "all"; $("search").value = ""; draw(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
document.addEventListener("calsyncd:refresh", refresh);
document.addEventListener("calsyncd:rate", (event) => {
  told = { now: now(), at: performance.now() };
  document.body.dataset.rate = event.detail;
});
narrow.addEventListener("change", drawStrips);
zooms();
$("zone").textContent = `Times are those of ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`;
setInterval(tick, 1000);
refresh();
