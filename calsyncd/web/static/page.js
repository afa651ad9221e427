// The agents as they are, every two seconds. What is shown comes from /api/v1/agents and goes in as text, never as HTML.

const EVERY_MS = 2000;
const PATIENCE_MS = 6000;

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
const shown = new Map(); // email → {text, state, body}
let agents = [];
let filter = "all";
let answeredAt = null; // by this browser's clock
let ahead = 0; // how far the daemon's clock is ahead of the browser's
let timer = 0;

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

const now = () => Date.now() + ahead;

function clock(at) {
  const days = Math.abs(at - now()) / 86400000;
  if (new Date(at).toDateString() === new Date(now()).toDateString()) return hour.format(at);
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
  const status = el("span", { class: "setting" }, value.availability_status);
  if (!value.substatus) return status;
  status.append(el("span", { class: "small" }, value.substatus.replaceAll("_", " ")));
  return status;
}

function cell(label, className, ...children) {
  const blank = children.every((child) => child.className === "nothing" && child.textContent === "–");
  return el("td", { role: "cell", class: `${className} ${blank ? "blank" : ""}`, "data-label": label }, ...children);
}

function until(agent) {
  const iso = agent.paused_until && agent.state === "paused" ? agent.paused_until : agent.until;
  if (!iso) return el("span", { class: "nothing" }, agent.state === "paused" ? "until resumed" : "–");
  const at = Date.parse(iso);
  const back = agent.hold?.back?.availability_status;
  return el(
    "span", {},
    el("b", { title: whole.format(at) }, clock(at)),
    el("span", { class: "small" }, ago(iso)),
    back ? el("span", { class: "small" }, `then ${back} again`) : null,
  );
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

function row(agent) {
  const [word, meaning] = STATES[agent.state] ?? [agent.state, ""];
  const [name, domain] = agent.email.split(/@(.*)/s);
  const differs = agent.state === "pending" && agent.wanted?.availability_status !== agent.setting?.availability_status;
  const unsure = agent.hold && agent.hold.confirmed === false;
  const calendars = agent.calendars ?? [];
  const main = el(
    "tr", { role: "row" },
    el(
      "th", { role: "rowheader", scope: "row", class: "agent" },
      el("b", {}, name),
      domain ? el("span", { class: "small" }, `@${domain}`) : null,
      agent.aircall_user === null
        ? el("span", { class: "small bad" }, "no Aircall user")
        : el("span", { class: "small" }, `Aircall user ${agent.aircall_user}`),
    ),
    el(
      "td", { role: "cell", class: "state-cell" },
      el("span", { class: `state t-${agent.state} ${SHAPES[agent.state] ?? ""}`, title: meaning }, word),
      unsure ? el("span", { class: "small" }, "not yet confirmed") : null,
    ),
    cell("In Aircall", differs ? "differs" : "", setting(agent.setting)),
    cell("Wanted", "", setting(agent.wanted)),
    cell("Until", "until", until(agent)),
    cell("Why", "why", agent.reason ?? el("span", { class: "nothing" }, "–")),
    cell("Calendars", "calendars", ...(calendars.length ? calendars.map(calendar) : [el("span", { class: "nothing" }, "none")])),
  );
  const body = el("tbody", { role: "rowgroup" }, main);
  if (agent.trouble) {
    const { message, do: todo, owner, since } = agent.trouble;
    body.append(el(
      "tr", { role: "row", class: "trouble" },
      el("td", { role: "cell", colspan: 7 }, el(
        "div", {},
        el("span", { class: "mark", "aria-hidden": "true" }, "!"),
        el(
          "span", {},
          el("b", {}, message),
          todo ? el("span", { class: "do" }, todo) : null,
          el("span", { class: "small" }, owner ? `for ${owner} · since ` : "since ", since ? ago(since) : "now"),
        ),
      )),
    ));
  }
  return body;
}

// All agents

const matters = (agent) => (agent.trouble ? -1 : ORDER.indexOf(agent.state) + 1 || ORDER.length);

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
    const text = JSON.stringify(agent);
    let entry = shown.get(agent.email);
    if (entry?.text !== text) {
      const body = row(agent);
      if (entry && entry.state !== agent.state) body.classList.add("changed");
      if (entry) entry.body.replaceWith(body);
      entry = { text, state: agent.state, body };
      shown.set(agent.email, entry);
    }
    if (before.nextElementSibling !== entry.body) before.after(entry.body);
    before = entry.body;
    entry.body.hidden = !passes(agent);
    visible += entry.body.hidden ? 0 : 1;
  }
  $("none-match").hidden = visible > 0;
  table.hidden = visible === 0;
  $("first").hidden = true;
  $("empty").hidden = agents.length > 0;
  $("board").hidden = $("chips").hidden = $("search").hidden = agents.length === 0;
  const troubled = agents.filter((agent) => agent.trouble).length;
  document.title = troubled ? `(${troubled}) calsyncd` : "calsyncd";
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

async function ask(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  const sent = Date.parse(response.headers.get("Date") ?? "");
  const skew = sent - Date.now();
  ahead = Math.abs(skew) > 5000 ? skew : 0; // Date counts whole seconds: a small difference says nothing
  return response;
}

async function refresh() {
  clearTimeout(timer);
  try {
    const response = await ask("/api/v1/agents");
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    agents = (await response.json()).agents;
    answeredAt = Date.now();
    document.body.classList.remove("stale");
    say("live", "live");
    draw();
    const { ready, reasons } = await (await ask("/readyz")).json();
    alarm("", ready ? "" : "Not all is as it should be", ready ? [] : reasons);
  } catch (error) {
    lost(error);
  }
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
}

function lost(error) {
  const known = /^it answered/.test(error.message) ? ` (${error.message})` : "";
  document.body.classList.add("stale");
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
$("show-all").addEventListener("click", () => { filter = "all"; $("search").value = ""; draw(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
$("zone").textContent = `Times are those of ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`;
setInterval(tick, 1000);
refresh();
