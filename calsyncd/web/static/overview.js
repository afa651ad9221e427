// On top: how calsyncd itself does, what is wrong, and the switch for an incident.

import { bodyOf, busy, choices, isBusy, post, reasonField, result } from "./acts.js";
import { company } from "./company.js";
import { $, el, many, redrawn, say, svg } from "./dom.js";
import { inWords, plot } from "./plot.js";
import { ago, at, length, now, took } from "./times.js";
import { PUSH, PUSH_WORST } from "./words.js";

const LOW = 0.15; // of the budget
const LATE_SECONDS = 60;
const LENGTHS = [["", "until resumed"], ["30m", "30 min"], ["1h", "1 h"], ["4h", "4 h"]];

let owedAt = null; // since when the oldest is owed

// Cards

function budget({ limit, remaining }) {
  const share = limit ? Math.min(Math.max(remaining / limit, 0), 1) : 0;
  say($("budget-left"), Math.floor(remaining).toLocaleString());
  say($("budget-of"), `of ${limit.toLocaleString()} left this minute`);
  $("budget").classList.toggle("warn", share < LOW);
  redrawn($("budget-bar"), Math.round(share * 200), () => [
    svg("svg", { width: "100%", height: 6 }, svg("rect", { width: "100%", height: 6, rx: 3, class: "whole" }), svg("rect", { width: `${share * 100}%`, height: 6, rx: 3, class: "left" })),
  ]);
}

function owed({ count, oldest_seconds: oldest }) {
  owedAt = oldest === null ? null : now() - oldest * 1000;
  say($("owed-count"), count.toLocaleString());
  say($("owed-word"), count === 1 ? "update owed" : "updates owed");
  age();
}

function age() {
  const ms = owedAt === null ? 0 : now() - owedAt;
  $("owed").classList.toggle("warn", ms > LATE_SECONDS * 1000);
  say($("owed-age"), owedAt === null ? "nothing is waiting" : `the oldest for ${length(ms)}`);
}

function lateness(found) {
  const minute = Math.floor(now() / 60000);
  redrawn($("lateness-plot"), [found, minute], () => [plot(found, now())]);
  const facts = found.count ? [["median", found.p50_ms], ["99 %", found.p99_ms], ["worst", found.max_ms]] : [];
  redrawn($("lateness-facts"), facts, () => (
    facts.length ? facts.map(([word, ms]) => el("span", {}, `${word} `, el("b", {}, took(ms)))) : [inWords(found)]
  ));
}

function push(counts) {
  const wanted = PUSH_WORST.filter((health) => counts[health]);
  const all = wanted.reduce((sum, health) => sum + counts[health], 0);
  say($("push-healthy"), (counts.healthy ?? 0).toLocaleString());
  say($("push-of"), `of ${all.toLocaleString()} by push`);
  const others = wanted.filter((health) => health !== "healthy");
  redrawn($("push-others"), others.map((health) => [health, counts[health]]), () => (
    others.length ? others.map((health) => el("span", { class: `push ${health}`, title: PUSH[health] }, `${counts[health].toLocaleString()} ${health}`)) : []
  ));
}

// What is wrong

function wrong({ message, do: todo, owner, since }) {
  return el(
    "li", {}, el("b", {}, message),
    todo ? el("span", { class: "do" }, todo) : null,
    el("span", { class: "small" }, `whose turn: ${owner}`, ...(since ? [" · since ", ago(since)] : [])),
  );
}

export function alarm(kind, title, key, items) {
  redrawn($("alarm-list"), [kind, title, key], items);
  $("alarm").className = `alarm ${kind}`;
  say($("alarm-title"), title);
  $("alarm").hidden = !title;
}

// Those of single agents stand at the agent.
function alarms({ alarms: raised, ready, reasons }) {
  const everybodys = raised.filter((one) => one.who === "company");
  const told = ready ? [] : reasons;
  const title = everybodys.length || told.length ? "Not all is as it should be" : "";
  alarm("", title, [everybodys, told], () => [...everybodys.map(wrong), ...told.map((reason) => el("li", {}, reason))]);
}

export function drawOverview() {
  const overview = company.overview;
  if (!overview) return;
  $("overview").hidden = company.agents.size === 0;
  budget(overview.budget);
  owed(overview.owed);
  lateness(overview.lateness);
  push(overview.push);
  if (!document.body.classList.contains("stale")) alarms(overview);
  $("paused").hidden = !overview.paused_all;
  redrawn($("about"), [overview.version, overview.started_at, new Date(now()).toDateString()], () => [`calsyncd ${overview.version}, running since `, at(overview.started_at), "."]);
  switches();
}

export function tickOverview() {
  if (company.overview) age();
}

// The switch for an incident

export function switches() {
  const paused = [...company.agents.values()].filter((agent) => agent.paused_until).length;
  const all = company.overview?.paused_all ?? false;
  $("pause-all").hidden = all || company.agents.size === 0;
  $("resume-all").hidden = paused === 0;
  say($("resume-all"), all ? "Resume everybody…" : `Resume ${many(paused, "agent")}…`);
}

const WORDS = {
  "pause-all": {
    path: "/api/v1/pause",
    title: () => `Pause ${company.agents.size === 1 ? "the one agent" : `all ${company.agents.size.toLocaleString()} agents`}?`,
    text: "Whom calsyncd holds unavailable is put back first. Then it leaves all phones alone, whatever the calendars say.",
    yes: "Pause everybody",
    done: () => "Everybody is paused.",
    choose: true,
  },
  "resume-all": {
    path: "/api/v1/resume",
    title: () => "Resume everybody who is paused?",
    text: "calsyncd goes on with each of them as the calendars say now: who is in a meeting becomes unavailable.",
    yes: "Resume everybody",
    done: () => "Everybody is resumed.",
    choose: false,
  },
};

function confirm(button, what) {
  const words = WORDS[what];
  const dialog = $("everybody");
  $("everybody-title").textContent = words.title();
  $("everybody-text").textContent = words.text;
  $("everybody-yes").textContent = words.yes;
  $("everybody-yes").dataset.what = what;
  $("everybody-fields").replaceChildren(...(words.choose ? [choices("length", "For how long", LENGTHS)] : []), reasonField("everybody-reason"));
  result($("everybody-result"), "", "");
  dialog.returnFocus = button;
  dialog.showModal();
}

async function decided(event) {
  event.preventDefault();
  const yes = $("everybody-yes");
  if (isBusy(yes)) return;
  const words = WORDS[yes.dataset.what];
  busy([yes], true);
  result($("everybody-result"), "", "Asking calsyncd…");
  try {
    await post(words.path, bodyOf($("everybody-form")));
    $("everybody").close();
    result($("everybody-done"), "good", words.done());
    setTimeout(() => result($("everybody-done"), "", ""), 10000);
  } catch (error) {
    result($("everybody-result"), "bad", error.message);
  } finally {
    busy([yes], false);
  }
}

for (const [id, what] of [["pause-all", "pause-all"], ["resume-all", "resume-all"], ["paused-resume", "resume-all"]]) {
  $(id).addEventListener("click", () => confirm($(id), what));
}
$("everybody-form").addEventListener("submit", decided);
$("everybody-no").addEventListener("click", () => $("everybody").close());
$("everybody").addEventListener("close", () => {
  const { returnFocus } = $("everybody");
  (returnFocus && !returnFocus.hidden && returnFocus.offsetParent ? returnFocus : $("search")).focus();
});
