"""Errors as users read them: each message compared whole, on every backend."""

# ruff: noqa: E501 - messages are written as they are printed.

from __future__ import annotations

import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import xentropy
from tests.messages import CASES, Case, Make, losses, sparse
from tests.messages.dtypes import Matrix
from tests.third_party import tiny, tiny_adapter
from xentropy import dispatch
from xentropy.dispatch import describe
from xentropy.testing import Harness

DTypeError, LabelError = xentropy.DTypeError, xentropy.LabelError


def filled(harness: Harness, text: str) -> str:
    """The text with the arrays as they are described on the backend under test."""
    place = describe(harness.array(np.zeros(1, np.float32))).partition("]")[2]
    text = text.replace("FAMILIES", ", ".join(sorted(dispatch.installed_backends())))
    return re.sub(r"<(.*?\])>", lambda found: found[1] + place, text)


def name(case: Case) -> str:
    rule = case.text.partition(": ")[2].partition("\n")[0]
    return re.sub(r"[^a-z0-9_]+", "-", rule.lower())[:40]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_whole_message(harness: Harness, case: Case) -> None:
    with pytest.raises(case.error) as caught:
        case.call(Make(harness))
    assert str(caught.value) == filled(harness, case.text)
    assert type(caught.value) is case.error
    assert isinstance(caught.value, xentropy.XentropyError)
    # No second traceback for the reader.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A second family, registered for one test."""
    monkeypatch.setattr(dispatch, "_registered", {})
    xentropy.register_backend(tiny.__name__, tiny_adapter.backend)
    yield tiny.Array
    dispatch._by_type.clear()


def test_another_family(harness: Harness, other: Any) -> None:
    x, labels = harness.array(np.zeros((2, 3), np.float32)), other(np.array([0, 1]))
    with pytest.raises(xentropy.MixedBackendError) as caught:
        sparse(x, labels)
    assert str(caught.value) == filled(
        harness,
        f"""xentropy.sparse_softmax_cross_entropy: `labels` must be of the family of `logits`, {xentropy.backend_of(x).name}.
  logits: <float32[2, 3]>
  labels: int64[2] tiny
Hint: convert one; only numbers, lists and NumPy arrays follow the predictions.""",
    )


def test_a_layer_of_another_family(harness: Harness, other: Any) -> None:
    hidden, weight = harness.array(np.zeros((2, 3), np.float32)), other(np.zeros((4, 3)))
    with pytest.raises(xentropy.MixedBackendError) as caught:
        losses.linear_cross_entropy(hidden, weight, [0, 1])
    assert str(caught.value) == filled(
        harness,
        f"""xentropy.linear_cross_entropy: `weight` must be of the family of `hidden`, {xentropy.backend_of(hidden).name}.
  hidden: <float32[2, 3]>
  weight: float64[4, 3] tiny
Hint: convert one; only numbers, lists and NumPy arrays follow the predictions.""",
    )


def test_numpy_predictions_and_another_family(other: Any) -> None:
    with pytest.raises(xentropy.MixedBackendError) as caught:
        xentropy.squared_error(np.zeros(2), 0.0, where=other(np.array([True, False])))
    assert (
        str(caught.value)
        == """xentropy.squared_error: `where` must be of the family of `predictions`, numpy.
  predictions: float64[2] numpy cpu
  where: bool[2] tiny
Hint: convert one; only numbers, lists and NumPy arrays follow the predictions."""
    )


def test_another_device(harness: Harness) -> None:
    x = harness.array(np.zeros(2, np.float32))
    away = harness.elsewhere(x)
    if away is None:
        pytest.skip("one device: no harness can make a second, see `Harness.elsewhere`")
    home = xentropy.backend_of(x).device(x)
    with pytest.raises(xentropy.MixedBackendError) as caught:
        xentropy.squared_error(x, x, sample_weight=away)
    assert str(caught.value) == (
        f"xentropy.squared_error: `sample_weight` must lie on the device of `predictions`, {home}.\n"
        f"  predictions: {describe(x)}\n  sample_weight: {describe(away)}\nHint: move one of them."
    )


def test_layouts_that_no_formula_reads(harness: Harness) -> None:
    x = harness.array(np.ones((2, 3), np.float32))
    if not harness.layouts(x):
        pytest.skip("arrays have one layout: `Harness.layouts`")
    padded = "pass its to_padded_tensor(0.0), and as `where` what is no padding."
    for name, odd in harness.layouts(x).items():
        hint = padded if "nested" in name else "pass its to_dense()."
        for given in ({"predictions": odd, "targets": 0.0}, {"predictions": x, "targets": odd}):
            with pytest.raises(xentropy.UnsupportedError) as caught:
                losses.squared_error(**given, reduction="mean")
            which = "targets" if given["targets"] is odd else "predictions"
            assert str(caught.value) == (
                f"xentropy.squared_error: `{which}` must be a dense tensor, not "
                f"{name.partition(' (')[0]}.\n  {which}: {describe(odd)}\nHint: {hint}"
            )


@pytest.mark.parametrize("dtype", ["longdouble", "float4_e2m1fn", "float6_e2m3fn"])
def test_predictions_of_another_float_dtype(dtype: str) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    with pytest.raises(DTypeError) as caught:
        xentropy.squared_error(np.zeros(2, kind), 0.0)
    assert str(caught.value) == (
        "xentropy.squared_error: `predictions` must be real floating.\n"
        f"  predictions: {kind.name}[2] numpy cpu\n  targets: 0.0\nHint: cast it to float64."
    )


def test_a_type_that_no_backend_knows() -> None:
    with pytest.raises(DTypeError) as caught:
        xentropy.backend_of(Matrix())
    families = ", ".join(sorted(dispatch.installed_backends()))
    assert str(caught.value) == (
        f"xentropy: no backend knows {Matrix.__module__}.Matrix.\nHint: pass an array of one of: {families}."
    )
    with pytest.raises(DTypeError) as caught:
        xentropy.backend_of(np.ma.masked_array([1.0]))
    assert str(caught.value) == (
        "xentropy: no backend knows numpy.ma.MaskedArray.\nHint: pass its data, with where=~a.mask."
    )


BUILTINS = {
    "ShapeError": ValueError,
    "DTypeError": TypeError,
    "LabelError": (ValueError, IndexError),
    "InputError": ValueError,
    "MixedBackendError": TypeError,
    "OptionError": ValueError,
    "UnsupportedError": NotImplementedError,
}


def test_an_array_in_the_place_of_a_number(harness: Harness) -> None:
    x, number = (harness.array(np.full(shape, 0.1, np.float32)) for shape in ((1, 2), ()))
    with pytest.raises(xentropy.OptionError, match=r"Hint: pass a Python number, as float\(x\)"):
        xentropy.cross_entropy(x, [0], label_smoothing=number)


def test_a_wrong_reduction_in_every_mode(harness: Harness, mode: str) -> None:
    """Compilers wrap what is raised while they read a function."""
    run = harness.quick(mode)(lambda x: xentropy.cross_entropy(x, [0], reduction="avg"))  # type: ignore[arg-type]
    with pytest.raises(Exception, match="`reduction` must be one of"):
        run(harness.array(np.zeros((1, 2), np.float32)))


def test_every_error_is_a_builtin_too() -> None:
    errors = {
        key: value
        for key, value in vars(xentropy).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert set(errors) == {"XentropyError", *BUILTINS}
    for key, builtins in BUILTINS.items():
        for builtin in builtins if isinstance(builtins, tuple) else (builtins,):
            assert issubclass(errors[key], builtin)
        assert issubclass(errors[key], xentropy.XentropyError)


def test_wrong_labels_are_named_where_only_derivatives_are_taken(harness: Harness) -> None:
    x, labels = harness.array(np.zeros((2, 3), np.float32)), harness.array(np.array([0, 3]))
    with pytest.raises(LabelError, match=r"labels\[1\] is 3"):
        xentropy.value_and_grad(sparse)(x, labels, reduction="mean")


@pytest.mark.parametrize(
    "left_out", [{"where": [True, False]}, {"sample_weight": [1.0, 0.0]}, {"ignore_index": 99}]
)
def test_wrong_labels_that_are_left_out_are_no_error(
    harness: Harness, left_out: dict[str, Any]
) -> None:
    x, labels = harness.array(np.zeros((2, 3), np.float32)), harness.array(np.array([0, 99]))
    found = harness.numpy(sparse(x, labels, **left_out))
    assert found[1] == 0.0
    assert found[0] > 1.0
