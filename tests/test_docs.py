"""The manual and the program say the same."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from calsyncd.cli import commands
from calsyncd.config import check
from calsyncd.core.troubles import KINDS
from calsyncd.logs import ACTIONS
from calsyncd.metrics import Metrics

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

STATES = {"pending", "held", "paused", "suspended", "unsynced", "overridden", "kept", "left_alone", "idle"}


def table(text: str, heading: str) -> list[str]:
    """The names in backquotes in the first column of the table under a heading."""
    _, _, rest = text.partition(f"\n## {heading}\n")
    section, _, _ = rest.partition("\n## ")
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


def test_every_action_is_documented() -> None:
    """docs/operations.md lists each action of the log, and no other."""
    assert list(ACTIONS) == table(OPERATIONS, "The log")


CONCERNS = {"company": "everybody", "domain": "a domain", "agent": "an agent", "calendar": "a calendar"}
AFTER = {0.0: "at once", 60.0: "1 min", 300.0: "5 min", 86400.0: "1 day"}


def test_every_trouble_is_documented() -> None:
    """docs/operations.md has one table of them, which says all that the program's does, in its words and order."""
    rows = [
        f"| `{code}` | {kind.message} | {CONCERNS[kind.reach]} | {'lost' if kind.lost else '-'} | {AFTER[kind.wait]}"
        f" | {kind.owner} | {kind.do} |"
        for code, kind in KINDS.items()
    ]
    _, _, rest = OPERATIONS.partition("\n## Alarms\n")

    assert rows == re.findall(r"^\| `.*$", rest.partition("\n## ")[0], re.MULTILINE)
    assert [code for code in KINDS if f"| `{code}` | {KINDS[code].message}" not in OPERATIONS] == []
    assert OPERATIONS.count("| `delegation` |") == 1


def test_every_metric_is_documented() -> None:
    """docs/operations.md lists each metric with its labels, and no other."""
    metrics = Metrics("1")
    metrics.http_request("google", "/events", 200, 0.1)
    metrics.alarms({"storm": 0})
    told = set()
    for metric in metrics.registry.collect():
        labels = {label: None for sample in metric.samples for label in sample.labels if label != "le"}
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        told.add(name + (f"{{{','.join(labels)}}}" if labels else ""))

    assert told == set(table(OPERATIONS, "Metrics"))
    assert len(told) == len(table(OPERATIONS, "Metrics"))


def test_every_value_of_a_label_is_documented() -> None:
    """A metric's row names each value that its label has from the start; codes stand in tables of their own."""
    _, _, section = OPERATIONS.partition("\n## Metrics\n")
    rows = dict(re.findall(r"^\| `(\w+)[^`]*` \| ([^|]+) \|", section.partition("\n## ")[0], re.MULTILINE))
    for metric in Metrics("1").registry.collect():
        for sample in metric.samples:
            for label, value in sample.labels.items():
                if label in {"kind", "result", "stance", "health"}:
                    assert f"`{value}`" in rows[sample.name], (sample.name, value)


def test_every_alert_is_documented() -> None:
    """docs/operations.md lists each alert, in the rules' order, where the alert's runbook leads."""
    rules = yaml.safe_load((ROOT / "monitoring" / "calsyncd.rules.yml").read_text(encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    assert [alert["alert"] for alert in alerts] == table(OPERATIONS, "Alerts")
    headings = {
        re.sub(r"[^\w-]", "", line.replace(" ", "-")) for line in re.findall("^#+ (.*)$", OPERATIONS, re.MULTILINE)
    }
    anchors = {heading.lower() for heading in headings} | set(re.findall(r'<a id="(\w+)">', OPERATIONS))
    for alert in alerts:
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert anchor in anchors


def test_every_state_is_documented() -> None:
    """docs/operations.md lists each state that this stage of the program can show."""
    assert set(table(OPERATIONS, "States of an agent")) == STATES


def test_every_command_is_documented() -> None:
    """README lists each command, and each that it lists exists."""
    named = {word for line in table(README, "Commands") for word in [line.split()[1]]}
    named |= set(re.findall(r"· `calsyncd ([\w-]+)", README))

    assert set(commands.commands) == named


STEPS = re.findall(r"`calsyncd ((?:check|status|release|pause|resume)[^`|]*)`", README)


@pytest.mark.parametrize("line", sorted(set(STEPS)))
def test_commands_of_the_steps_parse(line: str) -> None:
    """Each command that README's steps name is one that the program takes."""
    name, *arguments = [word for word in shlex.split(line) if not word.startswith("[")]

    context = commands.commands[name].make_context(name, arguments)

    assert context.info_name == name


def test_the_small_settings_of_readme(tmp_path: Path) -> None:
    """README's config.yaml holds nothing that the settings refuse by name or type."""
    block = README.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "config.yaml").write_text(block)

    faults = check(tmp_path / "config.yaml", {})

    assert set(yaml.safe_load(block)) == {"server", "state_dir", "google", "aircall", "agents"}
    assert {fault.split(": ")[1] for fault in faults} == {"google.service_account_file", "aircall.api_token_file"}


def test_links_lead_somewhere() -> None:
    """Each relative link of the manual names a file that is there."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())]

    assert links
    assert [] == [str(link) for page, link in links if not (page.parent / link).exists()]


def test_the_files_for_pip_are_the_lock() -> None:
    """requirements/*.txt hold the versions and hashes of uv.lock, so that pip and uv install the same."""
    locked = {
        package["name"]: (
            package["version"],
            {file["hash"] for file in [*package.get("wheels", []), package.get("sdist")] if file},
        )
        for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
        if package["name"] != "calsyncd"
    }
    for name in ("run", "test"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        pins = re.findall(r"^([a-z0-9-]+)==(\S+)[^\n]*\\\n((?:    --hash=\S+(?: \\)?\n?)+)", text, re.MULTILINE)
        assert pins
        for package, version, hashes in pins:
            assert locked[package] == (version, set(re.findall(r"--hash=(\S+)", hashes)))
    assert {pin[0] for pin in pins} == set(locked)


def test_nothing_of_this_machine_is_committed() -> None:
    """No file names a folder of the machine on which it was written."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    pattern = re.compile(rb"/(?:wor" + rb"k|ro" + rb"ot|hom" + rb"e/\w+)/")

    found = [
        name.decode() for name in files.split(b"\0") if name and pattern.search((ROOT / name.decode()).read_bytes())
    ]

    assert [] == found
