"""Backends are parameters of one body, named by ``--backends``, each in a process of its own."""

from __future__ import annotations

import gc
import importlib
import os
import re
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from xentropy.testing import Harness, load_harness

# So that a plain `assert` of theirs shows what it compared.
pytest.register_assert_rewrite("tests.asserts")

# Frameworks keep what they have traced: to look through it for garbage takes an eighth to a quarter
# of the time.
gc.set_threshold(50_000, 20, 20)

# What a run of `scripts/run_tests.py` is to do without, as if it were not installed.
for module in os.environ.get("XENTROPY_TESTS_WITHOUT", "").split():
    sys.modules[module] = None  # type: ignore[assignment]

ROOMS = Path(__file__).resolve().parent.parent / "backends" / "xentropy_backends"
# The folder of the array API standard is tested with the library that is nothing but the standard.
STANDS_FOR = {"array_api": "array_api_strict"}
BACKENDS = (
    *(STANDS_FOR.get(p.parent.name, p.parent.name) for p in ROOMS.glob("*/harness.py")),
    "cupy",  # by the folder of the standard; it needs a GPU
)

# Where the cells are run again, on each device.
ON_A_DEVICE = "tests/test_matrix.py::test_cell[", "tests/test_gpu.py::test_cell[*-"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backends",
        default="none",
        choices=(*BACKENDS, "none"),
        help="the backend of this run; none runs the tests that need no backend",
    )
    parser.addoption("--device", help="where the tests marked gpu run; default: accelerators")


def chosen(config: pytest.Config) -> Harness | None:
    """The harness that the run is about; a framework that is named but missing is an error."""
    name = str(config.getoption("--backends"))
    return None if name == "none" else load_harness(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    harness = chosen(metafunc.config)
    if "mode" in metafunc.fixturenames:
        metafunc.parametrize("mode", [] if harness is None else list(harness.modes))
    if "transform" in metafunc.fixturenames:
        metafunc.parametrize("transform", [] if harness is None else list(harness.transforms))
    if "harness" in metafunc.fixturenames:
        given = [] if harness is None else [harness]
        metafunc.parametrize("harness", given, ids=str, scope="session")


@pytest.fixture
def torch(harness: Harness) -> Any:
    """PyTorch, for what only it has."""
    return only("torch", harness)


@pytest.fixture
def tf(harness: Harness) -> Any:
    """TensorFlow, for what only it has."""
    return only("tensorflow", harness)


def only(name: str, harness: Harness) -> Any:
    """The framework of that name, where the run is about it."""
    if str(harness) != name:
        pytest.skip(f"of {name}")
    return pytest.importorskip(name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run each test once: with its backend, or, where it needs none, in the run without one."""
    name = str(config.getoption("--backends"))
    keep: list[pytest.Item] = []
    drop: list[pytest.Item] = []
    for item in items:
        needs = "harness" in getattr(item, "fixturenames", ())
        serves = needs == (name != "none") and not waits(item, config)
        (keep if serves else drop).append(item)
    config.hook.pytest_deselected(items=drop)
    items[:] = keep
    if name != "none":
        expect_failures(items, known_failures(name))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    harness = chosen(item.config)
    if harness is not None:
        harness.forget()


def waits(item: pytest.Item, config: pytest.Config) -> bool:
    """Whether a test waits for an accelerator; one of them stays, to say that there is none."""
    harness, there = chosen(config), config.getoption("--device")
    if harness is None or there or "gpu" not in item.keywords or harness.accelerators():
        return False
    return not item.name.startswith("test_results_stay_there")


def known_failures(name: str) -> list[dict[str, Any]]:
    """The entries of a backend's ``xfails.toml``: ``test`` (a pattern), ``reason``, ``link``.

    And, if it is an exception of its own, what it ``raises`` and what that ``says``.
    """
    room = ROOMS / ("array_api" if name in ("array_api_strict", "cupy") else name)
    entries = tomllib.loads((room / "xfails.toml").read_text(encoding="utf-8")).get("xfail", [])
    for entry in entries:
        if not {"test", "reason", "link"} <= entry.keys():
            msg = f"{room.name}/xfails.toml: {entry} needs test, reason and link."
            raise pytest.UsageError(msg)
    return list(entries)


def expect_failures(items: list[pytest.Item], entries: list[dict[str, Any]]) -> None:
    """Mark the known failures, strictly; an entry that matches nothing is an error."""
    files = {item.nodeid.partition("::")[0] for item in items}
    for entry in entries:
        found = matching(items, entry["test"])
        if not found and entry["test"].partition("::")[0] in files:
            msg = f"xfails.toml: {entry['test']} matches no test."
            raise pytest.UsageError(msg)
        again = entry["test"].replace(*ON_A_DEVICE)
        for item in {*found, *matching(items, again)}:
            reason = f"{entry['reason']} {entry['link']}"
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason, raises=raised_by(entry)))


def matching(items: list[pytest.Item], test: str) -> list[pytest.Item]:
    """The tests of a pattern, in which square brackets stand for themselves."""
    pattern = test.replace("[", "[[]")
    return [item for item in items if fnmatchcase(item.nodeid, pattern)]


def raised_by(entry: dict[str, Any]) -> pytest.RaisesExc[BaseException] | None:
    """The exception of a known failure, so that any other fails; None for any."""
    if "raises" not in entry:
        return None
    module, _, name = str(entry["raises"]).rpartition(".")
    kind: type[BaseException] = getattr(importlib.import_module(module), name)
    return pytest.RaisesExc(kind, match=re.escape(entry["says"]))
