"""Values and derivatives against an oracle that shares no code with the library, in ulp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_bits, assert_case, assert_true, assert_within
from tests.cases import (
    CASES,
    Array,
    Case,
    compute_dtype,
    named,
    narrow,
    need_dtype,
    own_gradient,
    rng,
    select,
)
from tests.derivatives import TRANSFORMED
from tests.drawn import call
from tests.reduced import DENOMINATORS, reduced
from xentropy.parity import bulk, compare
from xentropy.parity.oracle import mp
from xentropy.testing import Harness, load_harness


@pytest.mark.parametrize(("case", "dtype"), select(), ids=str)
def test_values_and_gradients(harness: Harness, case: Case, dtype: str) -> None:
    need_dtype(harness, dtype)
    value, grads = case.value_and_grads(harness, dtype)
    assert_case(case, dtype, harness.numpy(value), {k: harness.numpy(g) for k, g in grads.items()})


@pytest.mark.parametrize("case", [case for case in CASES if case.compiled], ids=str)
def test_every_mode(harness: Harness, mode: str, case: Case) -> None:
    """The value alone, and the gradient by the framework's own reverse mode."""
    f, given = harness.modes[mode](case.function()), case.give(harness, "float32")
    value, grads = f(*given.values()), own_gradient(harness, f, given, case.wrt)
    assert_case(case, "float32", harness.numpy(value), grads)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_would_be_seen(case: Case) -> None:
    """A fault of twice the bound is above it, in the largest loss and gradient of every case."""
    dtype = case.dtypes[0]
    truth, bound = case.truth(dtype), compare.bound(case.loss, case.options)
    value = np.asarray(truth.value, dtype=np.float64).astype(compute_dtype(dtype))
    assert_case(case, dtype, value, {})
    if not np.any(truth.value_scale > 0):
        return
    scale = np.asarray(truth.value_scale).reshape(-1)
    at = np.where(scale < mp.inf, scale, 0).argmax()
    bad = np.atleast_1d(value.copy()).reshape(-1)
    step = compare.ulp(scale[at], value.dtype.name)
    bad[at] += np.copysign(2 * np.ceil(bound.value) * step, bad[at])
    with pytest.raises(AssertionError, match="ulp, at most"):
        assert_case(case, dtype, bad.reshape(value.shape), {})


# --- reductions -------------------------------------------------------------------------------

REDUCED = named(
    "softmax index everything",
    "softmax dense everything",
    "softmax index class weight",
    "softmax ignore 5",
    "softmax dense where nothing",
    "sigmoid everything",
    "poly index everything",
    "huber weights",
)


@pytest.mark.parametrize("reduction", DENOMINATORS)
@pytest.mark.parametrize("case", REDUCED, ids=str)
def test_sums_and_means(harness: Harness, case: Case, reduction: str) -> None:
    dtype = case.dtypes[0]
    fixed, name = DENOMINATORS[reduction], {"denominator": "mean"}.get(reduction, reduction)
    value, grads = case.value_and_grads(harness, dtype, reduction=name, denominator=fixed)
    true, scale, true_grads, grad_scales = reduced(case, dtype, reduction)
    bound, got = compare.bound(case.loss, case.options), harness.numpy(value)
    assert got.shape == ()
    assert got.dtype.name == compute_dtype(dtype)
    assert_within(got, np.asarray(true, object), np.asarray(scale, object), bound.value)
    for wrt, grad in grads.items():
        assert_within(harness.numpy(grad), true_grads[wrt], grad_scales[wrt], bound.gradient)


@pytest.mark.parametrize("case", REDUCED, ids=str)
def test_partial_sums(harness: Harness, case: Case) -> None:
    dtype = case.dtypes[0]
    part, grads = case.value_and_grads(harness, dtype, reduction="partial")
    truth, bound = case.truth(dtype), compare.bound(case.loss, case.options)
    wide, weight = compute_dtype(dtype), np.sum(truth.weight, initial=mp.zero)
    total, scale, _, _ = reduced(case, dtype, "sum")
    assert isinstance(part, xentropy.Mean)
    for got, true, size in ((part.total, total, scale), (part.weight, weight, abs(weight))):
        assert harness.numpy(got).dtype.name == "float64"
        true, size = (np.asarray(v, object) for v in (true, size))
        assert_within(harness.numpy(got), true, size, bound.value, wide)
    mean, size, _, _ = reduced(case, dtype, "mean")
    value, perplexity = harness.numpy(part.value()), harness.numpy(part.perplexity())
    assert value.dtype.name == perplexity.dtype.name == wide
    assert_within(value, np.asarray(mean, object), np.asarray(size, object), bound.value)
    true, size = mp.exp(mean), mp.exp(mean) * max(1, size)
    assert_within(perplexity, np.asarray(true, object), np.asarray(size, object), bound.value)
    for wrt, grad in grads.items():
        assert_within(harness.numpy(grad), truth.grads[wrt], truth.grad_scales[wrt], bound.gradient)


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error"])
def test_means_of_errors(harness: Harness, loss: str) -> None:
    r = rng(loss)
    arrays = {
        "predictions": r.normal(size=(4, 7)),
        "targets": r.normal(size=(4, 7)),
        "sample_weight": r.uniform(size=(4, 1)),
        "where": r.integers(0, 3, (4, 7)) > 0,
    }
    case = Case(loss, loss, arrays, wrt=("predictions", "targets", "sample_weight"))
    value, grads = case.value_and_grads(harness, "float32")
    true, scale, true_grads, scales = reduced(case, "float32", "mean")
    bound = compare.bound(loss, {})
    true, scale = np.asarray(true, object), np.asarray(scale, object)
    assert_within(harness.numpy(value), true, scale, bound.value)
    for wrt, grad in grads.items():
        assert_within(harness.numpy(grad), true_grads[wrt], scales[wrt], bound.gradient)


def test_the_mean_of_many_equal_losses(harness: Harness) -> None:
    many = harness.array(np.full(10**7, 0.3, np.float32))
    one = harness.numpy(xentropy.sigmoid_cross_entropy(many[:1], 1.0))[0]
    mean = harness.numpy(xentropy.sigmoid_cross_entropy(many, 1.0, reduction="mean"))
    assert np.nextafter(one, np.float32(0)) <= mean <= np.nextafter(one, np.float32(np.inf))


# --- in bulk ----------------------------------------------------------------------------------

BULK: dict[str, tuple[str, tuple[int, ...], str, dict[str, Any]]] = {
    # loss, shape, kind of labels, options
    "vocabulary": ("sparse_softmax_cross_entropy", (3, 1_000_003), "index", {}),
    "vocabulary smoothing": (
        "cross_entropy",
        (2, 200_003),
        "index",
        {"label_smoothing": 0.1, "z_loss": 1e-4},
    ),
    "vocabulary dense": ("softmax_cross_entropy", (2, 200_003), "dense", {}),
    "many rows": ("sparse_softmax_cross_entropy", (65537, 3), "index", {}),
    "prime": ("sparse_softmax_cross_entropy", (61, 4099), "index", {}),
    "first axis": ("cross_entropy", (50257, 3), "index", {"axis": 0}),
    "middle axis": (
        "softmax_cross_entropy",
        (3, 1031, 17),
        "dense",
        {"axis": 1, "label_smoothing": 0.3},
    ),
    "two columns": ("sparse_softmax_cross_entropy", (4097, 2), "index", {}),
    "sigmoid": ("sigmoid_cross_entropy", (1031, 131), "binary", {}),
    "huber": ("huber", (100003,), "binary", {"delta": 0.7}),
}
needs_bits = pytest.mark.skipif(
    not bulk.supported(), reason="np.longdouble is float64 here, see xentropy.parity.bulk"
)


@needs_bits
@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, "float32") for name in BULK] + [("vocabulary", "float64"), ("first axis", "float64")],
)
def test_in_bulk(harness: Harness, name: str, dtype: str) -> None:
    need_dtype(harness, dtype)
    loss, shape, kind, options = BULK[name]
    r, axis = rng(name), options.get("axis", -1)
    x = (8 * r.normal(size=shape)).astype(dtype)
    batch = tuple(np.delete(shape, axis).tolist())
    labels: dict[str, Callable[[], Array]] = {
        "index": lambda: r.integers(0, shape[axis], batch),
        "dense": lambda: (r.uniform(size=shape) / shape[axis]).astype(dtype),
        "binary": lambda: r.integers(0, 2, shape).astype(dtype),
    }
    t = labels[kind]()
    value, grad = xentropy.value_and_grad(getattr(xentropy, loss))(
        harness.array(x), harness.array(t), **options
    )
    first = "predictions" if loss == "huber" else "logits"
    truth, bound = (
        bulk.evaluate(loss, x, t, dtype=dtype, wrt=(first,), **options),
        compare.bound(loss, options),
    )
    assert_true(truth, bound, harness.numpy(value), {first: harness.numpy(grad)})


SHIFTS = (8.0, -8.0, 1000.0)
LABELS: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "index": lambda r, rows, n: r.integers(0, n, rows),
    "dense": lambda r, rows, n: r.dirichlet(np.ones(n), rows),
}


@needs_bits
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [256, 4099, 70000])
def test_a_constant_added_in_bulk(
    harness: Harness, n: int, dtype: str, kind: str, smoothing: float
) -> None:
    """It moves no result out of its bounds, and no bit where differences are all that is used."""
    need_dtype(harness, dtype)
    r = rng(f"constant {n}")
    x = (r.integers(-512, 513, (3, n)) / 64).astype(dtype)
    t = narrow(LABELS[kind](r, *x.shape), dtype)
    loss, options = "cross_entropy", {"label_smoothing": smoothing}
    truth = bulk.evaluate(loss, x, t, dtype=dtype, wrt=("logits",), **options)
    value, grad = call(harness, loss, x, t, options)
    assert_true(truth, compare.bound(loss, options), value, {"logits": grad})
    for shift in SHIFTS:
        np.testing.assert_array_equal((x + shift) - shift, x)  # not a digit is lost
        moved = call(harness, loss, x + shift, t, options)
        assert_true(truth, compare.bound(loss, options), moved[0], {"logits": moved[1]})
        if not takes_exponentials_of_logits(harness, dtype):
            assert_bits(moved, (value, grad))


def takes_exponentials_of_logits(harness: Harness, dtype: str) -> bool:
    """Whether long rows are not counted from their maximum: see `xentropy.kernels.blocked_sums`."""
    kernels = xentropy.backend_of(harness.array(np.zeros(1, dtype))).kernels()
    return "numpy" in kernels and dtype == "float32"


# --- forward mode, second order, maps ---------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Pair the transforms that the framework has with their cases."""
    if "moved" in metafunc.fixturenames:
        name = str(metafunc.config.getoption("--backends"))
        has = () if name == "none" else load_harness(name).transforms
        rows = [
            (how, body, case) for how, body, cases in TRANSFORMED if how in has for case in cases
        ]
        metafunc.parametrize("moved", rows, ids=lambda row: f"{row[0]}-{row[2]}")


def test_transforms(harness: Harness, moved: tuple[str, Callable[..., None], Case]) -> None:
    """Forward mode, second order and maps, as far as the framework has them."""
    how, assert_derivatives, case = moved
    assert_derivatives(harness, harness.transforms[how], case)
