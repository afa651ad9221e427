"""A request handed to an application as its server would have parsed it, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion11
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL


async def hand_in(
    app: web.Application, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> web.StreamResponse:
    """What the application answers."""
    loop = asyncio.get_running_loop()
    fields = CIMultiDictProxy(CIMultiDict(headers))
    message = RawRequestMessage(
        method=method,
        path=path,
        version=HttpVersion11,
        headers=fields,
        raw_headers=tuple((name.encode(), value.encode()) for name, value in fields.items()),
        should_close=False,
        compression=None,
        upgrade=False,
        chunked=False,
        url=URL(path, encoded=True),
    )
    protocol: Any = SimpleNamespace(
        transport=SimpleNamespace(get_extra_info=lambda _name, default=None: default),
        _reading_paused=False,
        resume_reading=lambda **_: None,
        ssl_context=None,
        peername=None,
        sockname=None,
        max_field_size=8190,
        max_headers=128,
        max_line_length=8190,
    )
    payload = StreamReader(protocol, 1 << 16, loop=loop)
    payload.feed_data(body)
    payload.feed_eof()
    task: Any = asyncio.current_task()
    return await app._handle(web.Request(message, payload, protocol, SimpleNamespace(), task, loop))  # type: ignore[arg-type]
