"""Answers in JSON: in pieces, compressed, and told apart by a tag.

A long list is written entry by entry, and what is long is compressed in a thread, so that whoever asks for much keeps
nobody waiting.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

from aiohttp import ETag, web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

AT_ONCE = 20
"""So many of a long list's entries are written before others have their turn."""
COMPRESS_FROM = 1024
COMPRESS_BESIDE_FROM = 16 * 1024
LEVEL = 6

_JSON = "application/json; charset=utf-8"
_VARIES = {"Vary": "Accept-Encoding"}


async def tell(request: web.Request, value: Mapping[str, Any], status: int = 200) -> web.Response:
    """The object as JSON. Reads carry a tag, which is the same while all but `now` is the same."""
    digest = hashlib.blake2b(digest_size=12)
    fields = []
    for key, content in value.items():
        text = await _written(content)
        fields.append(f"{json.dumps(key)}: {text}")
        if key != "now":
            digest.update(f"{key}:{text}\n".encode())
    tag = digest.hexdigest() if status == 200 and request.method in {"GET", "HEAD"} else None
    if tag is not None and _has(request, tag):
        return _unchanged(tag)
    body = f"{{{', '.join(fields)}}}".encode()
    return await packed(request, body, _JSON, tag=tag, status=status)


async def packed(
    request: web.Request, body: bytes, content_type: str, *, tag: str | None = None, status: int = 200
) -> web.Response:
    """These bytes, compressed if that is worth it and the asker takes it."""
    headers = {"Content-Type": content_type, **_VARIES}
    if len(body) >= COMPRESS_FROM and _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        if len(body) >= COMPRESS_BESIDE_FROM:
            body = await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)
        else:
            body = gzip.compress(body, LEVEL, mtime=0)
    response = web.Response(body=body, headers=headers, status=status)
    if tag is not None:
        response.etag = ETag(tag, is_weak=True)
    return response


def file(content: bytes, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that answers with a file, which a browser may keep and has to ask about."""
    tag = hashlib.blake2b(content, digest_size=12).hexdigest()
    compressed = gzip.compress(content, 9, mtime=0)
    headers = {"Content-Type": f"{content_type}; charset=utf-8", "Cache-Control": "no-cache", **_VARIES}

    async def handle(request: web.Request) -> web.Response:
        if _has(request, tag):
            response = _unchanged(tag)
            response.headers["Cache-Control"] = "no-cache"
            return response
        packs = len(compressed) < len(content) and _takes_gzip(request)
        response = web.Response(body=compressed if packs else content, headers=headers)
        if packs:
            response.headers["Content-Encoding"] = "gzip"
        response.etag = ETag(tag, is_weak=True)
        return response

    return handle


async def _written(content: object) -> str:
    """A value as JSON; between the entries of a long list others have their turn."""
    if not isinstance(content, list):
        return json.dumps(content)
    return f"[{', '.join(await _entries(content))}]"


async def _entries(content: Iterable[object]) -> list[str]:
    pieces = []
    for number, entry in enumerate(content):
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        pieces.append(json.dumps(entry))
    return pieces


def _has(request: web.Request, tag: str) -> bool:
    """Whether the asker has it already, as it is."""
    return any(one.value in {tag, "*"} for one in request.if_none_match or ())


def _unchanged(tag: str) -> web.Response:
    response = web.Response(status=304, headers=_VARIES)
    response.etag = ETag(tag, is_weak=True)
    return response


def _takes_gzip(request: web.Request) -> bool:
    for part in ",".join(request.headers.getall("Accept-Encoding", [])).split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        if name in {"gzip", "*"}:
            weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
            return weight.strip("0.") != ""
    return False
