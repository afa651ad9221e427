"""The shipped units under a real systemd: the service, its sockets, watchdog, memory, and dead man's release."""

from __future__ import annotations

import asyncio
import json
import shlex
import time
from collections import Counter
from datetime import datetime

from tests.drill.company import CREDENTIALS, ETC, START_SECONDS, UNITS, Company, journal, shown, until_shown
from tests.drill.findings import Bench, Findings
from tests.drill.guest import Guest

EXPOSURE = 1.5
STOP_SECONDS = 5.0
TIMEOUT_STOP_SECONDS = 15.0
RESTART_SECONDS = 180.0
"""Of which systemd takes two, and an emulated Python the most."""
RELEASE_SECONDS = 480.0
"""Within them the release's timer has its service run, and that has ended: every 5 min, and half a minute beside."""
RELEASE = "calsyncd-release.service"

_STREAM = """
import json, socket, sys, threading, time
headers, seconds, gap = json.loads(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
head = "".join(f"{name}: {value}\\r\\n" for name, value in headers.items())
request = f"POST /webhooks/google/notifications HTTP/1.1\\r\\nHost: demo.calsyncd.test\\r\\n{head}"
request += "Content-Length: 0\\r\\nConnection: close\\r\\n\\r\\n"
found, lock = {}, threading.Lock()
def ask():
    try:
        with socket.create_connection(("127.0.0.1", 8770), timeout=300) as sock:
            sock.sendall(request.encode())
            answer = sock.recv(64)
        seen = answer.split()[1].decode() if answer else "closed"
    except OSError as error:
        seen = type(error).__name__
    with lock:
        found[seen] = found.get(seen, 0) + 1
threads, end = [], time.monotonic() + seconds
while time.monotonic() < end:
    threads.append(threading.Thread(target=ask))
    threads[-1].start()
    time.sleep(gap)
for thread in threads:
    thread.join()
print(json.dumps(found))
"""
"""Genuine notifications, each by a connection of its own that is patient; prints how many had which answer."""


async def unit(bench: Bench, found: Findings) -> None:
    """calsyncd.service as shipped: started, at work, reloaded, stopped, and with faulty settings."""
    async with bench.guest() as guest, Company(2) as company:
        await company.move_into(guest)
        # What nothing refers to is forgotten by systemd as soon as it has ended, and how it ended with it.
        await guest.ok("systemctl enable calsyncd")
        took = await company.started(guest)
        limit = 600 if guest.emulated else 60
        found.check(f"systemctl start returns within TimeoutStartSec= ({limit} s)", f"{took:.1f} s", good=took < limit)
        await _running(guest, found)
        await _secrets(guest, company, found)
        await _at_work(company, found)
        await _reloaded(guest, found)
        await _stopped(guest, company, found)
        await _faulty(guest, found)


async def _running(guest: Guest, found: Findings) -> None:
    state = await shown(guest)
    seen = f"{state['Type']}, {state['ActiveState']}, {state['StatusText']}"
    found.check("Type=notify, READY and STATUS", seen, good=state["ActiveState"] == "active" and "agents" in seen)
    owner = await guest.ok(f"stat --format=%U:%u /proc/{state['MainPID']}")
    number = int(owner.partition(":")[2])
    found.check("a user for the time (DynamicUser=)", owner, good=61184 <= number <= 65519)
    report = await guest.ok("systemd-analyze security --no-pager calsyncd | tail --lines=1")
    figure = float(report.partition(": ")[2].split()[0])
    found.check(f"systemd-analyze security ≤ {EXPOSURE}", figure, good=figure <= EXPOSURE)
    limit = await guest.ok(f"grep 'Max core file size' /proc/{state['MainPID']}/limits")
    found.check("no core dump", " ".join(limit.split()), good=limit.split()[4:6] == ["0", "0"])
    refused = await guest.ok(f"grep -E 'NoNewPrivs|CapEff|Seccomp:' /proc/{state['MainPID']}/status")
    words = refused.split()
    good = words[1] == "0000000000000000" and words[3] == "1" and words[5] == "2"
    found.check("no capability, no new privileges, system calls filtered", " ".join(words), good=good)


async def _secrets(guest: Guest, company: Company, found: Findings) -> None:
    pid = (await shown(guest))["MainPID"]
    told = await guest.ok(f"cat /proc/{pid}/environ /proc/{pid}/cmdline | tr '\\0' '\\n'")
    key = json.loads(await guest.ok(f"cat {ETC}/google.json"))["private_key"]
    planted = [company.sandbox.aircall.api_token, *(line for line in key.splitlines() if "-" not in line and line)]
    leaked = [secret[:3] for secret in planted if secret in told]
    found.check("no secret in environ and cmdline", f"{len(leaked)} of {len(planted)}", good=not leaked)
    held = await guest.ok("ls -l /run/credentials/calsyncd.service | tail --lines=+2 | awk '{print $1, $NF}'")
    good = all(line.split()[0].startswith("-r--") for line in held.splitlines())
    found.check("secrets come as credentials", ", ".join(held.splitlines()), good=good and "google.json" in held)
    other = await guest.run("setpriv --reuid=65534 --clear-groups cat /run/credentials/calsyncd.service/aircall-token")
    found.check("which another user cannot read", other.err.strip()[-20:], good=other.status != 0)


async def _at_work(company: Company, found: Findings) -> None:
    amy = company.people[0]
    start = float(round(company.now() + 25))
    company.meet(amy, (start, start + 10))
    await company.until(start + 13)
    updates = company.updates(amy, since=start - 5)
    late = [round(one.at - at, 3) for one, at in zip(updates, (start, start + 10), strict=False)]
    states = [one.after.status for one in updates]
    good = states == ["unavailable", "available"] and all(-0.1 <= one <= 1 for one in late)
    found.check("set and put back, ≤ 1 s late, under all protections", f"{states}, {late} s late", good=good)


async def _reloaded(guest: Guest, found: Findings) -> None:
    await guest.ok(f"echo 'log: {{level: debug}}' >>{ETC}/config.yaml")
    before = (await shown(guest))["MainPID"]
    await guest.ok("systemctl reload calsyncd")
    await asyncio.sleep(5)
    told = [line for line in await journal(guest) if line.get("action") in {"reloaded", "reload_refused"}]
    same = (await shown(guest))["MainPID"] == before
    seen = str(told[-1].get("action")) if told else "nothing logged"
    found.check("reload: the settings are read again by the same process", seen, good=seen == "reloaded" and same)


async def _stopped(guest: Guest, company: Company, found: Findings) -> None:
    """While an update is under way that takes longer than the daemon waits."""
    start = float(round(company.now() + 25))
    company.meet(company.people[1], (start, start + 600))
    company.sandbox.aircall.fail("^PUT", times=None, delay=30)
    await company.until(start + 2)
    await guest.ok("systemctl stop calsyncd")
    company.sandbox.aircall.faults.clear()
    times = {
        str(line.get("action")): datetime.fromisoformat(str(line["timestamp"])).timestamp()
        for line in await journal(guest)
    }
    took = times["stopped"] - times["stopping"]
    state = await shown(guest)
    found.check(f"what is under way is given up within {STOP_SECONDS:.0f} s", f"{took:.1f} s", good=took < STOP_SECONDS)
    edges = (int(state[f"{name}TimestampMonotonic"]) / 1e6 for name in ("InactiveEnter", "ActiveExit"))
    ended = next(edges) - next(edges)
    # What Python takes to end is many times as long where it is emulated.
    limit = TIMEOUT_STOP_SECONDS if guest.emulated else STOP_SECONDS
    seen = f"{ended:.1f} s, {state['Result']}, exit status {state['ExecMainStatus']}"
    good = 0 < ended < limit and state["Result"] == "success" and state["ExecMainStatus"] == "0"
    found.check(f"and the unit ends within {limit:.0f} s, by itself", seen, good=good)


async def _faulty(guest: Guest, found: Findings) -> None:
    faults = {"unknown key": "echo 'unknown_key: 1' >>", "not readable by the unit's user": "chmod 600 "}
    for title, deed in faults.items():
        await guest.ok(f"{deed}{ETC}/config.yaml")
        await guest.run("systemctl start calsyncd", START_SECONDS)
        await asyncio.sleep(8)
        state = await shown(guest)
        seen = f"{state['ActiveState']}, exit status {state['ExecMainStatus']}, {state['NRestarts']} restarts"
        good = (state["ActiveState"], state["ExecMainStatus"], state["NRestarts"]) == ("failed", "78", "0")
        found.check(f"faulty settings ({title}): 78, and no restart", seen, good=good)
        await guest.ok("systemctl reset-failed calsyncd")


async def sockets(bench: Bench, found: Findings) -> None:
    """With socket activation, a stream of notifications over a restart and a kill -9."""
    async with bench.guest() as guest, Company(2) as company:
        await company.move_into(guest)
        await guest.ok("systemctl enable --now calsyncd.socket calsyncd-admin.socket")
        await company.started(guest)
        state = await shown(guest)
        found.check(
            "started by its sockets' side", state["TriggeredBy"], good="calsyncd.socket" in state["TriggeredBy"]
        )
        (channel, *_) = company.sandbox.google.push.live(company.people[0])
        headers = company.sandbox.google.push._headers(channel, "exists", 10)
        await guest.put("/run/stream.py", _STREAM)
        command = f"python3 /run/stream.py {shlex.quote(json.dumps(headers))}"
        quiet = json.loads(await guest.ok(f"{command} 5 0.1", 300))
        found.check("in quiet, all are answered", quiet, good=len(quiet) == 1 and next(iter(quiet)).startswith("2"))
        for title, deed in (("restart", "systemctl restart calsyncd"), ("kill -9", "systemctl kill -s KILL calsyncd")):
            async with guest.meanwhile(f"{command} 45 0.1", 500) as stream:
                await asyncio.sleep(10)
                began = time.monotonic()
                await guest.ok(deed, START_SECONDS)
                await asyncio.sleep(5)
                await company.ready(guest, RESTART_SECONDS * 2)
                took = time.monotonic() - began
                answers = Counter(json.loads((await stream).ok()))
            refused = answers["ConnectionRefusedError"]
            # Whoever had been taken in by the process that was killed loses that connection; Google then tries again.
            cut = answers["closed"] + answers["ConnectionResetError"]
            good = refused == 0 and set(answers) <= {*quiet, "closed", "ConnectionResetError"} and cut <= 2
            seen = f"{dict(answers)}: {refused} refused, {cut} cut off; {took:.1f} s until ready again"
            found.check(f"{title}: none refused", seen, good=good)


async def watchdog(bench: Bench, found: Findings) -> None:
    """A process that stands still for longer than WatchdogSec= is ended and started again, and everybody is right."""
    async with bench.guest() as guest, Company(2) as company:
        await company.move_into(guest)
        await company.started(guest)
        before = await shown(guest)
        now = company.now()
        company.meet(company.people[0], (now + 30, now + 900))
        await asyncio.sleep(8)
        began = time.monotonic()
        await guest.ok("systemctl kill --kill-who=main --signal=STOP calsyncd")
        await until_shown(guest, "NRestarts", "1", 150)
        killed = time.monotonic() - began
        seen = f"{killed:.0f} s"
        found.check(
            "restarted within WatchdogSec= (60 s) and TimeoutAbortSec= (15 s)", seen, good=killed <= 60 + 15 + 10
        )
        said = await guest.ok("journalctl --unit=calsyncd --output=cat --no-pager --grep='atchdog|SIGABRT'")
        lines = "; ".join(said.splitlines()[:2])
        found.check("ended by the watchdog with SIGABRT", lines, good="SIGABRT" in said and "atchdog" in said)
        late = await company.right(RESTART_SECONDS)
        seen = f"wrong: {company.wrong()}" if late is None else f"{time.monotonic() - began - killed:.1f} s after that"
        found.check("everybody right after the restart", seen, good=late is not None)
        after = await shown(guest)
        seen = f"{before['MainPID']}, then {after['MainPID']}"
        found.check("another process", seen, good=before["MainPID"] != after["MainPID"])


async def memory(bench: Bench, found: Findings) -> None:
    """A process that needs more than MemoryMax= is killed and started again, and everybody is right."""
    async with bench.guest() as guest, Company(2) as company:
        await company.move_into(guest)
        now = company.now()
        await company.started(guest)
        state = await shown(guest)
        used = int(state["MemoryCurrent"]) / 2**20
        found.check("MemoryMax= as shipped (1 GiB)", f"{used:.0f} MiB used", good=state["MemoryMax"] == str(2**30))
        company.meet(company.people[0], (now, company.now() + 900))
        held = await company.right(30)
        found.check("an agent is held", held is not None, good=held is not None)
        await guest.ok("systemctl set-property --runtime calsyncd MemoryMax=12M MemorySwapMax=0")
        await until_shown(guest, "Result", "oom-kill", 60)
        found.check("killed for its memory", "oom-kill", good=True)
        company.cancel(company.people[0])
        await guest.ok("systemctl set-property --runtime calsyncd MemoryMax=1G")
        began = time.monotonic()
        late = await company.right(RESTART_SECONDS * 2)
        seen = f"wrong: {company.wrong()}" if late is None else f"{time.monotonic() - began:.1f} s"
        found.check("started again, and the agent put back", seen, good=late is not None)
        restarts = int((await shown(guest))["NRestarts"])
        found.check("by systemd", f"{restarts} restarts", good=restarts >= 1)


async def dead_man(bench: Bench, found: Findings) -> None:
    """The daemon is dead and stays so while it holds an agent: the timer puts them back after their meeting."""
    async with bench.guest() as guest, Company(2) as company:
        await company.move_into(guest)
        await guest.ok(f"sed -i '{CREDENTIALS}' {UNITS}/calsyncd-release.service && systemctl daemon-reload")
        await company.started(guest)
        amy, ben = company.people
        now = company.now()
        company.meet(amy, (now - 60, now + 120))
        company.meet(ben, (now - 60, now + 3600))
        held = await company.right(30)
        found.check("both are held", held is not None, good=held is not None)
        unit = f"{UNITS}/calsyncd.service"
        await guest.ok(f"mv {unit} {unit}.kept && ln -s /dev/null {unit} && systemctl daemon-reload")
        await guest.ok("systemctl kill --signal=KILL calsyncd; systemctl enable --now calsyncd-release.timer")
        await company.until(now + 121)
        said = await _next_release(guest)
        found.check("a run while the daemon's mark is young does nothing", said, good="Nothing to do" in said)
        status = company.status(amy)
        found.check("so that nobody is put back yet", status, good=status == "unavailable")
        for email, minutes, title in (
            (amy, 15, "its timer's next run"),
            (ben, 60, "the run after that one failed"),
        ):
            company.set_ahead(company.offset + minutes * 60)
            await guest.set_clock(by=minutes * 60)
            began = time.monotonic()
            said = await _next_release(guest)
            good = not company.wrong() and f"{email}: put back" in said
            seen = f"{time.monotonic() - began:.0f} s: {said}"
            found.check(f"{minutes} min later {title}: puts back whose meeting is over, and only them", seen, good=good)
            failed = (await guest.run("systemctl is-failed calsyncd-release")).out.strip()
            found.check("and systemctl --failed tells of it", failed, good=failed == "failed")
        dead = (await shown(guest))["ActiveState"]
        found.check("the daemon stayed dead", dead, good=dead in {"inactive", "failed"})


async def _next_release(guest: Guest) -> str:
    """What the next run of calsyncd-release.service prints, once it has ended."""
    ended = (await shown(guest, RELEASE))["InactiveEnterTimestampMonotonic"]
    async with asyncio.timeout(RELEASE_SECONDS):
        while True:
            state = await shown(guest, RELEASE)
            if state["InactiveEnterTimestampMonotonic"] != ended:
                break
            await asyncio.sleep(1)
    run = f"_SYSTEMD_INVOCATION_ID={state['InvocationID']}"
    lines = (await guest.ok(f"journalctl {run} --output=cat --no-pager")).splitlines()
    return "; ".join(line for line in lines if not line.startswith("{"))
