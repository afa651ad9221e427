"""Agents' own consent: who has connected a calendar, from the button on the page to the credential in the vault.

A flow is bound to the browser that began it, with its PKCE verifier and nonce. Who is connected is whom Google's
id_token names, whatever the flow was begun for.

One lock an account: connecting twice at once leaves the refresh token that came last, and the other one is dropped.
It is not revoked: at Google that ends the whole grant, and the newer token with it.

Disconnecting survives a crash at each step, since it is begun again from what is written down:
1. the credential is marked as leaving: from now on nobody follows the calendar, and the token still stops its channels;
2. the channels are stopped and the hold is released, which the ledger remembers by itself;
3. the grant is revoked at Google, which may have happened before;
4. the credential is deleted.
Whoever is marked is taken through 2 to 4 again at the next start, and every five minutes until it has succeeded. Where
the credential cannot be read, a file beside it is the mark, reading ends and the hold is released all the same; the
grant waits until somebody has put the credential back, or ends with its file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from calsyncd.errors import Refused, ServiceError, Unavailable, UserError
from calsyncd.flows import Flows, unguessable
from calsyncd.google import consent
from calsyncd.google.consent import Client
from calsyncd.google.tokens import SCOPE
from calsyncd.vault import name_of
from calsyncd.web.connect import Place, Shown
from calsyncd.web.cookies import Started
from calsyncd.web.pages import CONNECT, DISCONNECT, Facts, Page
from calsyncd.web.tally import Tally

if TYPE_CHECKING:
    from calsyncd.clock import Clock
    from calsyncd.http import Http
    from calsyncd.vault import Vault

EXCHANGES = 20
"""So many exchanges with Google at a time: the other connections are for calendars and phones."""

EXCHANGE_SECONDS = 8.0
WORK_SECONDS = 4.0
"""After so long together a browser is told what there is to tell: its connection is cut after 15."""

AGAIN_SECONDS = 300.0

_REFUSALS = {
    "consent_denied": (200, Page.DENIED),
    "code_refused": (400, Page.EXPIRED),
    "account_unverified": (403, Page.UNVERIFIED),
}
_ERRORS = frozenset(
    {
        *("invalid_request", "invalid_scope", "server_error", "temporarily_unavailable"),
        *("unauthorized_client", "unsupported_response_type", "admin_policy_enforced", "interaction_required"),
    }
)
"""What may stand in the log of an answer's `error`: RFC 6749 4.1.2.1, and what Google adds."""

_CONTEXT = "google:"
_LEAVES = "leaving:"
"""Under this name the vault keeps that an account is leaving whose credential cannot be marked."""

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Connections:
    """Implements `web.connect.Ways`, whose pages stand at `place`; made once the vault is open.

    `is_agent` says of an address in lower case whether this company follows it, or raises Unavailable. `followed`
    starts to read a calendar now and returns without waiting for the end; it raises nothing, and may be called for one
    that is followed. `let_go` stops its channels and releases its hold, for good, however often it is called. Both are
    called one at a time for an account; of errors, `let_go` may raise Unavailable alone: it is then called again.
    `left` is called when nothing of the account is there any more.
    """

    def __init__(
        self,
        vault: Vault,
        http: Http,
        client: Client,
        clock: Clock,
        place: Place,
        *,
        is_agent: Callable[[str], bool],
        followed: Callable[[str], Awaitable[None]],
        let_go: Callable[[str], Awaitable[None]],
        left: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._vault = vault
        self._http = http
        self._client = client
        self._clock = clock
        self.place = place
        self._is_agent = is_agent
        self._followed = followed
        self._let_go = let_go
        self._left = left
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._exchanging = asyncio.Semaphore(EXCHANGES)
        self._flows = Flows(vault, clock.monotonic)
        self._revocations = 0
        self._revoked: dict[str, int] = {}
        self._work: set[asyncio.Task[bool]] = set()
        self._connected: set[str] = set()
        self._leaving: dict[str, float] = {}
        self._marked: set[str] = set()
        self._unmarked: set[str] = set()
        self._unreadable = frozenset(vault.faults())
        self._made_up = Tally(
            _log.info, "Answers came that are not Google's, or old ones of it", action="connect_refused"
        )
        # Anybody can bring these answers, as often as the pages are granted to them.
        self._denied = Tally(_log.info, "A calendar was not connected", action="connect_refused")
        self._failed = Tally(_log.error, "A calendar could not be connected or disconnected", action="connect_failed")
        for email in self._kept(_CONTEXT):
            with contextlib.suppress(UserError):
                credential = vault.get(_CONTEXT + email)
                if credential is not None:
                    self._take(email, credential)
        for email in self._kept(_LEAVES):
            self._take_mark(email)

    # -- who is connected ------------------------------------------------------------------------------------------

    def connected(self) -> list[str]:
        """The accounts whose calendars may be read, sorted; who is leaving is none of them."""
        return sorted(self._connected)

    def accounts(self, among: Iterable[str]) -> list[str]:
        """Who is connected, and who `among` these addresses was when this process began, as far as can be told.

        Of a file that cannot be read it is not known what it holds: nobody is put back for that.
        """
        doubtful = {email for email in among if file_of(email) in self._unreadable} if self._unreadable else set()
        return sorted(self._connected | (doubtful - self._leaving.keys()))

    def leaving(self) -> list[str]:
        """The accounts of which disconnecting is not yet at its end, sorted: nobody may follow them."""
        return sorted(self._leaving)

    def leaving_since(self) -> dict[str, float]:
        """Since when each of them has been leaving, epoch seconds."""
        return dict(self._leaving)

    def reread(self, faults: Collection[str], contexts: Iterable[str]) -> tuple[list[str], list[str]]:
        """Take up what people changed in the vault: (the accounts that can be read again, those that are gone).

        `faults` has the names of the files that cannot be read, `contexts` what the others hold.
        """
        self._unreadable = frozenset(faults)
        kept = {context.removeprefix(_CONTEXT) for context in contexts if context.startswith(_CONTEXT)}
        known = self._connected | self._leaving.keys()
        changed = {email for email in kept ^ known if file_of(email) not in self._unreadable}
        back, gone = list[str](), list[str]()
        for email in sorted(changed):
            with contextlib.suppress(UserError):
                # Asked once more: since the vault was looked through, somebody may have come or gone.
                credential = self._vault.get(_CONTEXT + email)
                if credential is None:
                    if email in known:
                        gone.append(email)
                    self._forget(email)
                    self._unmark(email)
                elif email not in known:
                    self._take(email, credential)
                    back.append(email)
        return [email for email in back if email in self._connected], gone

    def _take(self, email: str, credential: Mapping[str, Any]) -> None:
        if credential.get("leaving"):
            self._leaving[email] = float(credential.get("leaving_since", self._clock.now()))
        else:
            self._connected.add(email)

    def _take_mark(self, email: str) -> None:
        """Whoever is marked by a file of its own is leaving, unless they have connected since."""
        credential: Mapping[str, Any] | None = None
        try:
            since = float((self._vault.get(_LEAVES + email) or {})["since"])
            credential = self._vault.get(_CONTEXT + email)
        except (UserError, KeyError, TypeError, ValueError):
            since = self._clock.now()
        self._marked.add(email)
        if credential is None or credential.get("leaving") or credential.get("connected_at", 0) < since:
            self._connected.discard(email)
            self._leaving[email] = since

    def _forget(self, email: str) -> None:
        self._connected.discard(email)
        self._leaving.pop(email, None)
        self._unmarked.discard(email)

    def _unmark(self, email: str) -> None:
        """Delete the mark beside the credential, if there is one. UserError: it cannot be deleted."""
        if email in self._marked:
            self._vault.remove(_LEAVES + email)
            self._marked.discard(email)

    def grant(self, email: str) -> str | None:
        """The refresh token of this account, also while it is leaving; None: it has none. As `grant_in`."""
        return grant_in(self._vault, email)

    def use(self, client: Client) -> None:
        """Ask by this client from now on; flows that another one began do not count any more."""
        self._client = client

    async def disconnect(self, email: str) -> bool:
        """Take this account out, in the order above; False: Google could not be told yet, and will be.

        UserError: the credential cannot be read or marked. It is read no more all the same, and tried again.
        """
        email = email.lower()
        async with self._locks[email]:
            return await self._leave(email)

    async def keep(self) -> None:
        """Bring to an end what a crash or an outage of Google has left half done, for ever."""
        while True:
            for email in sorted(self._leaving):
                async with self._locks[email]:
                    # Whoever has connected meanwhile is not leaving any more.
                    if email in self._leaving:
                        await self._guarded(email, self._leave(email))
            await self._clock.sleep(AGAIN_SECONDS)

    # -- flows -----------------------------------------------------------------------------------------------------

    @property
    def _purpose(self) -> str:
        return f"google {self._client.client_id} {self._client.redirect_uri}"

    def start(self, what: str, email: str) -> Started:
        """Begin to connect or to disconnect."""
        verifier, nonce = unguessable(), unguessable()
        state, cookie = self._flows.begin(self._purpose, what=what, email=email, verifier=verifier, nonce=nonce)
        url = consent.authorization_url(
            self._client,
            state=state,
            challenge=consent.challenge_of(verifier),
            nonce=nonce,
            login_hint=email,
            offline=what == CONNECT,
        )
        return Started(url, state, cookie)

    async def finish(self, cookie: str, query: Mapping[str, str]) -> Shown:
        """End the flow that this browser began."""
        state = query.get("state", "")
        flow = self._flows.find(self._purpose, cookie, state)
        if flow is None or self._flows.is_used(state):
            # What another page may have sent here must not end what this browser is about.
            return Shown(400, Page.EXPIRED, Facts(), ended=False)
        self._flows.use(state)
        what, asked = flow["what"], flow["email"]
        try:
            status, page, account = await self._end(flow, query)
        except Refused as error:
            status, page = _REFUSALS.get(error.code, (502, Page.FAILED))
            account = ""
            if page is Page.FAILED:
                self._failed.add(why=str(error), agent=asked)
            elif page is Page.DENIED:
                self._denied.add(why=error.code, agent=asked)
            elif page is Page.EXPIRED:
                # Whoever makes codes up has chosen the address, too.
                self._made_up.add(why=error.code)
            else:
                _not_connected(error.code, asked)
        except (Unavailable, TimeoutError) as error:
            status, page, account = 503, Page.FAILED, ""
            self._failed.add(why=_why(error), agent=asked)
        return Shown(status, page, Facts(account, asked, what))

    async def _end(self, flow: Mapping[str, str], query: Mapping[str, str]) -> tuple[int, Page, str]:
        if "error" in query and query["error"] != "access_denied":
            # A stranger's word, until it is one that we know.
            known = query["error"] if query["error"] in _ERRORS else "something else"
            raise Refused(f"Google ended the flow with {known}", service="google", code="consent_failed")
        code = consent.code_of(query)
        before = self._revocations
        async with asyncio.timeout(EXCHANGE_SECONDS), self._exchanging:
            granted = await consent.exchange(
                self._http,
                self._client,
                code=code,
                verifier=flow["verifier"],
                nonce=flow["nonce"],
                now=self._clock.now(),
            )
        email = granted.email
        if flow["what"] == DISCONNECT:
            return await self._signed_out(email)
        if not self._is_agent(email):
            # The token is dropped, not revoked: the grant may be another company's too, by the same client.
            _not_connected("stranger", email)
            return 403, Page.STRANGER, email
        if SCOPE not in granted.scope:
            _not_connected("scope_missing", email)
            return 403, Page.UNTICKED, email
        token = consent.grant_of(granted)
        done = await self._told(email, self._connect(email, token, before))
        return (200, Page.CONNECTED, email) if done else (503, Page.FAILED, email)

    async def _connect(self, email: str, token: str, before: int) -> bool:
        """Keep this refresh token; False: the grant was revoked since its exchange began."""
        async with self._locks[email]:
            if self._revoked.get(email, 0) > before:
                return False
            credential = {"refresh_token": token, "connected_at": int(self._clock.now())}
            await asyncio.to_thread(self._vault.put, _CONTEXT + email, credential)
            self._forget(email)
            self._connected.add(email)
            await asyncio.to_thread(self._unmark, email)
            await self._followed(email)
        _log.info(f"The calendar of {email} is connected", action="agent_connected", agent=email)
        return True

    async def _signed_out(self, email: str) -> tuple[int, Page, str]:
        if email not in self._connected and email not in self._leaving:
            # One that cannot be read is there, and may open again: to say that there is none would be a lie.
            with contextlib.suppress(UserError):
                if await asyncio.to_thread(self._vault.get, _CONTEXT + email) is None:
                    return 200, Page.ABSENT, email
        if await self._told(email, self.disconnect(email)):
            return 200, Page.DISCONNECTED, email
        is_leaving = email in self._leaving and email not in self._unmarked
        return (200, Page.LEAVING, email) if is_leaving else (503, Page.FAILED, email)

    async def _told(self, email: str, work: Coroutine[Any, Any, bool]) -> bool:
        """Whether this work came to its good end soon; it is not hurt by a browser that goes away."""
        task = asyncio.create_task(self._guarded(email, work))
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        done, _ = await asyncio.wait({task}, timeout=WORK_SECONDS)
        return bool(done) and task.result()

    async def _guarded(self, email: str, work: Coroutine[Any, Any, bool]) -> bool:
        try:
            return await work
        except (ServiceError, UserError, OSError) as error:
            _failed(email, error)
            return False

    async def _leave(self, email: str) -> bool:
        """Steps 1 to 4, under the account's lock."""
        context = _CONTEXT + email
        since = self._leaving.get(email, float(int(self._clock.now())))
        try:
            credential = await asyncio.to_thread(self._vault.get, context)
            if credential is None:
                self._forget(email)
                await asyncio.to_thread(self._unmark, email)
                return True
            if not credential.get("leaving"):
                leaving = {**credential, "leaving": True, "leaving_since": since}
                await asyncio.to_thread(self._vault.put, context, leaving)
        except UserError:
            await self._stop_reading(email, since)
            raise
        self._connected.discard(email)
        self._unmarked.discard(email)
        self._leaving[email] = since
        try:
            await self._let_go(email)
            await self._revoke(email, credential)
        except Unavailable as error:
            _log.warning(
                f"The calendar of {email} is no longer read; the rest of disconnecting it is tried again: {error}",
                action="disconnect_waits",
                agent=email,
            )
            return False
        await asyncio.to_thread(self._vault.remove, context)
        await asyncio.to_thread(self._unmark, email)
        self._leaving.pop(email, None)
        self._left(email)
        _log.info(f"The calendar of {email} is disconnected", action="agent_disconnected", agent=email)
        return True

    async def _stop_reading(self, email: str, since: float) -> None:
        """Steps 1 and 2, where the credential is not to be had."""
        self._connected.discard(email)
        self._leaving[email] = since
        if email not in self._marked:
            try:
                await asyncio.to_thread(self._vault.put, _LEAVES + email, {"since": since})
                self._marked.add(email)
            except UserError:
                # It lasts as long as this process.
                self._unmarked.add(email)
            else:
                self._unmarked.discard(email)
        # Without a token Google is told of the channels by nobody: they end by themselves.
        with contextlib.suppress(Unavailable):
            await self._let_go(email)

    async def _revoke(self, email: str, credential: Mapping[str, Any]) -> None:
        # Counted before it is sent: what is lost on the way may have landed.
        self._revocations += 1
        self._revoked[email] = self._revocations
        try:
            await consent.revoke(self._http, self._client, str(credential.get("refresh_token", "")))
        except Unavailable:
            raise
        except ServiceError as error:
            # Refused: Google knows the token no more, so there is nothing left to end.
            _log.info(
                "Google did not know a grant that was to be ended", action="grant_gone", agent=email, error=error.code
            )
        finally:
            self._revocations += 1
            self._revoked[email] = self._revocations

    def _kept(self, kind: str) -> list[str]:
        return [context.removeprefix(kind) for context in self._vault.contexts() if context.startswith(kind)]


def _not_connected(why: str, email: str) -> None:
    _log.info("A calendar was not connected", action="connect_refused", why=why, agent=email)


def _failed(email: str, error: Exception) -> None:
    _log.error(
        f"A calendar could not be connected or disconnected: {_why(error)}", action="connect_failed", agent=email
    )


def _why(error: Exception) -> str:
    return "Google did not answer in time" if isinstance(error, TimeoutError) else str(error)


def file_of(email: str) -> str:
    """The name of the file in the vault that holds what this account has granted."""
    return name_of(_CONTEXT + email)


def grant_in(vault: Vault, email: str) -> str | None:
    """The refresh token that this account has granted; None: it has none.

    Unavailable, with the code `vault`: it may have one, but the vault cannot be read.
    """
    try:
        credential = vault.get(_CONTEXT + email.lower())
    except UserError as error:
        raise Unavailable(str(error), service="google", code="vault", landed=False) from error
    token = credential.get("refresh_token") if credential is not None else None
    return token if isinstance(token, str) else None


def forget_grant(vault: Vault, email: str) -> int:
    """Delete what this account has granted without telling Google; how many grants that were.

    Unavailable, with the code `vault`: it cannot be deleted.
    """
    context = _CONTEXT + email
    try:
        known, faults = vault.contexts(), vault.faults()
        if _LEAVES + email in known or name_of(_LEAVES + email) in faults:
            vault.remove(_LEAVES + email)
        if context not in known and name_of(context) not in faults:
            return 0
        vault.remove(context)
    except UserError as error:
        raise Unavailable(str(error), service="google", code="vault", landed=False) from error
    return 1
