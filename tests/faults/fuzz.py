"""Requests that no client sends, at every handler: `python -m tests.faults.fuzz --seconds 600`.

Hypothesis draws them: requests that would be good, changed here and there, in pieces, many at a time. Whatever comes,
it is answered with a status that is not our fault, or cut; nothing of it stands in an answer's header or breaks a line
of the log; and no word of a library gets out. What fails is shrunk and printed: put it into `KEPT`, which `make test`
sends again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import logging
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from calsyncd import logs
from calsyncd.http import Http
from calsyncd.metrics import Metrics
from calsyncd.routes import AIRCALL_CALLBACK, AIRCALL_INSTALL, GOOGLE_CALLBACK, GOOGLE_CONNECT
from calsyncd.sandbox.world import Sandbox
from calsyncd.web.admin import MALFORMED, admin_app
from calsyncd.web.allowance import Allowance
from calsyncd.web.gate import Gate
from calsyncd.web.server import serve
from tests.conftest import Nobody
from tests.connections.company import AMY, Browser, company_of, visited
from tests.faults import figures
from tests.web.apps import app_site
from tests.web.test_admin import NOW, Desk, feed
from tests.web.wire import GOOGLE, HOOK, MESSAGE, NOTIFY, connect, until_closed

PROMISED_SECONDS = 600.0
AT_ONCE = 100
LIFE_SECONDS = 0.25
PATIENCE_SECONDS = 15.0
EXAMPLES = 50
MAX_LINE = 12_000
"""A line of the log with a traceback; there should be none."""

WORD = "fuzzed-value"
"""What is put in as an e-mail address or name may stand in a page; as a header of its own it must not."""

PUBLIC, INSTALL, ADMIN = "public", "install", "admin"

_JSON = json.dumps(MESSAGE).encode()
_FORM = f"email={AMY}&what=connect".encode()
_ORDER = b'{"for": "1h", "actor": "ann", "reason": "lunch"}'
_TIMES = "from=2026-11-23T08:00:00Z&to=2026-11-24T08:00:00%2B01:00"


def _request(line: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: localhost", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


_API = "/api/v1"
GOOD: tuple[tuple[str, bytes], ...] = (
    (PUBLIC, _request(f"POST {NOTIFY}", *(f"{name}: {value}" for name, value in GOOGLE.items()))),
    (PUBLIC, _request(f"POST {HOOK}", "Content-Type: application/json", body=_JSON)),
    (PUBLIC, _request(f"POST {HOOK}", "Content-Type: application/json", "Expect: 100-continue", body=_JSON)),
    (PUBLIC, _request("GET /healthz?nonce=abcdef")),
    (PUBLIC, _request("GET /healthz", f"X-Forwarded-For: 192.0.2.7, {WORD}, ::1")),
    (PUBLIC, _request(f"GET {GOOGLE_CONNECT}?email={AMY}", "Cookie: a=b; calsyncd-0123456789abcdef={COOKIE}")),
    (PUBLIC, _request(f"POST {GOOGLE_CONNECT}", "Content-Type: application/x-www-form-urlencoded", body=_FORM)),
    (PUBLIC, _request(f"GET {GOOGLE_CALLBACK}?state={{STATE}}&code=made-up", "Cookie: {NAME}={COOKIE}")),
    (PUBLIC, _request(f"GET {GOOGLE_CALLBACK}?state={{STATE}}&error=access_denied", "Cookie: {NAME}={COOKIE}")),
    (INSTALL, _request(f"GET {AIRCALL_INSTALL}?key=abcdefgh.0123456789")),
    (INSTALL, _request(f"GET {AIRCALL_CALLBACK}?state=abc&code=def", "Cookie: calsyncd-aircall-0123456789abcdef=abc")),
    (ADMIN, _request(f"GET {_API}/overview", "Accept-Encoding: gzip;q=0.5, br", 'If-None-Match: W/"abc"')),
    (ADMIN, _request(f"GET {_API}/agents?limit=10&cursor=abc")),
    (ADMIN, _request(f"GET {_API}/agents/{AMY}/timeline?{_TIMES}")),
    (ADMIN, _request(f"GET {_API}/timelines?day=2026-11-23&brief=true")),
    (ADMIN, _request(f"GET {_API}/history?agent={AMY}&since=2026-11-23&outcome=held&limit=5&cursor=abc")),
    (ADMIN, _request(f"GET {_API}/agents/{AMY}/settings?since=-1h")),
    (ADMIN, _request(f"GET {_API}/agents/{AMY}/explain?at=2026-11-23T08:00:00Z")),
    (ADMIN, _request(f"GET {_API}/stream")),
    (ADMIN, _request("GET /healthz?only=loop")),
    (ADMIN, _request("GET /static/page.js", "Authorization: Basic OmFiYw==")),
    *(
        (ADMIN, _request(f"POST {_API}/{path}", "Content-Type: application/json", *more, body=_ORDER))
        for path, more in (
            (f"agents/{AMY}/pause", ("Origin: http://localhost", "Sec-Fetch-Site: same-origin")),
            (f"agents/{AMY}/extend", ()),
            (f"agents/{AMY}/forget", ()),
            ("pause", ("Origin: http://evil.example",)),
            ("sync", ()),
        )
    ),
)

PIECES: tuple[bytes, ...] = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\t",
        b" ",
        b":",
        b";",
        b",",
        b"%00",
        b"%0d%0aX-Injected: 1",
        b"%ff",
        b"%",
        b"%u0041",
    ),
    *(b"\r\nX-Injected: 1", b"\r\n\r\n", b"\xff\xfe", b"\xc3\x28", "\u2028Ω".encode(), b"\x1b[31m", b'"', b"'", b"<b>"),
    *(
        b"\r\nTransfer-Encoding: chunked",
        b"\r\nContent-Length: 5",
        b"\r\nContent-Length: 99999999999",
        b"\r\nExpect: x",
    ),
    *(
        b"\r\nUpgrade: websocket\r\nConnection: upgrade",
        b"\r\nContent-Encoding: gzip",
        b"\r\nOrigin: http://[",
        b"\r\n a",
    ),
    *(b"\r\nX-Goog-Channel-Token: b", b"\r\nX_Goog_Channel_ID: a", b"\r\nCookie: " + b"calsyncd-" * 50, b"\r\nHost: b"),
    *(
        b"-1",
        b"0",
        b"9" * 30,
        b"9" * 5000,
        b"1e999",
        b"NaN",
        b"null",
        b"true",
        b"[]",
        b"{}",
        b"[" * 3000,
        b'{"a":' * 500,
    ),
    *(b"2026-02-30", b"9999-12-31T23:59:59-23:59", b"0001-01-01T00:00:00+23:59", b"Fri, 99 Nov 99999 25:61:61 +9999"),
    *(b"\\ud800", b"\\u0000", b"//", b"/../", b"/%2e%2e/", b"?", b"&", b"&&==", b"#", b"*", b"http://[::1", b"[", b"]"),
    *(b"x" * 300, b"x" * 5000, b"x" * 70_000, b"(" * 300, b"\r\n" * 200, b"a: b\r\n" * 100, WORD.encode()),
)


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent, to whom, in which pieces."""

    to: str
    pieces: tuple[bytes, ...]


KEPT: tuple[Case, ...] = (
    Case(PUBLIC, (_request(f"POST {HOOK}", "Content-Type: application/json", "Expect: 100-c\xe4ntinue", body=_JSON),)),
)
"""What has failed once."""


def case_of(chance: random.Random) -> Case:
    """A request, changed or not."""
    to, raw = chance.choice(GOOD)
    if chance.random() < 0.6:
        raw = _reworded(raw, chance)
    else:
        for _ in range(chance.choice((0, 1, 1, 2, 3, 5))):
            raw = _changed(raw, chance)
    cuts = sorted(chance.randrange(len(raw) + 1) for _ in range(chance.choice((0, 0, 1, 3))))
    return Case(to, tuple(raw[low:high] for low, high in zip([0, *cuts], [*cuts, len(raw)], strict=True)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A request, by chances that Hypothesis draws and can shrink."""
    return case_of(draw(st.randoms(use_true_random=False)))


@st.composite
def volleys(draw: st.DrawFn) -> list[Case]:
    """Requests that are sent at once."""
    number = draw(st.integers(1, AT_ONCE))
    return draw(st.lists(cases(), min_size=number, max_size=number))


def _reworded(raw: bytes, chance: random.Random) -> bytes:
    """The same request as HTTP sees it, with another path, query, value of a header, or body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    for _ in range(chance.choice((1, 1, 2, 4))):
        part = chance.randrange(3)
        if part == 0 or not body:
            method, target, version = line.split(b" ")
            line = b" ".join((method, _NO_TARGET.sub(b"", _changed(target, chance)) or b"/", version))
        elif part == 1:
            at = chance.randrange(1, len(lines))
            name, _, value = lines[at].partition(b": ")
            if name != b"Content-Length":
                lines[at] = name + b": " + _NO_VALUE.sub(b"", _changed(value, chance))
        else:
            body = _changed(body, chance)
    head = b"\r\n".join((line, *lines))
    return re.sub(rb"(?<=Content-Length: )[0-9]+", str(len(body)).encode(), head) + b"\r\n\r\n" + body


_NO_TARGET = re.compile(rb"[^\x21-\x7e]|#")
_NO_VALUE = re.compile(rb"[\x00-\x1f\x7f]")


def _changed(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    to = min(len(raw), at + chance.choice((1, 2, 8, 40)))
    # Most of what matters is told apart at these.
    marks = [n + 1 for n, byte in enumerate(raw) if byte in b' :=?&/\r\n{},"%-']
    mark = chance.choice(marks) if marks else 0
    match chance.randrange(8):
        case 0:
            return raw[:mark] + chance.choice(PIECES) + raw[mark:]
        case 1:
            following = next((n for n in marks if n > mark), len(raw))
            return raw[:mark] + chance.choice(PIECES) + raw[following:]
        case 2:
            return raw[:at] + chance.choice(PIECES) + raw[to:]
        case 3:
            return raw[:at] + raw[to:]
        case 4:
            return raw[:at] + chance.randbytes(1) + raw[at + 1 :]
        case 5:
            lines = raw.split(b"\r\n")
            line = chance.randrange(len(lines))
            return b"\r\n".join([*lines[:line], lines[chance.randrange(len(lines))], *lines[line:]])
        case 6:
            return raw[:at] + raw[at:to] * chance.choice((2, 50)) + raw[to:]
        case _:
            return raw + chance.choice((raw, chance.choice(GOOD)[1], b"\r\n"))


# -- the listeners -----------------------------------------------------------------------------------------------------


@dataclass
class Town:
    """The listeners, a flow that has begun, and what went wrong so far. `statuses` counts the answers."""

    addresses: dict[str, str]
    names: dict[bytes, bytes]
    log: io.StringIO
    faults: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    async def send(self, volley: Iterable[Case]) -> None:
        """Send these at once, and judge what comes back and what is logged."""
        await asyncio.gather(*(self._send(case) for case in volley))
        self._judge_log()

    async def _send(self, case: Case) -> None:
        reader, writer = await connect(self.addresses[case.to])
        try:
            answering = asyncio.create_task(until_closed(reader, seconds=PATIENCE_SECONDS))
            for piece in case.pieces:
                writer.write(self._filled(piece))
                await asyncio.sleep(0)
            if b"/stream" in b"".join(case.pieces):
                # That one goes on for as long as it is read.
                await asyncio.sleep(LIFE_SECONDS)
                writer.close()
            self._judge(await answering)
        except TimeoutError:
            self.faults.append("neither answered nor cut")
        finally:
            writer.transport.abort()

    def _filled(self, piece: bytes) -> bytes:
        for name, value in self.names.items():
            piece = piece.replace(name, value)
        return piece

    def _judge(self, answer: bytes) -> None:
        head = answer.partition(b"\r\n\r\n")[0]
        told = answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/") else "none"
        self.statuses[told] += 1
        if answer and not told.isdigit():
            self.faults.append(f"answered {answer[:60]!r}")
        if told.startswith("5") and told not in {"502", "503"}:
            self.faults.append(f"answered {told}")
        if b"X-Injected" in head:
            self.faults.append("a header was put into the answer")
        if any(word in answer for word in (b"Traceback", b"aiohttp", b"Python/")):
            self.faults.append("the answer has words of the framework's")

    def _judge_log(self) -> None:
        """What stands in the log must be lines of ours."""
        for text in self.log.getvalue().splitlines():
            try:
                line: dict[str, Any] = json.loads(text)
            except ValueError:
                self.faults.append(f"the log has a line that is no JSON: {text[:200]}")
                continue
            if line["action"] in {"request_failed", "library", "unnamed"} or len(text) > MAX_LINE:
                self.faults.append(f"the log says {text[:3000]}")
        self.log.seek(0)
        self.log.truncate()


@contextlib.asynccontextmanager
async def town() -> AsyncIterator[Town]:
    """Both listeners and the pages, with all that stands behind them; Google and Aircall are the sandbox."""
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context(_logged())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sandbox = await stack.enter_async_context(Sandbox())
        sandbox.add_agent(AMY, user_id=1)
        http = await stack.enter_async_context(Http(Nobody(), {}))
        for name in ("google", "aircall"):
            (folder / name).mkdir()
        company = company_of(sandbox, http, folder / "google")
        many = Allowance(10**9, 1e9, 10**9, 1e9)
        public = await stack.enter_async_context(visited(company, many, trusted=("unix",), life_seconds=LIFE_SECONDS))
        url = "https://calsyncd.example"
        site = await stack.enter_async_context(
            app_site(http, sandbox, folder / "aircall", url, life_seconds=LIFE_SECONDS)
        )
        desk = Desk(days={"events": [], "spans": [], "set": []})
        admin = admin_app(
            operator=desk,
            registry=Metrics("1").registry,
            now=lambda: NOW,
            feed=feed(desk),
            gate=Gate(),
            version="1",
        )
        listening = serve(admin, "127.0.0.1:0", life_seconds=LIFE_SECONDS, malformed=MALFORMED)
        (api,) = await stack.enter_async_context(listening)
        async with Browser(public) as browser:
            state = parse_qs(urlsplit(await browser.begin()).query)["state"][0]
            ((name, cookie),) = browser.cookies.items()
        names = {b"{STATE}": state.encode(), b"{COOKIE}": cookie.encode(), b"{NAME}": name.encode()}
        addresses = {PUBLIC: public, INSTALL: site.origin.removeprefix("http://"), ADMIN: api}
        made = Town(addresses, names, log)
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: made.faults.append(
                f"the loop caught {context.get('message')}: {context.get('exception')!r}"
            )
        )
        yield made


@contextlib.contextmanager
def _logged() -> Iterator[io.StringIO]:
    """The daemon's own log, in memory; afterwards it is as it was."""
    root, ours = logging.getLogger(), logging.getLogger("calsyncd")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    stream = io.StringIO()
    logs.configure("info", "json", (), stream, strict=True)
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()


class Siege:
    """A town on a loop of its own, and who attacks it; a context."""

    def __enter__(self) -> Self:
        """Begin."""
        self._runner, self._stack = asyncio.Runner(), contextlib.AsyncExitStack()
        self.town = self._runner.run(self._stack.enter_async_context(town()))
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def send(self, volley: Iterable[Case]) -> None:
        """Send these; AssertionError tells what was wrong."""
        self.town.faults.clear()
        self._runner.run(self.town.send(volley))
        if self.town.faults:
            raise AssertionError("; ".join(self.town.faults))

    def attack(self, examples: int, *, always_the_same: bool) -> None:
        """Send so many volleys that Hypothesis draws; what fails is shrunk, told and raised."""

        @settings(
            max_examples=examples,
            derandomize=always_the_same,
            deadline=None,
            report_multiple_bugs=False,
            phases=(Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(volleys())
        def drawn(volley: list[Case]) -> None:
            self.send(volley)

        drawn()


def run(seconds: float) -> None:
    """Attack for so long."""
    ends = time.monotonic() + seconds
    with Siege() as siege:
        while time.monotonic() < ends:
            siege.attack(EXAMPLES, always_the_same=False)
        statuses = siege.town.statuses
    if seconds >= PROMISED_SECONDS:
        tries = statuses.total()
        figures.keep([figures.made("requests that no client sends, in ten minutes, answered or cut", tries, tries)])
    sys.stdout.write(f"{statuses.total()} requests, answered {dict(statuses.most_common())}: nothing found\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Send requests that no client sends to every handler.")
    parser.add_argument("--seconds", type=float, default=PROMISED_SECONDS)
    run(parser.parse_args().seconds)
