"""The examples in the docstrings of the public names, on NumPy."""

from __future__ import annotations

import doctest
import inspect

import numpy as np
import pytest

import xentropy

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
LOSSES = [
    name
    for name in xentropy.__all__
    if getattr(getattr(xentropy, name), "__module__", "").startswith("xentropy.losses.")
]


def examples(name: str) -> list[doctest.DocTest]:
    return [
        test
        for test in doctest.DocTestFinder(exclude_empty=True).find(getattr(xentropy, name), name)
        if test.examples
    ]


@pytest.mark.parametrize("name", [name for name in xentropy.__all__ if examples(name)])
def test_examples(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report: list[str] = []
    with np.printoptions():
        for test in examples(name):
            runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("name", [*LOSSES, "Mean", "strict", "value_and_grad"])
def test_there_are_examples(name: str) -> None:
    assert examples(name)


@pytest.mark.parametrize("name", xentropy.__all__)
def test_every_public_name_has_a_docstring(name: str) -> None:
    document = inspect.getdoc(getattr(xentropy, name))
    assert document
    assert document.partition("\n")[0].endswith(".")


def test_a_wrong_example_is_seen() -> None:
    test = doctest.DocTestParser().get_doctest(
        ">>> 1 + 1\n3\n", globs={}, name="wrong", filename=None, lineno=0
    )
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=lambda text: None)
    assert runner.failures == 1
