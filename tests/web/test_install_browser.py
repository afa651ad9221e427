"""The app's installation in a real browser, by https, from Aircall's dashboard on another site and back to it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from calsyncd.http import Http
from calsyncd.routes import AIRCALL_INSTALL
from calsyncd.sandbox.delivery import PUBLIC_ORIGIN
from calsyncd.sandbox.world import Sandbox

from .apps import Site, app_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOST = PUBLIC_ORIGIN.removeprefix("https://")


def certificate(folder: Path) -> ssl.SSLContext:
    """A certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@contextlib.asynccontextmanager
async def tls_proxy(site: Site, folder: Path) -> AsyncIterator[int]:
    """What stands before `server.listen` and speaks TLS: its port."""
    host, _, port = site.origin.removeprefix("http://").partition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, outer), pump(inner, writer))

    server = await asyncio.start_server(forward, "127.0.0.1", 0, ssl=certificate(folder))
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def public(http: Http, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Site]:
    """A site at the address that the sandbox's app knows."""
    async with app_site(http, sandbox, tmp_path, PUBLIC_ORIGIN) as made:
        yield made


@pytest.fixture
async def browser(public: Site, tmp_path: Path) -> AsyncIterator[BrowserContext]:
    """Headless Chromium for which that address is this machine; skips loudly where there is none."""
    if CHROMIUM is None:
        pytest.skip("THE INSTALL PAGE IS NOT TESTED: no Chromium; it is in Debian's package chromium")
    async with tls_proxy(public, tmp_path) as port, async_playwright() as playwright:
        arguments = ["--no-sandbox", f"--host-resolver-rules=MAP {HOST}:443 127.0.0.1:{port}"]
        made = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield await made.new_context(ignore_https_errors=True)
        await made.close()


async def from_the_dashboard(browser: BrowserContext, sandbox: Sandbox, path: str = AIRCALL_INSTALL) -> Page:
    """Aircall's own page leads to our install page, as its dashboard does, or to the operator's link."""
    page = await browser.new_page()
    await page.goto(sandbox.aircall_url + "/oauth/success")
    await page.evaluate("url => { location.href = url }", PUBLIC_ORIGIN + path)
    await page.wait_for_url("**/oauth/authorize?**")
    return page


async def test_the_dashboards_admin_installs_the_app(browser: BrowserContext, public: Site, sandbox: Sandbox) -> None:
    """Deny, then begin again by the same link and authorize; a popup does as well; a reload changes nothing."""
    page = await browser.new_page()
    await page.goto(PUBLIC_ORIGIN + AIRCALL_INSTALL)
    await expect(page.locator("#waiting")).to_contain_text("calsyncd connect --aircall")
    page = await from_the_dashboard(browser, sandbox, public.link)
    [cookie] = await browser.cookies(PUBLIC_ORIGIN)
    assert cookie["name"].startswith("__Host-calsyncd-aircall-")
    assert cookie["sameSite"] == "Lax"
    assert (cookie["httpOnly"], cookie["secure"], cookie["path"]) == (True, True, "/")
    await page.click('button[value="deny"]')
    await expect(page.locator("#denied")).to_be_visible()
    assert public.installs == 0
    await expect(page.locator("main")).to_contain_text("open your link once more")
    await page.goto(PUBLIC_ORIGIN + public.link)
    await page.click('button[value="authorize"]')
    await page.wait_for_url(sandbox.aircall_url + "/oauth/success")
    await expect(page.locator("#success")).to_be_visible()
    first = public.token
    assert first is not None
    assert await browser.cookies(PUBLIC_ORIGIN) == []

    async with page.expect_popup() as opened:
        await page.evaluate("url => { window.open(url) }", PUBLIC_ORIGIN + AIRCALL_INSTALL)
    popup = await opened.value
    await popup.click('button[value="authorize"]')
    await popup.wait_for_url(sandbox.aircall_url + "/oauth/success")
    await page.reload()
    await expect(page.locator("#success")).to_be_visible()

    assert public.installs == 2
    assert public.token not in (None, first)


async def test_who_is_no_admin_or_of_another_company_is_told(
    browser: BrowserContext, public: Site, sandbox: Sandbox
) -> None:
    """By Aircall, and by us; our page has its style, and loads nothing from elsewhere."""
    sandbox.aircall.install.is_admin = False
    page = await from_the_dashboard(browser, sandbox, public.link)
    await expect(page.locator("#access_denied")).to_be_visible()
    sandbox.aircall.install.is_admin = True
    page = await from_the_dashboard(browser, sandbox, public.link)
    await page.click('button[value="authorize"]')
    await page.wait_for_url(sandbox.aircall_url + "/oauth/success")
    sandbox.aircall.install.company_id = 2
    page = await from_the_dashboard(browser, sandbox)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    await page.click('button[value="authorize"]')

    await expect(page.locator("#other_company")).to_be_visible()
    assert await page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") == "24px"
    assert (public.installs, wrong) == (1, [])
