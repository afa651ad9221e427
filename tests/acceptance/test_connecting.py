"""Every step of docs/connecting.md, in its order, by a new user, an Aircall admin and an agent with their browsers.

Step 1 of the README is stood in for: test_readme.py runs it. The public address is a reverse proxy with a certificate,
which programs and browsers find by way of `HTTPS_PROXY`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
import yaml

from calsyncd.sandbox.world import Sandbox
from tests.acceptance.newuser import ROOT, NewUser, blocks, new_user
from tests.acceptance.running import Running, free_port
from tests.authority import Authority
from tests.firstrun.test_dialogue import Terminal
from tests.test_http import Proxy

PAGE = (ROOT / "docs" / "connecting.md").read_text(encoding="utf-8")
BLOCKS = blocks("docs/connecting.md")
ADDRESSES = [line.split()[-1] for line in PAGE.splitlines() if line.startswith("    ") and "https://" in line]
DIALOGUE = re.findall(r"^ {3}([A-Z].*[?)\]]):(?: (\S+))?$", PAGE.split("```text\n")[1].split("```")[0], re.MULTILINE)
SETTINGS = yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])
HOST = "calsync.example.com"
AMY = "amy@example.com"
BOX = "https://www.googleapis.com/auth/calendar.events.readonly"


async def test_consent_and_app(sandbox: Sandbox, tmp_path: Path) -> None:
    """From an OAuth client and an app to an agent who consented and is followed."""
    sandbox.add_agent(AMY, user_id=456)
    install, service, app_link, invite, look = BLOCKS
    google_callback, aircall_install, aircall_callback = ADDRESSES
    sandbox.google.consent.lead_back_to(google_callback)
    sandbox.aircall.install.redirect_uris = (aircall_callback,)
    sandbox.aircall.install.client_id = "your-client-id"
    (tmp_path / "client.json").write_text(json.dumps(sandbox.google.client_file()))
    port, admin = free_port(), free_port()
    sandbox.postman.map(f"https://{HOST}", f"http://127.0.0.1:{port}")

    async with public_address(tmp_path, port) as public:
        with new_user(tmp_path) as user:
            user.environ.update(HTTPS_PROXY=public.proxy, SSL_CERT_FILE=str(public.authority))
            installed(user)
            init, check = install.splitlines()
            assert init == "calsyncd init"
            told = await asyncio.to_thread(dialogue, sandbox, tmp_path, f"127.0.0.1:{port}", f"127.0.0.1:{admin}")
            config = settle(sandbox, tmp_path)
            assert "good, 1 agent" in user.run(check)
            user.run(service)
            daemon = Running(config, f"http://127.0.0.1:{admin}")
            await daemon.answers()
            alone = await asyncio.to_thread(user.run, look.splitlines()[0])
            install_link = user.run(app_link).splitlines()[0]
            link = user.run(invite).strip()
            async with Browser(public) as theirs, Browser(public) as amys:
                waiting = await theirs.go(aircall_install)
                consent = await theirs.go(install_link)
                done = await theirs.press(consent, "Authorize")
                asked = await amys.go(link)
                chosen = await amys.press(asked, "Continue with Google")
                forgotten = await amys.press(chosen, "Continue", account=AMY)
                again = await amys.press(forgotten, "Try again")
                connected = await amys.press(again, "Continue", account=AMY, scope=BOX)
            await daemon.until(AMY, state="idle", trouble=None)
            status, doctor = [await asyncio.to_thread(user.run, line) for line in look.splitlines()]

    # Each line that the unit needs stands in the page, as `init` printed it.
    lines = re.findall(r"LoadCredential=(\S+):(\S+)", told)
    assert [f"LoadCredential={name}:/etc/calsyncd/{name}" in PAGE for name, _ in lines] == [True, True]
    assert {stat.S_IMODE((config.parent / name).stat().st_mode) for name, _ in lines} == {0o600}
    assert "not installed at the company" in alone
    assert link == f"https://{HOST}/google/connect?email={AMY}"
    assert "This calsyncd waits for its own company" in waiting.text
    assert install_link.startswith(f"{aircall_install}?key=")
    assert done.url == f"{sandbox.aircall_url}/oauth/success"
    assert "One box was not ticked" in forgotten.text
    assert "Your calendar is being read now" in connected.text
    assert f"{AMY}  idle" in status
    assert "All is well." in doctor


def dialogue(sandbox: Sandbox, folder: Path, listen: str, admin: str) -> str:
    """Answer `calsyncd init` as the page does, but for this machine's places; what the terminal showed."""
    mine = {
        "Where to write": str(folder / "etc/calsyncd/config.yaml"),
        "Its client secret": sandbox.aircall.install.client_secret,
        "Where to listen": listen,
        "Where to show": admin,
    }
    urls = ["--google-api-url", sandbox.google_url, "--aircall-api-url", sandbox.aircall_url]
    urls += ["--google-revoke-url", sandbox.google.revoke_url, "--aircall-dashboard-url", sandbox.aircall_url]
    terminal = Terminal(["init", *urls], folder)
    try:
        for question, answer in DIALOGUE:
            terminal.wait_for(f"{question.split(' [/')[0]}")
            terminal.wait_for(": ")
            terminal.type(next((typed for begins, typed in mine.items() if question.startswith(begins)), answer))
        terminal.wait_for("calsyncd status")
    finally:
        status = terminal.end()
    assert status == 0
    assert sandbox.aircall.install.client_secret not in terminal.seen
    return terminal.seen


def settle(sandbox: Sandbox, folder: Path) -> Path:
    """Lead what `init` wrote to the sandbox's pages and the folders of the test, where it cannot know them."""
    path = folder / "etc/calsyncd/config.yaml"
    config = yaml.safe_load(path.read_text())
    for section, keys in SETTINGS.items():
        assert keys.items() <= config[section].items()
    config["state_dir"] = str(folder / "var/lib/calsyncd")
    path.write_text(yaml.safe_dump(config))
    return path


def installed(user: NewUser) -> None:
    """What step 1 of the README leaves: this interpreter and this program, in its places."""
    python = user.root / "opt/calsyncd/bin/python"
    python.parent.mkdir(parents=True)
    path = f"PYTHONPATH={ROOT}"
    for place, line in (
        (python, f'[ "$1" = -I ] && shift\n{path} exec {sys.executable} "$@"'),
        (user.root / "usr/local/bin/calsyncd", f'{path} exec {sys.executable} -m calsyncd "$@"'),
    ):
        place.write_text(f"#!/bin/sh\n{line}\n")
        place.chmod(0o700)


# -- the public address ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Public:
    """How the daemon is reached from outside: by which proxy, and whose certificates to trust."""

    proxy: str
    authority: Path


@contextlib.asynccontextmanager
async def public_address(folder: Path, port: int) -> AsyncIterator[Public]:
    """https://calsync.example.com leads to this port of loopback."""
    authority = Authority(folder)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        further, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pipe(reader, back), _pipe(further, writer))

    front = await asyncio.start_server(pass_on, "127.0.0.1", ssl=authority.context(HOST))
    way = Proxy({HOST: front.sockets[0].getsockname()[1]})
    proxy = await asyncio.start_server(way.serve, "127.0.0.1")
    async with front, proxy:
        yield Public(f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}", authority.file)


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


# -- the browsers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """A page, and where it is."""

    url: str
    text: str


@dataclass
class Form:
    """What a form sends when this button is pressed."""

    action: str
    fields: list[tuple[str, str]]
    buttons: dict[str, tuple[str, str]]


class Forms(HTMLParser):
    """The forms of a page as they stand: nothing ticked or chosen but what already is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._button: tuple[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A form begins, or one of its fields."""
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(has["action"], [], {}))
        elif tag == "input" and (has["type"] not in {"radio", "checkbox"} or "checked" in has):
            self.found[-1].fields.append((has["name"], has["value"]))
        elif tag == "button":
            self._button = (has["name"], has["value"])

    def handle_data(self, data: str) -> None:
        """A button's label."""
        if self._button is not None:
            self.found[-1].buttons[data.strip()] = self._button
            self._button = None


class Browser:
    """Keeps cookies, follows redirects, and presses buttons."""

    def __init__(self, public: Public) -> None:
        self._public = public

    async def __aenter__(self) -> Self:
        """Open it."""
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"Accept": "text/html,*/*"}
        )
        self._trust = ssl.create_default_context(cafile=str(self._public.authority))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self._session.close()

    async def go(self, url: str, form: list[tuple[str, str]] | None = None) -> Shown:
        """The page at which this address, or this form sent to it, ends."""
        for _ in range(5):
            outside = url.startswith("https:")
            async with self._session.request(
                "GET" if form is None else "POST",
                url,
                data=form,
                allow_redirects=False,
                proxy=self._public.proxy if outside else None,
                ssl=self._trust if outside else True,
            ) as answer:
                if answer.status not in {302, 303}:
                    return Shown(url, await answer.text())
                url, form = urljoin(url, answer.headers["Location"]), None
        raise AssertionError(f"redirected again and again, lastly to {url}")

    async def press(self, page: Shown, label: str, **chosen: str) -> Shown:
        """Choose and tick this, and press the button with this label."""
        form = next(one for one in Forms(page.text).found if label in one.buttons)
        kept = [(name, value) for name, value in form.fields if name not in chosen]
        return await self.go(urljoin(page.url, form.action), [*kept, *chosen.items(), form.buttons[label]])
