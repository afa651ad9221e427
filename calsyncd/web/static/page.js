// The page: what the daemon tells, and who shows it. Others that add to the page hear "calsyncd:drawn" after each drawing,
// and ask for a look at once by "calsyncd:refresh"; `body[data-window]` is how many seconds the strips show at first.

import { drawAgent } from "./agent.js";
import { ZOOMS, company } from "./company.js";
import { $, el, say } from "./dom.js";
import { answered, follow } from "./live.js";
import { loadOutage } from "./outage.js";
import { alarm, drawOverview, switches, tickOverview } from "./overview.js";
import { draw, drawStrips, focusRow, tickRows } from "./table.js";
import { keepUp, loadTimelines, timelinesChanged, whenLoaded } from "./timelines.js";
import { goOn, learn, second, stand, zone } from "./times.js";

const OUTAGE_MS = 30000;
const SAID_MS = 10000;

let answeredAt = null; // by this browser's clock
let boot = null;
let version = null;
let outageAt = 0;
let unsaid = 0;

// All, afresh. The strips may come later.
async function load() {
  const soon = [answered("/api/v1/agents"), answered("/api/v1/overview"), loadOutage()];
  loadTimelines();
  const [listed, overview] = await Promise.all(soon);
  outageAt = performance.now();
  company.agents = new Map(listed.agents.map((agent) => [agent.email, agent]));
  company.overview = overview;
  heard(overview.now);
  document.body.classList.remove("stale");
  draw();
  drawOverview();
  drawAgent();
}

function heard(iso) {
  learn(iso);
  answeredAt = Date.now();
}

const NEWS = {
  hello(told) {
    const again = boot !== null && boot !== told.boot;
    if (again) {
      say($("link-news"), told.version === version ? `restarted, version ${told.version}` : "");
      clearTimeout(unsaid);
      unsaid = setTimeout(() => say($("link-news"), ""), SAID_MS);
    }
    boot = told.boot;
    version ??= told.version;
    // Its page may speak of what another version does not know.
    $("newer").hidden = told.version === version;
    say($("newer-text"), `calsyncd is version ${told.version} now; this page is of ${version}.`);
  },
  agents({ now, agents, gone }) {
    heard(now);
    for (const agent of agents) company.agents.set(agent.email, agent);
    for (const email of gone) {
      company.agents.delete(email);
      company.timelines.delete(email);
    }
    draw([...agents.map((agent) => agent.email), ...gone]);
    drawAgent();
    switches();
  },
  timelines(told) {
    heard(told.now);
    timelinesChanged(told);
  },
  overview(told) {
    heard(told.now);
    company.overview = told;
    drawOverview();
    if (performance.now() - outageAt < OUTAGE_MS) return;
    outageAt = performance.now();
    loadOutage().catch(() => {});
  },
};

function news(name, data) {
  NEWS[name]?.(data);
}

const LINKS = { live: "live", polling: "not live: asks every 10 s", waiting: "not live: connecting" };

function link(kind, error) {
  $("link").className = `link ${kind}`;
  if (kind !== "live" && kind !== "polling") stand();
  if (kind !== "lost") {
    say($("link-text"), LINKS[kind]);
    return;
  }
  document.body.classList.add("stale");
  say($("link-text"), "not reachable");
  say($("link-news"), "");
  $("first").hidden = true;
  const known = /^it answered/.test(error.message) ? ` (${error.message})` : "";
  const since = answeredAt ? `: not connected since ${second.format(answeredAt)}. What you see is from then` : "";
  alarm("lost", `calsyncd does not answer${known}${since}.`, "", () => [
    el("li", {}, "This page keeps trying, and goes on by itself as soon as it is back."),
  ]);
}

function zooms() {
  $("zoom").replaceChildren(...ZOOMS.map(([seconds, word]) => {
    const choice = el("button", { type: "button", class: "chip", "aria-pressed": String(seconds === company.zoom) }, word);
    choice.addEventListener("click", () => {
      company.zoom = seconds;
      zooms();
      $("zoom").children[ZOOMS.findIndex(([one]) => one === seconds)].focus();
      drawStrips();
      loadTimelines();
    });
    return choice;
  }));
}

async function refresh() {
  try {
    news("overview", await answered("/api/v1/overview"));
  } catch { /* the stream knows it too */ }
}

function tick() {
  tickRows();
  tickOverview();
  keepUp();
}

whenLoaded(() => { drawStrips(); drawAgent(); });
document.addEventListener("calsyncd:agent", (event) => { draw([event.detail]); drawAgent(); switches(); });
document.addEventListener("calsyncd:refresh", refresh);
document.addEventListener("calsyncd:rate", (event) => { goOn(event.detail); drawStrips(); });
document.querySelector(".skip").addEventListener("click", () => { if (!focusRow()) $("search").focus(); });
$("newer-load").addEventListener("click", () => location.reload());
zooms();
say($("zone"), `Times are those of ${zone}.`);
setInterval(tick, 1000);
follow({ load, news, link });
