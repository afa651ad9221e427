// The agents' timelines: everybody's in as few answers as can be, or those of a few that changed.

import { company, isLoaded, query, windowToLoad } from "./company.js";
import { answered } from "./live.js";
import { learn } from "./times.js";

const ONE_BY_ONE = 8; // changes of more agents are asked for with everybody's
const GATHER_MS = 150;
const LEAST_MS = 2000; // between two answers about everybody; and ten times as long as one takes
const AGAIN_MS = 10000;
const FIRST = 50; // soon on the screen; then the others
const MOST = 1000;

let changed = new Set();
let everybody = false;
let timer = 0;
let free = 0; // when everybody's may be asked for again
let shown = () => {};
let turn = 0;
let loading = false;

export function whenLoaded(callback) {
  shown = callback;
}

// The agents are told from memory, timelines from the database: while that fails, the others are worth showing.
function failed() {
  document.body.classList.add("old-strips");
  everybody = true;
  plan(AGAIN_MS);
}

export async function loadTimelines() {
  const mine = ++turn;
  const began = performance.now();
  const wanted = windowToLoad();
  everybody = false;
  changed = new Set();
  loading = true;
  try {
    const found = new Map();
    let page = `limit=${FIRST}`;
    while (page) {
      const { timelines, cursor } = await answered(`/api/v1/timelines?brief=true&${query(wanted)}&${page}`);
      if (mine !== turn) return;
      for (const one of timelines) {
        found.set(one.email, one);
        company.timelines.set(one.email, one);
      }
      company.loaded = wanted;
      document.body.classList.remove("old-strips");
      page = cursor && `limit=${MOST}&cursor=${cursor}`;
      if (page) shown(null);
    }
    company.timelines = found;
    shown(null);
  } catch {
    if (mine === turn) failed();
  }
  if (mine === turn) loading = false;
  const took = performance.now() - began;
  free = performance.now() + Math.max(LEAST_MS, took * 10);
}

async function loadSome(emails) {
  const mine = turn;
  const window = query(company.loaded);
  try {
    const answers = await Promise.all(emails.map((email) => answered(`/api/v1/agents/${encodeURIComponent(email)}/timeline?${window}`)));
    if (mine !== turn) return;
    for (const one of answers) company.timelines.set(one.email, one);
    learn(answers[0].now);
    shown(emails);
  } catch {
    if (mine === turn) failed();
  }
}

function plan(ms) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    // What comes with everybody's may be older than what has changed since.
    if (loading) plan(GATHER_MS);
    else if (everybody || changed.size > ONE_BY_ONE || company.loaded === null) {
      const left = free - performance.now();
      if (left > 0) plan(left);
      else loadTimelines();
    } else if (changed.size) {
      const emails = [...changed].filter((email) => company.agents.has(email));
      changed = new Set();
      if (emails.length) loadSome(emails);
    }
  }, ms);
}

export function timelinesChanged({ emails, all }) {
  if (all) everybody = true;
  for (const email of emails ?? []) changed.add(email);
  plan(GATHER_MS);
}

// What the strips show slides on, and so may have left what was loaded.
export function keepUp() {
  if (company.loaded === null || isLoaded() || everybody) return;
  everybody = true;
  plan(0);
}
