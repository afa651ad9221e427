"""The questions of a first run in their order, what is tried with each answer, and what comes of them all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from calsyncd.config import Listen, OAuthClient, ServiceAccount, TcpListen, values
from calsyncd.config.faults import Problem
from calsyncd.config.secretfiles import read_oauth_client, read_regular, read_service_account, read_token
from calsyncd.config.values import Surroundings
from calsyncd.firstrun import trials
from calsyncd.firstrun.answers import Answers, Asker, Given, Question, path_of
from calsyncd.firstrun.files import Outcome, writable
from calsyncd.firstrun.trials import Trials
from calsyncd.routes import GOOGLE_CALLBACK, GOOGLE_CONNECT

SYSTEM = Path("/etc/calsyncd/config.yaml")
MOST_SHOWN = 40
"""So many Aircall users are listed; of more the first ones, and how many there are."""


def first_run(given: Given, asker: Asker | None, say: Callable[[str], None], environ: Mapping[str, str]) -> None:
    """Ask, test and write; what was seen and what comes next goes to `say`.

    Raises:
        Incomplete: without a terminal, for answers that are missing or wrong; nothing was written.
    """
    _Interview(given, asker, say, environ).run()


class _Interview:
    def __init__(
        self, given: Given, asker: Asker | None, say: Callable[[str], None], environ: Mapping[str, str]
    ) -> None:
        self._given = given
        self._answers = Answers(asker, say)
        self._say = say
        self._trials = Trials(environ, google_api_url=given.google_api_url, aircall_api_url=given.aircall_api_url)
        self._secrets: dict[str, bytes] = {}

    def run(self) -> None:
        """All questions, then the files."""
        path = self._path()
        google = self._google()
        revoke_url = self._url("--google-revoke-url", self._given.google_revoke_url)
        aircall, users = self._aircall()
        needs_url = isinstance(google, OAuthClient) or "oauth" in (aircall or {})
        server = self._server(google if isinstance(google, OAuthClient) else None, needed=needs_url)
        agents = self._agents(google if isinstance(google, ServiceAccount) else None, users)
        mode = self._answers.take(
            Question("--mode", "Change availability (act), or only show what would be changed (observe)?", "act"),
            self._given.mode,
            lambda text: values.one_of(text, ("act", "observe")),
        )
        self._answers.finish()
        assert path is not None  # noqa: S101 - else there were faults
        settings = {
            "mode": mode,
            "server": server,
            "state_dir": "/var/lib/calsyncd" if path.parent == SYSTEM.parent else "state",
            "google": self._google_section(google, revoke_url),
            "aircall": aircall,
            "agents": agents,
        }
        self._write(Outcome(path, settings, self._secrets))

    # -- questions -------------------------------------------------------------------------------------------------

    def _path(self) -> Path | None:
        def accept(text: str) -> Path:
            path = path_of(text)
            writable(path)
            if os.path.lexists(path):
                self._answers.may_replace(path, allowed=self._given.overwrite)
            return path

        usual = SYSTEM if os.geteuid() == 0 else Path("config.yaml")
        return self._answers.take(
            Question("--config", "Where to write the settings?", str(usual)), self._given.config, accept
        )

    def _google(self) -> ServiceAccount | OAuthClient | None:
        def accept(text: str) -> ServiceAccount | OAuthClient:
            path = path_of(text)
            content, _ = _read(path)
            # As a credential: it is copied to where only its owner reads it, whoever may read it here.
            around = Surroundings(path.parent, {"CREDENTIALS_DIRECTORY": str(path.parent)})
            if b'"service_account"' not in content and (b'"web"' in content or b'"installed"' in content):
                client = read_oauth_client(path.name, around)
                self._trials.google_client(client)
                self._say(f"  good: Google knows the OAuth client {client.client_id}; each agent will consent once")
                self._secrets["oauth-client.json"] = content
                return client
            account = read_service_account(path.name, around)
            self._say(f"  good: the key of the service account {account.client_email}")
            self._secrets["google.json"] = content
            return account

        question = "Google's JSON file: a service account's key, or an OAuth client of type Web application?"
        return self._answers.take(Question("--google-file", question), self._given.google_file, accept)

    def _aircall(self) -> tuple[dict[str, Any] | None, list[str] | None]:
        """(the section of the settings, the users' e-mail addresses where they can be known yet)."""
        by = self._answers.take(
            Question(
                "--aircall-by", "Into Aircall by an API key (key), or by an app that its admin installs (app)?", "key"
            ),
            self._given.aircall_by or ("app" if self._given.aircall_secret_file is not None else None),
            lambda text: values.one_of(text, ("key", "app")),
        )
        address = self._given.aircall_api_url
        elsewhere = {} if address == Given().aircall_api_url else {"api_url": address}
        dashboard = self._url("--aircall-dashboard-url", self._given.aircall_dashboard_url)
        if dashboard is not None:
            elsewhere["dashboard_url"] = dashboard
        if by == "app":
            who = self._answers.take(
                Question("--aircall-id", "Client id of the Aircall app?"), self._given.aircall_id, _word
            )
            secret = self._secret("--aircall-secret-file", "Its client secret", self._given.aircall_secret_file)
            company = self._given.aircall_company
            if company is not None:
                company = self._answers.take(Question("--aircall-company", "Aircall's id of it?"), company, _company)
            if who is None or secret is None:
                return None, None
            self._secrets["app-secret"] = f"{secret}\n".encode()
            pin = {"company": int(company)} if company is not None else {}
            return {"oauth": {"client_id": who, "client_secret_file": "app-secret", **pin}, **elsewhere}, None
        given = self._given
        while True:
            who = self._answers.take(
                Question("--aircall-id", "API id of the Aircall API key?"), given.aircall_id, _word
            )
            secret = self._secret("--aircall-token-file", "Its API token", given.aircall_token_file)
            if who is None or secret is None:
                return None, None
            try:
                users = self._trials.aircall_users(who, secret)
            except Problem as error:
                if self._answers.asker is None:
                    self._answers.faults.append(f"--aircall-id, --aircall-token-file: {error}")
                    return None, None
                self._say(f"  {error}")
                given = Given()
                continue
            self._say(f"  good: Aircall answers, and has {len(users)} users with an e-mail address")
            self._secrets["aircall-token"] = f"{secret}\n".encode()
            return {"api_id": who, "api_token_file": "aircall-token", **elsewhere}, users

    def _url(self, flag: str, given: str | None) -> str | None:
        """An address that is only ever given by a flag."""
        question = Question(flag, f"Which address instead ({flag})?")
        return self._answers.take(question, given, values.web_address) if given is not None else None

    def _secret(self, flag: str, what: str, file: str | None) -> str | None:
        """A secret of one word, pasted unseen into the terminal or from the file that the flag names."""

        def from_file(text: str) -> str:
            path = path_of(text)
            _read(path)
            around = Surroundings(path.parent, {"CREDENTIALS_DIRECTORY": str(path.parent)})
            return read_token(path.name, around).secret.reveal()

        if file is not None or self._answers.asker is None:
            found = self._answers.take(Question(flag, f"{what}, in a file?"), file, from_file)
            if found is not None or self._answers.asker is None:
                return found
        return self._answers.take(Question(flag, f"{what}? (it is not shown)", hidden=True), None, _word)

    def _server(self, client: OAuthClient | None, *, needed: bool) -> dict[str, Any]:
        def address(text: str) -> str | None:
            if not needed and text in ("", "none"):
                return None
            url = values.web_address(text, bare=True)
            if client is not None and client.redirect_uris and f"{url}{GOOGLE_CALLBACK}" not in client.redirect_uris:
                raise Problem(
                    f"the OAuth client does not list {url}{GOOGLE_CALLBACK} among its redirect URIs; add it in the"
                    " Google Cloud console and download the JSON again, or give another URL"
                )
            return url

        def listener(text: str) -> Listen:
            where = values.listen(text, Surroundings(Path.cwd(), {}))
            if not trials.free(where):
                self._say(f"  a calsyncd listens at {where} now: end it before this one is started")
            return where

        def admin(text: str) -> Listen:
            where = listener(text)
            if not where.is_loopback:
                raise Problem("must be on this machine only, such as 127.0.0.1:8771")
            if where == listen and not (isinstance(where, TcpListen) and where.port == 0):
                raise Problem("the same as --listen; choose another port")
            return where

        why = "people must come to it to consent" if needed else "none: calendars are polled"
        url = self._answers.take(
            Question(
                "--public-url",
                f"How do Google and Aircall reach this machine, by https? ({why})",
                None if needed else "none",
            ),
            self._given.public_url,
            address,
        )
        listen = self._answers.take(
            Question("--listen", "Where to listen for them, behind a reverse proxy?", "127.0.0.1:8770"),
            self._given.listen,
            listener,
        )
        page = self._answers.take(
            Question("--admin-listen", "Where to show the page for operators?", "127.0.0.1:8771"),
            self._given.admin_listen,
            admin,
        )
        return {"listen": str(listen), **({"public_url": url} if url else {}), "admin_listen": str(page)}

    def _agents(self, account: ServiceAccount | None, users: list[str] | None) -> str | list[dict[str, str]] | None:
        def accept(text: str) -> str | list[dict[str, str]]:
            words = text.replace(",", " ").split()
            if not words:
                raise Problem("expected all, or e-mail addresses")
            everybody = words == ["all"]
            emails = (users or []) if everybody else [_email(word, users) for word in words]
            emails = list(dict.fromkeys(emails))
            if users is not None and not everybody:
                trials.known_users(emails, users)
            if account is not None and emails:
                whose, zone = self._trials.calendar(account, emails, all_must=not everybody)
                self._say(f"  good: the calendar of {whose} can be read{f' ({zone})' if zone else ''}")
            return "all" if everybody else [{"email": email} for email in emails]

        if users and self._answers.asker is not None:
            for number, email in enumerate(users[:MOST_SHOWN], 1):
                self._say(f"  {number:3}  {email}")
            if len(users) > MOST_SHOWN:
                self._say(f"  and {len(users) - MOST_SHOWN} more")
        ways = "all, numbers or e-mail addresses" if users else "all, or e-mail addresses"
        return self._answers.take(
            Question("--agents", f"Whose availability follows their calendar? ({ways})"),
            self._given.agents,
            accept,
        )

    # -- the end ---------------------------------------------------------------------------------------------------

    def _google_section(self, google: ServiceAccount | OAuthClient | None, revoke_url: str | None) -> dict[str, str]:
        section = (
            {"oauth_client_file": "oauth-client.json"}
            if isinstance(google, OAuthClient)
            else {"service_account_file": "google.json"}
        )
        if self._given.google_api_url != Given().google_api_url:
            section["api_url"] = self._given.google_api_url
        return section if revoke_url is None else section | {"revoke_url": revoke_url}

    def _write(self, outcome: Outcome) -> None:
        try:
            for path in outcome.in_the_way():
                self._answers.may_replace(path, allowed=self._given.overwrite)
            outcome.write()
        except Problem as error:
            self._answers.faults.append(f"--config: {error}")
        self._answers.finish()
        for line in _epilogue(outcome):
            self._say(line)


def _epilogue(outcome: Outcome) -> list[str]:
    given = "" if outcome.path == SYSTEM else f" --config {outcome.path}"
    url = outcome.settings["server"].get("public_url")
    steps = [f"calsyncd check{given}"]
    if outcome.path == SYSTEM:
        steps += ["systemctl daemon-reload", "systemctl enable --now calsyncd"]
    else:
        steps += [f"calsyncd run{given}"]
    if "oauth" in outcome.settings["aircall"]:
        steps.append(f"An Aircall admin opens the link of: calsyncd connect --aircall{given}")
    if "oauth_client_file" in outcome.settings["google"]:
        steps.append(f"Each agent opens {url}{GOOGLE_CONNECT}")
    steps.append(f"calsyncd status{given}")
    return [
        "",
        f"Written: {outcome.path}; beside it, for their owner only: {', '.join(outcome.secrets)}.",
        "",
        "The lines for the systemd unit, /etc/systemd/system/calsyncd.service, under [Service]:",
        *(f"  {line}" for line in outcome.credential_lines()),
        "",
        "Next:",
        *(f"  {step}" for step in steps),
    ]


def _read(path: Path) -> tuple[bytes, int]:
    try:
        return read_regular(path, 64 * 1024)
    except Problem as error:
        raise Problem(f"{path}: {error}") from None


def _company(text: str) -> str:
    if not re.fullmatch("[1-9][0-9]{0,14}", text):
        raise Problem("expected Aircall's id of the company, a whole number")
    return text


def _word(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or any(mark in text for mark in " :"):
        raise Problem("expected one word, as Aircall shows it")
    return text


def _email(word: str, users: list[str] | None) -> str:
    if word.isdecimal() and users:
        if not 1 <= int(word) <= len(users):
            raise Problem(f"there is no number {int(word)}: they go from 1 to {len(users)}")
        return users[int(word) - 1]
    try:
        return values.email(word)
    except Problem as error:
        raise Problem(f"{error}, or all") from None
