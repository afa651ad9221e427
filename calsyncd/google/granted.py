"""Access tokens of agents who have consented, each for themselves.

Facts: a refresh token works until the user revokes it, half a year passes without use, an administrator's policy ends
it, or a hundred newer ones of the account exist; an app whose publishing status is "Testing" gets seven days. All of
them answer 400 `invalid_grant`.
"""

from __future__ import annotations

from collections.abc import Callable

from calsyncd.core.troubles import BOX
from calsyncd.errors import Refused
from calsyncd.google.consent import OAUTH_CLIENT, Client
from calsyncd.google.tokens import SCOPE, KeptTokens, Token, ask, token_error, token_of
from calsyncd.http import Http

_MEANINGS = {
    "invalid_grant": ("consent_withdrawn", "Google does not accept the agent's consent any more"),
}


class ConsentTokens(KeptTokens):
    """Access tokens by the agent they speak for; at most one exchange at a time for each.

    `grants` says an agent's refresh token, or None; it is asked at each exchange, so a new consent counts at once.
    """

    def __init__(
        self,
        http: Http,
        client: Client,
        grants: Callable[[str], str | None],
        *,
        now: Callable[[], float],
        learned: Callable[[str], None],
    ) -> None:
        super().__init__(http, now=now, learned=learned)
        self._client = client
        self._grants = grants

    def forget(self, subject: str) -> None:
        """Use no token any more that came of the agent's consent so far."""
        self._tokens.pop(subject, None)

    async def _exchange(self, subject: str) -> Token:
        grant = self._grants(subject)
        if grant is None:
            raise Refused("the agent has not connected their Google account", service="google", code="not_connected")
        self._learned(grant)
        now = self._now()
        form = {
            "grant_type": "refresh_token",
            "refresh_token": grant,
            "client_id": self._client.client_id,
            "client_secret": self._client.client_secret,
        }
        answer = await ask(self._http, self._client.token_uri, form)
        if not answer.ok:
            raise token_error(answer, _MEANINGS, OAUTH_CLIENT)
        token = token_of(answer.data, now)
        self._learned(token.value)
        # Not every answer must name the scopes; one that does must name ours.
        scope = answer.data.get("scope")
        if isinstance(scope, str) and SCOPE not in scope.split():
            raise Refused(f"the box “{BOX}” was not ticked on Google's page", service="google", code="scope_missing")
        return token
