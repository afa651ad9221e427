"""The examples in deploy/, as far as they can be looked at without a cluster."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from calsyncd.config import check
from calsyncd.config.models import Server
from calsyncd.daemon import STOP_SECONDS
from calsyncd.web.server import serve

DEPLOY = Path(__file__).parent.parent / "deploy"
HCL = (DEPLOY / "calsyncd.nomad.hcl").read_text(encoding="utf-8")
ROUTE = "/healthz"
"""What a probe from outside can ask for: the public listener has it."""

LIVENESS = "/healthz?only=loop"
"""What restarts by: the admin listener has it."""


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """The objects of kubernetes.yaml, by kind."""
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))}


def test_kubernetes_runs_one_and_never_two(objects: dict[str, Any]) -> None:
    """One replica of a StatefulSet, on a volume that one pod can have, with time enough to end."""
    spec = objects["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    (claim,) = spec["volumeClaimTemplates"]

    assert spec["replicas"] == 1
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert pod["terminationGracePeriodSeconds"] > STOP_SECONDS + 5
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert objects["Service"]["spec"]["selector"] == spec["selector"]["matchLabels"]
    assert spec["serviceName"] == objects["Service"]["metadata"]["name"]


def test_kubernetes_names_fit_together(objects: dict[str, Any], tmp_path: Path) -> None:
    """Settings that calsyncd takes, ports and paths that they name, volumes that are mounted, probes with a route."""
    pod = objects["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    text = objects["ConfigMap"]["data"]["config.yaml"]
    settings = yaml.safe_load(text)
    (tmp_path / "config.yaml").write_text(text)
    faults = check(tmp_path / "config.yaml", {})
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    claims = {claim["metadata"]["name"] for claim in objects["StatefulSet"]["spec"]["volumeClaimTemplates"]}

    # Nothing but that the secrets are not on this machine.
    assert {fault.split(": ")[1] for fault in faults} == {"google.service_account_file", "aircall.api_token_file"}
    assert container["command"][-1] == f"{mounts['config']}/config.yaml"
    assert Path(settings["state_dir"]).is_relative_to(mounts["state"])
    secrets = {settings["google"]["service_account_file"], settings["aircall"]["api_token_file"]}
    assert secrets == {f"{mounts['secrets']}/{name}" for name in objects["Secret"]["stringData"]}
    assert volumes["secrets"]["secret"]["defaultMode"] & 0o007 == 0
    assert set(mounts) == set(volumes) | claims
    (port,) = container["ports"]
    assert settings["server"]["listen"] == f"0.0.0.0:{port['containerPort']}"
    assert settings["server"]["admin_listen"].startswith("127.0.0.1:")
    assert container["readinessProbe"]["httpGet"] == {"path": ROUTE, "port": port["name"]}


async def test_kubernetes_restarts_for_the_loop_alone(objects: dict[str, Any]) -> None:
    """The probe's own command asks the admin listener of the settings; it ends with 0 at 200, else with another."""
    (container,) = objects["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    settings = yaml.safe_load(objects["ConfigMap"]["data"]["config.yaml"])
    probe = container["livenessProbe"]
    program, flag, code = probe["exec"]["command"]
    url = f"http://{settings['server']['admin_listen']}{LIVENESS}"
    asked = []

    async def healthz(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        return web.Response(status=200 if len(asked) == 1 else 503)

    assert (program, flag) == ("python", "-c")
    assert url in code
    app = web.Application()
    app.router.add_get(ROUTE, healthz)
    async with serve(app, "127.0.0.1:0") as (address,):
        here = code.replace(settings["server"]["admin_listen"], address.removeprefix("http://"))
        ends = []
        for _ in range(2):
            done = await asyncio.create_subprocess_exec(sys.executable, flag, here, stderr=subprocess.DEVNULL)
            ends.append(await done.wait())

    assert ends == [0, 1]
    assert asked == [LIVENESS, LIVENESS]
    assert float(re.findall(r"timeout=(\d+)", code)[0]) < probe["timeoutSeconds"]


def test_nomad_runs_one_and_never_two() -> None:
    """Braces that close, one task, one at a time, time enough to end, the probe that is served, secrets by signal."""
    bare = re.sub(r'#[^\n]*|"(?:\\.|[^"\\])*"', "", HCL)
    depth = 0
    for sign in re.findall(r"[{}]", bare):
        depth += 1 if sign == "{" else -1
        assert depth >= 0
    assert depth == 0
    fields = dict(re.findall(r"^\s*(\w+)\s*=\s*(.+)$", HCL, re.MULTILINE))
    assert fields["count"] == "1"
    assert fields["canary"] == "0"
    assert int(fields["kill_timeout"].strip('"s')) > STOP_SECONDS + 5
    assert fields["path"].strip('"') == LIVENESS
    secrets = re.findall(r"template \{(.*?)\n      \}", HCL, re.DOTALL)
    assert len(secrets) == 2
    for secret in secrets:
        assert re.findall(r"(uid|gid|perms) += (\S+)", secret) == [
            ("perms", '"0400"'),
            ("uid", "var.uid"),
            ("gid", "var.gid"),
        ]
    assert set(re.findall(r"var\.(\w+)", HCL)) == set(re.findall(r'^variable "(\w+)"', HCL, re.MULTILINE))
    admin = Server().admin_listen
    (port,) = re.findall(r'port "admin" \{\s*static\s+= (\d+)\s+host_network = "loopback"', HCL)
    assert str(admin) == f"127.0.0.1:{port}"
    checked = re.findall(r'port\s+= "(\w+)"\s+provider = "nomad"\s+(?:#[^\n]*\s+)*check \{', HCL)
    assert checked == ["admin"]
    assert fields["kill_signal"] == '"SIGTERM"'
    assert fields["change_signal"] == '"SIGHUP"'


def test_litestream_copies_the_database_that_there_is() -> None:
    """By its name; the replica is somewhere else."""
    (database,) = yaml.safe_load((DEPLOY / "litestream.yml").read_text(encoding="utf-8"))["dbs"]

    assert database["path"] == "${CALSYNCD_STATE}/calsyncd.db"
    assert database["replica"] == {"type": "file", "path": "${CALSYNCD_REPLICA}", "sync-interval": "1s"}
