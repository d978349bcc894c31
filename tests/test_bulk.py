"""Truth in bulk: it agrees with mpmath, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.oracle_calls import (
    BITS,
    CALLS,
    EXTREMES,
    INDEX,
    INF,
    LOGITS,
    PROBS,
    SHARES,
    Array,
    exact,
    floats,
    step,
)
from xentropy.parity import bulk, compare, oracle
from xentropy.parity.oracle import evaluate

IN_BULK = [name for name, case in CALLS.items() if case[0] in bulk.LOSSES]
"""Of these, the gradient by the predictions."""

needs_bits = pytest.mark.skipif(
    not bulk.supported(), reason="np.longdouble is float64 here: bulk refuses, as tested below"
)


def assert_bulk(loss: str, x: Array, t: Any, dtype: str, options: Mapping[str, Any]) -> None:
    first = "predictions" if loss in ("squared_error", "absolute_error", "huber") else "logits"
    few = bulk.evaluate(loss, x, t, dtype=dtype, wrt=(first,), **options)
    true = evaluate(loss, x, t, dtype=dtype, wrt=(first,), **options)
    pairs = [
        (few.value, true.value, true.value_scale),
        (few.grads[first], true.grads[first], true.grad_scales[first]),
        (few.value_scale, true.value_scale, true.value_scale),
        (few.grad_scales[first], true.grad_scales[first], true.grad_scales[first]),
        (few.weight, true.weight, np.abs(true.weight)),
    ]
    for got, want, scale in pairs:
        assert got.dtype == np.longdouble
        assert got.shape == want.shape
        got, want, scale = (np.atleast_1d(v) for v in (got, want, scale))
        defined = np.abs(want) < INF
        np.testing.assert_array_equal(floats(got[~defined]), floats(want[~defined]))
        assert np.isfinite(got[defined]).all()
        gap = np.abs(exact(got[defined]) - want[defined])
        assert np.all(gap / compare.ulp(scale[defined], "float64") <= compare.BULK), (loss, options)


@needs_bits
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", IN_BULK)
def test_bulk_agrees_with_mpmath(name: str, dtype: str) -> None:
    loss, x, t, options, _ = CALLS[name]
    for spread in (1, 100, 1e4):
        assert_bulk(loss, (x * spread).astype(dtype), t, dtype, options)
    far = np.where(BITS, x - 640, x / 1024)  # x - max is not exact, even in longdouble
    assert_bulk(loss, far.astype(dtype), t, dtype, options)
    if t is not INDEX:
        assert_bulk(loss, x.astype(dtype), BITS, dtype, options)


@needs_bits
@pytest.mark.parametrize("case", [case for case in EXTREMES if case[0] in bulk.LOSSES], ids=str)
def test_bulk_agrees_at_extremes(
    case: tuple[str, list[float], Any, dict[str, Any], float, list[float]],
) -> None:
    loss, x, t, options, _, _ = case
    assert_bulk(loss, np.asarray(x), np.asarray(t), "float64", options)


@needs_bits
def test_bulk_agrees_where_the_class_axis_and_masks_vary() -> None:
    rng = np.random.default_rng(22)
    x, t = rng.normal(size=(3, 4, 5)) * 9, rng.integers(0, 4, (3, 5)).astype(np.uint64)
    mask = np.arange(20).reshape(1, 4, 5) % 7 != 3
    for axis, labels in ((1, t), (-2, t), (1, np.array(0.25)), (0, rng.integers(0, 3, (4, 5)))):
        options = {"axis": axis, "class_mask": mask, "ignore_index": 2}
        assert_bulk("cross_entropy", x, labels, "float64", options)
    for k in (-254, 2**70):
        assert_bulk("cross_entropy", x, t, "float64", {"axis": 1, "ignore_index": k})
    assert_bulk("huber", x.astype(ml_dtypes.bfloat16), np.array(0.5), "bfloat16", {"delta": 0.1})


@needs_bits
def test_bulk_in_blocks_is_bulk_at_once() -> None:
    rng = np.random.default_rng(23)
    x, t = rng.normal(size=(50, 7)).astype(np.float32), rng.integers(0, 7, 50)
    options: dict[str, Any] = {"dtype": "float32", "wrt": ("logits",), "label_smoothing": 0.1}
    whole = bulk.evaluate("cross_entropy", x, t, **options)
    parts = list(bulk.blocks("cross_entropy", x, t, size=30, **options))
    assert [rows.stop - rows.start for rows, _ in parts[:2]] == [4, 4]
    assert sum(rows.stop - rows.start for rows, _ in parts) == len(x)
    for rows, part in parts:
        np.testing.assert_array_equal(part.value, whole.value[rows])
        np.testing.assert_array_equal(part.grads["logits"], whole.grads["logits"][rows])
    truth = evaluate("cross_entropy", x, t, dtype="float32", label_smoothing=0.1)
    for reduction, denominator in (("sum", None), ("mean", None), ("mean", 64.0)):
        got = exact(bulk.reduce(whole, reduction, denominator)).item()
        want = oracle.reduce(truth, reduction, denominator)
        assert abs(got - want) <= compare.BULK * compare.ulp(want, "float64")


@needs_bits
def test_a_fault_of_an_ulp_is_seen_in_bulk() -> None:
    rng = np.random.default_rng(23)
    x, t = rng.normal(size=(40, 30)).astype(np.float32), rng.integers(0, 30, 40)
    truth = bulk.evaluate("cross_entropy", x, t, dtype="float32", wrt=("logits",))
    good = truth.grads["logits"].astype(np.float32)
    args = truth.grads["logits"], truth.grad_scales["logits"], "float32"
    assert np.max(compare.ulp_errors(good, *args)) <= compare.ROUNDING
    assert np.min(compare.ulp_errors(step(good, 1), *args)) >= compare.ROUNDING


@needs_bits
def test_what_bulk_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="log_cosh"):
        bulk.evaluate("log_cosh", LOGITS, PROBS, dtype="float64")
    with pytest.raises(ValueError, match="labels"):
        bulk.evaluate("cross_entropy", LOGITS, SHARES, dtype="float64", wrt=("labels",))
    with pytest.raises(TypeError, match="gamma"):
        bulk.evaluate("cross_entropy", LOGITS, SHARES, dtype="float64", gamma=2.0)
    with pytest.raises(ValueError, match="index labels"):
        bulk.evaluate("sparse_softmax_cross_entropy", LOGITS, INDEX[:2], dtype="float64")


def test_bulk_refuses_where_longdouble_is_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_BITS", np.finfo(np.float64).nmant + 1)
    with pytest.raises(NotImplementedError, match="53 bits"):
        bulk.evaluate("cross_entropy", LOGITS, INDEX, dtype="float64")
