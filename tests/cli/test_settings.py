from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner

from calsyncd.cli import commands
from calsyncd.config import load  # noqa: F401 - what the command loads: that user may not be able to

NOBODY = 65534


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root can read every file: as a user without its rights."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_settings_that_this_user_cannot_read_are_faulty() -> None:
    """As all other faults of them: by status 78, at which systemd does not start the daemon over and over."""
    # Not pytest's folder: nobody else may enter it, and the file would not even be seen.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "config.yaml"
        path.write_text("mode: act\n")
        path.chmod(0)
        with somebody_else():
            result = CliRunner().invoke(commands, ["check", "--config", str(path)])

    assert result.exit_code == 78
    assert f"{path}:1:1: cannot be read: Permission denied" in result.output
