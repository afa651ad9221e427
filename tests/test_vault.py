"""The vault: what is in the files, every fault of them, and rotations that are killed at each of their steps."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from calsyncd.errors import UserError
from calsyncd.vault import Vault, fingerprint, name_of, read_keys

AMY, BEN = "google:amy@example.com", "google:ben@example.com"
TOKEN = {"refresh_token": "1//amy-secret", "scope": ["calendar"]}
OTHER = {"refresh_token": "1//ben-secret", "scope": []}

KILLED_AT_EACH_STEP = """
import os, shutil, signal, sys
from pathlib import Path
from calsyncd.vault import Vault

whole, place = Path(sys.argv[1]), Path(sys.argv[2])
STEPS = {"open", "os.rename", "os.remove", "os.chmod", "os.chown"}

def rotate_until(step):
    seen = 0
    def hook(event, args):
        nonlocal seen
        if event in STEPS and str(place) in str(args[0]):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    vault = Vault.open(place / "state", place / "vault.key")
    vault.rotate()
    os._exit(0)

for step in range(1, 1000):
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place)
    child = os.fork()
    if child == 0:
        rotate_until(step)
    _, status = os.waitpid(child, 0)
    vault = Vault.open(place / "state", place / "vault.key")
    print(step, os.WIFSIGNALED(status), len((place / "vault.key").read_text().split()),
          vault.get("google:amy@example.com")["refresh_token"], vault.get("google:ben@example.com")["refresh_token"],
          vault.rotate(), len((place / "vault.key").read_text().split()), len(vault.contexts()),
          len(list((place / "state").glob("*.new"))), flush=True)
    if os.WIFEXITED(status):
        sys.exit(os.WEXITSTATUS(status))
"""

PUTS_AND_GETS = """
import sys
from pathlib import Path
from calsyncd.vault import Vault

vault = Vault.open(Path(sys.argv[1]), Path(sys.argv[2]))
print("open", flush=True)
for number in range(150):
    vault.put("google:ben@example.com", {"number": number})
    assert vault.get("google:ben@example.com") == {"number": number}
    assert vault.get("google:amy@example.com") == {"refresh_token": "1//amy-secret", "scope": ["calendar"]}
    assert vault.contexts() == ["google:amy@example.com", "google:ben@example.com"]
"""


class Home:
    """A state directory's credentials and the key beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "state" / "credentials"
        self.key = folder / "state-key" / "vault.key"

    def open(self) -> Vault:
        """The vault as the daemon opens it."""
        return Vault.open(self.folder, self.key)

    def file(self, context: str) -> Path:
        """Where the credential of this context lies."""
        return self.folder / name_of(context)

    def content(self) -> dict[str, bytes]:
        """Every file of both folders but the locks."""
        paths = [path for folder in (self.folder, self.key.parent) for path in folder.glob("*")]
        return {path.name: path.read_bytes() for path in paths if "lock" not in path.name}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A vault with two credentials."""
    home = Home(tmp_path)
    vault = home.open()
    vault.put(AMY, TOKEN)
    vault.put(BEN, OTHER)
    return home


def refused(home: Home, work: Callable[[], object], *said: str) -> None:
    """`work` is refused in these words, and every file is as it was."""
    before = home.content()

    with pytest.raises(UserError) as caught:
        work()

    for words in said:
        assert words in str(caught.value)
    assert home.content() == before
    assert "secret" not in str(caught.value)


def test_what_is_put_is_there_again(home: Home) -> None:
    """A credential comes back as it was put, also for the next process; others are none."""
    vault = home.open()

    assert vault.get(AMY) == TOKEN
    assert vault.get("aircall") is None
    assert vault.contexts() == [AMY, BEN]
    vault.put(AMY, {"refresh_token": "later"})
    vault.remove(BEN)
    vault.remove(BEN)
    assert home.open().get(AMY) == {"refresh_token": "later"}
    assert home.open().contexts() == [AMY]
    assert vault.faults() == {}


def test_files_tell_nothing(home: Home) -> None:
    """Neither name nor content shows whose or which credential it is, and only the owner can read it."""
    for path in (home.file(AMY), home.key):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o077 == 0
    assert re.fullmatch("[0-9a-f]{32}", home.file(AMY).name)
    assert b"amy" not in home.file(AMY).read_bytes()
    assert b"secret" not in home.file(AMY).read_bytes()
    assert home.key.read_text().strip() not in repr(read_keys(home.key))


def test_two_first_starts_agree_on_one_key(tmp_path: Path) -> None:
    """Whoever comes second uses the key that is there."""
    home, vaults = Home(tmp_path), []
    starts = [threading.Thread(target=lambda: vaults.append(home.open())) for _ in range(4)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()

    for number, vault in enumerate(vaults):
        vault.put(f"google:{number}", {"number": number})

    assert [home.open().get(f"google:{number}") for number in range(4)] == [{"number": number} for number in range(4)]


# -- faults ------------------------------------------------------------------------------------------------------------


def test_a_missing_key_is_not_made_anew(home: Home) -> None:
    """While credentials exist the key is missed by its name, also by the fingerprint."""
    name = fingerprint(home.key.read_bytes().strip())
    home.key.unlink()

    refused(home, home.open, str(home.key), "2 credentials", name, "put it back", "LoadCredential")
    assert not home.key.exists()


def test_a_key_that_goes_while_the_daemon_runs(home: Home) -> None:
    """What is known is read on; nothing is written with a key that nobody could find again."""
    vault = home.open()
    home.key.unlink()

    assert vault.get(AMY) == TOKEN
    refused(home, lambda: vault.put(AMY, OTHER), str(home.key), "put it back")
    refused(home, vault.rotate, str(home.key))


def test_a_wrong_key_is_named(home: Home) -> None:
    """Neither read, nor overwritten, nor rotated; with the right one beside it all is well."""
    right = home.key.read_bytes()
    vault = home.open()
    home.key.write_bytes(Fernet.generate_key() + b"\n")

    refused(home, home.open, str(home.folder), fingerprint(right.strip()), str(home.key))
    refused(home, lambda: vault.put(AMY, OTHER), str(home.folder), "opens only with key")
    refused(home, vault.rotate, str(home.folder))

    refused(home, lambda: vault.put("google:new@example.com", OTHER), str(home.folder), "opens only with key")
    assert vault.get(AMY) == TOKEN

    home.key.write_bytes(home.key.read_bytes() + right)
    assert home.open().get(AMY) == TOKEN


def test_one_credential_of_another_key_hinders_no_other(home: Home, tmp_path: Path) -> None:
    """A file from an older backup is that one's trouble."""
    foreign = Home(tmp_path / "other")
    foreign.open().put(AMY, OTHER)
    home.file(AMY).write_bytes(foreign.file(AMY).read_bytes())
    vault = home.open()

    assert vault.contexts() == [BEN]
    assert [str(home.file(AMY)) in fault and "opens only with key" in fault for fault in vault.faults().values()] == [
        True
    ]
    refused(home, lambda: vault.get(AMY), "connect anew")
    refused(home, vault.rotate, str(home.file(AMY)))


@pytest.mark.parametrize("mode", [0o644, 0o602, 0o601])
def test_a_key_that_others_can_read_is_refused(home: Home, mode: int) -> None:
    """By its mode, with what to do."""
    home.key.chmod(mode)

    refused(home, home.open, str(home.key), f"{mode:04o}", "chmod o=")


@pytest.mark.parametrize("text", [b"", b"\n\n", b"hunter2-secret\n", b"\xff\xfe\n", b"A" * 100_000])
def test_a_scribbled_key_is_refused(home: Home, text: bytes) -> None:
    """Whatever it holds, it is not echoed."""
    home.key.write_bytes(text)

    refused(home, home.open, str(home.key))


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "torn": lambda raw: raw[: len(raw) // 2],
    "torn in its first line": lambda raw: raw[:10],
    "only its first line": lambda raw: raw.split(b"\n")[0] + b"\n",
    "a bit of the token": lambda raw: raw[:80] + bytes([raw[80] ^ 1]) + raw[81:],
    "scribbled": lambda _: os.urandom(300),
    "foreign": lambda _: b'{"refresh_token": "1//a-secret"}',
    "too long": lambda raw: raw * 1000,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named(home: Home, damage: str) -> None:
    """It is neither read nor overwritten, no rotation begins, and the others are read as ever."""
    home.file(AMY).write_bytes(DAMAGE[damage](home.file(AMY).read_bytes()))
    vault = home.open()

    refused(home, lambda: vault.get(AMY), str(home.file(AMY)))
    refused(home, lambda: vault.put(AMY, OTHER), str(home.file(AMY)))
    refused(home, vault.rotate, str(home.file(AMY)))
    assert vault.get(BEN) == OTHER
    assert vault.contexts() == [BEN]
    assert len(vault.faults()) == 1
    vault.remove(AMY)
    vault.put(AMY, TOKEN)
    assert vault.get(AMY) == TOKEN


def test_another_ones_credential_under_this_name(home: Home) -> None:
    """A file that was copied over another one does not make one account the other."""
    home.file(AMY).write_bytes(home.file(BEN).read_bytes())
    vault = home.open()

    refused(home, lambda: vault.get(AMY), str(home.file(AMY)), BEN, name_of(BEN))
    assert vault.contexts() == [BEN]


def test_a_folder_in_a_files_place(home: Home) -> None:
    """What is no file is named, not waited for."""
    home.file(AMY).unlink()
    os.mkfifo(home.file(AMY))
    vault = home.open()

    with pytest.raises(UserError, match=re.escape(f"{home.file(AMY)}: not a regular file")):
        vault.get(AMY)


def test_a_write_that_breaks_off_leaves_the_former_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the credential stays as it was, and no half file lies about."""
    vault = home.open()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(home, lambda: vault.put(AMY, OTHER), str(home.file(AMY)), "No space left")
    refused(home, vault.rotate, str(home.key), "No space left")
    monkeypatch.undo()
    assert home.open().get(AMY) == TOKEN


def test_a_read_only_folder(home: Home, tmp_path: Path) -> None:
    """The error names the file, and says what to do; reading goes on."""
    home.open()
    script = (
        "import os; from pathlib import Path; from calsyncd.vault import Vault; from calsyncd.errors import UserError\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"vault = Vault.open(Path({str(home.folder)!r}), Path({str(home.key)!r}))\n"
        f"print(vault.get({AMY!r}) == {TOKEN!r})\n"
        f"for work in (lambda: vault.put({AMY!r}, {{}}), vault.rotate, lambda: vault.remove({AMY!r})):\n"
        "    try: work()\n"
        "    except UserError as error: print(error)\n"
    )
    if os.geteuid() != 0:
        script = script.split("\n", 2)[0] + "\n" + script.split("\n", 2)[2]
    for path in [home.key, *home.folder.iterdir()]:
        path.chmod(0o640 if os.geteuid() else 0o440)
        if os.geteuid() == 0:
            os.chown(path, 0, 65534)
    parents = [home.folder, home.key.parent, home.folder.parent, *tmp_path.parents[:3], tmp_path]
    modes = {parent: parent.stat().st_mode for parent in parents}
    try:
        for parent in parents[:2]:
            parent.chmod(0o555)
        for parent in parents[2:]:
            parent.chmod(parent.stat().st_mode | 0o055)
        before = home.content()
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    finally:
        for parent, mode in modes.items():
            parent.chmod(mode)

    lines = done.stdout.splitlines()
    assert lines[0] == "True"
    assert len(lines) == 4
    assert all(str(home.folder) in line and "Permission denied" in line for line in lines[1:])
    assert home.content() == before


# -- rotation ----------------------------------------------------------------------------------------------------------


def test_a_rotation_drops_the_old_key(home: Home) -> None:
    """One new key, everything readable, nothing of the old one left; a vault that was open before goes on."""
    running, old = home.open(), home.key.read_bytes()
    mode = home.key.stat().st_mode

    assert home.open().rotate() == 2

    assert home.key.read_bytes() != old
    assert len(home.key.read_text().split()) == 1
    assert home.key.stat().st_mode == mode
    assert running.get(AMY) == TOKEN
    running.put(BEN, TOKEN)
    assert home.open().get(BEN) == TOKEN
    home.key.write_bytes(old)
    with pytest.raises(UserError, match="opens only with key"):
        home.open()


def test_a_rotation_that_is_killed_at_any_step_loses_nothing(home: Home, tmp_path: Path) -> None:
    """SIGKILL before each file that it opens, renames or deletes: all is readable, and the next rotation ends it."""
    whole = tmp_path / "whole"
    home.folder.rename(tmp_path / "moved")
    whole.mkdir()
    (tmp_path / "moved").rename(whole / "state")
    home.key.rename(whole / "vault.key")

    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_STEP, str(whole), str(tmp_path / "place")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    steps = [line.split() for line in done.stdout.splitlines()]
    assert len(steps) > 15
    for step in steps:
        assert step[3:] == ["1//amy-secret", "1//ben-secret", "2", "1", "2", "0"], step
    assert [step[1] for step in steps] == ["True"] * (len(steps) - 1) + ["False"]
    # It was killed before, while, and after there were two keys.
    assert {step[2] for step in steps} == {"1", "2"}


def test_a_daemon_works_on_through_rotations(home: Home) -> None:
    """Another process reads and writes all the time while this one rotates again and again."""
    arguments = [sys.executable, "-c", PUTS_AND_GETS, str(home.folder), str(home.key)]
    vault, rotations = home.open(), 0
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"open\n"
            while process.poll() is None:
                assert vault.rotate() == 2
                rotations += 1
            _, said = process.communicate()
        finally:
            process.kill()

    assert process.returncode == 0, said.decode()
    assert rotations > 5
    assert vault.get(BEN) == {"number": 149}


def test_two_rotations_at_once(home: Home) -> None:
    """The second one is turned away, with the exit code for it."""
    vault = home.open()
    vault.rotate()
    with (home.folder / "rotation.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is rotating") as caught:
            vault.rotate()

    assert caught.value.exit_code == 75


def test_a_key_that_is_given_is_renewed(home: Home) -> None:
    """With a new line above the old one, everything is encrypted anew, and the old line may go."""
    fresh = Fernet.generate_key() + b"\n"
    home.key.write_bytes(fresh + home.key.read_bytes())
    vault = home.open()

    assert vault.renew() == 2
    assert vault.renew() == 0
    assert len(home.key.read_text().split()) == 2
    home.key.write_bytes(fresh)
    assert home.open().get(AMY) == TOKEN


def test_a_link_to_the_key_stays_one(home: Home, tmp_path: Path) -> None:
    """What it leads to is replaced."""
    real = tmp_path / "real.key"
    home.key.rename(real)
    home.key.symlink_to(real)

    home.open().rotate()

    assert home.key.is_symlink()
    assert home.open().get(AMY) == TOKEN


# -- boxes -------------------------------------------------------------------------------------------------------------


def test_boxes_are_opened_in_time_only(tmp_path: Path) -> None:
    """A box is ours, dated, whole, and of the purpose that it was made for; or it is none."""
    at = 1_800_000_000.0
    folder, key = tmp_path / "credentials", tmp_path / "key" / "vault.key"
    vault = Vault.open(folder, key, lambda: at)
    boxed = vault.box(b"state")

    assert vault.unbox(boxed, 600.0) == b"state"
    at += 599.0
    assert Vault.open(folder, key, lambda: at).unbox(boxed, 600.0) == b"state"
    assert vault.unbox(boxed[:-8] + b"AAAAAAA=", 600.0) is None
    assert vault.unbox(b"", 600.0) is None
    assert vault.unbox(b"\xff", 600.0) is None
    vault.put("aircall", {})
    assert vault.unbox((folder / name_of("aircall")).read_bytes().split(b"\n")[1], 600.0) is None
    at += 2.0
    assert vault.unbox(boxed, 600.0) is None
    assert b"state" not in boxed


def test_boxes_outlive_a_rotation(home: Home) -> None:
    """The vault that was open opens what either key has boxed; one that knows the new key only, not the old one's."""
    running, rotating = home.open(), home.open()
    before = running.box(b"before")
    rotating.rotate()
    after = rotating.box(b"after")

    assert (running.unbox(before, 600.0), running.unbox(after, 600.0)) == (b"before", b"after")
    assert rotating.unbox(before, 600.0) is None
