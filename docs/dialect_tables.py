"""Rewrite the tables of docs/dialects.rst: the calls that the tests compare, and the ledger.

With ``--check`` nothing is changed, and the exit status says whether it would be.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.dialects import case  # noqa: E402
from xentropy.dialects import DIALECTS  # noqa: E402
from xentropy.dialects.ledger import entries  # noqa: E402

__all__ = ["main"]

PAGE = ROOT / "docs" / "dialects.rst"
FAMILIES = ("numpy", "torch", "tensorflow", "jax", "array_api_strict")


def calls() -> Iterator[str]:
    """The table of the calls that are compared, as lines."""
    yield from (".. list-table::", "   :header-rows: 1", "")
    yield from _row("", *FAMILIES)
    for dialect in DIALECTS:
        cases, there = case.module(dialect).CASES, case.recorded(dialect)
        names = list(dict.fromkeys(each.function for each in cases))
        found = {
            family: Counter(
                each.function
                for each in cases
                if not case.dtypes(each, there[str(each)]) & case.LACKS.get(family, set())
            )
            for family in FAMILIES
        }
        for name in names:
            counts = [str(found[family][name] or "–") for family in FAMILIES]
            yield from _row(f"``{dialect}.{name}``", *counts)


def ledger() -> Iterator[str]:
    """The entries of the ledger, as lines."""
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 20 26 27 27", "")
    yield from _row("function", "when", "the original", "the dialect")
    for dialect in DIALECTS:
        for entry in entries(dialect):
            where = f"``{dialect}.{entry.function}`` ({entry.version})"
            theirs = f"`{entry.original.replace('`', '')} <{entry.link}>`__"
            yield from _row(where, _code(entry.condition), theirs, _code(entry.ours))


def _code(text: str) -> str:
    return text.replace("``", "`").replace("`", "``")


def _row(*cells: str) -> Iterator[str]:
    for i, cell in enumerate(cells):
        yield f"   {'*' if not i else ' '} - {cell}".rstrip()


def _written(text: str) -> str:
    for name, lines in (("calls", calls()), ("ledger", ledger())):
        begin, end = f".. BEGIN {name}\n", f".. END {name}\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + "\n" + "\n".join(lines) + "\n\n" + end + after
    return text


def main() -> int:
    """Write the page, or say whether it is up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    old = PAGE.read_text(encoding="utf-8")
    new = _written(old)
    if parser.parse_args().check:
        return int(old != new)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
