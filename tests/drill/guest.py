"""A virtual machine: booted, asked, suspended, and cut off from power."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import platform
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.drill.agent import PORT
from tests.drill.image import NOTIFY_PORT, CannotDrill, Image

LIFE_SECONDS = 1800
"""After so long a QEMU ends, whatever became of who started it."""
BOOT_SECONDS = 480.0
PROBE_SECONDS = 15.0
"""Within them a kernel says its first line, also under emulation: it takes 2."""


class GuestError(AssertionError):
    """The guest did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a command in the guest."""

    command: str
    status: int
    out: str
    err: str

    def ok(self) -> str:
        """Its output; `GuestError` where it failed."""
        if self.status:
            raise GuestError(f"{self.command!r} ended with {self.status}: {(self.err or self.out).strip()}")
        return self.out


@functools.cache
def accelerator(image: Image) -> str:
    """`kvm` where a guest says its first line by it, else `tcg`; `CannotDrill` where neither boots.

    That /dev/kvm exists is not enough: nested, a guest may spin for ever in its first instructions.
    """
    for name in ("kvm", "tcg"):
        if name == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
            continue
        with tempfile.TemporaryDirectory(prefix="drill-") as folder:
            console = Path(folder) / "console"
            command = [*_limited(60), *_machine(name), *_kernel(image, "panic=-1"), "-serial", f"file:{console}"]
            with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as process:
                try:
                    until = time.monotonic() + PROBE_SECONDS * (1 if name == "kvm" else 4)
                    while time.monotonic() < until and process.poll() is None:
                        if console.exists() and b"Linux version" in console.read_bytes():
                            return name
                        time.sleep(0.1)
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
    raise CannotDrill("QEMU starts no guest here, neither by kvm nor by tcg")


@dataclass
class Guest:
    """A machine with a disk of its own, which outlives its power cuts; in `async with` it is off in the end."""

    image: Image
    folder: Path
    rtc: str = "base=utc"
    agent_port: int = 0
    notify_port: int = 0
    boots: int = 0
    boot_seconds: float = 0.0
    _process: asyncio.subprocess.Process | None = None
    _lines: _Lines | None = None
    _qmp: _Lines | None = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        try:
            await self.boot()
        except BaseException:
            await self.cut()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    async def boot(self) -> None:
        """Switch it on, and return when it answers; its clock then shows this machine's time, unless `rtc` is set."""
        disk = self.folder / "disk.qcow2"
        if not disk.exists():
            base = ("-F", "raw", "-b", str(self.image.disk))
            created = await asyncio.create_subprocess_exec("qemu-img", "create", "-q", "-f", "qcow2", *base, str(disk))
            if await created.wait():
                raise GuestError("qemu-img made no disk")
        self.boots += 1
        began = time.monotonic()
        self.agent_port, self.notify_port = _free_ports(2)
        forwarded = f"hostfwd=tcp:127.0.0.1:{self.agent_port}-:{PORT}"
        forwarded += f",hostfwd=tcp:127.0.0.1:{self.notify_port}-:{NOTIFY_PORT}"
        control = self.folder / f"qmp-{self.boots}"
        # What the guest has flushed is in the file; what it has not, and where it was put, is in QEMU's own memory.
        drive = f"file={disk},format=qcow2,if=virtio,cache=writeback"
        self._process = await asyncio.create_subprocess_exec(
            *(*_limited(LIFE_SECONDS), *_machine(accelerator(self.image)), *_kernel(self.image)),
            *("-drive", drive, "-netdev", f"user,id=net,{forwarded}", "-device", "virtio-net-pci,netdev=net"),
            *("-serial", f"file:{self.console}", "-qmp", f"unix:{control},server=on,wait=off"),
            *("-rtc", f"{self.rtc},clock=host"),
            start_new_session=True,
        )
        async with asyncio.timeout(BOOT_SECONDS):
            while not await self._answers():
                if self._process.returncode is not None:
                    raise GuestError(f"QEMU ended: {self.console.read_text(errors='replace')[-500:]}")
                await asyncio.sleep(0.3)
            self._qmp = _Lines(*await asyncio.open_unix_connection(str(control)))
            await self._qmp.read()
            await self.control("qmp_capabilities")
            await self.run("systemctl is-system-running --wait", seconds=BOOT_SECONDS)
        if self.rtc == "base=utc":
            await self.set_clock(to=time.time())
        self.boot_seconds = time.monotonic() - began

    @property
    def emulated(self) -> bool:
        """Whether it is many times slower than the machine around it."""
        return accelerator(self.image) == "tcg"

    @property
    def console(self) -> Path:
        """What the kernel said since it was last switched on."""
        return self.folder / f"console-{self.boots}"

    async def cut(self) -> None:
        """Cut the power: QEMU is killed, and with it what the guest had not flushed."""
        for lines in (self._lines, self._qmp):
            if lines is not None:
                lines.close()
        self._lines = self._qmp = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
            self._process = None

    async def run(self, command: str, seconds: float = 60.0) -> Done:
        """Run a shell's command in the guest."""
        answer = await self._asked(seconds + 30, do="run", command=command, seconds=seconds)
        return Done(command, answer["status"], answer["out"], answer["err"])

    async def ok(self, command: str, seconds: float = 60.0) -> str:
        """The output of a command that must succeed, without the blanks around it."""
        return (await self.run(command, seconds)).ok().strip()

    @asynccontextmanager
    async def meanwhile(self, command: str, seconds: float) -> AsyncIterator[asyncio.Task[Done]]:
        """A command that runs beside others; awaited or abandoned at the end of the block."""
        connection = _Lines(*await asyncio.open_connection("127.0.0.1", self.agent_port))

        async def ask() -> Done:
            answer = await connection.ask(do="run", command=command, seconds=seconds)
            return Done(command, answer["status"], answer["out"], answer["err"])

        task = asyncio.create_task(ask())
        try:
            yield task
            async with asyncio.timeout(seconds + 30):
                await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            connection.close()

    async def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file in the guest."""
        await self._asked(30, do="put", path=path, text=text, mode=mode)

    async def set_clock(self, *, to: float | None = None, by: float | None = None) -> None:
        """Step the guest's clock."""
        answer = await self._asked(30, do="set_clock", to=to, by=by)
        if answer["status"]:
            raise GuestError(f"the clock was not set: {answer['err']}")

    async def get(self, url: str) -> tuple[int, str]:
        """(status, body) of what an address of the guest's loopback answers; status 0 where nobody does."""
        answer = await self._asked(60, do="get", url=url)
        return int(answer["status"]), str(answer["out"])

    async def clocks(self) -> dict[str, Any]:
        """What the guest's clocks show: `now`, `monotonic`, `boottime`."""
        return await self._asked(30, do="now")

    async def suspend(self, state: str) -> None:
        """Let the guest fall asleep; returns when QEMU says so, or for `freeze`, which it cannot see, after a while."""
        await self._asked(30, do="suspend", state=state, after=0.3)
        if self._lines is not None:
            self._lines.close()
            self._lines = None
        async with asyncio.timeout(30):
            while state == "mem" and (await self.control("query-status"))["status"] != "suspended":
                await asyncio.sleep(0.1)
        if state != "mem":
            await asyncio.sleep(3)

    async def control(self, command: str, **arguments: Any) -> Any:
        """A command to QEMU itself, such as `system_wakeup`, `stop` and `cont`; what it returned."""
        assert self._qmp is not None
        async with asyncio.timeout(30):
            answer = await self._qmp.ask(execute=command, arguments=arguments)
            while "event" in answer:
                answer = await self._qmp.read()
        if "error" in answer:
            raise GuestError(f"QEMU refused {command}: {answer['error']}")
        return answer["return"]

    async def awake(self, within: float = 60.0) -> None:
        """Return when it answers."""
        async with asyncio.timeout(within):
            while not await self._answers():
                await asyncio.sleep(0.1)

    async def _answers(self) -> bool:
        try:
            await self._asked(5, do="now")
        except (OSError, TimeoutError, ValueError):
            return False
        return True

    async def _asked(self, within: float, /, **question: Any) -> dict[str, Any]:
        try:
            async with asyncio.timeout(within):
                if self._lines is None:
                    self._lines = _Lines(*await asyncio.open_connection("127.0.0.1", self.agent_port))
                return await self._lines.ask(**question)
        except BaseException:
            if self._lines is not None:
                self._lines.close()
                self._lines = None
            raise


class _Lines:
    """JSON, a line at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, **question: Any) -> dict[str, Any]:
        self._writer.write(json.dumps(question).encode() + b"\n")
        await self._writer.drain()
        return await self.read()

    async def read(self) -> dict[str, Any]:
        # No line, because the other end is gone, is a ValueError like a torn one.
        return dict(json.loads(await self._reader.readline()))

    def close(self) -> None:
        self._writer.close()


def _limited(seconds: float) -> tuple[str, ...]:
    return ("timeout", "--kill-after=5", str(seconds))


def _machine(accel: str) -> tuple[str, ...]:
    how = ("-accel", "kvm", "-cpu", "host") if accel == "kvm" else ("-accel", "tcg,thread=multi")
    sized = ("-smp", "2", "-m", "1024", "-nodefaults", "-display", "none", "-no-reboot")
    return (f"qemu-system-{platform.machine()}", "-machine", "pc", "-global", "PIIX4_PM.disable_s3=0", *how, *sized)


def _kernel(image: Image, more: str = "") -> tuple[str, ...]:
    line = f"root=/dev/vda rw console=ttyS0 net.ifnames=0 systemd.show_status=0 random.trust_cpu=on {more}"
    return ("-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", line)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [probe.getsockname()[1] for probe in probes]
