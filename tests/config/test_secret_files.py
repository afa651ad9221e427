"""Which secret files are taken, and what is said of the others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from calsyncd.config.secretfiles import read_token
from calsyncd.config.values import Surroundings

from .home import GOOD, TOKEN, account_of, token_of

if TYPE_CHECKING:
    from .home import Home

AT = "5:19: aircall.api_token_file:"
AT_ACCOUNT = "2:25: google.service_account_file: DIR/google.json:"
ADVICE = "create and download a JSON key of the service account in the Google Cloud console"


def token(home: Home) -> str:
    """The token that good settings load."""
    return token_of(home.load(GOOD))


def test_mode_matrix(home: Home) -> None:
    """Whatever the owner and the group may do; others may do nothing."""
    path = home.path / "aircall-token"

    for mode in range(0o400, 0o1000):
        path.chmod(mode)
        if mode & 0o007:
            with pytest.raises(ValueError, match=rf"others can read it \(mode {mode:04o}\); chmod o= it"):
                read_token("aircall-token", Surroundings(home.path, {}))
        else:
            assert read_token("aircall-token", Surroundings(home.path, {})).secret.reveal() == TOKEN


def test_others_can_read(home: Home) -> None:
    """The file, its mode and the cure are named, for each file."""
    (home.path / "aircall-token").chmod(0o644)
    (home.path / "google.json").chmod(0o604)

    assert home.faults(GOOD) == [
        f"{AT_ACCOUNT} others can read it (mode 0604); chmod o= it, e.g. to 0640 or 0600",
        f"{AT} DIR/aircall-token: others can read it (mode 0644); chmod o= it, e.g. to 0640 or 0600",
    ]


def test_link(home: Home) -> None:
    """A symlink passes, and the mode of what it points at counts."""
    target = home.write("..data", TOKEN, 0o440)
    (home.path / "aircall-token").unlink()
    (home.path / "aircall-token").symlink_to(target)

    assert token(home) == TOKEN
    target.chmod(0o444)
    assert "others can read it" in home.faults(GOOD)[0]


def test_broken_link(home: Home) -> None:
    """A link to nothing is no file."""
    (home.path / "aircall-token").unlink()
    (home.path / "aircall-token").symlink_to("nowhere")

    assert home.faults(GOOD)[0].startswith(f"{AT} no such file; give the path of a file that holds the secret")


@pytest.fixture
def credentials(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of systemd credentials, with one."""
    path = tmp_path_factory.mktemp("credentials")
    (path / "aircall-token").write_text("from systemd\n".replace(" ", "-"))
    (path / "aircall-token").chmod(0o444)
    home.env["CREDENTIALS_DIRECTORY"] = str(path)
    return path


def test_credential_comes_first(home: Home, credentials: Path) -> None:
    """A name without a slash is a credential if there is one, and its directory is trusted."""
    settings = home.load(GOOD)

    assert token_of(settings) == "from-systemd"
    assert settings.aircall.api_token_file is not None
    assert settings.aircall.api_token_file.path == credentials / "aircall-token"
    assert account_of(settings).path == home.path / "google.json"


def test_credential_is_not_a_path(home: Home, credentials: Path) -> None:
    """With a slash the file beside the settings is meant."""
    assert token_of(home.load(GOOD.replace("aircall-token", "./aircall-token"))) == TOKEN
    assert home.load(GOOD.replace("aircall-token", str(credentials / "aircall-token")))


@pytest.mark.parametrize("name", [".", "..", "sub", "sub/"])
def test_directory(home: Home, credentials: Path, name: str) -> None:
    """A directory is no secret, with or without credentials."""
    (home.path / "sub").mkdir()

    faults = home.faults(GOOD.replace("aircall-token", name))

    assert len(faults) == 1
    assert faults[0].startswith(AT)
    assert faults[0].endswith(": a directory, not a file")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b" \r\n", "empty"),
        (b"x" * 65537, "larger than 64 KB"),
        (b"\xff", "not text"),
        (b"two\nlines", "expected one line without spaces, and nothing else"),
        (b"two words", "expected one line without spaces, and nothing else"),
        ("ä".encode(), "expected one line without spaces, and nothing else"),
        (b"\0", "expected one line without spaces, and nothing else"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_content(home: Home, content: bytes, expected: str) -> None:
    """A token is one line; the file is named, never its content."""
    home.write("aircall-token", content)

    assert home.faults(GOOD) == [f"{AT} DIR/aircall-token: {expected}"]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n"])
def test_line_endings(home: Home, ending: str) -> None:
    """What an editor adds at the end is not part of the token."""
    home.write("aircall-token", f"abc{ending}")

    assert token(home) == "abc"


def test_fifo(home: Home) -> None:
    """A FIFO does not hang the daemon."""
    (home.path / "aircall-token").unlink()
    os.mkfifo(home.path / "aircall-token", 0o600)

    assert home.faults(GOOD) == [f"{AT} DIR/aircall-token: not a regular file"]


def test_unreadable(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that its reader may not read is named."""
    (home.path / "aircall-token").chmod(0)
    home.path.chmod(0o755)
    monkeypatch.chdir(home.path)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)

    try:
        with pytest.raises(ValueError, match=r"^aircall-token: cannot be read: Permission denied$"):
            read_token("aircall-token", Surroundings(Path(), {}))
    finally:
        os.seteuid(user)


def test_name_wanted(home: Home) -> None:
    """Something that names no file."""
    expected = f"{AT} expected the path of a file, or the name of a systemd credential"

    assert home.faults(GOOD.replace("aircall-token", "''")) == [expected]
    assert home.faults(GOOD.replace("aircall-token", "[a]")) == [expected]


def ec_pem() -> str:
    """A key of the wrong kind."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "authorized_user"},
         f'not a service account\'s key ("type" is not "service_account"); {ADVICE}'),
        ({"client_email": None, "private_key_id": 5}, f"lacks client_email, private_key_id; {ADVICE}"),
        ({"private_key": " "}, f"lacks private_key; {ADVICE}"),
        ({"private_key": TOKEN}, f"its private_key is not a usable RSA key; {ADVICE}"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
         f"its private_key is not a usable RSA key; {ADVICE}"),
        ({"private_key": ec_pem()}, f"its private_key is not a usable RSA key; {ADVICE}"),
        ({"token_uri": "http://a.example/token"},
         "token_uri: must begin with https:// (http is for this machine only)"),
        ({"token_uri": "x"}, "token_uri: expected a URL such as https://calsync.example.com"),
    ],
)  # fmt: skip
def test_service_account(home: Home, change: dict[str, object], expected: str) -> None:
    """A key file that cannot be used is named, with what to do."""
    home.write("google.json", json.dumps(home.account | change))

    assert home.faults(GOOD) == [f"{AT_ACCOUNT} {expected}"]


@pytest.mark.parametrize("content", ["{", "[" * 60000, "1" * 60000, TOKEN])
def test_service_account_not_json(home: Home, content: str) -> None:
    """What is no JSON, or JSON made to hurt, is one fault."""
    home.write("google.json", content)

    faults = home.faults(GOOD)
    assert len(faults) == 1
    assert faults[0].startswith(f"{AT_ACCOUNT} not ")
    assert TOKEN not in faults[0]


def test_token_uri_to_the_letter(home: Home) -> None:
    """It is the audience of what is signed, so nothing is trimmed; the sandbox's is http."""
    home.write("google.json", json.dumps(home.account | {"token_uri": "http://127.0.0.1:9/token/?x"}))

    assert account_of(home.load(GOOD)).token_uri == "http://127.0.0.1:9/token/?x"
