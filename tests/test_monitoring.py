"""What is shipped for Prometheus and Grafana is sound, and asks for nothing that the daemon does not tell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from calsyncd.core.troubles import CODES, KINDS
from calsyncd.metrics import Metrics

ROOT = Path(__file__).parent.parent
MONITORING = ROOT / "monitoring"
RULES = yaml.safe_load((MONITORING / "calsyncd.rules.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
RECORDED = {rule["record"]: rule for group in RULES["groups"] for rule in group["rules"] if "record" in rule}

WORDS = frozenset(
    {
        *("sum", "min", "max", "by", "on", "and", "group_left", "rate", "increase", "changes", "absent", "abs", "time"),
        *("histogram_quantile", "clamp_min", "avg_over_time", "job", "instance", "le", "kind", "stance", "health"),
        *("code", "result", "service", "route", "status"),
    }
)
"""What stands in the expressions beside metrics: PromQL's words, and labels to sum by."""


def promtool(*arguments: str, given: bytes = b"") -> str:
    """What promtool says; it must find nothing wrong."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool (Debian's package prometheus) is not installed: metrics and rules were NOT checked")
    done = subprocess.run([tool, *arguments], input=given, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def told() -> dict[str, dict[str, set[str]]]:
    """The samples that a daemon exposes: by name, the values of each label."""
    metrics = Metrics("1.2.3")
    for status in (200, 401, 403, 429, 503, None, 999):
        for service in ("google", "aircall"):
            metrics.http_request(service, "/x", status, 0.1)
    metrics.alarms(dict.fromkeys(CODES, 0))
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def panels() -> Iterator[tuple[str, str]]:
    """Title and expression of all that the dashboard asks."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def expressions() -> list[str]:
    """All that the rules and the dashboard ask."""
    return [rule["expr"] for rule in [*ALERTS.values(), *RECORDED.values()]] + [
        expression for _, expression in panels()
    ]


def test_the_rules_are_sound() -> None:
    """Prometheus takes them."""
    assert f"SUCCESS: {len(ALERTS) + len(RECORDED)} rules found" in promtool(
        "check", "rules", str(MONITORING / "calsyncd.rules.yml")
    )


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    """Played by promtool; each alert has a story in which it fires, and one in which it does not."""
    assert "SUCCESS" in promtool("test", "rules", str(MONITORING / "calsyncd.rules.test.yml"))

    stories = yaml.safe_load((MONITORING / "calsyncd.rules.test.yml").read_text(encoding="utf-8"))["tests"]
    cases = [case for story in stories for case in story["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(ALERTS)
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == set(ALERTS)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_each_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    """A summary that names the company, a description, how bad it is, and where the manual goes on."""
    alert = ALERTS[name]

    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert "$labels.instance" in alert["annotations"]["summary"] or "absent(" in alert["expr"]


def test_what_stops_the_company_wakes_somebody() -> None:
    """A trouble that is everybody's and an alarm at once is critical, any other a warning: never both."""
    urgent = {code for code, kind in KINDS.items() if kind.reach == "company" and not kind.wait}
    ((_, named),) = asked(ALERTS["CalsyncdAlarmUrgent"]["expr"])
    ((_, others),) = asked(ALERTS["CalsyncdAlarmRaised"]["expr"])
    how, codes = named["code"]

    assert (how, set(codes.split("|"))) == ("=~", urgent)
    assert others["code"] == ("!~", codes)
    assert ALERTS["CalsyncdAlarmUrgent"]["labels"]["severity"] == "critical"
    # Those that are single agents' are raised late enough, or have an alert of their own.
    assert {code for code, kind in KINDS.items() if not kind.wait} - urgent == {"updates_owed", "disconnect_waits"}


def test_the_dashboard_parses(tmp_path: Path) -> None:
    """Each of its expressions is PromQL, with Grafana's variables filled in."""
    variables = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*"}
    rules = []
    for number, (title, expression) in enumerate(panels()):
        for name, value in variables.items():
            expression = expression.replace(name, value)  # noqa: PLW2901 - one after the other
        assert "$" not in expression, title
        rules.append({"record": f"panel:{number}", "expr": expression})
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", str(path))


def test_the_dashboard_is_for_any_source_and_company() -> None:
    """No data source is built in, each panel has its own number, and each question is of the chosen companies."""
    variables = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]

    assert variables == ["datasource", "job", "instance"]
    assert len(numbers) == len(set(numbers))
    assert set(re.findall(r'"uid": "([^"]+)"', json.dumps(DASHBOARD))) == {"${datasource}", "calsyncd"}
    for title, expression in panels():
        assert expression.count('{job=~"$job", instance=~"$instance"') == len(asked(expression)), title


def asked(expression: str) -> list[tuple[str, dict[str, tuple[str, str]]]]:
    """The metrics of an expression, with the labels that it selects by: how, and what."""
    text = re.sub(r"\b(?:by|on|group_left)\s*\([^)]*\)", " ", re.sub(r"\[[^\]]*\]", "", expression))
    found = []
    for match in re.finditer(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?", re.sub(r'"[^"]*"', _hidden, text)):
        if match[1] not in WORDS:
            selectors = re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', _shown(match[2] or ""))
            found.append((match[1], {name: (how, value) for name, how, value in selectors}))
    return found


def _hidden(match: re.Match[str]) -> str:
    return '"' + match[0][1:-1].encode().hex() + '"'


def _shown(text: str) -> str:
    return re.sub(r'"([0-9a-f]*)"', lambda match: '"' + bytes.fromhex(match[1]).decode() + '"', text)


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_what_is_asked_for_is_told(expression: str) -> None:
    """Each metric, label and value that a rule or a panel names is one that the daemon exposes."""
    known = told()
    for name, labels in asked(re.sub(r"(?<=[\s(*])\d[\d.]*|\b0\.\d+", " ", expression)):
        if name in {"up", *RECORDED}:
            continue
        assert name in known, name
        for label, (how, wanted) in labels.items():
            if label in {"job", "instance"}:
                continue
            values = known[name].get(label)
            assert values, (name, label)
            for one in wanted.split("|") if how.endswith("~") else [wanted]:
                assert any(re.fullmatch(one if how.endswith("~") else re.escape(one), value) for value in values), one


def test_every_metric_is_shown() -> None:
    """The dashboard shows all that there is, under whatever name a sample of it has."""
    shown = {name for _, expression in panels() for name, _ in asked(expression)}
    families = {re.sub(r"_(bucket|count|sum)\Z", "", name) for name in told() if name != "process_virtual_memory_bytes"}

    assert {re.sub(r"_bucket\Z", "", name) for name in shown if ":" not in name} >= families


def test_what_is_exposed_follows_prometheus_names() -> None:
    """The linter finds nothing, once every metric has a series."""
    metrics: Any = Metrics("1.2.3")
    metrics.http_request("google", "/events", 200, 0.1)
    metrics.alarms(dict.fromkeys(CODES, 0))

    assert promtool("check", "metrics", given=generate_latest(metrics.registry)) == ""


def test_it_is_shipped() -> None:
    """Whoever installs from the source has it."""
    assert '"monitoring"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
