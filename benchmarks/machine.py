"""Where and of what a result is: device, threads, commit and date."""

from __future__ import annotations

import datetime
import functools
import os
import platform
import re
import subprocess
from pathlib import Path

import xentropy

__all__ = ["ROOT", "commit", "device", "today"]

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def commit() -> str:
    """Return the commit of the checkout, with a plus where files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or f"xentropy {xentropy.__version__}"


@functools.cache
def device() -> str:
    """Return the model of the processor."""
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    name = found.group(1).strip() if found else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def today() -> str:
    """Return the date, universal time."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
