"""Names, order, kinds and defaults of parameters are the original's."""

from __future__ import annotations

import inspect
import json
import operator
import sys
from types import ModuleType
from typing import Any

import pytest

from tests.dialects import case as cases
from tests.dialects.case import LIVE
from xentropy import dialects
from xentropy.testing import Harness

FILE = cases.RECORDED / "signatures.json"
RECORD: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
NAMES = [(d, name) for d in dialects.DIALECTS for name in RECORD.get(d, {})]


def described(function: Any) -> list[list[str]]:
    """Each parameter as its name, its kind and its default."""
    return [
        [p.name, p.kind.name, "" if p.default is p.empty else repr(p.default)]
        for p in inspect.signature(function).parameters.values()
    ]


def public(module: ModuleType) -> list[str]:
    """What a module exports, of the modules among it what they export: ``v1.losses.log_loss``."""
    names = []
    for name in module.__all__:
        inner = getattr(module, name)
        inside = public(inner) if isinstance(inner, ModuleType) else None
        names += [name] if inside is None else [f"{name}.{each}" for each in inside]
    return names


def record(dialect: str) -> None:
    """Write down the live signatures of one dialect."""
    known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    originals = cases.module(dialect).ORIGINALS
    known[dialect] = {name: described(function) for name, function in originals().items()}
    FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


@pytest.mark.parametrize(("dialect", "name"), NAMES)
def test_it_is_that_on_record(dialect: str, name: str) -> None:
    ours = operator.attrgetter(name)(getattr(dialects, dialect))
    assert described(ours) == RECORD[dialect][name]


@pytest.mark.parametrize(("dialect", "name"), NAMES)
def test_it_says_where_it_is_found(dialect: str, name: str) -> None:
    ours = operator.attrgetter(name)(getattr(dialects, dialect))
    module = sys.modules[ours.__module__]
    assert getattr(module, ours.__name__) is ours
    if inspect.isfunction(ours):
        assert f"{ours.__module__}.{ours.__name__}" == f"xentropy.dialects.{dialect}.{name}"


@pytest.mark.parametrize(("dialect", "name"), NAMES)
def test_it_says_what_each_parameter_does(dialect: str, name: str) -> None:
    ours = operator.attrgetter(name)(getattr(dialects, dialect))
    text = ours.__doc__
    assert "``" in text.splitlines()[0]
    parameters = inspect.signature(ours).parameters if name != "v1.losses.Reduction" else ()
    assert [p for p in parameters if f"* ``{p}``: " not in text] == []


@pytest.mark.parametrize("dialect", dialects.DIALECTS)
def test_nothing_else_is_public(dialect: str) -> None:
    assert set(public(getattr(dialects, dialect))) == set(RECORD[dialect])


@pytest.mark.parametrize("dialect", dialects.DIALECTS)
def test_the_record_is_the_live_one(harness: Harness, dialect: str) -> None:
    if LIVE[dialect] != harness.name:
        pytest.skip(f"{dialect} runs where {LIVE[dialect]} does")
    originals = cases.module(dialect).ORIGINALS()
    assert {name: described(f) for name, f in originals.items()} == RECORD[dialect]
