"""Google and Aircall, by what the settings name and what was granted: clients whose credentials a reload replaces."""

from __future__ import annotations

from collections.abc import Callable

from google.auth import crypt

from calsyncd import logs
from calsyncd.aircall.authorization import ApiKey, Installed
from calsyncd.aircall.client import AircallApi
from calsyncd.aircall.install import App
from calsyncd.clock import SystemClock
from calsyncd.config import Settings
from calsyncd.connections import grant_in
from calsyncd.core.budget import Budget
from calsyncd.errors import UserError
from calsyncd.google.auth import LIST_SCOPE, ServiceAccountTokens
from calsyncd.google.calendar import CalendarApi
from calsyncd.google.consent import Client
from calsyncd.google.granted import ConsentTokens
from calsyncd.google.tokens import SCOPE, AccessTokens
from calsyncd.http import Http
from calsyncd.routes import AIRCALL_CALLBACK, GOOGLE_CALLBACK
from calsyncd.vault import Vault

log = logs.get_logger(__name__)


def open_vault(settings: Settings, now: Callable[[], float], *, reads_only: bool = False) -> Vault | None:
    """Where what was granted lies; None where the settings need nobody's grant. UserError as the vault's.

    `reads_only` for commands: nothing is made, and nothing encrypted anew.
    """
    if settings.google.oauth_client is None and settings.aircall.oauth is None:
        return None
    if reads_only:
        return Vault.look(settings.credentials, settings.vault_key_file, now)
    vault = Vault.open(settings.credentials, settings.vault_key_file, now)
    try:
        vault.renew()
    except UserError as error:
        # Of what cannot be read is told by whoever watches over what was granted.
        if str(error) not in vault.faults().values():
            log.error(str(error), action="vault_damaged")  # noqa: TRY400 - it says what to do
    return vault


def authorization(settings: Settings, vault: Vault | None) -> ApiKey | Installed:
    """By what right Aircall is asked."""
    api_id, token = settings.aircall.api_id, settings.aircall.api_token
    if vault is not None and settings.aircall.oauth is not None:
        return Installed(vault, logs.keep_secret)
    if api_id is None or token is None:
        raise UserError("aircall: the settings name neither an API key nor an app")
    return ApiKey(api_id, token.reveal(), logs.keep_secret)


def app(settings: Settings) -> App | None:
    """The app that Aircall's admin installs; None where the settings name a key."""
    oauth, public_url = settings.aircall.oauth, settings.server.public_url
    if oauth is None or public_url is None:
        return None
    return App(
        oauth.client_id,
        oauth.client_secret.reveal(),
        f"{public_url}{AIRCALL_CALLBACK}",
        settings.aircall.dashboard_url,
        settings.aircall.api_url,
        oauth.company,
    )


def aircall_api(
    settings: Settings, by: ApiKey | Installed, http: Http, now: Callable[[], float], budget: Budget | None = None
) -> AircallApi:
    """Aircall, which is asked by this right and tells the budget what it shows of it; None: nobody keeps one."""
    return AircallApi(
        http,
        api_url=settings.aircall.api_url,
        authorization=by,
        users_api=settings.aircall.users_api,
        now=now,
        say=lambda sentence: log.warning(sentence, action="aircall_api"),
        granted=lambda shown: budget.shown(now(), shown) if budget is not None else None,
        blocked=lambda: budget is not None and budget.is_blocked(now()),
    )


def consent_client(settings: Settings) -> Client | None:
    """The OAuth client by which agents consent; None where the settings name a service account."""
    oauth, public_url = settings.google.oauth_client, settings.server.public_url
    if oauth is None or public_url is None:
        return None
    return Client(
        oauth.client_id,
        oauth.client_secret.reveal(),
        oauth.auth_uri,
        oauth.token_uri,
        settings.google.revoke_url,
        f"{public_url}{GOOGLE_CALLBACK}",
    )


def google_api(settings: Settings, http: Http, clock: SystemClock, vault: Vault | None) -> CalendarApi:
    """Google Calendar, by the credentials of the settings."""
    tokens, list_tokens = google_tokens(settings, http, clock, vault)
    return CalendarApi(http, tokens, settings.google.api_url, list_tokens)


def google_tokens(
    settings: Settings, http: Http, clock: SystemClock, vault: Vault | None
) -> tuple[AccessTokens, AccessTokens]:
    """(access tokens for events, and for the list of an agent's calendars)."""
    client, account = consent_client(settings), settings.google.service_account
    if client is not None and vault is not None:
        tokens = ConsentTokens(
            http, client, lambda email: grant_in(vault, email), now=clock.now, learned=logs.add_secret
        )
        return tokens, tokens
    if account is None:
        raise UserError("google: the settings name neither a service account nor an OAuth client")
    signer = crypt.RSASigner.from_string(account.private_key.reveal(), account.key_id)  # type: ignore[no-untyped-call]
    events, lists = (
        ServiceAccountTokens(
            http,
            client_email=account.client_email,
            token_uri=account.token_uri,
            signer=signer,
            now=clock.now,
            learned=logs.add_secret,
            scope=scope,
        )
        for scope in (SCOPE, LIST_SCOPE)
    )
    return events, lists
