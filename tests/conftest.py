"""One body per test; the backends are parameters, named by ``--backends``, each in a process of its own."""

from __future__ import annotations

from typing import Any

import pytest

from xentropy.testing import Harness, load_harness

BACKENDS = ("numpy", "torch", "tensorflow", "jax", "array_api_strict")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backends",
        default="none",
        choices=(*BACKENDS, "none"),
        help="the backend of this run; none runs the tests that need no backend",
    )


def _chosen(config: pytest.Config) -> Harness | None:
    """The harness that the run is about; a framework that is named but missing is an error."""
    name = config.getoption("--backends")
    return None if name == "none" else load_harness(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    harness = _chosen(metafunc.config)
    names = [] if harness is None else [harness]
    if "mode" in metafunc.fixturenames:
        modes = [] if harness is None else list(harness.modes)
        metafunc.parametrize("mode", modes)
    if "transform" in metafunc.fixturenames:
        transforms = [] if harness is None else list(harness.transforms)
        metafunc.parametrize("transform", transforms)
    if "harness" in metafunc.fixturenames:
        metafunc.parametrize("harness", names, ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run each test once: with its backend, or, where it needs none, in the run without one."""
    wanted = config.getoption("--backends") != "none"
    keep: list[Any] = []
    drop: list[Any] = []
    for item in items:
        needs = "harness" in getattr(item, "fixturenames", ())
        (keep if needs == wanted else drop).append(item)
    config.hook.pytest_deselected(items=drop)
    items[:] = keep
