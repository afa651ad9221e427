from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from calsyncd import systemd

UNIT = Path(__file__).parents[1] / "systemd" / "calsyncd.service"


@pytest.fixture
def manager(tmp_path: Path) -> socket.socket:
    """What systemd holds at the other end of NOTIFY_SOCKET."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(tmp_path / "notify"))
    sock.settimeout(2)
    return sock


def test_states_arrive_at_a_path(manager: socket.socket) -> None:
    """Each state is a line of one datagram."""
    with manager:
        told = systemd.notify({"NOTIFY_SOCKET": manager.getsockname()}, READY="1", STATUS="8 agents, 3 held")

        assert told
        assert manager.recv(4096) == b"READY=1\nSTATUS=8 agents, 3 held\n"


def test_states_arrive_at_an_abstract_address() -> None:
    """An address that begins with @ is in the abstract namespace."""
    name = f"calsyncd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(2)

        assert systemd.notify({"NOTIFY_SOCKET": f"@{name}"}, STOPPING="1")
        assert manager.recv(4096) == b"STOPPING=1\n"


def test_reload_is_dated(manager: socket.socket) -> None:
    """RELOADING=1 comes with the monotonic clock, as systemd demands."""
    with manager:
        assert systemd.reloading({"NOTIFY_SOCKET": manager.getsockname()}, 123456789)
        assert manager.recv(4096) == b"RELOADING=1\nMONOTONIC_USEC=123456789\n"


def test_status_cannot_say_other_things(manager: socket.socket) -> None:
    """A line break in a status is a blank; what is no text is escaped."""
    with manager:
        assert systemd.notify({"NOTIFY_SOCKET": manager.getsockname()}, STATUS="a\nMAINPID=1\r\nb\udcff")
        assert manager.recv(4096) == b"STATUS=a MAINPID=1 b\\udcff\n"


@pytest.mark.parametrize(
    "address", [None, "", "relative", "/nowhere/notify", "vsock:2:1234", "@calsyncd-nobody", "/" * 300]
)
def test_nobody_to_tell_is_no_failure(address: str | None) -> None:
    """Without systemd, or with it gone, nothing is told and nothing fails."""
    assert not systemd.notify({} if address is None else {"NOTIFY_SOCKET": address}, READY="1")


def test_full_socket_is_not_waited_for(manager: socket.socket) -> None:
    """A manager that does not read costs no time."""
    with manager:
        environ = {"NOTIFY_SOCKET": manager.getsockname()}
        told = [systemd.notify(environ, WATCHDOG="1") for _ in range(2000)]

    assert told[0]
    assert not told[-1]


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "42"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
    ],
)
def test_watchdog_is_fed_twice_as_often_as_it_must(environ: dict[str, str], interval: float | None) -> None:
    """Half of what systemd allows, if it is this process that it watches."""
    assert systemd.watchdog_interval(environ, 42) == interval


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_FDS": "2"}, {"LISTEN_FDS": "2", "LISTEN_PID": "43"}, {"LISTEN_FDS": "0", "LISTEN_PID": "42"}],
)
def test_sockets_of_others_are_left_alone(environ: dict[str, str]) -> None:
    """Nothing is taken that was not handed to this process."""
    assert systemd.listen_fds(environ, 42) == {}


def test_sockets_are_taken_by_name() -> None:
    """A process started with listening sockets finds them by name, not inheritable and not blocking."""
    program = (
        "import os, socket, sys\n"
        "from calsyncd.systemd import listen_fds\n"
        "environ = dict(os.environ, LISTEN_PID=str(os.getpid()))\n"
        "found = listen_fds(environ, os.getpid())\n"
        "for name, socks in sorted(found.items()):\n"
        "    for sock in socks:\n"
        "        print(name, sock.getsockname()[1], sock.get_inheritable(), sock.getblocking())\n"
        "        sock.close()\n"
    )
    starter = (
        "import os, sys\n"
        "for target, fd in enumerate([int(fd) for fd in sys.argv[2:]], 3):\n"
        "    os.dup2(fd, target)\n"
        "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as public, socket.create_server(("127.0.0.1", 0)) as admin:
        # Far from 3 and 4, so that one does not overwrite the other while they are put into place.
        fds = [os.dup(sock.fileno()) for sock in (public, admin)]
        high = [fd + 40 for fd in fds]
        for fd, far in zip(fds, high, strict=True):
            os.dup2(fd, far)
            os.close(fd)
        ports = [sock.getsockname()[1] for sock in (public, admin)]
        try:
            done = subprocess.run(
                [sys.executable, "-c", starter, program, *map(str, high)],
                pass_fds=high,
                env=os.environ | {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "public:admin"},
                capture_output=True,
                text=True,
                check=True,
                timeout=30,
            )
        finally:
            for far in high:
                os.close(far)

    assert done.stdout.splitlines() == [f"admin {ports[1]} False False", f"public {ports[0]} False False"]


def directives() -> list[tuple[str, str]]:
    """What the unit says, in order."""
    return re.findall(r"^([A-Za-z]+)=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_unit_keeps_its_promises() -> None:
    """What the daemon relies on is in the unit."""
    given = directives()

    for promise in (
        ("Type", "notify"),
        ("Restart", "always"),
        ("RestartPreventExitStatus", "78"),
        ("StartLimitIntervalSec", "0"),
        ("StateDirectory", "calsyncd calsyncd-key"),
        ("LimitCORE", "0"),
        ("ExecReload", "kill -HUP $MAINPID"),
    ):
        assert promise in given
    assert any(name == "WatchdogSec" for name, _ in given)


def test_every_directive_of_the_service_is_explained() -> None:
    """Each directive, or the run of kindred ones it belongs to, follows a comment that says why."""
    service = UNIT.read_text().partition("[Service]\n")[2].partition("[Install]")[0]

    for block in re.split(r"\n(?=# )|\n\n", service.strip()):
        assert block.startswith("#"), block


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """systemd-analyze has nothing to say against it."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed: the unit was NOT verified")
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))

    done = subprocess.run([analyze, "verify", copy], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")
