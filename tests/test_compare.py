"""The comparison in ulp: planted faults, the spacing of numbers, the bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle_calls import CALLS, INDEX, INF, LOGITS, NAN, exact, floats, step
from xentropy.parity import compare
from xentropy.parity.oracle import evaluate


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CALLS)
def test_planted_faults_of_a_few_ulp_are_seen(name: str, dtype: str) -> None:
    loss, x, t, options, names = CALLS[name]
    truth = evaluate(loss, x.astype(dtype), t, dtype=dtype, wrt=names[:1], **options)
    limit = compare.bound(loss, options)
    sets = [(truth.value, truth.value_scale, limit.value)]
    sets += [(truth.grads[n], truth.grad_scales[n], limit.gradient_in(dtype)) for n in names[:1]]
    for true, scale, most in sets:
        good = floats(true).astype(dtype)
        at = np.abs(good).argmax()
        assert good.flat[at] != 0
        assert np.max(compare.ulp_errors(good, true, scale, dtype)) <= compare.ROUNDING
        for fault in (compare.ROUNDING, 1.0):  # of an ulp above the bound
            ulps = most + compare.ROUNDING + fault
            bad = good.copy()
            spacing = compare.ulp(np.asarray(scale).reshape(-1)[at], dtype)
            bad.flat[at] += np.copysign(np.ceil(ulps) * spacing, good.flat[at])
            assert np.max(compare.ulp_errors(bad, true, scale, dtype)) > most


RANGES = {
    "float16": (-14, -24),
    "bfloat16": (-126, -133),
    "float32": (-126, -149),
    "float64": (-1022, -1074),
}
"""Exponents of the smallest normal number and of the smallest of all."""


@pytest.mark.parametrize("dtype", RANGES)
def test_the_ulp_is_the_spacing(dtype: str) -> None:
    tiny, smallest = (2.0**k for k in RANGES[dtype])
    form = np.asarray([1.0, 1.5, 2.0, 3.14, 1e-3, 1e4, tiny]).astype(dtype)
    up = np.nextafter(form, np.asarray(INF).astype(dtype))
    for y in (form.astype(np.float64), exact(form.astype(np.float64))):
        np.testing.assert_array_equal(compare.ulp(y, dtype), up.astype(float) - form.astype(float))
    for odd in (0.0, smallest, INF, NAN):
        assert compare.ulp(np.array(odd), dtype) == smallest


@given(st.integers(-126, 120), st.integers(0, 40), st.sampled_from((-1.0, 1.0)))
def test_steps_are_counted(exponent: int, ulps: int, sign: float) -> None:
    y = np.ldexp(np.full(1, sign, np.float32), exponent)  # where a binade starts
    got = step(y, ulps)
    for truth in (exact(y), y.astype(np.longdouble)):
        assert compare.ulp_errors(got, truth, np.abs(truth), "float32")[0] == ulps


def errors(
    got: list[Any], truth: list[Any], scale: list[Any], dtype: str = "float32"
) -> list[float]:
    """Return the errors, the same against mpf and longdouble."""
    out = [
        compare.ulp_errors(np.asarray(got, dtype), convert(truth), convert(scale), dtype).tolist()
        for convert in (
            lambda v: exact(np.asarray(v, np.longdouble)),
            lambda v: np.asarray(v, np.longdouble),
        )
    ]
    assert out[0] == out[1]
    return list(out[0])


def test_nan_and_infinities_must_agree_in_place_and_sign() -> None:
    assert errors([NAN, INF, -INF], [NAN, INF, -INF], [1, 1, 1]) == [0, 0, 0]
    assert errors([0, NAN, INF, 0, -INF, INF], [NAN, 0, 0, INF, INF, NAN], [1] * 6) == [INF] * 6


def test_an_overflow_of_the_dtype_is_no_error() -> None:
    assert errors([INF, -INF], [1e39, -1e39], [1e39, 1e39]) == [0, 0]
    assert errors([INF, INF], [1e38, -1e39], [1e38, 1e39]) == [INF, INF]
    assert errors([INF], [1e5], [1e5], "float16") == [0]


def test_below_the_smallest_normal_number_a_flush_is_no_error() -> None:
    tiny = float(np.finfo(np.float32).tiny)
    assert errors([0, -0.0, tiny], [tiny / 3, tiny / 3, tiny / 3], [tiny / 3] * 3) == [0, 0, 0]
    wrong = errors([-tiny / 2, 0, 2 * tiny], [tiny / 4, 2 * tiny, tiny / 3], [0, 0, 0])
    assert min(wrong) > compare.VALUE
    assert errors([tiny / 2], [0], [0])[0] > compare.VALUE  # an exact 0 is no flush
    half = float(np.finfo(np.float16).tiny) / 2  # float16 has subnormals wherever float32 is normal
    assert errors([0], [half], [half], "float16")[0] > compare.VALUE
    assert float(evaluate("cross_entropy", np.array([1e4, 0]), 0, dtype="float64").value) == 0


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        compare.ulp_errors(np.zeros(3), np.zeros(1), np.zeros(3), "float64")


def test_the_bounds_are_those_promised() -> None:
    plain = compare.bound("softmax_cross_entropy", {})
    assert (plain.value, plain.gradient) == (compare.VALUE, compare.GRADIENT)
    assert plain.fused_gradient == compare.FUSED_GRADIENT
    sparse = compare.bound("sparse_softmax_cross_entropy", {"label_smoothing": 0.1})
    assert (sparse.fused_value, sparse.fused_gradient) == (compare.FUSED_VALUE, compare.GRADIENT)
    for gamma in (0.0, 2.0, 3.5):
        focal = compare.bound("sigmoid_focal_cross_entropy", {"gamma": gamma})
        assert focal.value == compare.VALUE * (1 + gamma)
        assert focal.gradient == compare.GRADIENT * (1 + gamma)
    assert compare.bound("softmax_focal_cross_entropy", {}).value == compare.VALUE * 3
    with pytest.raises(ValueError, match="dense"):
        compare.bound("linear_cross_entropy", {})


def test_a_narrow_gradient_adds_its_rounding() -> None:
    limit = compare.bound("cross_entropy", {})
    assert limit.gradient_in("float32") == limit.gradient_in("float64") == compare.GRADIENT
    names = ("logits",)
    x = (LOGITS * 3).astype(np.float16)
    truth = evaluate("cross_entropy", x, INDEX, dtype="float16", wrt=names)
    for dtype in ("float16", "bfloat16"):
        most = limit.gradient_in(dtype)
        assert compare.ROUNDING < most < 1
        good = floats(truth.grads["logits"]).astype(dtype)
        scale = truth.grad_scales["logits"]
        off = compare.ulp_errors(good, truth.grads["logits"], scale, dtype)
        assert np.max(off) <= most
        off = compare.ulp_errors(step(good, 1), truth.grads["logits"], scale, dtype)
        assert np.max(off) > most


def test_the_summary_is_maximum_and_median() -> None:
    assert compare.summary(np.array([[3.0, 1.0], [0.0, 2.0]])) == (3.0, 1.5)
    assert compare.summary(np.zeros((0, 2))) == (0.0, 0.0)
