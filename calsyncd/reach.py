"""Whether the public URL leads to this process: asked from outside, as Google and Aircall do.

Theory. A name, a certificate, a proxy and a port stand between Google and us; each can fail in silence: a proxy that
answers 200 to a host it does not know swallows every notification. So a nonce is sent to our own URL, and only who
holds the push key can answer it. One failure says little, since a proxy may start later than we do: it counts once
tries have failed for SETTLE_SECONDS. From then on push is not trusted, and it is tried until it succeeds.

A network that cannot reach its own public address fails every try though Google gets through. A genuine message that
came after the first failure proves as much as a nonce, and for as long.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from calsyncd.core.retry import backoff, spread
from calsyncd.http import ProxyFault, proxy_for, reason_of, tls_context
from calsyncd.logs import get_logger
from calsyncd.resolver import Resolver
from calsyncd.scheduler import Scheduler

EVERY_SECONDS = 3600.0
SETTLE_SECONDS = 10.0
RETRY_CAP_SECONDS = 120.0
PATH = "/healthz?nonce="

_TIMEOUT = aiohttp.ClientTimeout(total=10.0, connect=5.0)
_MOST_BYTES = 4096
_PROOF = re.compile(r"[0-9a-f]{64}")
_NGROK = re.compile(r"ERR_NGROK_[0-9]{1,5}")
_KIND = "reach"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a nonce sent to a URL.

    `ours` if it was answered as only the holder of the key can, whatever the status. Else `what` says what was seen,
    in words that go on behind the URL, and `do` what to do about it; `answered` if anything at all answered.
    """

    ours: bool
    status: int | None = None
    what: str = ""
    do: str = ""
    answered: bool = True
    refused: bool = False
    """No process of ours could mend it: its name or its certificate is wrong."""


def is_for_tests(url: str) -> bool:
    """Whether this URL only stands for one: no name under .test leads anywhere (RFC 6761, 6.2)."""
    return (urlsplit(url).hostname or "").endswith(".test")


async def look(base: str, prove: Callable[[str], str], environ: Mapping[str, str]) -> Seen:
    """Send a nonce to `base`/healthz, on a connection of its own; `prove` says what only we answer to it.

    Never raises for what the other end does. Redirects are not followed; HTTPS_PROXY and SSL_CERT_FILE count as for
    every other request.
    """
    nonce = secrets.token_hex(16)
    url = f"{base}{PATH}{nonce}"
    # Loading the certificates takes as long as a boundary may be late.
    context = await asyncio.to_thread(tls_context)
    connector = aiohttp.TCPConnector(ssl=context, resolver=Resolver(), use_dns_cache=False, force_close=True)
    session = aiohttp.ClientSession(
        connector=connector, timeout=_TIMEOUT, trust_env=False, headers={"User-Agent": "calsyncd"}
    )
    try:
        async with (
            session,
            session.get(url, allow_redirects=False, proxy=proxy_for(url, environ)) as answer,
        ):
            raw = await _beginning(answer)
            if hmac.compare_digest(raw.strip(), prove(nonce).encode()):
                return Seen(ours=True, status=answer.status)
            return _foreign(answer.status, raw, answer.headers.get("Ngrok-Error-Code", ""))
    except aiohttp.ClientConnectorCertificateError as error:
        return _silent(f"its certificate is not trusted ({reason_of(error)})", _CERTIFICATE, refused=True)
    except aiohttp.ClientConnectorDNSError:
        return _silent("its name is not known to DNS", "give the name an entry in DNS", refused=True)
    except (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError, ProxyFault) as error:
        return _silent(reason_of(error), _OUTWARD)
    except TimeoutError:
        return _silent("no answer in time", _CLOSED)
    except aiohttp.ServerDisconnectedError:
        return _silent("the connection was closed without an answer", _HOST)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return _silent(reason_of(error), _CLOSED)


_CERTIFICATE = "renew the proxy's certificate, with its whole chain and for this name"
_OUTWARD = "mend HTTPS_PROXY in calsyncd's environment, or name the host in NO_PROXY"
_CLOSED = (
    "see that the proxy or ngrok runs and its port is open; where this network cannot reach its own public address,"
    " name the proxy's inner one in /etc/hosts"
)
_HOST = "see that the proxy knows this host name, and lets this machine in"
_LEAD_ON = "let the proxy pass /healthz, /webhooks/, /google/ and /aircall/ on to server.listen"


def _silent(why: str, do: str, *, refused: bool = False) -> Seen:
    return Seen(ours=False, what=f"cannot be reached: {why}", do=do, answered=False, refused=refused)


def _foreign(status: int, raw: bytes, ngrok: str) -> Seen:
    """What something else than we has answered."""
    if _PROOF.fullmatch(raw.strip().decode("latin-1")):
        return Seen(
            ours=False,
            status=status,
            what="leads to another calsyncd",
            do="let it lead to server.listen of this one",
        )
    code = f" ({ngrok})" if _NGROK.fullmatch(ngrok) else ""
    what, do = f"{status}{code} from something else", _LEAD_ON
    if ngrok and code:
        do = "start ngrok again, with this URL; its code is explained at ngrok.com/docs/errors"
    elif 300 <= status < 400:
        what, do = f"{status}, a redirect, from something else", f"{_LEAD_ON}, without a redirect"
    elif status in (502, 504):
        what, do = f"{status} from a proxy that does not reach calsyncd", "let the proxy's upstream be server.listen"
    elif status in (401, 403, 407):
        what, do = f"{status} from something that wants a login or forbids it", f"{_LEAD_ON}, without a login"
    return Seen(ours=False, status=status, what=f"does not lead to this daemon: {what}", do=do)


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    raw = b""
    async for piece in answer.content.iter_chunked(_MOST_BYTES):
        raw += piece
        if len(raw) > _MOST_BYTES:
            break
    return raw


class Reach:
    """Looks whether `public_url` leads here, at the start, every hour, and soon again while it does not.

    `prove` is what this process answers to a nonce; `heard_at` when the last genuine message came, epoch seconds.
    `changed` is called when push is to be trusted less or again; `measure` is told after each look if it leads here.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        public_url: str,
        environ: Mapping[str, str],
        prove: Callable[[str], str],
        heard_at: Callable[[], float],
        changed: Callable[[], None],
        measure: Callable[[bool], None],
        chance: Callable[[], float],
    ) -> None:
        self.tried = False
        self._scheduler = scheduler
        self._clock = scheduler.clock
        self._url = public_url
        self._environ = environ
        self._prove = prove
        self._heard_at = heard_at
        self._changed = changed
        self._measure = measure
        self._chance = chance
        self._asking: asyncio.Task[Seen] | None = None
        self._ended = False
        self._failures = 0
        self._failing_since: float | None = None
        self._last = Seen(ours=True)
        self._told: bool | None = None
        scheduler.handle(_KIND, lambda _name, _now: self._begin())
        scheduler.when_stepped(lambda now, _seconds: self._stepped(now))

    def keep(self) -> None:
        """Look now, when the listener listens, and from now on."""
        self._scheduler.at(_KIND, "", self._clock.now())

    def end(self) -> None:
        """Look no more: a stop does not wait for an answer that nobody needs."""
        self._ended = True
        if self._asking is not None:
            self._asking.cancel()

    def fault(self) -> Seen | None:
        """What was seen last, if the public URL does not lead here; None while it does, or that is not settled."""
        since, now = self._failing_since, self._clock.now()
        if since is None or now - since < SETTLE_SECONDS:
            return None
        heard = self._heard_at()
        proven = heard > since and now - heard < EVERY_SECONDS
        return None if proven else self._last

    def _begin(self) -> None:
        if self._asking is None and not self._ended:
            self._asking = asyncio.create_task(look(self._url, self._prove, self._environ), name="nonce")
            self._scheduler.start(self._judge(self._asking), "public url")

    def _stepped(self, now: float) -> None:
        if self._failing_since is not None:
            self._failing_since = min(self._failing_since, now)
        if self._scheduler.due_at(_KIND, "") is not None:
            self._scheduler.at(_KIND, "", now)

    async def _judge(self, asking: asyncio.Task[Seen]) -> None:
        await asyncio.wait({asking})
        self._asking = None
        if self._ended:
            return
        seen = asking.result()
        now = self._clock.now()
        self._last = seen
        if seen.ours:
            self._failures, self._failing_since, self.tried = 0, None, True
            wait = spread(EVERY_SECONDS, self._chance())
        else:
            self._failures += 1
            self._failing_since = self._failing_since if self._failing_since is not None else now
            wait = backoff(self._failures, self._chance(), cap=RETRY_CAP_SECONDS)
            self.tried = self.tried or now - self._failing_since >= SETTLE_SECONDS
        self._tell()
        self._scheduler.at(_KIND, "", now + wait)

    def _tell(self) -> None:
        """Say what has changed."""
        if not self.tried:
            return
        fault = self.fault()
        self._measure(fault is None)
        if fault is not None and self._told is not False:
            log.error(
                f"No message can arrive, calendars are polled: {self._url} {fault.what}",
                action="public_url_failed",
                do=fault.do,
            )
        elif fault is None and self._told is not True:
            log.info("Messages arrive through the public URL", action="public_url_reached")
        if (fault is not None) != (self._told is False):
            self._changed()
        self._told = fault is None
