"""The description, the router and the manual name the same routes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from calsyncd.metrics import Metrics
from calsyncd.web.admin import admin_app
from calsyncd.web.gate import Gate
from calsyncd.web.openapi import document
from calsyncd.web.shapes import SCHEMAS

from .test_admin import NOW, Desk, feed

MANUAL = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def described() -> set[tuple[str, str]]:
    """Method and path of every operation of the description."""
    paths = document("1.2.3", ["page.js"], secured=False)["paths"]
    return {(method.upper(), path) for path, operations in paths.items() for method in operations}


def routed() -> set[tuple[str, str]]:
    """Method and path of every route; the page's files are one."""
    desk = Desk()
    app = admin_app(
        operator=desk, registry=Metrics("1").registry, now=lambda: NOW, feed=feed(desk), gate=Gate(), version="1"
    )
    found = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource and route.method != "HEAD"
    }
    return {(method, re.sub("^/static/.*", "/static/{file}", path)) for method, path in found}


def test_every_route_is_described() -> None:
    """And no other."""
    assert described() == routed()


def test_every_route_is_in_the_manual() -> None:
    """docs/api.md lists each route, and no other."""
    assert set(re.findall(r"^\| `([A-Z]+) (\S+)` \|", MANUAL, re.MULTILINE)) == described()


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_each_schema_is_one(name: str) -> None:
    """By JSON Schema's own; every reference leads somewhere."""
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    names = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(SCHEMAS[name]))

    assert set(names) <= set(SCHEMAS)


def test_each_operation_has_a_name_of_its_own_and_answers() -> None:
    """So that clients can be made of it; examples are as their schemas say."""
    whole = document("1.2.3", ["page.js"], secured=True)
    operations = [one for path in whole["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]

    assert len(set(names)) == len(names)
    assert all("401" in one["responses"] or one["security"] == [] for one in operations)
    assert all({"304"} <= one["responses"].keys() for one in operations if "ETag" in json.dumps(one))
    for one in operations:
        for content in _contents(one):
            if "example" in content:
                jsonschema.validate(content["example"], {**content["schema"], "components": whole["components"]})


def _contents(operation: dict[str, Any]) -> list[dict[str, Any]]:
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    return [content for body in bodies for content in body.get("content", {}).values()]
