// One agent in full, beside the table: "#amy@example.com" in the address opens it, so that it can be linked.

import { bodyOf, busy, choices, isBusy, post, reasonField, result } from "./acts.js";
import { company, span } from "./company.js";
import { $, el, redrawn, say } from "./dom.js";
import { History } from "./history.js";
import { answered } from "./live.js";
import { axis, strip } from "./strip.js";
import { address, choose, drawStrips, focusRow, measures, narrow, troubleBox, until } from "./table.js";
import { FOREVER, ago, at, clock, now, second, secondIn, tick } from "./times.js";
import { ACCESS, PUSH, stateClass, stateMeaning, stateWord, status } from "./words.js";

const AGAIN_MS = 30000; // what is told in relative times is asked for again
const GATHER_MS = 250;

const panel = $("panel");
let open = null; // {email, history, channels, why, asked, agent}
let asking = 0;

const time = (iso) => (Date.parse(iso) >= FOREVER ? "" : clock(Date.parse(iso)));

const ACTS = {
  sync: { done: () => "The calendars were read just now." },
  pause: {
    legend: "Leave the phone alone",
    lengths: [["30m", "for 30 min"], ["1h", "for 1 h"], ["4h", "for 4 h"], ["1d", "for a day"], ["", "until resumed"]],
    yes: "Pause",
    done: (agent) => `Paused ${time(agent.paused_until) ? `until ${time(agent.paused_until)}` : "until resumed"}.`,
  },
  resume: { done: () => "Resumed: the calendars count again." },
  skip: {
    legend: "Stay available in",
    lengths: [["", "the meeting that runs, else the next one"], ["1h", "all meetings of the next hour"], ["4h", "all meetings of the next 4 h"]],
    yes: "Skip",
    done: ({ skipped }) => (skipped?.length ? `Skipped: ${skipped.map((one) => `${time(one.start)} to ${time(one.end)}`).join(", ")}.` : "Skipped."),
  },
  extend: {
    legend: "Stay unavailable longer",
    lengths: [["5m", "by 5 min"], ["15m", "by 15 min"], ["30m", "by 30 min"], ["1h", "by 1 h"]],
    yes: "Extend",
    done: (agent) => (agent.extended_until ? `Unavailable until ${time(agent.extended_until)}.` : "Extended."),
  },
};
const buttons = [...panel.querySelectorAll("[data-act]")];

// What is shown

function facts(agent) {
  const fact = (word, ...parts) => el("div", {}, el("dt", {}, word), el("dd", {}, ...parts));
  const { setting, wanted, hold, override } = agent;
  const sub = setting?.substatus && !setting.substatus.startsWith("always_") ? ` (${setting.substatus.replaceAll("_", " ")})` : "";
  const parts = [
    fact("In Aircall", setting ? `${status(setting.availability_status)}${sub}` : "not seen yet"),
    wanted ? fact("Wanted", status(wanted.availability_status)) : null,
    until(agent) ? fact("Until", until(agent)) : null,
    hold ? fact("Held since", at(hold.since), `, then ${status(hold.back?.availability_status)}`) : null,
    override ? fact("Changed by hand", at(override.since)) : null,
    agent.extended_until ? fact("Extended until", at(agent.extended_until)) : null,
    ...(agent.skipped ?? []).map((one) => fact("Skipped", at(one.start), " to ", at(one.end))),
    fact("Aircall user", agent.aircall_user ?? "none"),
  ];
  return parts.filter(Boolean);
}

function channel(found) {
  if (!found) return null;
  const parts = [
    found.verified_at ? ["verified ", ago(found.verified_at)] : ["not verified yet"],
    found.heard_at ? ["last heard ", ago(found.heard_at)] : null,
    found.expires_at ? ["ends ", ago(found.expires_at)] : null,
  ].filter(Boolean);
  return el("span", { class: "small" }, "channel: ", ...parts.flatMap((one, index) => (index ? [" · ", ...one] : one)));
}

function calendar(one) {
  return el(
    "li", {},
    el("b", { class: "id" }, one.id),
    el(
      "span", { class: "small" },
      ...(one.synced_at ? ["read ", ago(one.synced_at)] : [el("span", { class: "bad" }, "never read")]), " · ",
      el("span", { class: `push ${one.push}` }, `push ${one.push}`), PUSH[one.push] ? `: ${PUSH[one.push]}` : "",
    ),
    channel(open.channels?.find((other) => other.calendar === one.id)),
    one.trouble ? troubleBox(one.trouble) : null,
  );
}

function drawCalendars(agent) {
  redrawn($("panel-calendars"), [agent.calendars, open.channels], () => (
    agent.calendars.length ? agent.calendars.map(calendar) : [el("li", { class: "nothing" }, "none")]
  ));
  const others = agent.other_calendars;
  $("panel-others").hidden = !others?.length;
  redrawn($("panel-others-list"), others, () => (others ?? []).map((one) => el(
    "li", {}, el("span", { class: "id" }, one.id), el("span", { class: "small" }, ACCESS[one.access] ?? one.access),
  )));
}

function drawEvents() {
  const { events = [] } = company.timelines.get(open.email) ?? {};
  $("panel-events").hidden = events.length === 0;
  $("panel-events-word").textContent = `Events in the strip (${events.length})`;
  redrawn($("panel-events-list"), events, () => [...events].sort((a, b) => a.start.localeCompare(b.start)).map((one) => el(
    "li", {}, el("span", {}, at(one.start), " to ", at(one.end)),
    el("span", { class: one.why_not ? "small" : "small counts" }, one.why_not ? `does not count: ${one.why_not}` : "counts"),
  )));
}

function drawStrip() {
  if (!open || panel.hidden) return;
  const timeline = company.timelines.get(open.email);
  const window = span();
  const [most, width] = measures($("panel-strip"));
  $("panel-strip").replaceChildren(...(timeline ? [axis(window, now(), most, width), strip(timeline, window, now(), most, width)] : []));
}

export function drawAgent() {
  if (!open || company.agents.size === 0) return;
  const agent = company.agents.get(open.email);
  $("panel-known").hidden = !agent;
  $("panel-unknown").hidden = Boolean(agent);
  if (!agent) return;
  redrawn($("panel-state"), [agent.state, agent.mode], () => [
    el("span", { class: stateClass(agent.state), title: stateMeaning(agent.state) }, stateWord(agent.state)),
    el("span", { class: "small" }, stateMeaning(agent.state)),
    agent.mode === "observe" ? el("span", { class: "small" }, "only observed: calsyncd changes nothing") : null,
  ]);
  redrawn($("panel-facts"), agent, () => facts(agent));
  const other = secondIn(agent.zone, now()) !== second.format(now());
  say($("panel-why-word"), other ? `Why, by the clock of ${agent.zone}` : "Why");
  redrawn($("panel-trouble"), agent.trouble, () => (agent.trouble ? [troubleBox(agent.trouble)] : []));
  const act = (name) => panel.querySelector(`[data-act="${name}"]`);
  act("resume").hidden = !agent.paused_until;
  drawCalendars(agent);
  drawEvents();
  drawStrip();
  const text = JSON.stringify(agent);
  if (open.asked !== text) {
    open.asked = text;
    askSoon(open.why === null ? 0 : GATHER_MS);
  }
}

// What only the daemon can say

function askSoon(ms) {
  clearTimeout(asking);
  asking = setTimeout(ask, ms);
}

async function ask() {
  clearTimeout(asking);
  const mine = open;
  if (!mine) return;
  const path = `/api/v1/agents/${encodeURIComponent(mine.email)}`;
  mine.history.refresh();
  const [why, found] = await Promise.allSettled([answered(`${path}/explain`), answered(`${path}/channels`)]);
  if (open !== mine) return;
  if (why.status === "fulfilled") {
    mine.why = why.value.sentences;
    redrawn($("panel-why"), mine.why, () => mine.why.map((sentence) => el("li", {}, sentence)));
  } else if (mine.why === null) {
    redrawn($("panel-why"), "", () => [el("li", { class: "nothing" }, `calsyncd could not be asked: ${why.reason.message}.`)]);
  }
  if (found.status === "fulfilled") mine.channels = found.value.channels;
  const agent = company.agents.get(mine.email);
  if (agent) drawCalendars(agent);
  asking = setTimeout(() => { if (document.hidden) askSoon(AGAIN_MS); else ask(); }, AGAIN_MS);
}

// By hand

async function act(what, body = {}) {
  const mine = open;
  const place = $("panel-result");
  const all = [...buttons, $("act-yes")];
  busy(all, true);
  result(place, "", what === "sync" ? "Google is being asked…" : "Asking calsyncd…");
  try {
    const agent = await post(`/api/v1/agents/${encodeURIComponent(mine.email)}/${what}`, body);
    company.agents.set(agent.email, agent);
    document.dispatchEvent(new CustomEvent("calsyncd:agent", { detail: agent.email }));
    if (open !== mine) return;
    fold();
    result(place, "good", ACTS[what].done(agent));
  } catch (error) {
    if (open === mine) result(place, "bad", error.message);
  } finally {
    busy(all, false);
  }
}

function fold(focus = true) {
  const form = $("act-form");
  if (form.hidden) return;
  const button = panel.querySelector(`[data-act="${form.dataset.act}"]`);
  form.hidden = true;
  for (const one of buttons) if (one.hasAttribute("aria-expanded")) one.setAttribute("aria-expanded", "false");
  if (focus) button.focus();
}

function unfold(what) {
  const form = $("act-form");
  const again = !form.hidden && form.dataset.act === what;
  fold(false);
  if (again) return;
  const { legend, lengths, yes } = ACTS[what];
  form.dataset.act = what;
  $("act-fields").replaceChildren(choices("length", legend, lengths), reasonField("act-reason"));
  $("act-yes").textContent = yes;
  form.hidden = false;
  result($("panel-result"), "", "");
  panel.querySelector(`[data-act="${what}"]`).setAttribute("aria-expanded", "true");
  form.querySelector("input").focus();
}

for (const button of buttons) {
  const what = button.dataset.act;
  button.addEventListener("click", () => {
    if (isBusy(button)) return;
    if (ACTS[what].lengths) unfold(what);
    else { fold(false); act(what); }
  });
}
$("act-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isBusy($("act-yes"))) act(event.target.dataset.act, bodyOf(event.target));
});
$("act-no").addEventListener("click", () => fold());

// Opening and closing

function named() {
  try {
    const text = decodeURIComponent(location.hash.slice(1)).toLowerCase();
    return text.includes("@") ? text : null;
  } catch {
    return null;
  }
}

// On a phone the panel covers the page: what is behind it is out of reach then.
function cover() {
  const covered = Boolean(open) && narrow.matches;
  document.body.classList.toggle("covered", covered);
  for (const part of document.querySelectorAll("body > header, body > main, body > footer, body > .skip")) part.inert = covered;
}

function turn(focus) {
  const email = named();
  if (email === open?.email) return;
  const before = open?.email;
  choose(email);
  fold(false);
  clearTimeout(asking);
  if (email === null) {
    open = null;
    panel.hidden = true;
    document.body.classList.remove("beside");
    cover();
    drawStrips();
    if (focus && before && !focusRow(before)) $("search").focus();
    return;
  }
  const [name, domain] = email.split(/@(.*)/s);
  $("panel-name").textContent = name;
  $("panel-domain").textContent = `@${domain}`;
  for (const id of ["panel-why", "panel-history", "panel-calendars"]) {
    $(id).replaceChildren();
    delete $(id).dataset.key;
  }
  result($("panel-result"), "", "");
  open = { email, why: null, channels: null, asked: null, history: new History(email, $("panel-history"), $("panel-more"), $("panel-history-note")) };
  $("panel-history-note").textContent = "";
  $("panel-more").hidden = true;
  panel.hidden = false;
  panel.scrollTop = 0;
  document.body.classList.add("beside");
  cover();
  drawAgent();
  if (focus) $("panel-name").focus();
}

export function close() {
  if (!open) return;
  history.replaceState(null, "", location.pathname + location.search);
  turn(true);
}

panel.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("act-form").hidden) {
    event.stopPropagation();
    fold();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && open && !document.querySelector("dialog[open]") && event.target.id !== "search") close();
});
$("panel-close").addEventListener("click", close);
$("panel-more").addEventListener("click", async () => {
  const { history: told, email } = open;
  const count = told.records.length && told.list.children.length;
  await told.earlier();
  if (open?.email === email && $("panel-more").hidden) told.list.children[count]?.scrollIntoView({ block: "nearest" });
});
addEventListener("hashchange", () => turn(true));
narrow.addEventListener("change", cover);
document.addEventListener("calsyncd:strips", drawStrip);
setInterval(() => { if (open) tick(panel); }, 1000);
turn(false);

