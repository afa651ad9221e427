"""The guest's disk: Debian 12 with its own kernel, calsyncd as docs/installing.md says, the shipped units, an agent.

Debian is fetched once (about a minute), the rest is put in anew whenever the tree has changed (half a minute).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.drill.agent import PORT

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "drill"
SUITE = "bookworm"
PYTHON = "3.11"
"""That of the suite: what the wheels are fetched for."""
PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "tzdata"),
    *("python3", "python3-venv", "linux-image-cloud-amd64", "initramfs-tools", "zstd"),
)
SIZE = "3G"
"""Of the disk; what is not used takes no room."""
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "unshare": "util-linux",
}
"""What this machine needs, and the package of Debian's that has it."""

NOTIFY_PORT = 18770
"""Where both services find the guest, on its own network."""

_PLATFORMS = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

_AGENT_UNIT = """\
[Unit]
Description=What the drill asks for
[Service]
ExecStartPre=/usr/sbin/ip link set lo up
ExecStartPre=/usr/sbin/ip addr replace 10.0.2.15/24 dev eth0
ExecStartPre=/usr/sbin/ip link set eth0 up
ExecStart=/usr/bin/python3 -u /usr/local/lib/drill-agent.py
Restart=always
RestartSec=1s
[Install]
WantedBy=multi-user.target
"""

_NOTIFY = {
    "drill-notify.socket": f"[Socket]\nListenStream=10.0.2.15:{NOTIFY_PORT}\nFreeBind=yes\n"
    "[Install]\nWantedBy=sockets.target\n",
    "drill-notify.service": "[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd 127.0.0.1:8770\n",
}
"""The reverse proxy of this machine: what comes by the virtual network reaches the daemon's loopback address."""

_QUIET = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "serial-getty@ttyS0.service", "getty@tty1.service"),
)


class CannotDrill(Exception):
    """This machine cannot run a guest; says what is missing."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a guest is booted from; the disk is never written to."""

    disk: Path
    kernel: Path
    initrd: Path


def build() -> Image:
    """The image of this tree, made if need be; `CannotDrill` where this machine cannot."""
    _look_for_tools()
    CACHE.mkdir(parents=True, exist_ok=True)
    debian = _debian()
    image = CACHE / f"guest-{_fingerprint(debian.name)}"
    found = Image(image / "disk.img", image / "vmlinuz", image / "initrd.img")
    if image.is_dir():
        return found
    for old in CACHE.glob("guest-*"):
        shutil.rmtree(old)
    print("drill: installing calsyncd into the guest's disk", flush=True)
    with _scratch() as scratch:
        made, root = scratch / "made", scratch / "root"
        made.mkdir()
        _as_root("mkdir", str(root))
        _as_root("tar", "--extract", "--numeric-owner", "--exclude=./dev/*", f"--file={debian}", f"--directory={root}")
        for kind in ("vmlinuz", "initrd.img"):
            _as_root("sh", "-c", f"cat {root}/boot/{kind}-* >{made}/{kind}")
        _install(scratch, root)
        _as_root("mke2fs", "-q", "-F", "-t", "ext4", "-d", str(root), str(made / "disk.img"), SIZE)
        made.rename(image)
    return found


def _look_for_tools() -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    os.environ["PATH"] = path
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool, path=path) is None})
    if missing:
        raise CannotDrill(f"apt-get install {' '.join(missing)}")


def _debian() -> Path:
    recipe = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    tar = CACHE / f"debian-{recipe}.tar"
    if not tar.exists():
        print(f"drill: fetching Debian {SUITE} into {tar}", flush=True)
        part = tar.with_suffix(".part")
        _called("mmdebstrap", "--format=tar", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(part))
        part.rename(tar)
    return tar


def _install(scratch: Path, root: Path) -> None:
    """As docs/installing.md says for a machine without a way to PyPI, then the units as README says."""
    wheels, files = scratch / "wheels", scratch / "files"
    pip = CACHE / "venv" / "bin" / "pip"
    if not pip.exists():
        _called(sys.executable, "-m", "venv", str(CACHE / "venv"))
    quiet = ("--quiet", "--disable-pip-version-check")
    whose = ("--only-binary=:all:", f"--python-version={PYTHON}", *(f"--platform={one}" for one in _PLATFORMS))
    pins = str(ROOT / "requirements" / "run.txt")
    _called(str(pip), "download", *quiet, "--require-hashes", "--no-deps", "-r", pins, "-d", str(wheels), *whose)
    _called(str(pip), "wheel", *quiet, "--no-deps", "-w", str(wheels), str(ROOT))
    units = files / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for unit in (ROOT / "systemd").glob("*.*"):
        if unit.suffix in {".service", ".socket", ".timer"}:
            shutil.copy(unit, units)
    for name, text in {"drill-agent.service": _AGENT_UNIT, **_NOTIFY}.items():
        (units / name).write_text(text, encoding="utf-8")
    program = files / "usr" / "local" / "lib"
    program.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("agent.py"), program / "drill-agent.py")
    journal = files / "etc" / "systemd" / "journald.conf.d"
    journal.mkdir(parents=True)
    (journal / "drill.conf").write_text("[Journal]\nStorage=volatile\n", encoding="utf-8")
    _as_root("cp", "--recursive", "--no-preserve=ownership", f"{files}/.", str(root))
    _as_root("cp", "--recursive", str(wheels), str(root / "wheels"))
    inside = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "chroot", str(root))
    _as_root(*inside, "python3", "-m", "venv", "/opt/calsyncd")
    from_wheels = ("--no-index", "--find-links", "/wheels")
    _as_root(*inside, "/opt/calsyncd/bin/pip", "install", *quiet, *from_wheels, "calsyncd")
    _as_root("rm", "--recursive", str(root / "wheels"))
    _as_root(*inside, "systemctl", "--quiet", "enable", "drill-agent.service", "drill-notify.socket")
    _as_root(*inside, "systemctl", "--quiet", "mask", *_QUIET)


def _fingerprint(debian: str) -> str:
    found = hashlib.sha256(f"{debian} {PORT}".encode())
    for folder in ("calsyncd", "systemd", "requirements"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    for path in (ROOT / "pyproject.toml", Path(__file__), Path(__file__).with_name("agent.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder beside the cache, so that what is made can be renamed into it; removed with what root made in it."""
    folder = Path(tempfile.mkdtemp(prefix="scratch-", dir=CACHE))
    try:
        yield folder
    finally:
        _as_root("rm", "--recursive", "--force", str(folder))


def _as_root(*command: str) -> None:
    """Run as root, or as what counts as root in a name space of this user's own."""
    _called(*(() if os.geteuid() == 0 else ("unshare", "--map-root-user", "--map-auto", "--")), *command)


def _called(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=900)
    if done.returncode:
        raise CannotDrill(f"{' '.join(command[:6])} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
