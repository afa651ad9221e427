// The table of the agents. Rows are written in slices, those in sight first, and strips only where they can be seen: so a
// thousand agents cost little more than those on the screen. After each drawing the document hears "calsyncd:drawn".

import { company, span } from "./company.js";
import { $, el, many, redrawn } from "./dom.js";
import { axis, strip } from "./strip.js";
import { FOREVER, ago, clock, clockIn, exactly, now, rate, secondIn, tick } from "./times.js";
import { ORDER, PUSH, PUSH_WORST, stateClass, stateMeaning, stateWord, status } from "./words.js";

const SLICE_MS = 8;
const NEAR = "700px 0px"; // rows so near to the screen count as seen
const TICK_WIDTH = 95;

const table = document.querySelector("table");
export const narrow = matchMedia("(width < 66rem)");
const rows = new Map(); // email → {body, text, state, parts, picture, seen}
const unwritten = new Set(); // emails whose row is not as the agent is
const seen = new Set(); // bodies that are in sight, or nearly
const watcher = new IntersectionObserver(look, { rootMargin: NEAR });
let filter = "all";
let chosen = null; // whose row is marked
let writing = 0;
let drawing = 0;

// One agent's row

function setting(value) {
  if (!value) return el("span", { class: "nothing" }, "–");
  const shown = el("span", { class: "setting", title: value.availability_status }, status(value.availability_status));
  if (!value.substatus || value.substatus.startsWith("always_")) return shown;
  shown.append(el("span", { class: "small" }, value.substatus.replaceAll("_", " ")));
  return shown;
}

const ends = (agent) => (agent.paused_until && agent.state === "paused" ? agent.paused_until : agent.until);

// The agent's sentence tells times by the agent's clock, such as "10:30:00 CET".
const TOLD = /\b\d\d:\d\d:\d\d ([A-Z]{2,5}\b|[+-]\d{2,4}\b)/;

export function until(agent) {
  const iso = ends(agent);
  const at = Date.parse(iso);
  if (!iso || at >= FOREVER) return agent.state === "paused" ? el("span", { class: "until" }, "until resumed") : null;
  const [, abbreviation] = TOLD.exec(agent.reason ?? "") ?? [];
  const theirs = abbreviation && clockIn(agent.zone, at);
  const differs = theirs && theirs !== clock(at);
  return el(
    "span", { class: "until" }, el("b", { title: exactly(at) }, clock(at)), " ", ago(iso),
    ...(differs ? [" ", el("span", { class: "theirs", title: `by the agent's clock, ${agent.zone}` }, `(${theirs} ${abbreviation})`)] : []),
  );
}

// Why, without the time that stands before it.
function sentence(agent) {
  const said = agent.reason ?? "";
  const at = Date.parse(ends(agent));
  const [, abbreviation] = TOLD.exec(said) ?? [];
  if (!abbreviation || !(at < FOREVER)) return said;
  const [before, ...after] = said.split(` until ${secondIn(agent.zone, at)} ${abbreviation}`);
  return after.reduce((text, rest) => `${text}${/^[;,] then\b/.test(rest) ? "" : " until then"}${rest}`, before);
}

function calendars({ calendars: all }) {
  if (!all.length) return el("div", { class: "reading nothing" }, "no calendar");
  const oldest = all.map((one) => one.synced_at).sort((a, b) => (a ?? "").localeCompare(b ?? ""))[0];
  const push = PUSH_WORST.find((health) => all.some((one) => one.push === health)) ?? all[0].push;
  return el(
    "div", { class: "reading" },
    all.length > 1 ? el("span", {}, many(all.length, "calendar")) : null,
    oldest ? el("span", {}, "read ", ago(oldest)) : el("span", { class: "bad" }, "never read"),
    el("span", { class: `push ${push}`, title: PUSH[push] ?? "" }, `push ${push}`),
  );
}

export const address = (email) => `#${encodeURIComponent(email).replace("%40", "@")}`;

function cell(label, className, ...children) {
  return el("td", { role: "cell", class: className, "data-label": label }, ...children);
}

function mainRow(agent, picture) {
  const [name, domain] = agent.email.split(/@(.*)/s);
  const wanted = agent.wanted?.availability_status;
  const differs = wanted !== undefined && wanted !== agent.setting?.availability_status;
  return el(
    "tr", { role: "row", class: "main" },
    el(
      "th", { role: "rowheader", scope: "row", class: "agent" },
      el("a", { class: "to-agent", href: address(agent.email) }, el("b", {}, name), domain ? el("span", { class: "small" }, `@${domain}`) : null),
      agent.aircall_user === null ? el("span", { class: "small bad" }, "no Aircall user") : null,
    ),
    el(
      "td", { role: "cell", class: "state-cell" },
      el("span", { class: stateClass(agent.state), title: stateMeaning(agent.state) }, stateWord(agent.state)),
      agent.hold?.confirmed === false ? el("span", { class: "small" }, "not yet confirmed") : null,
      agent.mode === "observe" ? el("span", { class: "small", title: "calsyncd changes nothing for this agent; it shows what it would do" }, "only observed") : null,
    ),
    cell(
      "In Aircall", agent.state === "pending" ? "differs" : "", setting(agent.setting),
      differs ? el("span", { class: "small" }, `wanted: ${status(wanted)}`) : null,
    ),
    cell("Until, and why", "why", until(agent), el("span", { class: "small" }, sentence(agent))),
    el("td", { role: "cell", class: "day" }, picture, calendars(agent)),
  );
}

export function troubleBox({ message, do: todo, owner, since }) {
  return el(
    "div", { class: "trouble-box" },
    el("span", { class: "mark", "aria-hidden": "true" }, "!"),
    el(
      "span", {},
      el("b", {}, message),
      todo ? el("span", { class: "do" }, todo) : null,
      el("span", { class: "small" }, owner ? `whose turn: ${owner} · since ` : "since ", since ? ago(since) : "now"),
    ),
  );
}

function troubleRow(trouble) {
  return el("tr", { role: "row", class: "trouble" }, el("td", { role: "cell", colspan: 5 }, troubleBox(trouble)));
}

function rowOf(email) {
  let row = rows.get(email);
  if (!row) {
    row = { body: el("tbody", { role: "rowgroup", "data-email": email }), picture: el("div", { class: "picture" }), parts: [] };
    row.body.classList.toggle("chosen", email === chosen);
    rows.set(email, row);
    watcher.observe(row.body);
  }
  return row;
}

// A row's parts are exchanged inside a body that stays, so that what others have put into it, and the focus, stay too.
function write(email) {
  unwritten.delete(email);
  const agent = company.agents.get(email);
  const row = rows.get(email);
  if (!agent || !row) return false;
  const text = JSON.stringify(agent);
  if (row.text === text) return false;
  const focused = row.parts.some((part) => part.contains(document.activeElement));
  const parts = [mainRow(agent, row.picture), ...(agent.trouble ? [troubleRow(agent.trouble)] : [])];
  for (const old of row.parts) old.remove();
  row.body.prepend(...parts);
  if (focused) row.body.querySelector("a.to-agent").focus({ preventScroll: true });
  row.body.classList.remove("changed");
  if (row.state && row.state !== agent.state) {
    void row.body.offsetWidth; // begins the animation anew
    row.body.classList.add("changed");
  }
  Object.assign(row, { text, parts, state: agent.state });
  return true;
}

function writeSlice() {
  clearTimeout(writing);
  const ends = performance.now() + SLICE_MS;
  for (const email of unwritten) {
    write(email);
    if (performance.now() > ends) break;
  }
  if (unwritten.size) writing = setTimeout(writeSlice);
  document.dispatchEvent(new CustomEvent("calsyncd:drawn"));
}

// Which rows, in which order

// Who needs somebody comes first; the others stay where they are, whatever their state, so that the eye finds them again.
const matters = (agent) => (agent.trouble ? 0 : agent.state === "suspended" ? 1 : 2);
const byName = new Intl.Collator().compare;
let names = []; // all e-mails in order

function passes(agent, text) {
  if (text && !agent.email.toLowerCase().includes(text) && String(agent.aircall_user) !== text) return false;
  if (filter === "all") return true;
  return filter === "trouble" ? Boolean(agent.trouble) : agent.state === filter;
}

function chips() {
  const counts = new Map([["all", company.agents.size], ["trouble", 0], ...ORDER.map((state) => [state, 0])]);
  for (const agent of company.agents.values()) {
    counts.set(agent.state, (counts.get(agent.state) ?? 0) + 1);
    if (agent.trouble) counts.set("trouble", counts.get("trouble") + 1);
  }
  if (!counts.get(filter)) filter = "all";
  const wanted = [...counts].filter(([name, count]) => name === "all" || count);
  const focused = document.activeElement?.dataset?.filter;
  const drawn = redrawn($("chips"), [wanted, filter], () => wanted.map(([name, count]) => {
    const word = name === "all" ? "everybody" : name === "trouble" ? "in trouble" : stateWord(name);
    const chip = el(
      "button", { type: "button", class: `chip t-${name}`, "data-filter": name, "aria-pressed": String(name === filter) },
      name === "all" ? null : el("span", { class: "dot", "aria-hidden": "true" }), el("b", {}, count.toLocaleString()), word,
    );
    chip.addEventListener("click", () => show(filter === name ? "all" : name));
    return chip;
  }));
  if (drawn && focused) document.querySelector(`[data-filter="${focused}"]`)?.focus();
  return counts.get("trouble");
}

export function show(what, text = $("search").value) {
  filter = what;
  $("search").value = text;
  arrange();
}

function arrange() {
  const troubled = chips();
  const text = $("search").value.trim().toLowerCase();
  let before = table.tHead;
  let visible = 0;
  for (const group of [0, 1, 2]) {
    for (const email of names) {
      const agent = company.agents.get(email);
      if (matters(agent) !== group) continue;
      const { body } = rowOf(email);
      if (before.nextElementSibling !== body) before.after(body);
      before = body;
      const hidden = !passes(agent, text);
      if (body.hidden !== hidden) body.hidden = hidden;
      visible += hidden ? 0 : 1;
    }
  }
  const none = company.agents.size === 0;
  $("none-match").hidden = visible > 0;
  table.hidden = visible === 0;
  $("first").hidden = true;
  $("empty").hidden = !none;
  $("board").hidden = $("tools").hidden = $("legend").hidden = $("search").hidden = none;
  document.title = troubled ? `(${troubled}) calsyncd` : "calsyncd";
}

// The agents whose e-mails are given have changed, come or gone; everybody's, if none are.
export function draw(emails = null) {
  const changed = new Set(emails ?? company.agents.keys());
  if (emails === null || emails.some((email) => company.agents.has(email) !== rows.has(email))) {
    names = [...company.agents.keys()].sort(byName);
    for (const [email, { body }] of rows) {
      if (company.agents.has(email)) continue;
      watcher.unobserve(body);
      seen.delete(body);
      body.remove();
      rows.delete(email);
    }
  }
  arrange();
  // In the table's order; what is in sight at once.
  const first = narrow.matches ? 12 : 40;
  let count = 0;
  for (const body of table.tBodies) {
    const { email } = body.dataset;
    if (!changed.has(email)) continue;
    unwritten.add(email);
    if (seen.has(body) || (!seen.size && !body.hidden && count++ < first)) write(email);
  }
  writeSlice();
  drawStrips();
}

// The strips

function look(entries) {
  const came = [];
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting === seen.has(target)) continue;
    if (isIntersecting) {
      seen.add(target);
      write(target.dataset.email);
      tick(target);
      came.push(target);
    } else {
      seen.delete(target);
    }
  }
  if (came.length) paint(came);
}

export function measures(place) {
  const width = place?.clientWidth || 600;
  return [Math.max(Math.floor(width / TICK_WIDTH), 3), width];
}

function paint(bodies) {
  const window = span();
  const at = now();
  const isNarrow = narrow.matches;
  const some = bodies[0] && rows.get(bodies[0].dataset.email)?.picture;
  const [most, width] = measures(isNarrow ? some : $("scale"));
  for (const body of bodies) {
    const timeline = company.timelines.get(body.dataset.email);
    const row = rows.get(body.dataset.email);
    if (!row || body.hidden) continue;
    row.picture.replaceChildren(...(timeline ? [strip(timeline, window, at, most, width)] : []), ...(timeline && isNarrow ? [axis(window, at, most, width)] : []));
  }
  return [window, at, most, width];
}

export function drawStrips() {
  clearTimeout(drawing);
  // Beside an agent in full there are none.
  const [window, at, most, width] = paint(document.body.classList.contains("beside") ? [] : [...seen]);
  $("scale").replaceChildren(axis(window, at, most, width));
  document.dispatchEvent(new CustomEvent("calsyncd:strips"));
  // Often enough that the strips are seen to move, but no oftener.
  const pace = (window[1] - window[0]) / 600 / Math.max(rate(), 1);
  drawing = setTimeout(drawStrips, Math.min(Math.max(pace, 150), 20000));
}

export function tickRows() {
  for (const body of seen) tick(body);
}

// By keyboard and mouse

const links = () => [...table.querySelectorAll("tbody:not([hidden]) a.to-agent")];

export function choose(email) {
  rows.get(chosen)?.body.classList.remove("chosen");
  rows.get(email)?.body.classList.add("chosen");
  chosen = email;
}

export function focusRow(email) {
  const row = email ? rows.get(email)?.body.querySelector("a.to-agent") : links()[0];
  row?.focus();
  return Boolean(row);
}

function towards(key, from) {
  const bodies = [...table.tBodies].filter((body) => !body.hidden);
  const index = bodies.indexOf(from);
  const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: bodies.length - 1 }[key];
  return to === undefined ? null : bodies[Math.min(Math.max(to, 0), bodies.length - 1)];
}

table.addEventListener("keydown", (event) => {
  const link = event.target.closest("a.to-agent");
  const body = link && !event.ctrlKey && !event.metaKey && !event.altKey ? towards(event.key, link.closest("tbody")) : null;
  if (!body) return;
  event.preventDefault();
  write(body.dataset.email);
  body.querySelector("a.to-agent").focus();
});

table.addEventListener("click", (event) => {
  const body = event.target.closest("tbody");
  if (!body || event.target.closest("a, button, tr:not(.main):not(.trouble)") || String(getSelection())) return;
  location.hash = address(body.dataset.email);
});

$("search").addEventListener("input", arrange);
$("show-all").addEventListener("click", () => { show("all", ""); $("search").focus(); });
function fit() {
  $("legend").open = !narrow.matches;
  drawStrips();
}

narrow.addEventListener("change", fit);
fit();
