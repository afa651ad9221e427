"""Google's own description of its API, as a judge of requests and answers.

The discovery document ships inside google-api-python-client. `check_recorded` runs over everything that a
`GoogleSandbox` has recorded, whoever asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator, FormatChecker

from calsyncd.sandbox.google_times import parse_rfc3339
from calsyncd.sandbox.server import Request

PREFIX = "/calendar/v3/"

Query = Iterable[tuple[str, str]]

_formats = FormatChecker(())


@_formats.checks("date-time")
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or parse_rfc3339(value) is not None


@_formats.checks("int64")
def _is_int64(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"-?\d{1,19}", value) is not None


@cache
def document() -> dict[str, Any]:
    """The whole discovery document of Calendar v3."""
    packed = resources.files("googleapiclient") / "discovery_cache" / "documents" / "calendar.v3.json"
    found: dict[str, Any] = json.loads(packed.read_text(encoding="utf-8"))
    return found


@cache
def methods() -> tuple[dict[str, Any], ...]:
    """Every method of every resource."""
    return tuple(m for r in document()["resources"].values() for m in r.get("methods", {}).values())


@cache
def schemas() -> dict[str, Any]:
    """The document's schemas as JSON Schema, closed against unknown properties."""
    return {name: _json_schema(schema) for name, schema in document()["schemas"].items()}


def check_request(method: str, path: str, query: Query, body: Any = None) -> str:
    """Assert that this is a request which the API describes; returns the method's id."""
    found, values = _find(method, path)
    known = {**document()["parameters"], **found.get("parameters", {})}
    seen: set[str] = set()
    for name, value in query:
        assert name in known, f"{found['id']} has no parameter {name}"
        assert known[name].get("location") == "query", f"{name} is not a query parameter"
        assert name not in seen or known[name].get("repeated"), f"{name} is given twice"
        seen.add(name)
        _check_value(name, value, known[name])
    for name, parameter in found.get("parameters", {}).items():
        assert not parameter.get("required") or name in seen | set(values), f"{name} is missing"
    if "request" in found:
        assert isinstance(body, dict), f"{found['id']} needs a body"
        _validate(found["request"]["$ref"], _without_nulls(body) if method == "PATCH" else body)
    else:
        assert body is None, f"{found['id']} takes no body"
    return str(found["id"])


def check_answer(method_id: str, answer: Any) -> None:
    """Assert that this is an answer which the method can give."""
    found = next(m for m in methods() if m["id"] == method_id)
    if "response" in found:
        _validate(found["response"]["$ref"], answer)
    else:
        assert answer is None, f"{method_id} answers nothing"


def check_error(status: int, answer: Any) -> None:
    """Assert Google's error shape."""
    error = answer["error"]
    assert error["code"] == status
    assert error["message"]
    assert {"domain", "reason", "message"} <= set(error["errors"][0])


def check_recorded(requests: Sequence[Request], *, refused: bool = False) -> int:
    """Check every API request and every real answer; returns how many there were.

    Args:
        requests: what a `GoogleSandbox` recorded.
        refused: whether requests may be among them that were refused with 400 for what they said.
    """
    checked = 0
    for request in requests:
        if not request.path.startswith(PREFIX) or request.faulty:
            continue
        checked += 1
        if request.status is not None and request.status >= 400:
            if request.status != 404 or request.answer.startswith(b"{"):
                check_error(request.status, request.answer_json)
            if refused:
                continue
        name = check_request(request.method, request.path, request.query, request.json)
        if request.status is not None and request.status < 400:
            check_answer(name, request.answer_json)
    return checked


def _find(method: str, path: str) -> tuple[dict[str, Any], dict[str, str]]:
    assert path.startswith(PREFIX), f"{path} is not below {PREFIX}"
    for found in sorted(methods(), key=lambda m: m["path"].count("{")):
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(found["path"]))
        match = re.fullmatch(pattern, path.removeprefix(PREFIX))
        if match and found["httpMethod"] == method:
            return found, {name: unquote(value) for name, value in match.groupdict().items()}
    raise AssertionError(f"no method for {method} {path}")


def _check_value(name: str, value: str, parameter: dict[str, Any]) -> None:
    kind = parameter["type"]
    if kind == "boolean":
        assert value in {"true", "false"}, f"{name}={value} is no boolean"
    if kind == "integer":
        assert re.fullmatch(r"-?\d+", value), f"{name}={value} is no integer"
        assert int(parameter.get("minimum", value)) <= int(value) <= int(parameter.get("maximum", value)), name
    if parameter.get("format") == "date-time":
        assert parse_rfc3339(value), f"{name}={value} is no RFC 3339 time with offset"
    if "enum" in parameter:
        assert value in parameter["enum"], f"{name}={value} is none of {parameter['enum']}"
    if name == "maxResults":
        assert int(value) <= 2500
    if name == "quotaUser":
        assert len(value) <= 40


def _validate(name: str, value: Any) -> None:
    whole = {"$ref": f"#/$defs/{name}", "$defs": schemas()}
    faults = [
        f"{'.'.join(map(str, fault.absolute_path))}: {fault.message}"
        for fault in Draft202012Validator(whole, format_checker=_formats).iter_errors(value)
    ]
    assert not faults, f"{name}: {faults}"


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(part) for name, part in value.items() if part is not None}


def _json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    result: dict[str, Any] = {} if schema.get("type") == "any" else {"type": schema["type"]}
    for name in ("format", "enum"):
        if name in schema:
            result[name] = schema[name]
    if "items" in schema:
        result["items"] = _json_schema(schema["items"])
    if "properties" in schema:
        result["properties"] = {name: _json_schema(part) for name, part in schema["properties"].items()}
        result["additionalProperties"] = False
    if "additionalProperties" in schema:
        result["additionalProperties"] = _json_schema(schema["additionalProperties"])
    return result
