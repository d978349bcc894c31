"""The docs: every public name is in the API reference, and docstrings are complete."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest
from numpydoc.validate import validate

import xentropy

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "api.rst"
LOSSES = sorted(
    name
    for name in xentropy.__all__
    if getattr(getattr(xentropy, name), "__module__", "").startswith("xentropy.losses.")
)

# What the others may lack: a second paragraph, "See Also", examples.
BRIEF = {"ES01", "SA01", "EX01"}


def listed() -> list[str]:
    """The names in the autosummary tables of the API reference."""
    text = REFERENCE.read_text(encoding="utf-8")
    tables = re.findall(r"^\.\. autosummary::\n((?:[ \t]+.*\n|\n)*)", text, re.MULTILINE)
    lines = [line.strip() for table in tables for line in table.splitlines()]
    return [line for line in lines if line and not line.startswith(":")]


def test_every_public_name_is_in_the_reference_once() -> None:
    assert sorted(listed()) == sorted(xentropy.__all__)


@pytest.mark.parametrize("name", LOSSES)
def test_the_docstring_of_a_loss_is_complete(name: str) -> None:
    assert validate(f"xentropy.{name}")["errors"] == []


@pytest.mark.parametrize("name", sorted(set(xentropy.__all__) - set(LOSSES)))
def test_the_docstring_of_another_name_is_well_formed(name: str) -> None:
    errors = validate(f"xentropy.{name}")["errors"]
    assert [error for error in errors if error[0] not in BRIEF] == []


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_documents_its_edges(name: str) -> None:
    text = typing.cast(str, getattr(xentropy, name).__doc__)
    for heading in ("Parameters", "Returns", "Raises", "See Also", "Notes", "Examples"):
        assert f"\n    {heading}\n    {'-' * len(heading)}\n" in text


PAGES = sorted(path.name for path in REFERENCE.parent.glob("*.rst"))


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page: str) -> None:
    names = {"np": np, "xentropy": xentropy}
    path = str(REFERENCE.parent / page)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testfile(path, module_relative=False, globs=names, optionflags=flags).failed == 0


@pytest.mark.parametrize("name", LOSSES)
def test_the_examples_of_a_docstring_run(name: str) -> None:
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    tests = finder.find(getattr(xentropy, name), name)
    assert sum(len(test.examples) for test in tests) >= 2
    assert [runner.run(test).failed for test in tests] == [0]


def test_the_tables_of_support_are_those_of_the_backends() -> None:
    """If not: python docs/support_tables.py."""
    command = [sys.executable, str(REFERENCE.parent / "support_tables.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_all_losses_are_looked_at() -> None:
    assert len(LOSSES) >= 20
