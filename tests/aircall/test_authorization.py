"""The two ways to be let in: by key, and by the token of an installed app; and what a replaced one changes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from calsyncd.aircall.authorization import ApiKey, Authorization, Installation, Installed
from calsyncd.aircall.client import AircallApi
from calsyncd.core.troubles import trouble
from calsyncd.errors import CREDENTIALS, NOT_INSTALLED, UNINSTALLED, UNREADABLE, Refused, Unavailable
from calsyncd.http import Http
from calsyncd.sandbox.world import Sandbox
from calsyncd.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """An empty one."""
    return Vault.open(tmp_path / "credentials", tmp_path / "key")


def client(http: Http, sandbox: Sandbox, authorization: Authorization) -> AircallApi:
    """A client with these credentials."""
    return AircallApi(
        http,
        api_url=sandbox.aircall_url,
        authorization=authorization,
        users_api="auto",
        now=time.time,
        say=lambda _: None,
    )


def test_a_key_is_basic_authentication() -> None:
    """Also for passwords beyond ASCII and with colons; each header is told as a secret."""
    learned: list[str] = []
    key = ApiKey("id", "tö:ken", learned.append)

    assert key.header() == "Basic aWQ6dMO2Omtlbg=="
    assert [key.replace("id", "tö:ken"), key.replace("id", "other")] == [False, True]
    assert key.header() in learned
    assert len(set(learned)) == 2


async def test_a_replaced_key_counts_from_the_next_request_on(http: Http, sandbox: Sandbox) -> None:
    """No restart, and no new client."""
    key = ApiKey(sandbox.aircall.api_id, "wrong")
    api = client(http, sandbox, key)
    with pytest.raises(Refused) as caught:
        await api.ping()
    assert caught.value.code == CREDENTIALS

    key.replace(sandbox.aircall.api_id, sandbox.aircall.api_token)
    await api.ping()


async def test_a_refusal_says_nothing_of_credentials_that_came_meanwhile(http: Http, sandbox: Sandbox) -> None:
    """Else the good ones would be taken for bad."""
    key = ApiKey(sandbox.aircall.api_id, "wrong")
    sandbox.aircall.fail("ping", delay=0.2)
    asked = asyncio.create_task(client(http, sandbox, key).ping())
    await asyncio.sleep(0.1)
    key.replace(sandbox.aircall.api_id, sandbox.aircall.api_token)

    with pytest.raises(Unavailable) as caught:
        await asked

    assert (caught.value.code, caught.value.landed) == ("replaced", False)


async def test_without_an_app_nothing_is_asked(http: Http, sandbox: Sandbox, vault: Vault) -> None:
    """Never installed and removed are two things; both outlive the process."""
    app = Installed(vault)
    api = client(http, sandbox, app)
    with pytest.raises(Refused) as never:
        await api.page_of_users(1)
    await app.keep(Installation(None, 7, 1.0, removed_at=2.0))
    with pytest.raises(Refused) as removed:
        await client(http, sandbox, Installed(vault)).page_of_webhooks(1)

    assert [never.value.code, removed.value.code] == [NOT_INSTALLED, UNINSTALLED]
    assert not sandbox.aircall.requests


async def test_an_apps_token_is_a_bearer_and_kept_encrypted(
    http: Http, sandbox: Sandbox, vault: Vault, tmp_path: Path
) -> None:
    """The next process has it too; a token that is refused tells that the app was removed."""
    learned: list[str] = []
    app = Installed(vault)
    kept = Installation("a-token-of-aircall", 7, 1.0, enabled=True)
    await app.keep(kept)
    again = Installed(vault, learned.append)

    assert (app.current, again.current) == (kept, kept)
    assert again.header() == "Bearer a-token-of-aircall"
    assert learned == ["a-token-of-aircall"]
    assert "a-token" not in repr(again.current)
    files = [path for path in (tmp_path / "credentials").iterdir() if path.is_file()]
    assert files
    assert not any(b"a-token" in path.read_bytes() for path in files)
    with pytest.raises(Refused) as caught:
        await client(http, sandbox, again).ping()
    assert caught.value.code == UNINSTALLED


@pytest.mark.parametrize("odd", [{}, {"token": 5}, {"token": ""}, {"company": "x", "installed_at": None}])
def test_what_is_odd_in_the_vault_is_no_token(vault: Vault, odd: dict[str, object]) -> None:
    """A later version may keep it otherwise."""
    vault.put("aircall", odd)

    assert Installed(vault).header() is None


async def test_what_cannot_be_read_is_no_token(vault: Vault, tmp_path: Path) -> None:
    """It is told apart from an app that was never installed; the file stays as it is until somebody deletes it."""
    await Installed(vault).keep(Installation("a-token-of-aircall", 7, 1.0))
    file = next(path for path in (tmp_path / "credentials").iterdir() if len(path.name) == 32)
    file.write_bytes(b"damaged")

    app = Installed(vault)
    assert (app.current, app.header(), app.refused) == (None, None, UNREADABLE)
    assert trouble(UNREADABLE, 0.0).message.endswith(f"credentials/{file.name}")
    assert file.read_bytes() == b"damaged"

    file.unlink()
    assert not app.reread()
    assert app.refused == NOT_INSTALLED
