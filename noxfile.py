"""Sessions that need an environment of their own; the Makefile has the daily ones."""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True

ROOMS = Path("backends/xentropy_backends")
FOLDERS = sorted(path.parent.name for path in ROOMS.glob("*/requirements.txt"))
# The folder of the array API standard is tested with the library that is nothing but the standard.
STANDS_FOR = {"array_api": "array_api_strict"}


def _pinned(session: nox.Session, *what: str) -> None:
    """Install as the Makefile does, with everything pinned."""
    session.install("--constraint", "requirements/constraints.txt", *what)


def _room(folder: str, floor: bool = False) -> list[str]:
    name = "requirements-floor.txt" if floor else "requirements.txt"
    return ["--requirement", str(ROOMS / folder / name)]


def _everything(session: nox.Session) -> None:
    pins = [option for folder in FOLDERS for option in _room(folder)]
    _pinned(session, *pins, "--editable", ".[parity]")


def _pytest(session: nox.Session, folder: str, *options: str) -> None:
    backend = STANDS_FOR.get(folder, folder)
    session.run("pytest", "--backends", backend, *options, *session.posargs)


@nox.session
@nox.parametrize("folder", FOLDERS, ids=FOLDERS)
def tests(session: nox.Session, folder: str) -> None:
    """Run the suite where one framework is installed and the others are not."""
    _pinned(session, *_room(folder), "--editable", ".[parity]")
    _pinned(session, "--requirement", "requirements/test.txt")
    _pytest(session, folder)


@nox.session
@nox.parametrize("folder", FOLDERS, ids=FOLDERS)
def floor(session: nox.Session, folder: str) -> None:
    """Run the suite on the oldest versions intended to be supported."""
    # Whatever else those versions allow, so no pins for the tools.
    group = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test")
    session.install(*_room(folder, floor=True), "--editable", ".[parity]", *group)
    _pytest(session, folder)


@nox.session
def lint(session: nox.Session) -> None:
    """Run ruff."""
    _pinned(session, "--requirement", "requirements/lint.txt")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Run both type checkers, with every framework there to be seen."""
    _everything(session)
    _pinned(session, "-r", "requirements/test.txt", "-r", "requirements/lint.txt")
    session.run("mypy")
    session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages."""
    _everything(session)
    _pinned(session, "--requirement", "requirements/docs.txt")
    session.run("sphinx-build", "--fail-on-warning", "-b", "html", "docs", "build/docs")


@nox.session
def dist(session: nox.Session) -> None:
    """Build, compare with git, and run the suite on the installed wheel from another folder."""
    root, folder = Path.cwd(), Path(session.create_tmp()).resolve()
    for old in [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]:
        old.unlink()
    _pinned(session, "--requirement", "requirements/dist.txt")
    session.run("python", "-m", "build", "--outdir", str(folder), ".")
    session.run("python", "scripts/check_dist.py", str(folder))
    wheel = next(folder.glob("*.whl"))
    _pinned(session, *_room("numpy"), "-r", "requirements/test.txt", f"{wheel}[parity]")
    session.chdir(folder)
    _pytest(session, "numpy", "-c", str(root / "pyproject.toml"), str(root / "tests"))
