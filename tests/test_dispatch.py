"""Families: which backend serves a call, and what a third party does to join."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.third_party import agreement, tiny, tiny_adapter
from xentropy import dispatch
from xentropy.testing import Harness

ROOT = Path(__file__).resolve().parent.parent
LOSSES = {
    name
    for name in xentropy.__all__
    if getattr(getattr(xentropy, name), "__module__", "").startswith("xentropy.losses.")
}
# They are other losses, reduced.
MEANS = {"mean_squared_error", "mean_absolute_error"}


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[tiny.Array]]:
    """A second family, registered for one test."""
    monkeypatch.setattr(dispatch, "_registered", {})
    xentropy.register_backend(tiny.__name__, tiny_adapter.backend)
    yield tiny.Array
    dispatch._by_type.clear()


def float32(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


def test_the_backend_of_an_array_serves_its_type(harness: Harness) -> None:
    x = harness.array(float32(2))
    backend = xentropy.backend_of(x)
    assert backend.name in repr(backend)
    assert backend.owns(x)
    assert not backend.owns(object())
    assert xentropy.backend_of(harness.array(float32(3, 4))) is backend
    assert dispatch._by_type[type(x)] is backend


def test_the_result_has_the_family_and_the_device_of_the_predictions(harness: Harness) -> None:
    x = harness.array(float32(2, 3))
    backend = xentropy.backend_of(x)
    for reduction in ("none", "sum", "mean"):
        loss = xentropy.squared_error(x, 0.0, reduction=reduction)
        assert harness.owns(loss)
        assert backend.device(loss) == backend.device(x)
    parts = xentropy.squared_error(x, 0.0, reduction="partial")
    assert all(harness.owns(field) for field in parts)


def test_a_second_family_is_refused(harness: Harness, other: Any) -> None:
    x, labels = harness.array(float32(2, 3)), other(np.array([0, 1]))
    with pytest.raises(xentropy.MixedBackendError):
        xentropy.sparse_softmax_cross_entropy(x, labels)
    with pytest.raises(xentropy.MixedBackendError):
        xentropy.squared_error(x, 0.0, sample_weight=other(float32(2, 3)))
    with pytest.raises(xentropy.MixedBackendError):
        # 0-d arrays may come from another device, not from another family.
        xentropy.squared_error(x, 0.0, reduction="mean", denominator=other(float32()))


def test_numpy_predictions_take_no_labels_of_another_family(other: Any) -> None:
    with pytest.raises(xentropy.MixedBackendError):
        xentropy.sparse_softmax_cross_entropy(float32(2, 3), other(np.array([0, 1])))


def test_a_second_device_is_refused(harness: Harness) -> None:
    x = harness.array(float32(2, 3))
    away = harness.elsewhere(x)
    if away is None:
        pytest.skip("one device: no harness can make a second, see `Harness.elsewhere`")
    with pytest.raises(xentropy.MixedBackendError):
        xentropy.squared_error(x, away)
    with pytest.raises(xentropy.MixedBackendError):
        xentropy.squared_error(away, x)
    with pytest.raises(xentropy.MixedBackendError):
        xentropy.squared_error(x, x, sample_weight=away)
    scalar = harness.elsewhere(harness.array(float32()))
    with pytest.raises(xentropy.MixedBackendError):
        xentropy.squared_error(x, x, reduction="mean", denominator=scalar)


def test_weak_arguments_follow_the_predictions_to_their_device(harness: Harness) -> None:
    away = harness.elsewhere(harness.array(float32(2, 3)))
    if away is None:
        pytest.skip("one device: no harness can make a second, see `Harness.elsewhere`")
    backend = xentropy.backend_of(away)
    loss = xentropy.sparse_softmax_cross_entropy(
        away, np.array([0, 1]), sample_weight=[1.0, 2.0], reduction="mean", denominator=3.0
    )
    assert backend.device(loss) == backend.device(away)
    value, grad = xentropy.value_and_grad(xentropy.squared_error, "targets")(away, float32(2, 3))
    assert backend.device(value) == backend.device(grad) == backend.device(away)


def test_a_type_is_asked_about_once(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    x = harness.array(float32(2))
    xentropy.backend_of(x)
    monkeypatch.setattr(dispatch, "_find", None)
    assert harness.owns(xentropy.squared_error(x, x))


def test_every_installed_backend_can_be_loaded_by_name(harness: Harness) -> None:
    backend = xentropy.backend_of(harness.array(float32(1)))
    loaders = dispatch.installed_backends()
    found = [load() for name, load in loaders.items() if name in (backend.name, "array_api")]
    assert found
    assert any(found_backend.owns(harness.array(float32(1))) for found_backend in found)


def test_registering_is_enough_for_all_losses(other: Any) -> None:
    assert agreement.check_all_losses() | MEANS == LOSSES


def test_lists_and_numpy_arrays_follow_a_third_party(other: Any) -> None:
    agreement.assert_weak_arguments()


@pytest.mark.parametrize("reduction", ["sum", "mean", "partial"])
def test_a_third_party_reduces(other: Any, reduction: str) -> None:
    logits, labels, options = np.eye(3), np.array([0, 1, 1]), {"class_weight": [1.0, 2.0, 3.0]}
    grad: Any = xentropy.value_and_grad(xentropy.cross_entropy)
    got, by_logits = grad(other(logits), other(labels), reduction=reduction, **options)
    want, expected = grad(logits, labels, reduction=reduction, **options)
    got, want = (x.value() if reduction == "partial" else x for x in (got, want))
    for own, numpy in ((got, want), (by_logits, expected)):
        assert type(own) is tiny.Array
        assert np.all(np.abs(own.values - numpy) <= 4 * np.spacing(1.0))


def test_a_third_party_is_told_of_a_wrong_label(other: Any) -> None:
    x = other(np.zeros((2, 3)))
    with pytest.raises(xentropy.LabelError, match=r"labels\[1\] is 3"):
        xentropy.sparse_softmax_cross_entropy(x, other(np.array([0, 3])))


def test_a_registered_backend_can_be_replaced(other: Any) -> None:
    assert xentropy.backend_of(other(1.0)) is tiny_adapter.backend
    second = type(tiny_adapter.backend)("tiny", tiny_adapter.backend.xp)
    xentropy.register_backend(tiny.__name__, second)
    assert xentropy.backend_of(other(1.0)) is second
    assert dispatch.installed_backends()[tiny.__name__]() is second


@pytest.mark.parametrize(
    ("base", "missing"),
    [
        (dispatch.Backend, ("owns", "asarray")),
        (dispatch.AutodiffBackend, ("owns", "asarray", "value_and_grad")),
    ],
)
def test_a_backend_that_lacks_a_method_cannot_be_made(base: Any, missing: tuple[str, ...]) -> None:
    given = {name: getattr(type(tiny_adapter.backend), name, None) for name in missing}
    xp = tiny_adapter.backend.xp
    assert isinstance(type("Whole", (base,), given)("whole", xp), dispatch.Backend)
    for name in missing:
        part = {k: v for k, v in given.items() if k != name}
        with pytest.raises(TypeError, match=rf"abstract.* '?{name}\b"):
            type("Part", (base,), part)("part", xp)


def test_nothing_but_a_backend_can_be_registered() -> None:
    with pytest.raises(xentropy.OptionError) as caught:
        xentropy.register_backend("tiny", tiny)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "xentropy.register_backend: `backend` must be a xentropy.dispatch.Backend.\n"
        "  backend: module\n"
        "Hint: derive your adapter from it."
    )


# The framework first: an adapter is loaded on the first array, not before.
BY_ENTRY_POINT = """
import sys
import numpy as np
import xentropy
from tests.third_party import tiny

assert "tests.third_party.tiny_adapter" not in sys.modules
assert type(xentropy.squared_error(tiny.Array([1.0]), 0.0)) is tiny.Array
assert "tests.third_party.tiny_adapter" in sys.modules
assert type(xentropy.squared_error(np.ones(1), 0.0)) is np.ndarray

from tests.third_party.agreement import check_all_losses

print(*sorted(check_all_losses()))

# What a program registers goes before what is installed.
installed = xentropy.backend_of(tiny.Array([1.0]))
second = type(installed)(installed.name, installed.xp)
xentropy.register_backend(tiny.__name__, second)
assert xentropy.backend_of(tiny.Array([1.0])) is second
"""


def run(script: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = os.pathsep.join([str(ROOT), *map(str, paths), *filter(None, given)])
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def install(folder: Path) -> None:
    """Put a distribution on a path that announces the third party's adapter.

    It announces one more, of a framework that is not there: to load it would be an error.
    """
    info = folder / "tiny-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[xentropy.backends]\n{tiny.__name__} = {tiny_adapter.__name__}:backend\n"
        "no_framework = no_adapter:backend\n"
    )


def test_an_entry_point_is_enough_for_all_losses(tmp_path: Path) -> None:
    install(tmp_path)
    result = run(BY_ENTRY_POINT, tmp_path)
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) | MEANS == LOSSES


def test_without_the_entry_point_the_family_is_unknown(tmp_path: Path) -> None:
    result = run(BY_ENTRY_POINT, tmp_path)
    assert result.returncode != 0
    assert "no backend knows" in result.stderr


LISTED = """
import numpy
import xentropy
from tests.third_party import tiny_adapter
from xentropy.parity import frameworks
from xentropy.parity.commands import run

# Of the known ones a single process is enough.
frameworks.find = lambda: {"numpy": frameworks.Framework("numpy", numpy.__version__)}
xentropy.register_backend("json", tiny_adapter.backend)
raise SystemExit(run(["backends", "--no-color"]))
"""


def test_other_backends_are_listed_too(tmp_path: Path) -> None:
    install(tmp_path)
    result = run(LISTED, tmp_path)
    assert result.returncode == 0, result.stderr
    lines = [re.split(r"  +", line.strip()) for line in result.stdout.splitlines()]
    assert lines[1][:3] == ["numpy", np.__version__, "cpu"]
    assert lines[2:] == [
        ["json", "of unknown version", "cpu", "formulas"],
        ["no_framework", "not installed"],
        [tiny.__name__, "of unknown version", "cpu", "formulas"],
    ]


def test_the_third_party_needs_a_few_dozen_lines() -> None:
    lines = Path(str(tiny_adapter.__file__)).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
