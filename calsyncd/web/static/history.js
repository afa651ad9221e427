// One agent's history, newest first. The API tells it oldest first, so it is asked for a stretch of time after the other.

import { el } from "./dom.js";
import { answered } from "./live.js";
import { DAY_MS, at, exactly, now, took } from "./times.js";
import { OUTCOMES, status } from "./words.js";

const PAGE = 200;
const SHOWN = 20;
const STRETCH_MS = DAY_MS;
const LONGEST_MS = 400 * DAY_MS; // nothing older is kept

function change({ from, to }) {
  if (to === null) return from ? `stays ${status(from)}` : "";
  return `${from ? status(from) : "?"} → ${status(to)}`;
}

function entry(one) {
  const late = one.late_ms === null ? null : el("span", { class: one.late_ms > 2000 ? "late" : "", title: "after it was due" }, `+${took(Math.max(one.late_ms, 0))}`);
  return el(
    "li", {},
    el("span", { class: "when" }, at(one.at)),
    el(
      "span", { class: "what" },
      el("b", { class: `outcome ${one.outcome}`, title: exactly(Date.parse(one.at)) }, OUTCOMES[one.outcome] ?? one.outcome), " ", change(one),
      el("span", { class: "small" }, one.why ? `${one.why} · ` : "", `by ${one.actor}`, ...(late ? [" · ", late] : [])),
    ),
  );
}

export class History {
  constructor(email, list, more, note) {
    Object.assign(this, { email, list, more, note });
    this.records = []; // newest first
    this.begins = null; // all from then on is known
    this.stretch = STRETCH_MS;
    this.shown = SHOWN;
    this.ended = false;
    this.asking = Promise.resolve();
  }

  async #between(since, until) {
    const found = [];
    let cursor = null;
    do {
      const query = new URLSearchParams({ agent: this.email, since: new Date(since).toISOString(), limit: PAGE });
      if (until !== null) query.set("until", new Date(until).toISOString());
      if (cursor) query.set("cursor", cursor);
      const answer = await answered(`/api/v1/history?${query}`);
      found.push(...answer.history);
      ({ cursor } = answer);
    } while (cursor);
    return found.reverse();
  }

  // One after the other: two answers at a time could not be put together.
  #queue(work) {
    this.asking = this.asking.then(work).then(() => { this.note.textContent = ""; }, (error) => { this.note.textContent = `The history could not be asked for: ${error.message}.`; }).then(() => this.#draw());
    return this.asking;
  }

  // What has happened since.
  refresh() {
    return this.#queue(async () => {
      if (this.begins === null) return this.#older();
      const last = this.records[0];
      const news = await this.#between(last ? Date.parse(last.at) : this.begins, null);
      const same = this.records.filter((one) => one.at === last?.at).length;
      this.records.unshift(...news.slice(0, news.length - same));
    });
  }

  earlier() {
    return this.#queue(async () => {
      this.shown += SHOWN;
      await this.#older();
    });
  }

  async #older() {
    const newest = now();
    while (!this.ended && this.records.length < this.shown) {
      const until = this.begins;
      const since = Math.max((until ?? newest) - this.stretch, newest - LONGEST_MS);
      this.records.push(...await this.#between(since, until));
      this.begins = since;
      this.stretch *= 4;
      this.ended = since <= newest - LONGEST_MS;
    }
  }

  #draw() {
    this.list.replaceChildren(...this.records.slice(0, this.shown).map(entry));
    this.more.hidden = this.ended && this.records.length <= this.shown;
    if (!this.records.length && this.begins !== null) this.note.textContent ||= "Nothing yet.";
  }
}
