// The last absence: shown until all are right again, and for an hour after it, unless it is closed.

import { $, el, many, redrawn, say } from "./dom.js";
import { answered } from "./live.js";
import { clock, length, now, took } from "./times.js";

const WORTH_SECONDS = 5; // a shorter one is a restart, and worth a word only if it concerned somebody
const HOUR_MS = 3600000;
const LISTED = 100;
const AGAIN_MS = 2000; // while it is not over
const KEPT = "calsyncd.outage";

let outage = null;
let hidden = null; // the beginning of the one that was closed
let timer = 0;

function fell(one) {
  const times = one.boundaries.map((iso) => clock(Date.parse(iso)));
  return times.length ? `due at ${times.join(", ")}` : "an update was owed";
}

const after = (at, end) => `after ${took(Math.max(0, at - end))}`;

function became(one, end) {
  if (!one.right_at) return "not right yet";
  return `${one.updated ? "right again" : "found right"} ${after(Date.parse(one.right_at), end)}`;
}

function inWords(report) {
  const open = report.agents.filter((one) => !one.right_at).length;
  const all = report.agents.length + report.unconcerned + report.waiting;
  const parts = [];
  if (open) parts.push(`${many(open, "agent")} not right yet.`);
  if (report.waiting) parts.push(`The calendars of ${many(report.waiting, "agent")} are still to be read.`);
  if (!report.over) return parts.join(" ");
  if (!report.agents.length) return "Nobody was concerned.";
  const last = Math.max(...report.agents.map((one) => Date.parse(one.right_at)));
  return `It concerned ${report.agents.length} of ${many(all, "agent")}; everybody was right again ${after(last, Date.parse(report.to))}.`;
}

function draw() {
  const box = $("outage");
  const end = outage && Date.parse(outage.to);
  const worth = outage && (outage.agents.length > 0 || outage.seconds > WORTH_SECONDS);
  const current = Boolean(worth) && (!outage.over || now() - end < HOUR_MS) && hidden !== outage.from;
  box.hidden = !current;
  if (!current) return;
  const listed = [...outage.agents].sort((a, b) => Boolean(a.right_at) - Boolean(b.right_at)).slice(0, LISTED);
  const rest = outage.agents.length - listed.length;
  const drawn = redrawn($("outage-list"), outage, () => [
    ...listed.map((one) => el("li", { class: one.right_at ? "" : "open" }, el("b", {}, one.email), el("span", {}, fell(one)), el("span", {}, became(one, end)))),
    ...(rest ? [el("li", {}, `and ${rest} more`)] : []),
  ]);
  if (!drawn) return;
  box.classList.toggle("open", !outage.over);
  const was = outage.cause === "slept" ? "The machine slept" : "calsyncd was away";
  say($("outage-title"), `${was} from ${clock(Date.parse(outage.from))} to ${clock(end)} (${length(outage.seconds * 1000)}).`);
  say($("outage-text"), inWords(outage));
  $("outage-more").hidden = !outage.agents.length;
}

export async function loadOutage() {
  clearTimeout(timer);
  ({ outage } = await answered("/api/v1/outage"));
  draw();
  if (outage && !outage.over) timer = setTimeout(() => loadOutage().catch(() => {}), AGAIN_MS);
}

function hide() {
  hidden = outage?.from;
  try { sessionStorage.setItem(KEPT, hidden); } catch { /* it is hidden until the next loading */ }
  draw();
  $("search").focus();
}

setInterval(draw, 60000);
$("outage-more").querySelector("summary").textContent = "Who, and when each was right again";
$("outage-close").addEventListener("click", hide);
$("outage").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.stopPropagation();
  hide();
});
try { hidden = sessionStorage.getItem(KEPT); } catch { /* nothing was closed */ }
