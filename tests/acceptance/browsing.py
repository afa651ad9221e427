"""Browsers that reach the daemon by its public https name, and what of all that they carried is a secret."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import json
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.server import Request
from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SOON = 10_000.0
HOST = urlsplit(PUBLIC_ORIGIN).netloc

SECRET_FIELDS = frozenset(
    {
        *("code", "state", "nonce", "code_verifier", "client_secret"),
        *("token", "refresh_token", "access_token", "id_token"),
    }
)
ROUTES = frozenset({"/o/oauth2/v2/auth", "/token", "/revoke", "/oauth/authorize", "/v1/oauth/token"})
ADMIN_PATHS = (
    "/",
    "/metrics",
    "/healthz",
    "/readyz",
    *(f"/api/v1/{name}" for name in ("agents", "timelines", "history", "outage", "alarms", "matching")),
)
LEAST = 8
"""A shorter value is found anywhere."""


@dataclass
class Front:
    """The reverse proxy that ends TLS before the daemon; `said` is every byte that it answered, by connection."""

    url: str
    port: int = 0
    asked: list[bytearray] = field(default_factory=list)
    said: list[bytearray] = field(default_factory=list)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        target = urlsplit(self.url)
        try:
            there, back = await asyncio.open_connection(target.hostname, target.port)
        except OSError:
            writer.close()
            return
        ways = ((reader, back, self.asked), (there, writer, self.said))
        await asyncio.gather(*(_carry(*way) for way in ways), return_exceptions=True)

    def cookies(self) -> set[str]:
        """Every value of a cookie that was ever set."""
        return {
            match[1].decode()
            for raw in self.said
            for match in re.finditer(rb"(?i)\r\nset-cookie: [^=]+=([^;\r]+)", raw)
        }

    def shown(self) -> bytes:
        """What the daemon answered, without the cookies and without where it sent the browser."""
        return re.sub(rb"(?im)^(set-cookie|location):.*$", b"", b"\n".join(self.said))

    def sent(self) -> bytes:
        """Where the daemon has sent browsers."""
        return b"\n".join(re.findall(rb"(?im)^location:.*$", b"\n".join(self.said)))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, noted: list[bytearray]) -> None:
    kept = bytearray()
    noted.append(kept)
    try:
        while data := await reader.read(65536):
            kept += data
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def front(sandbox: Sandbox, folder: Path) -> AsyncIterator[Front]:
    """The proxy before the daemon that this sandbox delivers to."""
    assert sandbox.deliver_to is not None
    made = Front(sandbox.deliver_to)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    server = await asyncio.start_server(made.connected, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "front.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextlib.asynccontextmanager
async def chromium(before: Front) -> AsyncIterator[BrowserContext]:
    """Somebody's browser; skips loudly where there is none. A fault of a page's policy or script fails the test."""
    if CHROMIUM is None:
        pytest.skip("THE WAYS IN ARE NOT TESTED: no Chromium; it is in Debian's package chromium")
    wrong: list[str] = []
    async with async_playwright() as playwright:
        rules = f"--host-resolver-rules=MAP {HOST}:443 127.0.0.1:{before.port}"
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", rules])
        context = await browser.new_context(ignore_https_errors=True, locale="en-GB")
        context.set_default_timeout(SOON)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("console", lambda said: wrong.append(said.text) if "Policy" in said.text else None)
        yield context
        await browser.close()
    assert wrong == []


async def heading(page: Page, words: str) -> None:
    """Wait until the page says so."""
    await expect(page.locator("h1")).to_have_text(words, timeout=SOON)


def secrets_of(sandbox: Sandbox, before: Front | None = None) -> set[str]:
    """Every secret that passed between browsers, the daemon and the two services, and those in its files."""
    found = {sandbox.google.consent.client.secret, sandbox.aircall.install.client_secret, sandbox.aircall.api_token}
    for server in (sandbox.google, sandbox.aircall):
        for request in server.requests:
            if request.path in ROUTES:
                found |= {value for name, value in _fields(request) if name in SECRET_FIELDS}
    if before is not None:
        found |= before.cookies()
    return {value for value in found if len(value) >= LEAST}


def _fields(request: Request) -> Iterator[tuple[str, str]]:
    yield from request.query
    yield from parse_qsl(urlsplit(request.answer_headers.get("location", "")).query)
    for body, kind in (
        (request.body, request.headers.get("Content-Type", "")),
        (request.answer, request.answer_headers.get("content-type", "")),
    ):
        if "urlencoded" in kind:
            yield from parse_qsl(body.decode())
    for raw in (request.body, request.answer):
        with contextlib.suppress(ValueError):
            content = json.loads(raw)
            if isinstance(content, dict):
                yield from ((name, value) for name, value in content.items() if isinstance(value, str))


async def written(daemon: Running, before: Front | None = None, *more: str) -> dict[str, bytes]:
    """All that the daemon has written, shown and answered, by where."""
    folder = daemon.config.parent / "state"
    found = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found["log"] = "".join(daemon.raw).encode()
    if before is not None:
        found["pages"] = before.shown()
    agents = [f"/api/v1/agents/{email}{part}" for email in await daemon.agents() for part in ("", "/timeline")][:6]
    async with aiohttp.ClientSession() as session:
        for path in (*ADMIN_PATHS, *agents):
            async with session.get(daemon.admin + path) as answer:
                found[path] = await answer.read()
                assert answer.status in {200, 503}, (path, answer.status)
    for number, text in enumerate(more):
        found[f"output {number}"] = text.encode()
    return found


def told(where: dict[str, bytes], secrets: set[str]) -> list[str]:
    """Where a secret stands, plainly or encoded."""
    forms = {
        form
        for secret in secrets
        for form in (
            secret.encode(),
            quote(secret, safe="").encode(),
            base64.b64encode(secret.encode()).rstrip(b"="),
        )
    }
    return [name for name, content in where.items() if any(form in content for form in forms)]
