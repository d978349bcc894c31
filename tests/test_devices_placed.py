"""Where a graph would run whose arrays lie on an accelerator: nothing of it on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.matrix import ENTRIES, Entry
from xentropy.testing import Harness

ALL = [entry for entries in ENTRIES.values() for entry in entries]


def ran_on_host(harness: Harness, f: Any, arrays: tuple[Any, ...]) -> list[str]:
    found = harness.ran_on_host(f, arrays)
    return pytest.skip("see Harness.ran_on_host") if found is None else found


@pytest.mark.parametrize("column", ["value", "jvp", "gradient"])
@pytest.mark.parametrize("entry", ALL, ids=str)
def test_an_accelerator_runs_all(harness: Harness, entry: Entry, column: str) -> None:
    """Of a loss and of its derivatives: no number makes its way over the host."""
    given = tuple(entry.case.give(harness, "float32").values())
    given = (given[0], *given) if column == "jvp" else given
    if column not in harness.ways["eager"]:
        pytest.skip(f"{harness} has no derivatives of its own")
    assert ran_on_host(harness, harness.ways["eager"][column](entry.function), given) == []


def test_the_host_would_be_seen(harness: Harness) -> None:
    x = harness.array(np.ones(2, np.float32))
    assert ran_on_host(harness, lambda x: x + x, (x,)) == []
    assert ran_on_host(harness, lambda x: harness.through_host(x) + x, (x,))
