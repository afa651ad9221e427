"""Make what the manual says of commands and settings from the program itself: `make manual`.

man/calsyncd.1 and man/calsyncd.yaml.5 from the pages beside them, docs/settings.md, and completions/ for three shells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete
from docutils.core import publish_string

from calsyncd import cli
from calsyncd.cli.examples import EXAMPLES
from calsyncd.config.schema import schema

ROOT = Path(__file__).parent.parent
SETTINGS_MD = Path("docs/settings.md")
BEGIN, END = "<!-- settings, by make manual -->\n", "<!-- end of settings -->\n"

SECTIONS = {
    "": "At the top",
    "Server": "server",
    "Google": "google",
    "Aircall": "aircall",
    "AircallOauth": "aircall.oauth",
    "Rules": "rules",
    "WorkingHours": "rules.working_hours",
    "Agent": "agents",
    "Team": "teams",
    "Dispatch": "dispatch",
    "StormGuard": "dispatch.storm_guard",
    "Alerts": "alerts",
    "History": "history",
    "Log": "log",
}
"""Where in the file each section of the schema stands, in the manual's order."""

EXITS = {
    0: "Done.",
    1: "Failed; for **doctor**: something is to be mended.",
    2: "Called in a way that is not understood.",
    69: "No daemon answers.",
    75: "Another daemon holds the state directory.",
    78: "The settings are faulty: only a person can mend that.",
}
SHELLS: dict[str, type[ShellComplete]] = {
    "calsyncd.bash": BashComplete,
    "_calsyncd": ZshComplete,
    "calsyncd.fish": FishComplete,
}


def made() -> dict[Path, str]:
    """Every file that is made, by its path in the repository."""
    settings = (ROOT / SETTINGS_MD).read_text(encoding="utf-8")
    before, _, rest = settings.partition(BEGIN)
    _, _, after = rest.partition(END)
    small = (ROOT / "README.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    pages = {
        "calsyncd.1": {
            "commands": _commands(),
            "exits": "\n".join(f"{code}\n    {said}" for code, said in EXITS.items()),
        },
        "calsyncd.yaml.5": {"settings": _settings(), "example": "::\n\n" + _indented(small, 4)},
    }
    files = {SETTINGS_MD: f"{before}{BEGIN}\n{_tables()}\n{END}{after}"}
    for name, parts in pages.items():
        files[Path("man") / name] = _roff((ROOT / "man" / f"{name}.rst").read_text(encoding="utf-8"), parts)
    for name, shell in SHELLS.items():
        files[Path("completions") / name] = (
            shell(cli.commands, {}, "calsyncd", "_CALSYNCD_COMPLETE").source().strip() + "\n"
        )
    return files


def _roff(page: str, parts: dict[str, str]) -> str:
    for name, text in parts.items():
        page = page.replace(f".. {name}\n", text + "\n")
    roff: bytes = publish_string(
        page,
        writer="manpage",
        settings_overrides={"report_level": 2, "halt_level": 2, "_disable_config": True, "output_encoding": "utf-8"},
    )
    # Which version of docutils wrote it is nobody's business, and would differ from one machine to the next.
    return "\n".join(line for line in roff.decode().splitlines() if not line.startswith('.\\" ')) + "\n"


def _commands() -> str:
    pieces = []
    for name, command in sorted(cli.commands.commands.items()):
        context = click.Context(command, info_name=f"calsyncd {name}")
        usage = " ".join(command.collect_usage_pieces(context)[1:])
        title = f"calsyncd {name} {usage}".strip()
        pieces += [title, "-" * len(title), "", *(f"{_plain(block)}\n" for block in (command.help or "").split("\n\n"))]
        for option in command.params:
            if isinstance(option, click.Option) and option.name not in {"config_path", "admin", "help"}:
                pieces += _option(option, context)
        pieces += ["Examples::", ""]
        for line, meaning in EXAMPLES[name]:
            pieces += [f"    # {meaning}", f"    {line}"]
        pieces.append("")
    return "\n".join(pieces)


def _option(option: click.Option, context: click.Context) -> Iterator[str]:
    names, words = option.get_help_record(context) or ("", "")
    if names:
        yield f"``{names}``"
        yield f"    {_plain(words)}"
        yield ""


def _settings() -> str:
    """The settings as a list of definitions, for the man page."""
    pieces = []
    for section, key, kind, default, meaning in _keys():
        if key == "":
            pieces += [section, "-" * len(section), "", _plain(meaning), ""]
        else:
            left_out = f" Default: ``{default}``." if default else ""
            pieces += [f"**{key}** ({kind})" if kind else f"**{key}**", f"    {_plain(meaning)}{left_out}", ""]
    return "\n".join(pieces)


def _tables() -> str:
    """The settings as one table a section, for docs/settings.md."""
    pieces = []
    for section, key, kind, default, meaning in _keys():
        if key == "":
            heading = section if " " in section else f"`{section}`"
            pieces += ["", f"## {heading}", "", meaning, "", "| key | value | default | |", "|---|---|---|---|"]
        else:
            cells = (f"`{key}`", kind, f"`{default}`" if default else "", meaning)
            pieces.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(pieces).strip() + "\n"


def _keys() -> Iterator[tuple[str, str, str, str, str]]:
    """Section, key, kind of value, default and meaning; a section's own sentence comes first, under the key ""."""
    read = schema()
    unknown = set(read["$defs"]) - set(SECTIONS)
    if unknown:
        raise SystemExit(f"tools/manual.py does not know where these stand: {', '.join(sorted(unknown))}")
    for name, where in SECTIONS.items():
        section = read["$defs"][name] if name else read
        yield where, "", "", "", section["description"]
        for key, value in section["properties"].items():
            meaning = value.get("description") or read["$defs"][value["$ref"].rpartition("/")[2]]["description"]
            default = json.dumps(value["default"]) if value.get("default") not in (None, [], {}) else ""
            yield where, key, _kind(value), default.strip('"').removesuffix(".0"), " ".join(meaning.split())


def _kind(value: dict[str, Any]) -> str:
    """What may stand there, in a few words."""
    for words in _kinds(value):
        return words
    ways = [_kind(way) for way in value.get("anyOf", ()) if way.get("type") != "null"]
    if any(way.get("pattern", "").endswith("[smhd]?$") for way in value.get("anyOf", ())):
        ways = [*(way for way in ways if way not in {"text", "number, 0 at least"}), "duration"]
    return " or ".join(dict.fromkeys(ways))


def _kinds(value: dict[str, Any]) -> Iterator[str]:
    if "$ref" in value:
        yield "section"
    if "enum" in value:
        yield ", ".join(json.dumps(one).strip('"') for one in value["enum"] if one is not None)
    if "const" in value:
        yield str(value["const"])
    match value.get("type"):
        case "boolean":
            yield "true, false"
        case "integer" | "number":
            yield _bounded(value)
        case "array":
            items = _kind(value.get("items", {}))
            yield "list" if items in {"", "text", "section"} else f"list of {items}"
        case "object":
            yield "mapping"
        case "string":
            yield "address" if "@" in value.get("pattern", "") else "text"


def _bounded(value: dict[str, Any]) -> str:
    kind = "number" if value["type"] == "number" else "whole number"
    low = f"{value['minimum']} at least" if "minimum" in value else ""
    if "exclusiveMinimum" in value:
        low = f"above {value['exclusiveMinimum']}"
    if "maximum" in value and "minimum" in value:
        return f"{value['minimum']} to {value['maximum']}"
    high = f"{value['maximum']} at most" if "maximum" in value else ""
    return ", ".join(part for part in (kind, low, high) if part)


def _plain(text: str) -> str:
    """A paragraph for reStructuredText, with names as they are typed."""
    return re.sub(r"`([^`]+)`", r"``\1``", " ".join(text.split())).replace("*", "\\*")


def _indented(text: str, spaces: int) -> str:
    return "".join(f"{' ' * spaces}{line}\n" for line in text.splitlines())


if __name__ == "__main__":
    for path, text in made().items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
