from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from calsyncd import deadman, systemd
from calsyncd.config import Server
from calsyncd.config.secretfiles import vault_key_file
from calsyncd.config.values import Surroundings
from calsyncd.supervised import LISTENERS

FOLDER = Path(__file__).parents[1] / "systemd"
UNIT, TEMPLATE = FOLDER / "calsyncd.service", FOLDER / "calsyncd@.service"
RELEASES = {UNIT: FOLDER / "calsyncd-release.service", TEMPLATE: FOLDER / "calsyncd-release@.service"}
UNITS = sorted(unit for kind in ("service", "socket", "timer") for unit in FOLDER.glob(f"*.{kind}"))
EXPOSURE = 11
"""Tenths, of `systemd-analyze security`."""


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


def directives(unit: Path = UNIT) -> list[tuple[str, str]]:
    """What the unit says, in order."""
    return re.findall(r"^([A-Za-z]+)=(.*)$", unit.read_text(), re.MULTILINE)


def tool(name: str, *arguments: str | Path) -> str:
    """What a program of systemd's prints; it must succeed. Skips loudly where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: the units were NOT verified")
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


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
        ("ExecReload", "sh -c 'kill -HUP $MAINPID'"),
    ):
        assert promise in given
    assert any(name == "WatchdogSec" for name, _ in given)


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.name)
def test_every_directive_is_explained(unit: Path) -> None:
    """Each directive, or the run of kindred ones it belongs to, follows a comment that says why."""
    body = re.split(r"\[(?:Service|Socket|Timer)\]\n", unit.read_text())[1].partition("[Install]")[0]

    for block in re.split(r"\n(?=# )|\n\n", body.strip()):
        assert block.startswith("#"), block


def test_the_template_differs_only_in_the_name() -> None:
    """One company's unit with the instance's name wherever a company's own things are: line by line."""
    expected = [
        line.replace("Google Calendar", "Google Calendar, for %i", line.startswith("Description="))
        .replace("/etc/calsyncd/config.yaml", "/etc/calsyncd/%i.yaml")
        .replace("User=calsyncd", "User=calsyncd-%i")
        .replace("calsyncd-release.service", "calsyncd-release@%i.service")
        .replace("=calsyncd calsyncd-key", "=calsyncd@%i calsyncd@%i-key")
        .replace("/var/lib/calsyncd-key", "/var/lib/calsyncd@NAME-key")
        .replace("/var/lib/calsyncd:", "/var/lib/calsyncd@NAME:")
        for line in re.sub(
            r"^(#LoadCredential(?:Encrypted)?=)(?!vault-key)(.*?):/etc/calsyncd/(.*)$",
            r"\1%i-\2:/etc/calsyncd/%i-\3",
            UNIT.read_text().replace(":/etc/calsyncd/vault-key", ":/etc/calsyncd/%i-vault-key"),
            flags=re.MULTILINE,
        ).splitlines()
    ]

    assert TEMPLATE.read_text().splitlines() == expected
    assert TEMPLATE.read_text() != UNIT.read_text()


@pytest.mark.parametrize("unit", RELEASES, ids=lambda path: path.name)
def test_the_dead_mans_release_is_the_daemons_equal(unit: Path) -> None:
    """The same user and state directory, credentials and protections, line by line; otherwise a run that ends."""
    release, daemon = RELEASES[unit].read_text(), unit.read_text()
    shared = daemon[daemon.index("DynamicUser=") : daemon.index("[Install]")].rstrip()
    given = dict(directives(RELEASES[unit]))
    name = "config" if unit == UNIT else "%i"

    assert release.rstrip().endswith(shared)
    assert given["Type"] == "oneshot"
    assert given["ExecStart"].endswith(f"-m calsyncd release --stale --config /etc/calsyncd/{name}.yaml")
    assert not {"Restart", "WatchdogSec", "ExecReload", "WantedBy"} & given.keys()
    assert float(given["TimeoutStartSec"].removesuffix("min")) * 60 > deadman.LONGEST_SECONDS


def test_the_daemon_starts_again_where_the_release_holds_the_lock() -> None:
    """It ends with 75 then, which is no reason to give up, and is started again sooner than the next run comes."""
    given = dict(directives())

    assert "75" not in given["RestartPreventExitStatus"].split()
    assert given["Restart"] == "always"
    assert dict(directives(FOLDER / "calsyncd-release.timer"))["OnUnitActiveSec"] == "5min"


@pytest.mark.parametrize("unit", [UNIT, TEMPLATE], ids=lambda path: path.name)
def test_the_key_lies_where_the_daemon_makes_it(unit: Path) -> None:
    """Beside the state directory, by its name and `-key`: nowhere else could it be written."""
    state, key = dict(directives(unit))["StateDirectory"].split()

    assert vault_key_file(None, Path("/var/lib", state), Surroundings(Path("/etc"), {})) == Path(
        "/var/lib", key, "vault.key"
    )


@pytest.mark.parametrize(
    ("socket_unit", "service", "name"),
    [
        ("calsyncd.socket", "calsyncd.service", "public"),
        ("calsyncd-admin.socket", "calsyncd.service", "admin"),
        ("calsyncd@.socket", "calsyncd@%i.service", "public"),
        ("calsyncd-admin@.socket", "calsyncd@%i.service", "admin"),
    ],
)
def test_socket_units_lead_to_their_listener(socket_unit: str, service: str, name: str) -> None:
    """By the names that the daemon knows, and to the service; a template's sockets are the instance's own."""
    given = dict(directives(FOLDER / socket_unit))

    assert given["FileDescriptorName"] == name
    assert name in LISTENERS
    assert (
        given.get("Service", socket_unit.replace("@.socket", "@%i.service").replace(".socket", ".service")) == service
    )
    assert ("%i" in given["ListenStream"]) == ("@" in socket_unit)
    if "@" not in socket_unit:
        assert given["ListenStream"] == str(getattr(Server(), {"public": "listen", "admin": "admin_listen"}[name]))


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """systemd-analyze has nothing to say against them, together, nor with the credentials."""
    for unit in UNITS:
        text = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
        text = text.replace("#LoadCredential", "LoadCredential")
        (tmp_path / unit.name).write_text(text)

    assert len(UNITS) == 10
    # The manual's page is not installed on a machine that tests.
    assert tool("systemd-analyze", "verify", "--man=no", *(tmp_path / unit.name for unit in UNITS)) == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_name_a_page_that_is_installed(unit: Path) -> None:
    """`systemctl status` shows where to read on, and `systemctl help` opens it: a page that the package has."""
    (page,) = (value for name, value in directives(unit) if name == "Documentation")
    named = re.fullmatch(r"man:(\S+)\((\d)\)", page)
    shipped = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]

    assert named is not None, page
    assert "share/man/man{1}/{0}.{1}".format(*named.groups()) in shipped["shared-data"].values()


@pytest.mark.parametrize("unit", [*RELEASES, *RELEASES.values()], ids=lambda path: path.name)
def test_the_service_is_hardly_exposed(unit: Path) -> None:
    """`systemd-analyze security` finds 1.1 at most, and fails where there is more."""
    told = tool("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", unit)

    (exposure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert 0 < float(exposure) * 10 <= EXPOSURE


def test_a_lasting_user_and_its_folders(tmp_path: Path) -> None:
    """systemd-sysusers makes the user, systemd-tmpfiles the folders that are theirs alone."""
    if os.geteuid() != 0:
        pytest.skip("sysusers and tmpfiles are NOT TESTED: only root can give folders away")
    for kind in ("sysusers", "tmpfiles"):
        folder = tmp_path / "etc" / f"{kind}.d"
        folder.mkdir(parents=True)
        shutil.copy(FOLDER / f"calsyncd.{kind}", folder / "calsyncd.conf")
    tool("systemd-sysusers", f"--root={tmp_path}", "calsyncd.conf")
    for _ in range(2):
        tool("systemd-tmpfiles", "--create", f"--root={tmp_path}", "calsyncd.conf")

    name, _, uid, gid, _, home, shell = (tmp_path / "etc" / "passwd").read_text().strip().split(":")
    assert (name, home) == ("calsyncd", "/var/lib/calsyncd")
    assert shell.endswith("nologin")
    for name in ("calsyncd", "calsyncd-key"):
        made = (tmp_path / "var" / "lib" / name).stat()
        assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (int(uid), int(gid), 0o700)
    assert (tmp_path / "etc" / "calsyncd").stat().st_uid == 0
