from __future__ import annotations

import ast
import base64
import io
import json
import logging
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from calsyncd import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(logs.__file__).parent
SECRET = 'pa$$"wörd\\/+1 &='
ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "json": lambda secret: json.dumps(secret)[1:-1],
    "json in json": lambda secret: json.dumps(json.dumps(secret)[1:-1])[1:-1],
    "url": lambda secret: quote(secret, safe=""),
    "form": quote_plus,
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    "repr": lambda secret: repr(secret)[1:-1],
    "hex": lambda secret: secret.encode().hex(),
}


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """Nothing but ours writes, and no secret is known to the next test."""
    logging.getLogger().handlers.clear()
    yield
    logs._redactor.replace(())


def pipe(format: str = "json", *, level: str = "info", secrets: tuple[str, ...] = ()) -> io.StringIO:  # noqa: A002
    """A configured log's stream."""
    stream = io.StringIO()
    logs.configure(level, format, secrets, stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Every line parsed; what is no JSON object on one line fails the test."""
    text = stream.getvalue()
    assert not text or text.endswith("\n")
    assert all(c == "\n" or c.isprintable() for c in text)
    parsed = [json.loads(line) for line in text.split("\n")[:-1]]
    assert all(isinstance(line, dict) for line in parsed)
    return parsed


def test_event_is_one_json_object() -> None:
    """Time in UTC, level, sentence and name come first, then the fields."""
    stream = pipe()
    logs.get_logger("calsyncd.scheduler").info("amy is held", action="held", agent="amy@example.com", late_ms=12)
    (line,) = lines(stream)

    assert list(line) == ["timestamp", "level", "event", "action", "agent", "late_ms"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line == {
        "level": "info",
        "event": "amy is held",
        "action": "held",
        "agent": "amy@example.com",
        "late_ms": 12,
    }


def test_fields_never_hide_the_head() -> None:
    """A field that is called like one of the first four stands beside it."""
    stream = pipe()
    logs.get_logger("calsyncd").info("said", action="held", level_="x", timestamp="never")
    (line,) = lines(stream)

    assert line["timestamp"] != "never"
    assert line["timestamp_"] == "never"


def test_libraries_go_through_the_same_pipe() -> None:
    """A library's warning is a line like ours; its chatter is not."""
    stream = pipe(level="debug")
    logging.getLogger("asyncio").warning("took %s", "long")
    logging.getLogger("aiosqlite").debug("executing %s", "SELECT secret")
    (line,) = lines(stream)

    assert (line["event"], line["action"], line["logger"]) == ("took long", "library", "asyncio")


def test_broken_message_of_a_library_is_a_line_too() -> None:
    """A library that cannot put its own message together stops nothing."""
    stream = pipe()
    (handler,) = (one for one in logging.getLogger().handlers if isinstance(one, logs._Pipe))
    handler.handle(logging.makeLogRecord({"msg": "broken %d", "args": ("format",), "levelname": "WARNING"}))
    (line,) = lines(stream)

    assert (line["level"], line["action"]) == ("warning", "unnamed")
    assert "TypeError" in line["event"]


def test_python_warnings_are_logged() -> None:
    """What Python warns of is a line too, not text on stderr."""
    stream = pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning("odd", UserWarning, "file.py", 1)
    (line,) = lines(stream)

    assert line["logger"] == "py.warnings"


def test_level_changes_while_running() -> None:
    """What is below the level is not written, and the level may change at any time."""
    stream = pipe()
    log = logs.get_logger("calsyncd.x")
    log.debug("one", action="held")
    logs.set_level("debug")
    log.debug("two", action="held")
    logs.set_level("error")
    log.warning("three", action="held")
    logging.getLogger("aiohttp.server").warning("four")

    assert [line["event"] for line in lines(stream)] == ["two"]


def test_traceback_has_no_locals_and_no_line_breaks() -> None:
    """An exception is told with its traceback in one line, and without the values of variables."""
    stream = pipe(secrets=("t0psecret-in-exception",))

    def fail(payload: str) -> None:
        raise ValueError("t0psecret-in-exception" + payload[:0])

    try:
        fail("calendar a of payload"[::-1])
    except ValueError as err:
        logs.get_logger("calsyncd").exception("it failed", action="request_failed")
        logs.get_logger("calsyncd").error("again", action="request_failed", exc_info=err)
        logging.getLogger("asyncio").exception("foreign")
    found = lines(stream)

    assert len(found) == 3
    for line in found:
        assert "ValueError: ***" in line["exception"]
        assert "in fail" in line["exception"]
        assert "daolyap fo a radnelac" not in line["exception"]


def test_long_values_are_cut() -> None:
    """No value is longer than 200 characters, no list than 20, however deep."""
    stream = pipe()
    deep: dict[str, Any] = {"a": {"b": {"c": {"d": "e"}}}}
    log = logs.get_logger("calsyncd")
    log.info("x" * 1000, action="held", text="y" * 1000, many=list(range(100)), deep=deep, key={"z" * 500: 1})
    (line,) = lines(stream)

    assert line["event"] == "x" * 199 + "…"
    assert len(line["text"]) == 200
    assert line["many"] == list(range(20))
    assert line["deep"] == {"a": {"b": {"c": "{'d': 'e'}"}}}
    assert max(map(len, line["key"])) == 200


class _Odd:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_what_cannot_be_written_stops_nothing() -> None:
    """A value without words, a number without bounds and a lone surrogate are lines all the same."""
    stream = pipe()
    log = logs.get_logger("calsyncd")
    log.info("odd", action="held", odd=_Odd())
    log.info("odd", action="held", nan=float("nan"), huge=10**100, surrogate="\udcff", raw=b"\xff", path=Path("/x"))
    first, second = lines(stream)

    assert "RuntimeError" in first["event"]
    assert (second["nan"], second["huge"], second["path"]) == ("nan", str(10**100), "/x")


@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=4))
@example("a\r\nb\x1b[31m\x7f\u2028\x85", {"\n": '", "level": "fake'})
def test_any_text_is_one_parseable_line(text: str, fields: dict[str, str]) -> None:
    """Line breaks, escape sequences and quotes in what strangers send break no line."""
    stream = pipe()
    logs.get_logger("calsyncd").info(text, action="held", what=text, fields=fields)
    logging.getLogger("other").error("%s", text)

    first, second = lines(stream)
    assert first["action"] == "held"
    assert second["action"] == "library"


@given(st.text())
@example("a\r\nb\x1b[31m\x7f\u2028\x85\udcff")
def test_console_writes_one_printable_line(text: str) -> None:
    """The console's line cannot be broken or coloured by what is logged."""
    stream = pipe("console")
    logs.get_logger("calsyncd").info(text, action="held", what=text)
    told = stream.getvalue()

    assert told.endswith("\n")
    assert told[:-1].isprintable()


def test_console_reads_like_a_story() -> None:
    """Time with its offset, sign and sentence; then what the sentence does not tell; no colours off a terminal."""
    stream = pipe("console")
    log = logs.get_logger("calsyncd")
    log.info(
        "amy@example.com is unavailable until 10:30", action="held", agent="amy@example.com", late_ms=12, event_id=None
    )
    log.warning("push is silent", action="push_missed", calendar="primary")
    first, second = stream.getvalue().splitlines()

    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)   amy@example.com is unavailable until 10:30 {14}12 ms late", first
    )
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d) ! push is silent {42}calendar=primary", second)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_console_has_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours, unless NO_COLOR is set; the sign says the level either way."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = _Terminal()
    logs.configure("info", "console", stream=stream)
    logs.get_logger("calsyncd").error("bad", action="store_failed", disk="full")
    monkeypatch.setenv("NO_COLOR", "1")
    logs.configure("info", "console", stream=stream)
    logs.get_logger("calsyncd").error("bad", action="store_failed", disk="full")
    coloured, plain = stream.getvalue().splitlines()

    assert "\x1b[31m✗ bad" in coloured
    assert re.search(" ✗ bad +disk=full$", plain)


def test_console_shows_tracebacks_below() -> None:
    """An exception follows its sentence, indented."""
    stream = pipe("console")
    try:
        raise ValueError("odd\nthing")  # noqa: TRY301 - the traceback is the point
    except ValueError:
        logs.get_logger("calsyncd").exception("it failed", action="request_failed")
    told = stream.getvalue().splitlines()

    assert told[0].endswith("✗ it failed")
    assert all(line.startswith("    ") for line in told[1:])


secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=10, max_size=60).filter(
    lambda secret: len(set(secret)) > 5 and "*" not in secret
)


@given(
    secret=secrets,
    encoding=st.sampled_from(sorted(ENCODINGS)),
    before=st.text(max_size=250),
    after=st.text(max_size=20),
    format=st.sampled_from(["json", "console"]),
)
@example(secret=SECRET, encoding="raw", before="x" * 195, after="", format="json")
@example(secret="0123456789", encoding="raw", before="", after="", format="json")
def test_no_secret_is_ever_written(secret: str, encoding: str, before: str, after: str, format: str) -> None:  # noqa: A002
    """In any form, at any place, in sentences, fields, keys, exceptions and libraries' words: never, nor half of it."""
    form = ENCODINGS[encoding](secret)
    stream = pipe(format, secrets=(secret,))
    log = logs.get_logger("calsyncd")
    text = before + " " + form + " " + after
    log.info(text, action="held", field=text, deep={"list": [text]}, key={text: 1})
    logging.getLogger("other").error("%s", text)
    try:
        raise ValueError(text)  # noqa: TRY301 - its words are the point
    except ValueError:
        log.exception("failed", action="request_failed")
    told = stream.getvalue()

    # A shorter form may be part of every line ("level" is five letters), which says nothing about the secret.
    assert form not in told
    assert json.dumps(form)[1:-1] not in told
    assert form[: len(form) // 2 + 8] not in told or len(form) < 16
    if format == "json":
        assert len(lines(stream)) == 3


@given(secret=secrets, name=st.text(st.characters(codec="ascii"), max_size=40))
def test_basic_authorization_is_never_written(secret: str, name: str) -> None:
    """Nor is a secret that stands within base64(id:token), whatever the id."""
    stream = pipe(secrets=(secret,))
    header = base64.b64encode(f"{name}:{secret}".encode()).decode()
    logs.get_logger("calsyncd").info("sent", action="held", authorization=f"Basic {header}", bare=header)
    (line,) = lines(stream)

    for told in (line["authorization"], line["bare"]):
        assert "***" in told
        assert header[-(len(secret.encode()) * 4 // 3 - 2) : -4] not in told


def test_secret_that_is_a_number_does_not_break_the_line() -> None:
    """A number that happens to be a secret is not told, and the line still parses."""
    stream = pipe(secrets=("12345678",))
    logs.get_logger("calsyncd").info("late", action="held", late_ms=12345678)
    (line,) = lines(stream)

    assert "12345678" not in json.dumps(line)
    assert line["action"] == "held"


def test_secret_learned_later_is_kept_out() -> None:
    """Access tokens are secrets from the moment they are known."""
    stream = pipe()
    logs.add_secret("fresh-access-token")
    logs.get_logger("calsyncd").info("with fresh-access-token", action="held")

    assert lines(stream)[0]["event"] == "with ***"


def test_learned_secrets_are_bounded() -> None:
    """A year of access tokens does not fill the memory; what was configured is never forgotten."""
    redactor = logs.Redactor(most=20)
    redactor.replace(["configured-secret"])
    redactor.learn("configured-secret")
    for number in range(100):
        redactor.learn(f"{number:03d}-access-token")

    assert redactor.clean("configured-secret") == "***"
    assert redactor.clean("079-access-token") == "079-access-token"
    assert redactor.clean("080-access-token 099-access-token") == "*** ***"
    assert len(redactor._forms) < 21 * 20
    assert sum(sum(lengths.values()) for lengths in redactor._lengths.values()) == len(redactor._forms)


def test_a_secret_that_is_learned_again_is_not_forgotten() -> None:
    """A webhook's token outlives thousands of access tokens: it is seen at every check."""
    redactor = logs.Redactor(most=20)
    for number in range(100):
        redactor.learn("token-of-the-webhook")
        redactor.learn(f"{number:03d}-access-token")

    assert redactor.clean("token-of-the-webhook 099-access-token") == "*** ***"
    assert redactor.clean("080-access-token") == "080-access-token"


def test_lines_of_a_key_are_secrets_too() -> None:
    """Of a private key not even one line is told."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQC\n-----END KEY-----\n"
    stream = pipe(secrets=(key,))
    logs.get_logger("calsyncd").info("read EFAASCBKcwggSjAgEAAoIBAQC", action="held")

    assert lines(stream)[0]["event"] == "read ***"


@pytest.mark.parametrize(
    "text",
    [
        "ya29.a0AfH6SMBx-yz_0123456789",
        "1//0gabcdefghijklmnopqrstuvwxyz",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJjYWxzeW5jZCJ9.c2lnbmF0dXJl",
        "Bearer abcdef0123456789abcdef",
        "Basic YWxhZGRpbjpvcGVuc2VzYW1l=",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_credential_is_one(text: str) -> None:
    """Tokens of Google's and Authorization headers are not written even if nobody told that they are secret."""
    stream = pipe()
    logs.get_logger("calsyncd").info("got", action="held", text=text)
    told = lines(stream)[0]["text"]

    assert told in {"***", "Bearer ***", "Basic ***"}


def test_ordinary_words_are_left_alone() -> None:
    """Nothing that a sentence may hold is taken for a secret."""
    text = "the bearer of this has a basic understanding of calendar c_188f0g5o4team@group.calendar.google.com at 10:00"
    stream = pipe(secrets=("", "abc", "10:00"))
    logs.get_logger("calsyncd").info(text, action="held")

    assert lines(stream)[0]["event"] == text


def test_many_secrets_cost_no_more_than_few() -> None:
    """Thousands of tokens do not slow the log down: no timing, the work is one look-up a character."""
    redactor = logs.Redactor()
    redactor.replace(f"{number:016x}-some-token" for number in range(3000))

    assert redactor.clean("nothing here " * 50) == "nothing here " * 50
    assert redactor.clean(f"x{2999:016x}-some-tokeny") == "x***y"


def test_secrets_that_begin_alike_cost_no_more_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """All access tokens begin alike: neither a new one nor a line of the log is compared with each of the others."""
    redactor = logs.Redactor()
    for number in range(5000):
        redactor.learn(f"ya29.c.{number:05d}-an-access-token-of-somebody")

    looked_up = 0

    class Counting(set[int]):
        def __contains__(self, form: object) -> bool:
            nonlocal looked_up
            looked_up += 1
            return super().__contains__(form)

    monkeypatch.setattr(redactor, "_forms", Counting(redactor._forms))
    redactor.learn("ya29.c.99999-an-access-token-of-somebody")
    assert looked_up < 50
    looked_up = 0
    told = redactor.clean("with ya29.c.04711-an-access-token-of-somebody and ya29.c")
    assert told == "with *** and ya29.c"
    assert looked_up < 50


def test_closed_stdout_stops_nothing() -> None:
    """A reader that goes away (or a journal that restarts) ends neither the daemon nor its exit status."""
    program = (
        "import sys, time\n"
        "from calsyncd import logs\n"
        "logs.configure()\n"
        "log = logs.get_logger('calsyncd')\n"
        "log.info('first', action='started')\n"
        "sys.stdin.readline()\n"
        "for _ in range(1000):\n"
        "    log.info('x' * 150, action='held')\n"
        "sys.stderr.write('alive')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["event"] == "first"
        process.stdout.close()
        process.stdin.write("\n")
        process.stdin.flush()
        told = process.stderr.read()
        process.wait(timeout=30)

    assert (told, process.returncode) == ("alive", 0)


@pytest.mark.parametrize("target", ["/dev/full", "closed"])
def test_stream_that_fails_stops_nothing(target: str, tmp_path: Path) -> None:
    """A full disk and a closed stream are borne."""
    stream = Path(target if target != "closed" else tmp_path / "log").open("w", encoding="utf-8")  # noqa: SIM115
    if target == "closed":
        stream.close()
    logs.configure(stream=stream)
    logs.get_logger("calsyncd").info("said", action="held")

    try:
        stream.close()
    except OSError:
        assert target == "/dev/full"


def test_unknown_action_is_an_error_where_asked() -> None:
    """Strictly configured, a message without a registered name raises; otherwise it is written."""
    stream = io.StringIO()
    logs.configure(stream=stream, strict=True)
    log = logs.get_logger("calsyncd")
    log.info("known", action="held")
    with pytest.raises(LookupError, match="made_up"):
        log.info("unknown", action="made_up")
    with pytest.raises(LookupError, match="None"):
        log.info("nameless")
    logs.configure(stream=stream)
    log.info("nameless")

    assert [line["action"] for line in lines(stream)] == ["held", "unnamed"]


def test_actions_are_described() -> None:
    """Every name is a plain word and every meaning is words."""
    for action, meaning in logs.ACTIONS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", action)
        assert meaning
        assert not meaning.endswith(".")


def _logged(source: str) -> Iterator[tuple[int, str | None]]:
    """Each message that a module logs: its line, and its action if that is written out."""
    says = {"debug", "info", "warning", "error", "exception", "critical"}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        owner = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr in says else None
        name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
        is_log = name.strip("_") in {"log", "logger"}
        if is_log and None in given:
            continue
        action = given.get("action")
        if isinstance(action, ast.Constant) and isinstance(action.value, str) and (is_log or _is_tally(node)):
            yield node.lineno, action.value
        elif is_log and action is None:
            yield node.lineno, None


def _is_tally(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "Tally"


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_logged_action_is_registered(module: Path) -> None:
    """Each message of each module has an action that the registry, and so the documentation, knows."""
    unknown = [
        f"{module.name}:{line}: {action}"
        for line, action in _logged(module.read_text(encoding="utf-8"))
        if action not in logs.ACTIONS
    ]

    assert unknown == []
