// The daemon's news, as long as the page is open. On each connection everything is loaded afresh, and after it the stream
// tells what changes: so nothing that happened meanwhile is missed, and a daemon that restarted is simply met again.
//
// The stream is read by `fetch`, not by EventSource: that tells neither why it was refused nor that all is silent.

const STREAM = "/api/v1/stream";
const SILENCE_MS = 25000; // it says something every 10 s
const PATIENCE_MS = 15000;
const FIRST_MS = 400;
const LONGEST_MS = 8000;
const POLL_FIRST_MS = 1000;
const POLL_MS = 10000;
const HIDDEN_MS = 60000; // nobody looks: the daemon has better to do
const TICK_MS = 1000;
const SLEPT_MS = 10000; // a tick that is later by so much: the machine slept, and the stream may have died meanwhile

const wait = (ms, wake) => new Promise((go) => { const timer = setTimeout(go, ms); wake(() => { clearTimeout(timer); go(); }); });

class Full extends Error {
  constructor(seconds) {
    super("no stream is free");
    this.ms = Math.max(seconds * 1000 || 0, POLL_MS);
  }
}

export async function answered(path, options = {}) {
  const response = await fetch(path, { cache: "no-cache", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
  if (!response.ok) throw new Error(`it answered ${response.status}`);
  return response.json();
}

// The events of a stream of server-sent events; `heard` is told of every sign of life.
async function* events(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const blocks = (left + value).split(/\r?\n\r?\n/);
    left = blocks.pop();
    for (const block of blocks) {
      let name = "message";
      const data = [];
      for (const line of block.split(/\r?\n/)) {
        const [, field, text] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
        if (field === "event") name = text;
        else if (field === "data") data.push(text);
      }
      if (data.length) yield [name, JSON.parse(data.join("\n"))];
    }
  }
}

// `load` loads all and shows it; `news` is told of each event, in order and never before what was loaded; `link` is told how
// the connection is: ("live" | "polling" | "waiting" | "lost", error).
export function follow({ load, news, link }) {
  let controller = new AbortController();
  let wake = () => {};
  let failures = 0;
  let polls = 0; // loads in place of a stream, one after the other
  let slept = false; // that is why the stream was let go

  async function listen() {
    const mine = controller = new AbortController();
    let timer = setTimeout(() => mine.abort(), PATIENCE_MS);
    const heard = () => { clearTimeout(timer); timer = setTimeout(() => mine.abort(), SILENCE_MS); };
    let failed = null;
    try {
      const headers = { Accept: "text/event-stream" };
      const response = await fetch(STREAM, { headers, cache: "no-store", signal: mine.signal });
      if (response.status === 503 && response.headers.has("Retry-After")) throw new Full(Number(response.headers.get("Retry-After")));
      if (!response.ok) throw new Error(`it answered ${response.status}`);
      let loading = false;
      let waiting = [];
      for await (const event of events(response.body, heard)) {
        if (event[0] === "hello") {
          waiting = [];
          news(...event);
          loading = true;
          load().then(() => {
            if (mine.signal.aborted) return;
            failures = polls = 0;
            loading = false;
            link("live");
            for (const one of waiting) news(...one);
          }).catch((error) => { failed = error; mine.abort(); });
        } else if (loading) waiting.push(event);
        else news(...event);
      }
      throw new Error("it ended the stream");
    } catch (error) {
      throw failed ?? error;
    } finally {
      clearTimeout(timer);
      mine.abort();
    }
  }

  async function go() {
    for (;;) {
      let pause;
      try {
        await listen();
      } catch (error) {
        try {
          if (!(error instanceof Full)) throw error;
          await load();
          failures = 0;
          polls += 1;
          // A daemon that stops has no stream either, and is back soon.
          if (polls > 1) link("polling");
          pause = Math.min(POLL_FIRST_MS * 2 ** (polls - 1), error.ms);
        } catch (why) {
          // It was let go by us: what is shown then is old until it is loaded again.
          link((document.hidden || slept) && !failures ? "waiting" : "lost", why);
          slept = false;
          failures += 1;
          // Many pages come back to one daemon that restarts: not all at the same instant.
          pause = Math.min(FIRST_MS * 2 ** (failures - 1), LONGEST_MS) * (0.7 + Math.random() * 0.6);
        }
      }
      await wait(pause, (stop) => { wake = stop; });
      while (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
    }
  }

  let hiding = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(() => controller.abort(), HIDDEN_MS);
    else wake();
  });
  addEventListener("online", () => wake());
  let ticked = Date.now();
  setInterval(() => {
    const now = Date.now();
    if (now - ticked > TICK_MS + SLEPT_MS) {
      slept = !controller.signal.aborted;
      controller.abort();
      wake();
    }
    ticked = now;
  }, TICK_MS);
  go();
}
