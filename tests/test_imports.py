"""Imports point inwards: who may know whom."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import calsyncd

ROOT = Path(calsyncd.__file__).parent

MAY_KNOW: dict[str, set[str]] = {
    "core": set(),
    "errors": set(),
    "routes": set(),
    "clock": set(),
    "logs": {"files", "logwriter", "story"},
    "logwriter": set(),
    "story": set(),
    "metrics": {"clock", "core"},
    "systemd": set(),
    "files": set(),
    "state": {"errors", "files"},
    "backup": {"core", "errors", "files", "ledger", "state", "store", "vault"},
    "alarms": {"calendars", "clock", "core", "errors", "files", "http", "logs", "metrics", "phones", "view"},
    "config": {"core", "errors", "routes", "whereabouts"},
    "whereabouts": {"errors"},
    "vault": {"errors", "files"},
    "garbage": {"clock"},
    "ledger": {"core", "files"},
    "store": {"core", "errors"},
    "http": {"errors", "resolver"},
    "resolver": set(),
    "google": {"core", "errors", "http"},
    "aircall": {"core", "errors", "http"},
    "reach": {"core", "http", "logs", "resolver", "scheduler"},
    "scheduler": {"clock", "core"},
    "journal": {"clock", "core", "errors", "logs"},
    "absence": {"core", "logs", "state"},
    "everybody": {"core", "errors", "logs", "scheduler"},
    "calendars": {"clock", "core", "errors", "logs", "metrics", "scheduler"},
    "phones": {"clock", "core", "errors", "logs", "metrics", "scheduler"},
    "flows": {"web"},
    "forgetting": {"clock", "core", "errors", "ledger", "logs", "phones"},
    "connections": {"clock", "errors", "flows", "google", "http", "vault", "web"},
    "grants": {"aircall", "clock", "connections", "core", "errors", "logs", "vault"},
    "view": {"calendars", "core", "phones"},
    "web": {"core", "errors", "routes"},
    "chronicle": {"clock", "core", "view"},
    "control": {
        *("calendars", "chronicle", "clock", "core", "errors", "explainer", "forgetting", "logs", "overview", "phones"),
        *("view", "web"),
    },
    "explainer": {"calendars", "clock", "core", "phones", "view"},
    "overview": {"calendars", "clock", "core", "phones", "view"},
    "installation": {"aircall", "core", "errors", "flows", "http", "logs", "scheduler", "web"},
    "following": {"calendars", "config", "core", "errors", "everybody", "phones", "scheduler", "view"},
    "services": {
        *("aircall", "clock", "config", "connections", "core", "errors", "google", "http", "logs", "routes", "vault"),
    },
    "daemon": {
        *("aircall", "calendars", "clock", "config", "control", "core", "errors", "google", "http", "journal"),
        *("absence", "alarms", "ledger", "logs", "metrics", "phones", "scheduler", "state", "store", "web"),
        *(
            "connections",
            "files",
            "following",
            "forgetting",
            "garbage",
            "grants",
            "installation",
            "limits",
            "reach",
            "routes",
            "services",
        ),
        *("supervised", "vault", "vitals"),
    },
    "doctor": {
        *("aircall", "clock", "config", "core", "errors", "files", "google", "http", "reach", "routes", "services"),
        *("state", "vault", "web"),
    },
    "limits": {"calendars", "config", "core", "phones"},
    "vitals": {"alarms", "clock", "errors", "logs", "metrics", "scheduler"},
    "deadman": {"clock", "config", "core", "daemon", "errors", "ledger", "logs", "offline", "state"},
    "offline": {"config", "control", "daemon", "errors", "ledger", "state"},
    "sandbox": set(),
    "supervised": {"clock", "config", "errors", "scheduler", "systemd"},
    "demo": {"clock", "config", "daemon", "logs", "sandbox"},
    "terminal": {"core", "story"},
    "exports": {"core", "errors"},
    "simulate": {"clock", "config", "core", "errors", "exports", "google", "http", "services", "view"},
    "firstrun": {"aircall", "clock", "config", "core", "errors", "google", "http", "routes"},
    "cli": {
        "backup",
        "clock",
        "config",
        "core",
        "daemon",
        "deadman",
        "demo",
        "doctor",
        "errors",
        "firstrun",
        "garbage",
        "logs",
        "offline",
        "routes",
        "simulate",
        "state",
        "store",
        "story",
        "terminal",
        "vault",
        "whereabouts",
    },
    "__main__": {"cli"},
}


def imported(file: Path) -> set[str]:
    """The full names of the modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "calsyncd" else {module}
    return names


def rooms() -> dict[str, list[Path]]:
    """The package's rooms: its modules and folders, with their files."""
    found: dict[str, list[Path]] = {}
    for file in ROOT.rglob("*.py"):
        found.setdefault(file.relative_to(ROOT).parts[0].removesuffix(".py"), []).append(file)
    found.pop("__init__")
    return found


def test_every_room_is_named() -> None:
    """A new room says here whom it may know."""
    assert sorted(MAY_KNOW) == sorted(rooms())


@pytest.mark.parametrize("room", sorted(MAY_KNOW))
def test_imports_point_inwards(room: str) -> None:
    """A room imports only those that it may know."""
    known = {
        parts[1]
        for file in rooms()[room]
        for name in imported(file)
        if (parts := name.split("."))[0] == "calsyncd" and len(parts) > 1 and parts[1] != "__version__"
    }

    assert known - {room} <= MAY_KNOW[room]


def test_the_core_is_plain() -> None:
    """`core` imports the standard library, a regex engine, itself; nothing that waits, asks the time or draws lots."""
    names = {name.split(".")[0] for file in rooms()["core"] for name in imported(file)} - {"calsyncd"}

    assert names <= {*sys.stdlib_module_names, "re2"}
    assert not names & {"asyncio", "logging", "os", "pathlib", "random", "secrets", "socket", "threading", "sqlite3"}
    assert not [
        file for file in rooms()["core"] if "async def" in file.read_text() or "datetime.now" in file.read_text()
    ]
