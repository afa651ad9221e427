"""Listening: connections that are few, short-lived and silent in the log.

aiohttp has no read time-out of its own: idle clients, half a header and a byte a second stay as long as they like. Here
every connection is cut `life_seconds` after it was opened or has completed its last request, and only so many are kept:
a newcomer beyond them takes the place of the one that has waited longest without a request, or is told 503 when all of
them are young. What strangers send is counted in the log, never quoted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import stat
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError

from calsyncd.errors import UserError
from calsyncd.web.tally import Tally

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from aiohttp import StreamReader

SERVER = "calsyncd"
"""What the Server header says: no version helps nobody but an attacker."""

BACKLOG = 128
INHERITED_BACKLOG = 1024
"""For sockets that a supervisor keeps: whoever comes while the daemon restarts waits there."""

AT_ONCE = 16
"""So many come in with one turn of the loop. Where a restart has gathered more than there are places for, they are
answered as fast as they are taken in, and the others wait where they are."""

GRACE_SECONDS = 1.0
"""A connection younger than this is not given up, for a newcomer or at the end: its request may be under way."""

MAX_LINE = 4096
MAX_FIELD = 8192
"""All cookies of a browser are one field: 3 KB of flows that are under way, and what others under the same name have
set. nginx, Apache and Node let in as much."""

MAX_HEADERS = 64

MAX_HEAD = 32 * 1024
"""All of a header together, as nginx takes it: what a connection costs that never ends its own."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Server: calsyncd\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
)
_TOO_LONG = (
    "HTTP/1.1 431 Request Header Fields Too Large\r\n"
    "Server: calsyncd\r\n{kind}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
)

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


_TURNS_TO_COME_IN = 5
"""More than asyncio's loop needs from accept() to connection_made()."""


class _Door:
    """Who may be in, and for how long."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connections: int, life_seconds: float, malformed: str | None
    ) -> None:
        self.loop = loop
        self.malformed_body = malformed
        self.connections = connections
        self.life_seconds = life_seconds
        self.inside: set[_Connection] = set()
        self.waiting: dict[_Connection, float] = {}
        self.closing = False
        self.full = Tally(
            _log.warning, "Connections were refused or cut because all places were taken", action="connections_full"
        )
        self.slow = Tally(
            _log.info, "Connections were cut that had not completed a request in time", action="connections_slow"
        )
        self.malformed = Tally(_log.info, "Requests were refused that are not HTTP", action="requests_malformed")
        self.failed = Tally(_log.error, "A request could not be answered", action="request_failed")

    async def settle(self) -> None:
        """Give those who have just come the time to say what they want."""
        for _ in range(_TURNS_TO_COME_IN):
            await asyncio.sleep(0)
        # Nothing tells when the last of them has spoken or left, and it is a second at most.
        while any(  # noqa: ASYNC110
            one.is_new and self.loop.time() - since < GRACE_SECONDS for one, since in self.waiting.items()
        ):
            await asyncio.sleep(0.01)

    def admit(self) -> bool:
        """Whether one more may come in; makes room if somebody has been idle."""
        if self.closing:
            return False
        if len(self.inside) < self.connections:
            return True
        self.full.add()
        longest, since = next(iter(self.waiting.items()), (None, 0.0))
        if longest is None or self.loop.time() - since < GRACE_SECONDS:
            return False
        longest.cut()
        return True


class _Connection(web.RequestHandler):
    """aiohttp's connection with a bounded life; errors are answered with nothing and logged without their bytes."""

    __slots__ = ("_body", "_cutter", "_door", "_head", "_lost", "_requests", "_wire")

    def __init__(self, manager: web.Server, door: _Door, **options: Any) -> None:
        super().__init__(manager, loop=door.loop, **options)
        self._door = door
        self._requests = 0
        self._head = 0
        self._body: StreamReader | None = None
        self._wire: asyncio.Transport | None = None
        self._cutter: asyncio.TimerHandle | None = None
        self._lost: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):  # pragma: no cover - streams only
            transport.close()
            return
        self._wire = transport
        if not self._door.admit():
            transport.write(_FULL)
            transport.close()
            return
        self._door.inside.add(self)
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self not in self._door.inside:
            return
        super().data_received(data)
        if self._request_count > self._requests or not (self._body is None or self._body.is_eof()):
            # What comes now belongs to a body, or waits behind a request, and aiohttp stops reading by itself.
            self._head = 0
            return
        self._head += len(data)
        if self._head > MAX_HEAD:
            self._refuse()

    def _refuse(self) -> None:
        """Say that the header is too long, and hear no more of it."""
        self._door.malformed.add()
        self._leave()
        if self._wire is not None:
            body = self._door.malformed_body or ""
            kind = "Content-Type: application/json\r\n" if body else ""
            self._wire.write(_TOO_LONG.format(kind=kind, length=len(body.encode()), body=body).encode())
            self._wire.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._leave()
        lost, self._lost = self._lost, None
        if lost is not None:
            lost()
        super().connection_lost(exc)

    @property
    def is_new(self) -> bool:
        """Whether no request of it has come in yet."""
        return not self._requests

    def began(self, body: StreamReader) -> None:
        """A request's header has come in whole: from now on it is ours to be quick."""
        self._body = body
        self._door.waiting.pop(self, None)

    def keep_open(self, lost: Callable[[], None]) -> None:
        """The answer goes on for as long as its reader wants it."""
        self._lost = lost
        if self._cutter is not None:
            self._cutter.cancel()
            self._cutter = None

    def done(self) -> None:
        """The request is answered: the life of the connection begins anew."""
        self._requests += 1
        self._lost = None
        if self in self._door.inside:
            self._wait()

    def cut(self) -> None:
        """End the connection now, whatever it is at."""
        self._leave()
        if self._wire is not None:
            self._wire.abort()

    def _wait(self) -> None:
        self._door.waiting.pop(self, None)
        self._door.waiting[self] = self._door.loop.time()
        if self._cutter is not None:
            self._cutter.cancel()
        self._cutter = self._door.loop.call_later(self._door.life_seconds, self._expire)

    def _expire(self) -> None:
        if not self._requests:
            self._door.slow.add()
        self.cut()

    def _leave(self) -> None:
        if self._cutter is not None:
            self._cutter.cancel()
            self._cutter = None
        self._door.waiting.pop(self, None)
        self._door.inside.discard(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - quotes what was sent
    ) -> web.StreamResponse:
        """An answer that quotes nothing; aiohttp's own would quote the request, in the answer and in the log."""
        self.log_exception(exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        body = self._door.malformed_body if status < 500 else None
        response = web.Response(
            status=status,
            headers={"Server": SERVER},
            text=body,
            content_type=None if body is None else "application/json",
        )
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:  # noqa: ARG002 - the words are aiohttp's, the exception counts
        """Count what the peer did wrong; tell, now and then, what we did wrong."""
        exc = kw.get("exc_info") or sys.exc_info()[1]
        if isinstance(exc, ConnectionError) and (self.transport is None or self.transport.is_closing()):
            # The peer went away, or was cut, before all of its request was there.
            return
        if isinstance(exc, HttpProcessingError | web.RequestPayloadError):
            self._door.malformed.add()
        else:
            self._door.failed.add(exc_info=exc)


def keep_open(request: web.Request, lost: Callable[[], None]) -> None:
    """Let the connection live while this request is answered, however long that takes; `lost` is called if it ends."""
    connection: object = request.protocol
    if isinstance(connection, _Connection):
        connection.keep_open(lost)


@asynccontextmanager
async def serve(
    app: web.Application,
    listen: str | Sequence[socket.socket],
    *,
    connections: int = 200,
    life_seconds: float = 15.0,
    shutdown_seconds: float = 2.0,
    socket_mode: int = 0o660,
    malformed: str | None = None,
) -> AsyncIterator[tuple[str, ...]]:
    """Answer at `listen` (`host:port`, `unix:/path`, or sockets handed over) until the block ends; yield the addresses.

    When the block ends no new connection is taken: on sockets handed over they wait for the next process. Who has just
    connected is still answered; requests in hand have `shutdown_seconds` to end, and as long again to be cancelled.
    What is not HTTP is answered with nothing, or with `malformed`, a JSON text.
    """
    loop = asyncio.get_running_loop()
    door = _Door(loop, connections, life_seconds, malformed)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_seconds)
    await runner.setup()
    try:
        manager = runner.server
        if manager is None:  # pragma: no cover - setup makes it
            raise RuntimeError("no server after setup")
        manager.request_handler = _counted(manager.request_handler)
        options = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": life_seconds + 1,  # ours is first
            "lingering_time": min(life_seconds, 1.0),
            "max_field_size": MAX_FIELD,
            "max_headers": MAX_HEADERS,
            "max_line_size": MAX_LINE,
        }
        with contextlib.ExitStack() as stack:
            sockets = _bind(listen, socket_mode, stack) if isinstance(listen, str) else tuple(listen)
            backlog = BACKLOG if isinstance(listen, str) else INHERITED_BACKLOG
            servers = []
            for sock in sockets:
                # asyncio calls one number `backlog` that is two: how many come in at once, and how many may wait.
                servers.append(
                    await loop.create_server(lambda: _Connection(manager, door, **options), sock=sock, backlog=AT_ONCE)
                )
                sock.listen(backlog)
            try:
                yield tuple(_address(sock) for sock in sockets)
            finally:
                for server in servers:
                    server.close()
                await door.settle()
                door.closing = True
    finally:
        await runner.cleanup()
        # What is left has been answered and does not read the answer.
        for connection in list(door.inside):
            connection.cut()


def _counted(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Tell the connection when `handler` begins and ends, and let out no words of aiohttp's."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, _Connection):  # pragma: no cover - no other is made
            raise TypeError(type(connection))
        connection.began(request.content)
        try:
            if not request.headers.get("Expect", "").isascii():
                # aiohttp would repeat it in its answer, and what is no text it cannot.
                return _refused(417)
            return await handler(request)
        except web.HTTPException as answer:
            return _refused(answer.status)
        finally:
            connection.done()

    return handle


def _refused(status: int) -> web.Response:
    response = web.Response(status=status, headers={"Server": SERVER})
    response.force_close()
    return response


def _bind(listen: str, socket_mode: int, stack: contextlib.ExitStack) -> tuple[socket.socket, ...]:
    if listen.startswith("unix:"):
        return (_bind_path(Path(listen.removeprefix("unix:")), socket_mode, stack),)
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise UserError(f"cannot listen on {listen!r}: it is neither host:port nor unix:/path")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as err:
        raise UserError(f"cannot listen on {listen}: {host} is no address of this machine ({err.strerror})") from err
    sockets = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        sock = stack.enter_context(socket.socket(family, kind, protocol))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            sock.bind(address)
            sock.listen(BACKLOG)
        except OSError as err:
            # Whoever holds the port may be on its way out: a supervisor should try again.
            fault = 1 if err.errno == errno.EADDRINUSE else 78
            raise UserError(f"cannot listen on {listen}: {err.strerror}", exit_code=fault) from err
        sockets.append(sock)
    return tuple(sockets)


def _bind_path(path: Path, socket_mode: int, stack: contextlib.ExitStack) -> socket.socket:
    sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    _clear(path)
    try:
        sock.bind(str(path))
        # Nobody can connect before listen(), so nobody sees the mode that umask gave.
        path.chmod(socket_mode)
        sock.listen(BACKLOG)
    except OSError as err:
        raise UserError(f"cannot listen on unix:{path}: {err.strerror or err}") from err
    ours = path.stat()

    def remove() -> None:
        with contextlib.suppress(OSError):
            if path.stat().st_ino == ours.st_ino:
                path.unlink()

    stack.callback(remove)
    return sock


def _clear(path: Path) -> None:
    """Remove what a killed process left at `path`; anything else there is somebody's."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as err:
        raise UserError(f"cannot listen on unix:{path}: {err.strerror}") from err
    if not stat.S_ISSOCK(mode):
        raise UserError(f"cannot listen on unix:{path}: there is something that is not a socket; remove it first")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as err:
            raise UserError(f"cannot listen on unix:{path}: {err.strerror or err}", exit_code=1) from err
    raise UserError(f"cannot listen on unix:{path}: another program listens there", exit_code=1)


def _address(sock: socket.socket) -> str:
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
