// The API's names in words: [what the page says, what it means].

export const STATES = {
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
export const ORDER = ["suspended", "unsynced", "pending", "held", "overridden", "kept", "left_alone", "paused", "idle"];
const SHAPES = { unsynced: "hollow", left_alone: "hollow", paused: "square", suspended: "square" };

export const PUSH = {
  healthy: "Google tells of changes at once",
  unverified: "Google has not yet shown that it can reach this machine; polled meanwhile",
  expired: "Google tells no more; polled until renewed",
  silent: "a poll found what Google had not told; polled meanwhile",
  off: "polled only",
};
export const PUSH_WORST = ["silent", "expired", "unverified", "off", "healthy"];

export const ACCESS = {
  owner: "the agent's own",
  writer: "the agent may change it",
  reader: "the agent may read it",
  freeBusyReader: "the agent sees only when it is busy",
};

export const OUTCOMES = {
  done: "set",
  seen: "seen",
  paused: "paused",
  resumed: "resumed",
  skipped: "skipped",
  extended: "extended",
  override: "changed by hand",
  left_alone: "left alone",
  kept: "kept available",
  drift: "drifted",
};

export const STATUSES = { available: "available", custom: "Auto", unavailable: "unavailable" };

export const status = (name) => STATUSES[name] ?? name ?? "not known";
export const stateWord = (state) => STATES[state]?.[0] ?? state;
export const stateMeaning = (state) => STATES[state]?.[1] ?? "";
export const stateClass = (state) => `state t-${state} ${SHAPES[state] ?? ""}`;
