"""What the command prints on a terminal: color, or where that is not wanted no escape at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="no pseudo-terminals on this platform")

CODE = "import sys\nfrom xentropy.parity.cli import main\nsys.exit(main())"
NUMPY = ("--quick", "--backends", "numpy", "--loss", "logsumexp")
BENCH = ("--backend", "numpy", "--rows", "4", "--classes", "3", "--repeat", "2")
COMMANDS = {"parity": NUMPY, "backends": (), "bench": BENCH}


def on_terminal(*arguments: str) -> tuple[int, str]:
    """Run the command line with both outputs on a terminal of 80 columns."""
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    env |= {"TERM": "xterm-256color", "COLUMNS": "80"}
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments], stdout=its, stderr=its, env=env
    ) as process:
        os.close(its)
        said = b""
        try:
            while some := os.read(ours, 2**16):
                said += some
        except OSError:  # how Linux tells that the other end is closed
            pass
    os.close(ours)
    return process.returncode, said.decode()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_gets_no_escape_without_color(name: str) -> None:
    status, text = on_terminal(name, *COMMANDS[name], "--no-color")
    assert status == 0, text
    assert "\x1b" not in text
    assert "numpy" in text


def test_a_terminal_gets_color() -> None:
    status, text = on_terminal("parity", *NUMPY)
    assert status == 0, text
    assert "\x1b[1m" in text
