// Buttons on the daemon's own page. They act on the sandbox's Google and Aircall only: what the page shows of it has come
// back through push, webhooks and the daemon, as it would from anybody's calendar or phone.

const EVERY_MS = 500;
const ACTS = [
  ["meet", "meeting now", "Somebody puts a meeting of 20 seconds into the calendar that starts now"],
  ["move", "move it", "The running meeting, or the next one, is moved by 15 seconds"],
  ["cancel", "cancel it", "The running meeting, or the next one, is cancelled"],
  ["decline", "decline it", "The agent declines the running meeting, or the next one"],
];
const SETTINGS = [["available", "available"], ["custom", "Auto"], ["unavailable", "unavailable"]];
const DONE = {
  meet: "a meeting was added", move: "the meeting was moved", cancel: "the meeting was cancelled", decline: "the meeting was declined",
  available: "changed by hand to available", custom: "changed by hand to Auto", unavailable: "changed by hand to unavailable",
};
const [STOP, GO_ON] = ["stop time", "let time run"];
const ECHO_SECONDS = 20;
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const rows = new Map(); // email → the row of buttons
const refusals = new Map(); // email → {at, message}
let state = null;
let timer = 0;

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

async function ask(path, body) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : { cache: "no-store" };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  state = answer;
  if (Number(document.body.dataset.rate ?? 1) !== state.rate) {
    document.dispatchEvent(new CustomEvent("calsyncd:rate", { detail: state.rate }));
  }
  draw();
}

async function look() {
  clearTimeout(timer);
  try { await ask("/demo/state"); } catch { /* the page itself says when nobody answers */ }
  timer = setTimeout(look, EVERY_MS);
}

async function act(email, what) {
  try {
    refusals.delete(email);
    await ask("/demo/act", { email, do: what });
  } catch (error) {
    refusals.set(email, { at: state.now, message: error.message });
    draw();
  }
  for (const ms of [60, 250]) setTimeout(() => document.dispatchEvent(new CustomEvent("calsyncd:refresh")), ms);
}

// Time

const stage = el("section", { class: "stage", "aria-label": "The demo" });
const paces = el("div", { class: "paces", role: "group", "aria-label": "How fast time goes" });
stage.append(
  el("b", {}, "Demo"), paces,
  el("p", {}, "Google and Aircall are strict stand-ins on this machine; the daemon is the real one. Each button goes through them and comes back by push."),
);
document.querySelector("main").prepend(stage);

function drawPaces() {
  if (!paces.children.length) {
    for (const rate of state.rates) {
      const chip = el("button", { type: "button", class: "chip", "data-rate": rate }, rate ? `${rate}×` : STOP);
      chip.addEventListener("click", async () => {
        try { await ask("/demo/pace", { rate: rate || state.rate ? rate : 1 }); } catch { return; }
        setTimeout(() => document.dispatchEvent(new CustomEvent("calsyncd:refresh")), 80);
      });
      paces.append(chip);
    }
  }
  for (const chip of paces.children) {
    const on = Number(chip.dataset.rate) === state.rate;
    if (chip.dataset.rate === "0") chip.textContent = on ? GO_ON : STOP;
    else chip.setAttribute("aria-pressed", String(on));
  }
  stage.classList.toggle("still", state.rate === 0);
}

// Hands

function newRow({ email, name }) {
  const calendar = ACTS.map(([what, word, says]) => {
    const chip = el("button", { type: "button", class: "chip", "data-do": what, title: says }, word);
    chip.addEventListener("click", () => { if (chip.getAttribute("aria-disabled") !== "true") act(email, what); });
    return chip;
  });
  const phone = SETTINGS.map(([what, word]) => {
    const chip = el("button", { type: "button", class: "chip", "data-do": what, title: `Aircall shows ${word} while this is lit; pressed, the agent changes it in Aircall's own app` }, word);
    chip.addEventListener("click", () => act(email, what));
    return chip;
  });
  const group = (label, chips) => el("span", { class: "acts", role: "group", "aria-label": label }, ...chips);
  return el(
    "tr", { role: "row", class: "hands" },
    el("td", { role: "cell", colspan: 5, class: "buttons" }, el(
      "div", { class: "acts" }, el("span", { class: "lead" }),
      group(`${name}: the calendar`, calendar), group(`${name}: in Aircall`, [el("span", { class: "by" }, "in Aircall:"), ...phone]),
      el("span", { class: "echo", role: "status" }),
    )),
  );
}

const after = (seconds) => (seconds < 1 ? `${Math.max(Math.round(seconds * 1000), 1)} ms` : `${seconds.toFixed(1)} s`);

function echo(person) {
  const refusal = refusals.get(person.email);
  if (refusal && state.now - refusal.at < ECHO_SECONDS) return ["bad", [el("b", {}, "not done"), `: ${refusal.message}`]];
  const last = person.echo;
  if (!last || state.now - last.at > ECHO_SECONDS) return ["", []];
  const parts = [DONE[last.what]];
  if (last.told !== null) parts.push(" · push ", el("b", {}, after(last.told)));
  // What comes much later serves another boundary.
  if (last.updated !== null && last.updated < 4) parts.push(" · phone set ", el("b", {}, after(last.updated)));
  return ["", parts];
}

function draw() {
  if (!state) return;
  drawPaces();
  for (const person of state.people) {
    const body = document.querySelector(`tbody[data-email="${CSS.escape(person.email)}"]`);
    if (!body) continue;
    let row = rows.get(person.email);
    if (!row) rows.set(person.email, row = newRow(person));
    if (body.lastElementChild !== row) body.append(row);
    row.querySelector(".lead").textContent = `${person.name}: ${person.case}`;
    const { target } = person;
    for (const chip of row.querySelectorAll("[data-do]")) {
      const act = ACTS.find(([what]) => what === chip.dataset.do);
      if (!act) chip.setAttribute("aria-pressed", String(person.status === chip.dataset.do));
      else if (act[0] !== "meet") {
        chip.setAttribute("aria-disabled", String(target === null));
        const which = target && `${target.running ? "it began" : "it begins"} at ${time.format(target.start * 1000)}`;
        chip.title = target ? `${act[2]} (${which})` : "No meeting ahead";
      }
    }
    const [name, parts] = echo(person);
    const place = row.querySelector(".echo");
    const key = parts.map((part) => part.textContent ?? part).join("");
    if (place.dataset.key !== key) {
      place.dataset.key = key;
      place.className = `echo ${name}`;
      place.replaceChildren(...parts);
    }
  }
}

document.addEventListener("calsyncd:drawn", draw);
look();
