"""Secrets come from files of their own, are read once, and show as asterisks wherever they are printed."""

from __future__ import annotations

import hmac
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from google.auth.crypt import RSASigner

from calsyncd.config.faults import Problem
from calsyncd.config.values import web_address

if TYPE_CHECKING:
    from calsyncd.config.values import Surroundings

MIN_GUESSED = 20
MAX_SECRET_BYTES = 64 * 1024
VAULT_CREDENTIAL = "vault-key"
"""The name of the systemd credential that holds the vault's key."""


class Secret:
    """A text that is shown only by `reveal()`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "'********'"

    def __str__(self) -> str:
        return "********"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str:
        msg = "a secret is not copied into other formats"
        raise TypeError(msg)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret and the file it was read from."""

    path: Path
    secret: Secret


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A Google service account whose key has been tried; `info` is the JSON of its file."""

    path: Path
    client_email: str
    key_id: str
    token_uri: str
    private_key: Secret
    info: Secret


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A Google OAuth client of type Web application; `info` is the JSON of its file."""

    path: Path
    client_id: str
    auth_uri: str
    token_uri: str
    client_secret: Secret
    redirect_uris: tuple[str, ...]
    info: Secret


def read_regular(path: Path, limit: int) -> tuple[bytes, int]:
    """The bytes of a regular file and its mode.

    Raises:
        Problem: it cannot be read, is no regular file, or is longer than `limit`.
    """
    try:
        # O_NONBLOCK: a FIFO without a writer would block the open.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise Problem("no such file") from None
    except (OSError, ValueError) as err:
        raise Problem(f"cannot be read: {getattr(err, 'strerror', None) or 'not a file name'}") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise Problem("a directory, not a file" if stat.S_ISDIR(mode) else "not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    except OSError as err:
        raise Problem(f"cannot be read: {err.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise Problem(f"larger than {limit // 1024} KB")
    return data, stat.S_IMODE(mode)


def read_secret(name: str, around: Surroundings) -> SecretFile:
    """The secret in the file that a `…_file` setting names; without a slash, a systemd credential comes first.

    Raises:
        Problem: it is missing, others can read it, or it holds nothing usable. Only a file that exists is named, as the
            value of the setting may be the secret itself.
    """
    path = _find(name, around)
    try:
        data, mode = read_regular(path, MAX_SECRET_BYTES)
    except Problem as err:
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a name that is too long
            raise Problem(
                f"{err}; give the path of a file that holds the secret, or the name of a systemd credential"
            ) from None
        raise Problem(f"{path}: {err}") from None
    if mode & 0o007 and path.parent != around.credentials:
        raise Problem(f"{path}: others can read it (mode {mode:04o}); chmod o= it, e.g. to 0640 or 0600")
    try:
        text = data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Problem(f"{path}: not text") from None
    if not text.strip():
        raise Problem(f"{path}: empty")
    return SecretFile(path, Secret(text))


def read_token(name: str, around: Surroundings) -> SecretFile:
    """A secret of one line that fits into an HTTP header.

    Raises:
        Problem: see `read_secret`; or it holds more than one word of ASCII.
    """
    found = read_secret(name, around)
    text = found.secret.reveal()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise Problem(f"{found.path}: expected one line without spaces, and nothing else")
    return found


def read_service_account(name: str, around: Surroundings) -> ServiceAccount:
    """The service account whose JSON key file the setting names; its key has signed once.

    Raises:
        Problem: see `read_secret`; or it is not the JSON that Google gives out, or its key cannot sign.
    """
    found = read_secret(name, around)
    path = found.path
    advice = "create and download a JSON key of the service account in the Google Cloud console"
    try:
        info = json.loads(found.secret.reveal())
    except (ValueError, RecursionError):
        raise Problem(f"{path}: not JSON; {advice}") from None
    if isinstance(info, dict) and ("web" in info or "installed" in info):
        raise Problem(f"{path}: an OAuth client, not a service account's key; name it in oauth_client_file instead")
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise Problem(f'{path}: not a service account\'s key ("type" is not "service_account"); {advice}')
    wanted = ("client_email", "private_key_id", "private_key", "token_uri")
    missing = [key for key in wanted if not isinstance(info.get(key), str) or not info[key].strip()]
    if missing:
        raise Problem(f"{path}: lacks {', '.join(missing)}; {advice}")
    try:
        web_address(info["token_uri"], query=True)
    except Problem as err:
        raise Problem(f"{path}: token_uri: {err}") from None
    if not _can_sign(info):
        raise Problem(f"{path}: its private_key is not a usable RSA key; {advice}")
    return ServiceAccount(
        path=path,
        client_email=info["client_email"].strip(),
        key_id=info["private_key_id"].strip(),
        token_uri=info["token_uri"],  # to the letter: it is the audience of what the key signs
        private_key=Secret(info["private_key"]),
        info=found.secret,
    )


def read_oauth_client(name: str, around: Surroundings) -> OAuthClient:
    """The OAuth client whose JSON file the setting names.

    Raises:
        Problem: see `read_secret`; or it is not the JSON that Google gives out for a client of type Web application.
    """
    found = read_secret(name, around)
    path = found.path
    advice = "create an OAuth client of type Web application in the Google Cloud console, and download its JSON"
    try:
        info = json.loads(found.secret.reveal())
    except (ValueError, RecursionError):
        raise Problem(f"{path}: not JSON; {advice}") from None
    if isinstance(info, dict) and info.get("type") == "service_account":
        raise Problem(f"{path}: a service account's key, not an OAuth client; name it in service_account_file instead")
    if isinstance(info, dict) and "installed" in info:
        raise Problem(f'{path}: a client of type Desktop ("installed"), which no web page can use; {advice}')
    web = info.get("web") if isinstance(info, dict) else None
    if not isinstance(web, dict):
        raise Problem(f'{path}: not an OAuth client (there is no "web" in it); {advice}')
    wanted = ("client_id", "client_secret", "auth_uri", "token_uri")
    missing = [key for key in wanted if not isinstance(web.get(key), str) or not web[key].strip()]
    if missing:
        raise Problem(f"{path}: lacks {', '.join(missing)}; {advice}")
    for key in ("auth_uri", "token_uri"):
        try:
            web_address(web[key])
        except Problem as err:
            raise Problem(f"{path}: {key}: {err}") from None
    uris = web.get("redirect_uris", [])
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        raise Problem(f"{path}: redirect_uris: expected a list of URLs; {advice}")
    return OAuthClient(
        path=path,
        client_id=web["client_id"].strip(),
        auth_uri=web["auth_uri"],
        token_uri=web["token_uri"],
        client_secret=Secret(web["client_secret"].strip()),
        redirect_uris=tuple(uris),
        info=found.secret,
    )


def read_long_token(name: str, around: Surroundings) -> SecretFile:
    """A secret that others may try to guess.

    Raises:
        Problem: see `read_token`; or it is too short.
    """
    found = read_token(name, around)
    if len(found.secret.reveal()) < MIN_GUESSED:
        raise Problem(f"{found.path}: too short to be safe; make one with `openssl rand -hex 32`")
    return found


def read_url(name: str, around: Surroundings) -> SecretFile:
    """A URL that is secret, as those are to which chats and pagers take messages.

    Raises:
        Problem: see `read_token`; or it is not a URL that begins with https://.
    """
    found = read_token(name, around)
    try:
        web_address(found.secret.reveal(), query=True)
    except Problem as err:
        raise Problem(f"{found.path}: {err}") from None
    return found


def vault_key_file(given: str | None, state_dir: Path | None, around: Surroundings) -> Path:
    """Where the vault's key is, or will be made: as given, else the credential `vault-key`, else beside the state.

    Raises:
        Problem: it cannot be a key file: a directory, readable by others, or inside the state directory.
    """
    path = _find(given or VAULT_CREDENTIAL, around)
    is_credential = path.parent == around.credentials
    if given is None and not is_credential:
        state = state_dir or around.path("state")
        path = state.with_name(f"{state.name}-key") / "vault.key"
    elif state_dir is not None and path.is_relative_to(state_dir):
        raise Problem("lies inside state_dir, so that a copy of that would hold both lock and key; put it elsewhere")
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - Path.stat raises the same
    except (OSError, ValueError):
        return path  # it is made at the first start, or its absence is the vault's to judge
    if not stat.S_ISREG(mode):
        raise Problem(f"{path}: not a regular file")
    if mode & 0o007 and not is_credential:
        raise Problem(f"{path}: others can read it (mode {stat.S_IMODE(mode):04o}); chmod o= it, e.g. to 0600")
    return path


def _find(name: str, around: Surroundings) -> Path:
    if "/" not in name and around.credentials is not None:
        credential = around.credentials / name
        if name not in {".", ".."} and os.path.lexists(credential):
            return credential
    return around.path(name)


def _can_sign(info: dict[str, object]) -> bool:
    try:
        RSASigner.from_service_account_info(info).sign(b"calsyncd")  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - whatever a broken key provokes, and none of its text
        return False
    return True
