"""Rewrite the tables of docs/support.rst: the ways to run a loss, and what each derives of it.

With ``--check`` nothing is changed, and the exit status says whether it would be.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from xentropy.testing import COLUMNS

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ROOT / "backends" / "xentropy_backends"
PAGE = ROOT / "docs" / "support.rst"
TITLES = {"numpy": "NumPy", "torch": "PyTorch", "tensorflow": "TensorFlow", "jax": "JAX"}

__all__ = ["main", "tables"]


def _read(room: str, name: str) -> dict[str, Any]:
    return tomllib.loads((ROOMS / room / name).read_text(encoding="utf-8"))


def _failing(room: str, way: str, column: str) -> dict[str, Any] | None:
    """The known failure of a cell, of all losses or some."""
    entries: list[dict[str, Any]] = _read(room, "xfails.toml").get("xfail", [])
    for entry in entries:
        _, _, cell = entry["test"].partition("::test_cell[")
        ways, _, what = cell.partition(": ")
        if what.startswith(f"{column}-{room}-") and fnmatchcase(way, ways):
            return entry
    return None


def _is_whole(known: dict[str, Any]) -> bool:
    """Whether what is known of a cell holds for all losses."""
    return "test" not in known or known["test"].endswith("-*]")


def _told(known: dict[str, Any]) -> tuple[str, str]:
    """The reason, with what is raised, and the link."""
    raised = f". It arrives as {known['raises']}" if "raises" in known else ""
    return known["reason"].rstrip(".") + raised, known["link"]


def tables() -> Iterator[str]:
    """The tables of all backends that say in which ways they run, as lines."""
    for room in TITLES:
        told = _read(room, "support.toml")
        yield from (TITLES[room], "-" * len(TITLES[room]), "")
        yield from (".. list-table::", "   :header-rows: 1", "")
        yield from _row("", *COLUMNS)
        absent = {(e["way"], column): e for e in told.get("absent", []) for column in e["columns"]}
        reasons: dict[tuple[str, str], int] = {}
        for way in told["ways"]:
            cells = []
            for column in COLUMNS:
                known = absent.get((way, column)) or _failing(room, way, column)
                if known is None:
                    cells.append("yes")
                    continue
                number = reasons.setdefault(_told(known), len(reasons) + 1)
                cells.append(f"{'no' if _is_whole(known) else 'in part'} ({number})")
            yield from _row(way, *cells)
        yield ""
        for (reason, link), number in reasons.items():
            yield from (f"({number}) `{reason} <{link}>`__.", "")
        yield from (told["notes"], "") if "notes" in told else ()


def _row(*cells: str) -> Iterator[str]:
    for i, cell in enumerate(cells):
        yield f"   {'* -' if i == 0 else '  -'} {cell}".rstrip()


def main() -> int:
    """Rewrite the tables; with ``--check`` return 1 if they would change."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args()
    old = PAGE.read_text(encoding="utf-8")
    head, mark, _ = old.partition(".. tables\n")
    new = f"{head}{mark}\n" + "\n".join(tables()).rstrip() + "\n"
    if options.check:
        return int(new != old)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
