"""The description of the admin API that `GET /api/v1/openapi.json` answers with, in OpenAPI 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calsyncd.web.history import MAX_OUTCOMES
from calsyncd.web.paging import MAX_PAGE
from calsyncd.web.shapes import SCHEMAS, ref

if TYPE_CHECKING:
    from collections.abc import Sequence

Operation = dict[str, Any]

_ERRORS = {
    "400": "Something in the request is wrong; the message says what.",
    "401": "The admin token is needed: as a bearer, or as the password of Basic authentication.",
    "403": "The Host is no name of this machine, or the request is of another site's page.",
    "404": "There is no such agent, or no such path.",
    "408": "The body did not come in time.",
    "409": "It cannot be done now; the message says why.",
    "413": "The body is too large.",
    "415": "The body must be application/json.",
    "502": "Google or Aircall refused it.",
    "503": "It cannot be answered now: a service or the database does not answer, or too many streams are open.",
}
_AUTHENTICATE = {"WWW-Authenticate": {"schema": {"type": "string"}}}
_AMY = "amy@example.com"
_MOMENT = (
    "2026-11-21, 2026-11-21T10:00, 10:00, today, yesterday, a time with its offset, or 2h, 7d back from now;"
    " without an offset by each agent's own clock."
)


def document(version: str, files: Sequence[str], *, secured: bool) -> dict[str, Any]:
    """The whole description; `files` are the page's, `secured` whether a token is demanded."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "calsyncd",
            "version": version,
            "summary": "Keeps agents' Aircall availability in step with their Google Calendar",
            "description": "The admin API, at server.admin_listen. How to use it: docs/api.md.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"basic": []}] if secured else [],
        "tags": [
            {"name": "state", "description": "What is so."},
            {"name": "deeds", "description": "What is done."},
            {"name": "service", "description": "The daemon itself, and its page."},
        ],
        "paths": {path: {method: operation} for path, method, operation in _operations(files)},
        "components": {
            "schemas": SCHEMAS,
            "responses": {
                code: {
                    "description": says,
                    "content": {"application/json": {"schema": ref("Error")}},
                    **({"headers": _AUTHENTICATE} if code == "401" else {}),
                }
                for code, says in _ERRORS.items()
            },
            "parameters": _PARAMETERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "Any name; the token is the password."},
            },
        },
    }


def _query(name: str, says: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": says, "schema": schema, **more}


_INSTANT = {"type": "string", "format": "date-time"}
_PARAMETERS: dict[str, Any] = {
    "email": {
        "name": "email",
        "in": "path",
        "required": True,
        "description": "The agent's e-mail address.",
        "schema": {"type": "string", "format": "email", "minLength": 1, "maxLength": 254},
        "example": _AMY,
    },
    "limit": _query(
        "limit", "So many entries at most.", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}, example=100
    ),
    "cursor": _query(
        "cursor",
        "What the page before gave, with an otherwise equal query.",
        {"type": "string", "format": "cursor", "maxLength": 1000},
    ),
    "day": _query(
        "day", "A day in the agent's zone; left out: today.", {"type": "string", "format": "date"}, example="2026-11-23"
    ),
    "from": _query("from", "With `to`, in place of `day`.", _INSTANT, example="2026-11-23T08:00:00Z"),
    "to": _query("to", "31 days after `from` at most.", _INSTANT, example="2026-11-23T20:00:00Z"),
    "brief": _query("brief", "Without ids, calendars, rules and reasons.", {"type": "boolean"}, example=True),
    "at": _query("at", "An instant, with its offset; left out: now.", _INSTANT, example="2026-11-23T10:15:00Z"),
    "since": _query("since", f"From when on: {_MOMENT}", {"type": "string", "format": "moment"}, example="24h"),
    "until": _query("until", f"Until when: {_MOMENT}", {"type": "string", "format": "moment"}, example="today"),
    "agent": _query(
        "agent", "Only this agent's.", {"type": "string", "format": "email", "maxLength": 200}, example=_AMY
    ),
    "outcome": _query(
        "outcome",
        "Only these, such as done, seen, override.",
        {"type": "array", "items": {"type": "string", "maxLength": 200}, "maxItems": MAX_OUTCOMES},
        style="form",
        explode=True,
    ),
    "actor": _query("actor", "Only what they did.", {"type": "string", "maxLength": 200}, example="calsyncd"),
    "only": _query(
        "only", "Only whether the loop turns: where it does, no restart helps.", {"type": "string", "enum": ["loop"]}
    ),
}
_PAGE = ("limit", "cursor")
_WINDOW = ("day", "from", "to")


def _json(name: str, says: str, example: Any = None) -> dict[str, Any]:
    content = {"schema": ref(name), **({"example": example} if example is not None else {})}
    return {"description": says, "content": {"application/json": content}}


def _failures(*codes: str) -> dict[str, Any]:
    return {code: {"$ref": f"#/components/responses/{code}"} for code in ("400", "401", "403", *codes)}


def _get(name: str, shape: str, says: str, *parameters: str, example: Any = None) -> Operation:
    """A read of the API."""
    failures = ("404", "503") if {"email", "agent"} & set(parameters) else ("503",)
    tagged = {"ETag": {"description": "Send it back as If-None-Match.", "schema": {"type": "string"}}}
    return {
        "operationId": name,
        "tags": ["state"],
        "summary": says,
        **({"parameters": [{"$ref": f"#/components/parameters/{one}"} for one in parameters]} if parameters else {}),
        "responses": {
            "200": {**_json(shape, says, example), "headers": tagged},
            "304": {"description": "It is as it was when the ETag in If-None-Match was given."},
            **_failures(*failures),
        },
    }


def _post(name: str, body: str, shape: str, says: str, *, of_agent: bool = False, example: Any = None) -> Operation:
    """A deed."""
    return {
        "operationId": name,
        "tags": ["deeds"],
        "summary": says,
        **({"parameters": [{"$ref": "#/components/parameters/email"}]} if of_agent else {}),
        "requestBody": {
            "required": body == "Extension",
            "content": {
                "application/json": {"schema": ref(body), "example": example or {"actor": "lena", "reason": "drill"}}
            },
        },
        "responses": {
            "200": _json(shape, "It is done."),
            **_failures(*(("404",) if of_agent else ()), "408", "409", "413", "415", "502", "503"),
        },
    }


def _service(name: str, says: str, responses: dict[str, Any], *parameters: str, free: bool = False) -> Operation:
    denied = {"403"} | ({"400"} if parameters else set()) | (set() if free else {"401"})
    failures = {code: what for code, what in _failures().items() if code in denied}
    return {
        "operationId": name,
        "tags": ["service"],
        "summary": says,
        **({"security": []} if free else {}),
        **({"parameters": [{"$ref": f"#/components/parameters/{one}"} for one in parameters]} if parameters else {}),
        "responses": {**responses, **failures},
    }


def _file(says: str, *types: str) -> dict[str, Any]:
    content = {kind: {"schema": {"type": "string"}} for kind in types}
    return {
        "200": {"description": says, "content": content},
        "304": {"description": "It is as it was when the ETag in If-None-Match was given."},
    }


def _operations(files: Sequence[str]) -> list[tuple[str, str, Operation]]:
    agent = "/api/v1/agents/{email}"
    timed = {"for": "15m", "actor": "lena", "reason": "fire drill"}
    static = {
        **_service("file", "A file of the page.", _file("The file.", "text/css", "text/javascript", "image/svg+xml")),
        "parameters": [
            {"name": "file", "in": "path", "required": True, "schema": {"type": "string", "enum": [*files]}}
        ],
    }
    static["responses"]["404"] = {"$ref": "#/components/responses/404"}
    return [
        ("/api/v1/overview", "get", _get("overview", "Overview", "The company at a glance.")),
        ("/api/v1/stream", "get", _stream()),
        ("/api/v1/agents", "get", _get("agents", "Agents", "Every agent as they are now.", *_PAGE)),
        (agent, "get", _get("agent", "Agent", "One agent as they are now.", "email")),
        (f"{agent}/channels", "get", _get("channels", "Channels", "The agent's push channels.", "email")),
        (
            f"{agent}/timeline",
            "get",
            _get("timeline", "Timeline", "The agent's events, what is wanted, and what was set.", "email", *_WINDOW),
        ),
        (
            f"{agent}/settings",
            "get",
            _get("settings", "Settings", "What was really set.", "email", "since", "until"),
        ),
        (f"{agent}/explain", "get", _get("explain", "Explanation", "Why it is so, was or will be.", "email", "at")),
        (
            "/api/v1/timelines",
            "get",
            _get("timelines", "Timelines", "Everybody's timelines.", *_WINDOW, "brief", *_PAGE),
        ),
        (
            "/api/v1/history",
            "get",
            _get("history", "History", "What was done.", "agent", "since", "until", "outcome", "actor", *_PAGE),
        ),
        ("/api/v1/alarms", "get", _get("alarms", "Alarms", "What needs somebody.", *_PAGE)),
        ("/api/v1/matching", "get", _get("matching", "Matching", "Who has no counterpart, and why.", *_PAGE)),
        ("/api/v1/outage", "get", _get("outage", "Outage", "The daemon's last absence.", example={"outage": None})),
        (f"{agent}/sync", "post", _post("sync", "Said", "Agent", "Read their calendars now; wait.", of_agent=True)),
        (
            f"{agent}/pause",
            "post",
            _post("pause", "Pause", "Agent", "Put them back and leave them alone.", of_agent=True, example=timed),
        ),
        (
            f"{agent}/resume",
            "post",
            _post("resume", "Said", "Agent", "Follow their calendars again; no skip, no extension.", of_agent=True),
        ),
        (
            f"{agent}/skip",
            "post",
            _post("skip", "Skip", "Agent", "Leave them available in a meeting.", of_agent=True, example=timed),
        ),
        (
            f"{agent}/extend",
            "post",
            _post("extend", "Extension", "Agent", "Keep them unavailable longer.", of_agent=True, example=timed),
        ),
        (
            f"{agent}/forget",
            "post",
            _post("forget", "Said", "Forgotten", "Erase whoever is no agent any more.", of_agent=True),
        ),
        ("/api/v1/sync", "post", _post("syncAll", "Said", "Agents", "Read all calendars now; wait.")),
        (
            "/api/v1/pause",
            "post",
            _post("pauseAll", "Pause", "Agents", "Put all back, leave them alone.", example=timed),
        ),
        (
            "/api/v1/resume",
            "post",
            _post("resumeAll", "Said", "Resumed", "End every pause; skips and extensions stay."),
        ),
        (
            "/api/v1/release",
            "post",
            _post("release", "Said", "Released", "Put all back, leave them paused, and wait up to 90 s for it."),
        ),
        (
            "/api/v1/openapi.json",
            "get",
            {
                **_get("openapi", "Error", "This description."),
                "responses": {
                    "200": {
                        "description": "OpenAPI 3.1.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    "304": {"description": "It is as it was when the ETag in If-None-Match was given."},
                    **_failures(),
                },
            },
        ),
        (
            "/healthz",
            "get",
            _service(
                "health",
                "Whether the loop turns and the database answers.",
                {"200": _json("Health", "All is well."), "503": _json("Health", "It is not, and why.")},
                "only",
                free=True,
            ),
        ),
        (
            "/readyz",
            "get",
            _service(
                "readiness",
                "Whether all is done that should be.",
                {"200": _json("Readiness", "It is."), "503": _json("Readiness", "It is not, and why.")},
            ),
        ),
        (
            "/metrics",
            "get",
            _service(
                "metrics",
                "For Prometheus.",
                {"200": {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
            ),
        ),
        ("/", "get", _service("page", "The dashboard.", _file("The page.", "text/html"))),
        ("/static/{file}", "get", static),
    ]


def _stream() -> Operation:
    return {
        "operationId": "stream",
        "tags": ["state"],
        "summary": "What changes, as server-sent events.",
        "description": (
            "First `hello`; then load what you show afresh. From then on `agents`, `timelines` and `overview`, each"
            " about once a second at most and only when something has changed, and a comment every ten seconds."
            " Nothing is repeated: whoever connects again loads afresh. At most 32 streams."
        ),
        "responses": {
            "200": {
                "description": "The stream; the schema is that of one event.",
                "content": {"text/event-stream": {"schema": {"oneOf": [_event(*one) for one in _EVENTS.items()]}}},
            },
            **_failures("503"),
        },
    }


_EVENTS = {"hello": "Hello", "agents": "ChangedAgents", "timelines": "ChangedTimelines", "overview": "Overview"}


def _event(name: str, shape: str) -> dict[str, Any]:
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": ref(shape)}
    return {
        "type": "object",
        "properties": {"event": {"const": name}, "data": data},
        "required": ["event", "data"],
        "additionalProperties": False,
    }
