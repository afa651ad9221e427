"""The limit of webhooks: an aiohttp application whose one handler answers 200 and does nothing.

Run by `bench.webhooks`; says the port that it listens on, and serves until it is ended.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from benchmarks.processes import say


async def _take(request: web.Request) -> web.Response:  # noqa: ARG001 - a handler's signature
    return web.Response(status=200)


async def main() -> None:
    """Serve."""
    app = web.Application()
    app.router.add_post("/webhooks/google/notifications", _take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    say(runner.addresses[0][1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
