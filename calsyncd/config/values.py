"""The kinds of values: each takes the text that was typed and gives the value, or says what is wrong with it."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from calsyncd.config.faults import Problem
from calsyncd.config.yamlnodes import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

DURATION_PATTERN = r"^(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?[smhd]?$"
LISTEN_PATTERN = r"^(unix:.+|(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5})$"
EMAIL_PATTERN = r"^[^@\s<>()\[\],;:\"\\]{1,64}@[^@\s<>()\[\],;:\"\\.]+(\.[^@\s<>()\[\],;:\"\\.]+)+$"
CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):([0-5][0-9])$"
CLOSING_PATTERN = r"^(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00))$"
DAYS_PATTERN = r"^(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?$"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_UNIX_PATH_BYTES = 107
"""The kernel's limit for the path of a Unix socket."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a value may depend on besides its text: the config file's directory and the environment."""

    base: Path
    env: Mapping[str, str]

    @property
    def credentials(self) -> Path | None:
        """The directory of this service's systemd credentials, if it has any."""
        directory = self.env.get("CREDENTIALS_DIRECTORY")
        return Path(directory) if directory else None

    def path(self, text: str) -> Path:
        """The text as a path; a relative one is relative to the config file."""
        if text.startswith("~"):
            raise Problem("`~` is not expanded; write the whole path")
        if "\0" in text or not text.isprintable():
            raise Problem("not a path")
        return self.base / text


def state_dir(value: object, around: Surroundings) -> Path:
    """The state directory; without a value the service's own, else `state` beside the config file.

    Raises:
        Problem: something else is there, or it is no path.
    """
    if value is None or value == Path():
        given = around.env.get("STATE_DIRECTORY", "").split(":")[0]
        path = around.path(given or "state")
    elif isinstance(value, Path):
        path = around.base / value
    else:
        path = around.path(text(value, "the path of a directory"))
    if os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112 - Path.exists may raise
        raise Problem("is there and not a directory")
    return path


@dataclass(frozen=True, slots=True)
class TcpListen:
    """A host and a port; port 0 lets the system choose one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixListen:
    """The path of a Unix socket."""

    path: Path

    @property
    def is_loopback(self) -> bool:
        """Always: only this machine can connect."""
        return True

    def __str__(self) -> str:
        return f"unix:{self.path}"


Listen = TcpListen | UnixListen
"""Where a server listens."""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
"""Addresses that begin alike; a single one is a network too."""


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by name or by number."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def text(value: object, what: str = "text") -> str:
    """The value as text; a number typed without quotes is the text it was typed as."""
    if not isinstance(value, str):
        raise Problem(f"expected {what}")
    return str(value)


def seconds(value: object, at_least: float, at_most: float) -> float:
    """A duration in seconds, from `90s`, `15m`, `2h`, `7d` or bare seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        length = float(value)
    elif isinstance(value, str) and re.fullmatch(DURATION_PATTERN, value):
        unit = value[-1] if value[-1] in _UNITS else "s"
        length = float(value.rstrip("smhd")) * _UNITS[unit]
    else:
        raise Problem("expected a duration such as 90s, 15m, 2h, 7d, or seconds")
    if not at_least <= length <= at_most:
        raise Problem(f"must be between {spell_seconds(at_least)} and {spell_seconds(at_most)}")
    return length


def spell_seconds(length: float) -> str:
    """The shortest way to write a duration in the settings."""
    for unit in ("d", "h", "m"):
        if length and length % _UNITS[unit] == 0:
            return f"{int(length / _UNITS[unit])}{unit}"
    return f"{length:g}s"


def days(value: object) -> tuple[int, ...]:
    """Days of the week, Monday as 0, from `mon` or `mon-fri`; `sat-mon` goes over the week's end."""
    spelt = value.lower() if isinstance(value, str) else ""
    if not re.fullmatch(DAYS_PATTERN, spelt):
        raise Problem("expected days such as mon-fri, or [mon, wed, sat]")
    first, _, last = spelt.partition("-")
    start, end = _DAYS.index(first), _DAYS.index(last or first)
    return tuple((start + number) % 7 for number in range((end - start) % 7 + 1))


def whole(value: object, at_least: int, at_most: int) -> int:
    """A whole number within bounds."""
    number = _number(value)
    if number is None:
        raise Problem("expected a whole number, without quotes")
    if not at_least <= number <= at_most:
        raise Problem(f"must be between {at_least} and {at_most}")
    return number


def number(value: object, at_most: float) -> float:
    """A number above nought; it may have decimal places."""
    size = None
    if isinstance(value, Text):
        if value.plain and re.fullmatch(r"-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?", value):
            size = float(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        size = float(value)
    if size is None:
        raise Problem("expected a number such as 2 or 0.5, without quotes")
    if not 0 < size <= at_most:
        raise Problem(f"must be above 0 and at most {at_most:g}")
    return size


def yes_or_no(value: object) -> bool:
    """True or false, as YAML 1.2 spells them."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Text) and value.plain and re.fullmatch("true|True|TRUE|false|False|FALSE", value):
        return value.lower() == "true"
    raise Problem("expected true or false, without quotes")


def one_of(value: object, allowed: Collection[str]) -> str:
    """One of the allowed words."""
    ways = ", ".join(allowed)
    expected = f"expected one of {ways}" if len(allowed) > 1 else f"expected {ways}"
    if not isinstance(value, str):
        raise Problem(expected)
    if value in allowed:
        return str(value)
    near = difflib.get_close_matches(value[:40].lower(), allowed, 1)
    raise Problem(expected + (f" (did you mean {near[0]}?)" if near else ""))


def email(value: object) -> str:
    """An e-mail address in lower case."""
    address = text(value, "an e-mail address").lower()
    if len(address) > 254 or not address.isprintable() or not re.fullmatch(EMAIL_PATTERN, address):
        raise Problem("expected an e-mail address such as amy@example.com")
    return address


def aircall_user(value: object) -> int | str:
    """An Aircall user by its id or its e-mail address."""
    number = _number(value)
    if number is not None:
        return whole(number, 1, 2**53)
    if isinstance(value, str) and "@" in value:
        return email(value)
    raise Problem("expected an Aircall user's id, such as 456 without quotes, or their e-mail address")


def listen(value: object, around: Surroundings) -> Listen:
    """An address to listen on: `host:port`, `[IPv6]:port` or `unix:/path`."""
    if isinstance(value, (TcpListen, UnixListen)):
        return value
    spelt = text(value, "host:port or unix:/path")
    if spelt.startswith("unix:"):
        if len(spelt) == len("unix:"):
            raise Problem("expected a path behind `unix:`")
        path = around.path(spelt.removeprefix("unix:"))
        if len(os.fsencode(path)) > _UNIX_PATH_BYTES:
            raise Problem(f"the path of a socket has at most {_UNIX_PATH_BYTES} bytes")
        return UnixListen(path)
    host, colon, port = spelt.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise Problem("expected host:port, such as 127.0.0.1:8770, or unix:/path")
    if not host:
        raise Problem("the host is missing; 127.0.0.1 for this machine only, 0.0.0.0 for every interface")
    if not _is_host(host):
        raise Problem("expected a host name, an IPv4 address, or an IPv6 address in [brackets] before the port")
    return TcpListen(host.strip("[]"), int(port))


def trusted_proxy(value: object) -> Network | Literal["unix"]:
    """The address or network of a proxy whose word is taken, or `unix`."""
    if isinstance(value, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
        return value
    spelt = text(value, "an address such as 10.0.0.7, a network such as 10.0.0.0/24, or unix")
    if spelt == "unix":
        return "unix"
    try:
        network = ipaddress.ip_network(spelt)
    except ValueError as err:
        if "host bits" in str(err):
            raise Problem(f"this network begins at {ipaddress.ip_network(spelt, strict=False)}") from None
        raise Problem("expected an address such as 10.0.0.7, a network such as 10.0.0.0/24, or unix") from None
    if not network.prefixlen:
        raise Problem("this is everybody: whoever sends X-Forwarded-For would be believed; name the proxies alone")
    return network


def command(value: object, around: Surroundings) -> tuple[str, ...]:
    """A program that is there, and its arguments: a list of texts, or one text split as a shell splits it."""
    if isinstance(value, list):
        words = [text(word, "a list of texts") for word in value]
    else:
        line = text(value, "a command, as a list or as one line")
        try:
            words = shlex.split(line)
        except ValueError:
            raise Problem("a quote that is never closed") from None
    if not words or not words[0].strip():
        raise Problem("expected a command, such as /usr/local/bin/tell; null: none")
    if any("\0" in word for word in words):
        raise Problem("not a command")
    if "/" in words[0] and not words[0].startswith("/"):
        raise Problem("a program with a slash needs its whole path, such as /usr/local/bin/tell")
    if shutil.which(words[0], path=around.env.get("PATH", os.defpath)) is None:
        raise Problem("no such program, or not one that may be run")
    return tuple(words)


def web_address(value: object, *, query: bool = False, bare: bool = False) -> str:
    """An https URL, or http on this machine, without user, fragment and final slash; `bare`: without a path too."""
    url = text(value, "a URL that begins with https://")
    if not url.isascii() or not url.isprintable() or any(mark in url for mark in ' \\"<>`{|}'):
        raise Problem("expected a URL that begins with https://, without spaces")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Problem("expected a URL such as https://calsync.example.com") from None
    if parts.scheme not in {"https", "http"} or not host or not _is_host(f"[{host}]" if ":" in host else host):
        raise Problem("expected a URL such as https://calsync.example.com")
    if parts.scheme == "http" and not is_loopback(host):
        raise Problem("must begin with https:// (http is for this machine only)")
    if parts.username is not None or parts.password is not None:
        raise Problem("must not hold a user or password")
    if "#" in url or ("?" in url and not query):
        raise Problem("must not hold a query or a fragment")
    if bare and parts.path not in {"", "/"}:
        raise Problem("must be scheme and host only, without a path")
    return url.rstrip("/")


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, Text) and value.plain and re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", value):
        return int(value)
    return None


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]") and "%" not in host:
        try:
            return ipaddress.ip_address(host[1:-1]).version == 6
        except ValueError:
            return False
    if re.fullmatch(r"[0-9.]+", host):
        try:
            return ipaddress.ip_address(host).version == 4
        except ValueError:
            return False
    return len(host) <= 253 and _HOST.fullmatch(host) is not None
