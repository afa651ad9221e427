"""The shapes of the admin API's answers and bodies, as JSON Schema; `calsyncd.web.openapi` puts them into place."""

from __future__ import annotations

from typing import Any

from calsyncd.web.asked import MAX_BY_HAND_SECONDS, MAX_PAUSE_SECONDS, MAX_TEXT

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339, UTC."}
EMAIL: Schema = {"type": "string", "examples": ["amy@example.com"]}
LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"


def ref(name: str) -> Schema:
    """The schema of this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Schema) -> Schema:
    """That, or null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def some(schema: Schema) -> Schema:
    """A list of these."""
    return {"type": "array", "items": schema}


def one_of(*words: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": [*words]}


def thing(says: str = "", /, **fields: Schema) -> Schema:
    """An object of exactly these fields; a trailing `_` keeps a name from being Python's."""
    named = {key.removesuffix("_"): value for key, value in fields.items()}
    about = {"description": says} if says else {}
    return {"type": "object", **about, "properties": named, "required": [*named], "additionalProperties": False}


def lacking(key: str, schema: Schema) -> Schema:
    """The same, where this key may be left out."""
    return {**schema, "required": [one for one in schema["required"] if one != key]}


PUSH = one_of("healthy", "unverified", "expired", "silent", "off")
STATUS: Schema = {"type": "string", "description": "Aircall's availability_status.", "examples": ["unavailable"]}
CURSOR: Schema = {
    "type": ["string", "null"],
    "description": "With limit or cursor: what asks for the next page; null on the last.",
}
SETTING_AT = thing(availability_status=maybe(STATUS), at=TIME)

_ROW = thing(
    "A record of history, with what it says of the times before and after.",
    at=TIME,
    after=maybe(TIME),
    from_=maybe(STATUS),
    to=maybe(STATUS),
    substatus=maybe(TEXT),
    outcome=TEXT,
    why=TEXT,
    event=maybe(TEXT),
    event_start=maybe(TIME),
    event_end=maybe(TIME),
    until=maybe(TIME),
    late_ms=maybe({"type": "integer"}),
    actor=TEXT,
)

_UNMATCHED = {
    "code": TEXT,
    "reason": TEXT,
    "do": TEXT,
    "suggestion": maybe({"type": ["string", "integer"]}),
    "ties": some({"type": ["string", "integer"]}),
}

_TIMELINE: dict[str, Schema] = {
    "email": EMAIL,
    "zone": TEXT,
    "from_": TIME,
    "to": TIME,
    "events": some(ref("TimelineEvent")),
    "spans": some(thing(start=TIME, end=TIME, wanted=ref("Setting"), event=maybe(TEXT))),
    "set": some(ref("Interval")),
}

_BRIEF: dict[str, Schema] = {
    "events": some(thing(start=TIME, end=TIME, why_not=maybe(TEXT))),
    "spans": some(thing(start=TIME, end=TIME, wanted=ref("Setting"))),
    "set": some(thing(start=TIME, end=TIME, availability_status=maybe(STATUS), actor=maybe(TEXT))),
}

_SETTINGS: dict[str, Schema] = {"email": EMAIL, "zone": TEXT, "from_": TIME, "to": TIME, "set": some(ref("Interval"))}


def _length(most: float) -> Schema:
    return {
        "description": "For so long: 90s, 15m, 2h, 7d, 1w, or seconds.",
        "anyOf": [
            {"type": "string", "pattern": "^[1-9][0-9]{0,8}[smhdw]?$", "examples": ["15m"]},
            {"type": "number", "minimum": 1, "maximum": most},
        ],
    }


_WHO: dict[str, Schema] = {
    "actor": {
        "type": ["string", "null"],
        "maxLength": MAX_TEXT,
        "pattern": LINE,
        "description": "Who asks, for the history and the log.",
        "examples": ["lena"],
    },
    "reason": {
        "type": ["string", "null"],
        "maxLength": MAX_TEXT,
        "pattern": LINE,
        "description": "Why, for the history and the log.",
        "examples": ["fire drill"],
    },
}
_UNTIL: Schema = {
    "type": ["string", "null"],
    "format": "date-time",
    "description": "Until then: a time to come, with its offset; in place of for.",
}


def _timed(length: Schema, says: str, *, needed: bool = False) -> Schema:
    """The body of a deed that may be given an end."""
    fields = {"for": maybe({**length}), "until": _UNTIL, **_WHO}
    nothing = {"type": "null"}
    either: list[Schema] = [{"properties": {"for": nothing}}, {"properties": {"until": nothing}}]
    if needed:
        either = [
            {"properties": {"for": length, "until": nothing}, "required": ["for"]},
            {"properties": {"for": nothing, "until": {"type": "string"}}, "required": ["until"]},
        ]
    return {
        "type": "object",
        "description": says,
        "properties": fields,
        "additionalProperties": False,
        "anyOf": either,
    }


SCHEMAS: dict[str, Schema] = {
    "Error": thing("What is wrong, for programs and for people.", error=thing(code=TEXT, message=TEXT)),
    "Setting": thing(availability_status=STATUS, substatus=maybe(TEXT)),
    "Trouble": thing(
        "What keeps an agent from being right, and whose turn it is.",
        code=TEXT,
        message=TEXT,
        do=TEXT,
        owner=TEXT,
        since=maybe(TIME),
    ),
    "Agent": thing(
        "An agent as they are now. Sentences tell times by the clock of `zone`.",
        email=EMAIL,
        zone=TEXT,
        aircall_user=maybe({"type": "integer"}),
        state=one_of("pending", "held", "paused", "suspended", "unsynced", "overridden", "kept", "left_alone", "idle"),
        setting=maybe(ref("Setting")),
        wanted=maybe(ref("Setting")),
        until=maybe(TIME),
        mode=one_of("act", "observe"),
        reason=TEXT,
        hold=maybe(thing(put=ref("Setting"), back=ref("Setting"), since=TIME, until=TIME, confirmed=FLAG)),
        override=maybe(thing(since=TIME, until=TIME)),
        paused_until=maybe(TIME),
        skipped=some(thing(event=maybe(TEXT), start=TIME, end=TIME)),
        extended_until=maybe(TIME),
        observed_at=maybe(TIME),
        calendars=some(thing(id=TEXT, synced_at=maybe(TIME), push=PUSH, trouble=maybe(ref("Trouble")))),
        other_calendars=maybe(some(thing(id=TEXT, primary=FLAG, access=TEXT))),
        other_calendars_why_not=maybe(TEXT),
        trouble=maybe(ref("Trouble")),
    ),
    "Agents": lacking("cursor", thing(agents=some(ref("Agent")), cursor=CURSOR)),
    "Resumed": thing("Who was paused, and everybody as they are now.", resumed=some(EMAIL), agents=some(ref("Agent"))),
    "Released": lacking(
        "unwritten",
        thing(
            "Who was put back, and who is still held; `unwritten` says why the pauses will not outlive the daemon.",
            released=some(EMAIL),
            still_held=some(EMAIL),
            unwritten=TEXT,
        ),
    ),
    "Forgotten": thing(
        "How much was erased, by what it was, and what is left elsewhere, in sentences.",
        email=EMAIL,
        erased={"type": "object", "additionalProperties": COUNT},
        left=some(TEXT),
    ),
    "Channels": thing(
        "The push channels of the agent's calendars; a calendar without one stands here once, without times.",
        channels=some(
            thing(
                calendar=TEXT,
                health=PUSH,
                heard_at=maybe(TIME),
                verified_at=maybe(TIME),
                expires_at=maybe(TIME),
            )
        ),
    ),
    "TimelineEvent": thing(
        "An event, without its title; `why_not` says why it does not count, if so, and `rule` by which setting.",
        id=TEXT,
        calendar=TEXT,
        start=TIME,
        end=TIME,
        all_day=FLAG,
        why_not=maybe(TEXT),
        rule=maybe(TEXT),
    ),
    "Interval": thing(
        "What was really set; the actor is null where it is not known who had set it.",
        start=TIME,
        end=TIME,
        availability_status=maybe(STATUS),
        actor=maybe(TEXT),
        why=TEXT,
    ),
    "Timeline": thing(now=TIME, **_TIMELINE),
    "Timelines": lacking(
        "cursor",
        thing(
            now=TIME,
            timelines=some({"anyOf": [thing(**_TIMELINE), thing("With brief.", **_TIMELINE | _BRIEF)]}),
            cursor=CURSOR,
        ),
    ),
    "Settings": thing("What was set, in unbroken intervals of one setting each.", now=TIME, **_SETTINGS),
    "Record": thing(
        "A change that was made, or left alone.",
        at=TIME,
        agent=EMAIL,
        from_=maybe(STATUS),
        to=maybe(STATUS),
        outcome=TEXT,
        why=TEXT,
        event=maybe(TEXT),
        late_ms=maybe({"type": "integer"}),
        actor=TEXT,
    ),
    "History": thing(
        "Records, oldest first; `zones` are those of the agents told of.",
        now=TIME,
        history=some(ref("Record")),
        zones={"type": "object", "additionalProperties": TEXT},
        cursor=CURSOR,
    ),
    "Alarm": thing(code=TEXT, who=TEXT, since=TIME, message=TEXT, do=TEXT, owner=TEXT, raised_at=TIME),
    "Alarms": lacking(
        "cursor", thing("Those that are raised, oldest first.", alarms=some(ref("Alarm")), cursor=CURSOR)
    ),
    "Matching": lacking(
        "cursor",
        thing(
            "Who of Aircall's users and of Google's accounts has no counterpart, and why. A page is of both lists.",
            everybody=FLAG,
            followed=COUNT,
            untried=COUNT,
            missed=COUNT,
            users=some(thing(id={"type": "integer"}, email=maybe(EMAIL), name=maybe(TEXT), **_UNMATCHED)),
            accounts=some(thing(email=EMAIL, aircall_user=maybe({"type": ["integer", "string"]}), **_UNMATCHED)),
            unlisted=some(thing(email=EMAIL, reason=TEXT, do=TEXT)),
            cursor=CURSOR,
        ),
    ),
    "Outage": thing(
        "The daemon's last absence and what it meant; null where there was none.",
        outage=maybe(
            thing(
                cause=TEXT,
                from_=TIME,
                to=TIME,
                seconds=NUMBER,
                agents=some(thing(email=EMAIL, boundaries=some(TIME), right_at=maybe(TIME), updated=FLAG)),
                unconcerned=COUNT,
                waiting=COUNT,
                over=FLAG,
            )
        ),
    ),
    "Overview": thing(
        "The company at a glance.",
        now=TIME,
        version=TEXT,
        started_at=TIME,
        budget=thing("Requests to Aircall: so many a minute, so many of them left now.", limit=COUNT, remaining=COUNT),
        owed=thing(
            "Updates that are due and not confirmed.",
            count=COUNT,
            oldest_seconds=maybe({**NUMBER, "minimum": 0}),
        ),
        lateness=thing(
            "How late the updates of the last 60 minutes were; each of them counts. Percentiles are by nearest rank.",
            minutes=some(thing(at=TIME, count=COUNT, p50_ms=COUNT, max_ms=COUNT)),
            count=COUNT,
            p50_ms=maybe(COUNT),
            p99_ms=maybe(COUNT),
            max_ms=maybe(COUNT),
        ),
        push=thing("Calendars, by the health of push.", **dict.fromkeys(PUSH["enum"], COUNT)),
        alarms=some(ref("Alarm")),
        healthy=FLAG,
        ready=FLAG,
        reasons=some(TEXT),
        paused_all=FLAG,
    ),
    "Explanation": thing(
        "Why an agent is, was or will be set as they are; `sentences` are what `calsyncd explain` prints.",
        email=EMAIL,
        at=TIME,
        now=TIME,
        zone=TEXT,
        tense=one_of("past", "now", "future"),
        sentences=some(TEXT),
        setting=maybe(
            thing(
                availability_status=maybe(STATUS),
                sure=FLAG,
                possible=some(maybe(STATUS)),
                made=maybe(_ROW),
                next=maybe(_ROW),
                lost=maybe(_ROW),
            )
        ),
        stance=thing(
            name=TEXT,
            since=maybe(TIME),
            until=maybe(TIME),
            back=maybe(STATUS),
            event=maybe(TEXT),
            why=maybe(TEXT),
            actor=maybe(TEXT),
        ),
        wanted=maybe(ref("Setting")),
        because=maybe(TEXT),
        wanted_since=maybe(TIME),
        wanted_until=maybe(TIME),
        ahead=maybe(thing(start=TIME, end=TIME, event=maybe(TEXT))),
        owed_since=maybe(TIME),
        mode=one_of("act", "observe"),
        seen=maybe(SETTING_AT),
        events=some(
            thing(
                id=TEXT,
                calendar=TEXT,
                start=TIME,
                end=TIME,
                all_day=FLAG,
                counts=FLAG,
                why=TEXT,
                rule=maybe(TEXT),
                origin=maybe(TEXT),
            )
        ),
        events_kept_since=TIME,
        planned_until=TIME,
        until_by=some(thing(kind=TEXT, start=TIME, until=TIME, event=maybe(TEXT))),
        rules={
            "type": "object",
            "description": "Each rule by its key in the settings, and where it stands there.",
            "additionalProperties": thing(value={}, origin=maybe(TEXT)),
        },
        trouble=maybe(ref("Trouble")),
    ),
    "Health": thing("`reason` is empty where all is well.", ok=FLAG, reason=TEXT),
    "Readiness": thing(ready=FLAG, reasons=some(TEXT)),
    "Hello": thing("`boot` is another at each start of the daemon.", now=TIME, boot=TEXT, version=TEXT),
    "ChangedAgents": thing(
        "Agents that are others than before.", now=TIME, agents=some(ref("Agent")), gone=some(EMAIL)
    ),
    "ChangedTimelines": thing(
        "Whose timelines are others than before; with `all` they are too many to be named.",
        now=TIME,
        emails=some(EMAIL),
        all=FLAG,
    ),
    "Said": {
        "type": "object",
        "description": "Who asks and why.",
        "properties": _WHO,
        "additionalProperties": False,
    },
    "Pause": _timed(_length(MAX_PAUSE_SECONDS), "How long the pause is; without an end it lasts until resumed."),
    "Skip": _timed(
        _length(MAX_BY_HAND_SECONDS), "All meetings of the next hours, 12 at most; else the one that runs, or the next."
    ),
    "Extension": _timed(
        _length(MAX_BY_HAND_SECONDS),
        "How much longer than the meeting that runs, or than now; or until when.",
        needed=True,
    ),
}
