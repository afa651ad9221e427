"""A daemon whose only way out is a proxy with a password: what is said while it is refused, and what after."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.running import Running
from tests.acceptance.test_life import AMY
from tests.authority import Authority
from tests.test_http import Proxy, listening

HOST = "api.aircall.test"
PASSWORD = "s3cret%2Fpass"
SENT = base64.b64encode(b"me:s3cret/pass")


@contextlib.asynccontextmanager
async def with_tls(url: str, authority: Authority) -> AsyncIterator[int]:
    """A port that takes TLS off for what listens at `url`."""

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        further, back = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
        await asyncio.gather(_pipe(reader, back), _pipe(further, writer))

    async with listening(lead, ssl=authority.context(HOST)) as port:
        yield port


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
    finally:
        target.close()


async def test_a_proxy_with_a_password(sandbox: Sandbox, prepare: Callable[..., Running], tmp_path: Path) -> None:
    """Refused, that is told by its name; let through, all is well; Google is passed by; the password is never shown."""
    sandbox.add_agent(AMY, user_id=1)
    authority, proxy = Authority(tmp_path), Proxy(refuses=True)
    async with with_tls(sandbox.aircall_url, authority) as port, listening(proxy.serve) as way_out:
        proxy.places[HOST] = port
        daemon = prepare([AMY], push=False, aircall={"api_url": f"https://{HOST}"})
        at = f"me:{PASSWORD}@127.0.0.1:{way_out}"
        daemon.environ = {
            **os.environ,
            "HTTPS_PROXY": f"http://{at}",
            "HTTP_PROXY": f"http://{at}",
            "NO_PROXY": "127.0.0.1",
            "SSL_CERT_FILE": str(authority.file),
        }
        await daemon.start()
        failed = await daemon.logged("sweep_failed")
        proxy.refuses = False
        await daemon.stop()
        await daemon.start()
        agent = await daemon.until(AMY, state="idle", trouble=None)
        await daemon.stop()

    assert failed["why"] == (
        "aircall cannot be reached: the proxy in HTTPS_PROXY wants a user and password, or others than ours (407)"
    )
    assert agent["calendars"][0]["synced_at"] is not None
    assert {head.split()[1] for head in proxy.asked} == {f"{HOST}:443".encode()}
    assert all(b"Proxy-Authorization: Basic " + SENT in head for head in proxy.asked)
    said = "".join(daemon.raw)
    assert [form for form in (PASSWORD, "s3cret", SENT.decode()) if form in said] == []
