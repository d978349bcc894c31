"""Both sides of every entry: what the original returns, live, and what we return everywhere."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.dialects import case as cases
from tests.dialects.case import LIVE, Case, array, outcome
from tests.dialects.test_grid import need_dtypes, ours
from xentropy import dialects
from xentropy.dialects.ledger import Entry, entries
from xentropy.testing import Harness

ALL = [entry for d in dialects.DIALECTS for entry in entries(d)]


def value(x: Any) -> Any:
    if isinstance(x, dict) and "data" in x:
        return array(x["data"], x["dtype"])
    return tuple(map(value, x)) if isinstance(x, list) else x


def case_of(entry: Entry) -> Case:
    options = {name: value(x) for name, x in entry.options.items()}
    call = None if entry.call is None else {name: value(x) for name, x in entry.call.items()}
    args, wrt = tuple(map(value, entry.args)), tuple(entry.wrt)
    return Case(str(entry), entry.function, args, options, wrt, call)


def assert_found(run: Any, wanted: Any, gradients: Any) -> None:
    found = outcome(run)
    if isinstance(wanted, str):
        assert wanted in found.error
        return
    assert not found.error, found.error
    np.testing.assert_allclose(np.asarray(found.value, np.float64), wanted, rtol=2e-3)
    if gradients is not None:
        for got, want in zip(found.gradients, gradients, strict=True):
            np.testing.assert_allclose(np.asarray(got, np.float64), want, rtol=2e-3)


@pytest.mark.parametrize("entry", ALL, ids=str)
def test_what_we_return(harness: Harness, entry: Entry) -> None:
    case = case_of(entry)
    need_dtypes(harness, case)
    run = lambda: ours(harness, entry.dialect, case)  # noqa: E731
    assert_found(run, entry.our_value, entry.our_gradient)


@pytest.mark.parametrize("entry", ALL, ids=str)
def test_what_the_original_returns(harness: Harness, entry: Entry) -> None:
    if LIVE[entry.dialect] != harness.name:
        pytest.skip(f"{entry.dialect} runs where {LIVE[entry.dialect]} does")
    case = case_of(entry)
    run = lambda: cases.module(entry.dialect).original(case)  # noqa: E731
    assert_found(run, entry.original_value, entry.original_gradient)


def test_the_page_shows_it() -> None:
    """Together with the table of the calls, which has no hole."""
    page = cases.RECORDED.parents[2] / "docs"
    command = [sys.executable, str(page / "dialect_tables.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0
    table = (page / "dialects.rst").read_text(encoding="utf-8").partition(".. END calls")[0]
    assert "- –" not in table
