"""The shipped configurations of nginx and Caddy, in front of a daemon, with TLS by an authority of our own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.running import free_port
from tests.authority import Authority

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = "calsync.example.com"
HOST = "calsync.example"
NOBODY = 65534
START_SECONDS = 15.0


@dataclass
class Front:
    """A proxy that runs, in front of the daemon at `listen` (host:port or unix:/path), in a folder of its own."""

    name: str
    listen: str
    folder: Path
    pair: Path
    user: int | None = None
    tls: int = field(default_factory=free_port)
    plain: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def logs(self) -> str:
        """Everything that it has written."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def command(self) -> Sequence[str]:
        """Write its configuration, as shipped but for names, ports and paths; how it is started."""
        program = shutil.which(self.name)
        assert program is not None
        if self.name == "nginx":
            (self.folder / "calsyncd.conf").write_text(self._nginx())
            (self.folder / "nginx.conf").write_text(_AROUND.format(folder=self.folder))
            return (program, "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c", "nginx.conf")
        (self.folder / "Caddyfile").write_text(self._caddy())
        return (program, "run", "--config", str(self.folder / "Caddyfile"), "--adapter", "caddyfile")

    def check(self) -> Sequence[str]:
        """How it is asked whether it takes that configuration."""
        program, *rest = self.command()
        return (program, *rest, "-t") if self.name == "nginx" else (program, "validate", *rest[1:])

    def _nginx(self) -> str:
        text = (ROOT / "proxies" / "nginx.conf").read_text(encoding="utf-8")
        inner = [line for line in text.splitlines() if _ipv6() or "listen [::]" not in line]
        return _replaced(
            "\n".join(inner) + "\n",
            {
                EXAMPLE: HOST,
                f"/etc/letsencrypt/live/{HOST}/fullchain.pem": str(self.pair),
                f"/etc/letsencrypt/live/{HOST}/privkey.pem": str(self.pair),
                "server 127.0.0.1:8770;": f"server {self.listen};",
                "listen 443 ": f"listen 127.0.0.1:{self.tls} ",
                "listen 80": f"listen 127.0.0.1:{self.plain}",
                "/var/log/nginx": str(self.folder),
            }
            | (
                {"listen [::]:443 ": f"listen [::1]:{self.tls} ", "listen [::]:80": f"listen [::1]:{self.plain}"}
                if _ipv6()
                else {}
            ),
        )

    def _caddy(self) -> str:
        upstream = self.listen.replace("unix:", "unix/") if self.listen.startswith("unix:") else self.listen
        return _replaced(
            (ROOT / "proxies" / "Caddyfile").read_text(encoding="utf-8"),
            {
                EXAMPLE: HOST,
                "{\n\tservers {": f"{{\n\tadmin off\n\thttp_port {self.plain}\n\thttps_port {self.tls}\n\tservers {{",
                "# tls /etc/ssl/calsync/fullchain.pem /etc/ssl/calsync/privkey.pem": f"tls {self.pair} {self.pair}",
                "reverse_proxy 127.0.0.1:8770": f"reverse_proxy {upstream}",
            },
        )

    async def run(self, *command: str) -> asyncio.subprocess.Process:
        """A process of the proxy's, by its user, which writes into its folder."""
        by: dict[str, Any] = {}
        if self.user is not None:
            by = {"user": self.user, "group": self.user, "extra_groups": []}
        with (self.folder / "output.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)},
                **by,
            )

    async def start(self) -> None:
        """Start it, and return when it listens."""
        self.folder.mkdir()
        if self.user is not None:
            os.chown(self.folder, self.user, self.user)
        self.process = await self.run(*self.command())
        async with asyncio.timeout(START_SECONDS):
            while self.process.returncode is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.tls)
                    writer.close()
                    return
                await asyncio.sleep(0.05)
        raise AssertionError(f"{self.name} ended: {self.logs}")

    async def stop(self) -> None:
        """End it."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(self.process.wait(), START_SECONDS)


_AROUND = """
daemon off;
pid {folder}/nginx.pid;
worker_processes 2;
error_log {folder}/error.log info;
events {{ worker_connections 768; }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include calsyncd.conf;
}}
"""


def _replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"the shipped file has no {old!r} any more"
        text = text.replace(old, new)
    return text


def _ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# -- as strangers come -----------------------------------------------------------------------------------------------


async def connect(
    port: int, authority: Authority | None, name: str | None = HOST
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with TLS that asks for `name` there, None for no name; without an authority a plain one."""
    if authority is None:
        return await asyncio.open_connection("127.0.0.1", port)
    context = ssl.create_default_context(cafile=str(authority.file))
    if name != HOST:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name or "")


async def exchange(port: int, authority: Authority | None, raw: bytes, name: str | None = HOST) -> bytes:
    """Everything that comes back for `raw`, until the other end closes or has answered and rests; b"" when refused."""
    try:
        reader, writer = await connect(port, authority, name)
    except (ConnectionError, ssl.SSLError):
        return b""
    answer = b""
    try:
        writer.write(raw)
        async with asyncio.timeout(10):
            while part := await reader.read(65536):
                answer += part
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.transport.abort()
    return answer


def request(line: str, *headers: str, host: str = HOST, body: bytes = b"") -> bytes:
    """A request that ends its connection."""
    head = [f"{line} HTTP/1.1", f"Host: {host}", *headers, "Connection: close"]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


@contextlib.asynccontextmanager
async def bridge(authority: Authority, port: list[int]) -> AsyncIterator[int]:
    """A port of loopback that leads on, with TLS, to the port that stands in `port`: as Google comes, by a name."""

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        further, back = await connect(port[0], authority)
        await asyncio.gather(_pipe(reader, back), _pipe(further, writer))

    server = await asyncio.start_server(lead, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    server.close()


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()
