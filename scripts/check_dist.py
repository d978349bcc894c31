"""Compare the wheel and the sdist with the files that git knows.

Every tracked file of ``src/`` and of every backend must be in both (recordings: in the sdist only),
the wheel must hold nothing else, every adapter must have its entry point, and ``backends/`` and
``src/`` must hold one package each: they are on ``sys.path`` in a development install, where a
folder named ``torch`` would make ``import torch`` succeed without torch.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath

__all__ = ["check", "main"]

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"src": "xentropy", "backends": "xentropy_backends"}
NOT_IN_WHEEL = "recorded"
# What a backend's folder must bring, beside its code.
DATA = ("support.toml", "requirements.txt", "requirements-floor.txt", "xfails.toml")
ENTRY_POINTS = "xentropy.backends"


def _git(*options: str) -> set[str]:
    command = ["git", "ls-files", "-z", *options, "--", *PACKAGES]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return set(filter(None, listed.split("\0")))


def _in_wheel(path: str) -> str:
    """Return what a file is called in the wheel: its path without ``src/`` or ``backends/``."""
    return PurePosixPath(*PurePosixPath(path).parts[1:]).as_posix()


def check_folders() -> list[str]:
    """Return what lies in ``src/`` or ``backends/`` beside the one package."""
    return [
        f"{folder}/{path.name}: only {package} may lie directly in {folder}/, which is on sys.path"
        for folder, package in PACKAGES.items()
        for path in sorted((ROOT / folder).iterdir())
        if path.name not in (package, "__pycache__")
    ]


def check_wheel(wheel: Path, tracked: set[str], known: set[str]) -> list[str]:
    """Return the differences between a wheel and the checkout."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    content = {name for name in names if not name.partition("/")[0].endswith(".dist-info")}
    recorded = {path for path in known if NOT_IN_WHEEL in PurePosixPath(path).parts}

    wrong = [
        f"{path}: not in the wheel" for path in tracked - recorded if _in_wheel(path) not in names
    ]
    shipped = {_in_wheel(path) for path in known - recorded}
    wrong += [f"{name}: in the wheel, but not a file for it" for name in content - shipped]
    return sorted(wrong + _check_rooms(names, _entry_points(wheel)))


def _entry_points(wheel: Path) -> dict[str, str]:
    """Return the adapters that the wheel announces; a wheel can be searched like a folder."""
    return {
        found.name: found.value
        for distribution in distributions(path=[str(wheel)])
        for found in distribution.entry_points.select(group=ENTRY_POINTS)
    }


def _check_rooms(names: set[str], entry_points: dict[str, str]) -> list[str]:
    """Return what the backends' folders and the packages lack in the wheel."""
    wrong = [
        f"{package}/py.typed: not in the wheel"
        for package in PACKAGES.values()
        if f"{package}/py.typed" not in names
    ]
    rooms = {
        PurePosixPath(name).parent
        for name in names
        if name.startswith("xentropy_backends/") and name.endswith("/adapter.py")
    }
    wrong += [
        f"{room / name}: not in the wheel"
        for room in rooms
        for name in DATA
        if str(room / name) not in names
    ]
    expected = {room.name: f"{'.'.join(room.parts)}.adapter:backend" for room in rooms}
    wrong += [
        f"entry point {name}: {entry_points.get(name)}, expected {expected.get(name)}"
        for name in expected.keys() | entry_points.keys()
        if entry_points.get(name) != expected.get(name)
    ]
    return wrong


def check_sdist(sdist: Path, tracked: set[str]) -> list[str]:
    """Return the tracked files that the sdist lacks."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    return sorted(f"{path}: not in the sdist" for path in tracked if path not in names)


def check(wheel: Path, sdist: Path) -> list[str]:
    """Return every difference between the two distributions and the checkout, one line each."""
    tracked = _git() - _git("--deleted")
    if not tracked:
        return ["git tracks no file of src/ or backends/: nothing to compare with"]
    known = tracked | _git("--others", "--exclude-standard")
    return check_folders() + check_wheel(wheel, tracked, known) + check_sdist(sdist, tracked)


def main() -> int:
    """Check the one wheel and the one sdist in a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    folder = parser.parse_args().folder
    wheels, sdists = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        print(f"{folder}: expected one wheel and one sdist, found {len(wheels)} and {len(sdists)}")
        return 1
    wrong = check(wheels[0], sdists[0])
    print("\n".join(wrong) or f"{wheels[0].name} and {sdists[0].name} agree with git")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
