// What an operator can do by hand, and what became of it, in words.

import { el } from "./dom.js";

const PATIENCE_MS = 60000; // a sync waits for Google

// The answer; an Error's message says why there is none, for the person who asked.
export async function post(path, body = {}) {
  let response;
  try {
    const headers = { "Content-Type": "application/json" };
    response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    const slow = error.name === "TimeoutError";
    throw new Error(slow ? "calsyncd did not answer within a minute; if it was done, this page will show it" : "calsyncd does not answer");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok || !answer) throw new Error(answer?.error?.message ?? `calsyncd answered ${response.status}`);
  return answer;
}

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

export function result(place, kind, text) {
  place.className = `result ${kind}`;
  place.replaceChildren(...(kind === "bad" ? [el("b", {}, "Not done: "), sentence(text)] : [text]));
}

// Radio buttons; the first is chosen.
export function choices(name, legend, options) {
  return el(
    "fieldset", {},
    el("legend", {}, legend),
    ...options.map(([value, word], index) => {
      const input = el("input", { type: "radio", name, value });
      input.defaultChecked = index === 0;
      return el("label", { class: "choice" }, input, el("span", {}, word));
    }),
  );
}

export function reasonField(id) {
  return el(
    "label", { class: "reason", for: id }, el("span", {}, "Reason, for the history"),
    el("input", { id, name: "reason", type: "text", maxlength: 200, autocomplete: "off", placeholder: "optional" }),
  );
}

// While it is under way its buttons do nothing; they keep the focus, which a disabled one would lose.
export function busy(buttons, is) {
  for (const button of buttons) {
    if (is) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
  }
}

export const isBusy = (button) => button.getAttribute("aria-disabled") === "true";

export function bodyOf(form) {
  const { length, reason } = Object.fromEntries(new FormData(form));
  return { ...(length ? { for: length } : {}), ...(reason?.trim() ? { reason: reason.trim() } : {}) };
}
