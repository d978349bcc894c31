"""Values and derivatives against an oracle that shares no code with the library, in ulp."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_case, assert_within
from tests.cases import (
    CASES,
    Array,
    Case,
    compute_dtype,
    need_dtype,
    own_gradient,
    rng,
    select,
)
from xentropy.parity import bulk, compare, oracle
from xentropy.parity.oracle import mp
from xentropy.testing import Harness, load_harness

_mpf: Any = np.frompyfunc(mp.mpf, 1, 1)


def _named(*names: str) -> list[Case]:
    by_name = {case.name: case for case in CASES}
    return [by_name[name] for name in names]


def exact(array: Any) -> Array:
    """Return floats as mpf."""
    return np.asarray(_mpf(np.asarray(array, np.float64).astype(object)), dtype=object)


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

REDUCED = _named(
    "softmax index everything",
    "softmax dense everything",
    "softmax index class weight",
    "softmax ignore 5",
    "softmax dense where nothing",
    "sigmoid everything",
    "poly index everything",
    "huber weights",
)
DENOMINATORS = {"sum": None, "mean": None, "denominator": 1536.0}


def _weight_slope(case: Case, dtype: str, name: str) -> Array:
    """Return the gradient of the sum of the weights, which is linear in every argument."""
    at = exact(case.inputs(dtype)[name])

    def weight(replaced: Array) -> Any:
        truth = case.truth(dtype, **{name: replaced})
        return sum(truth.weight.reshape(-1).tolist(), mp.zero)

    slope, before = np.empty_like(at), weight(at)
    for i in np.ndindex(at.shape):
        bumped = at.copy()
        bumped[i] = at[i] + 1
        slope[i] = weight(bumped) - before
    return slope


@functools.cache
def _reduced(
    case: Case, dtype: str, reduction: str
) -> tuple[Any, Any, dict[str, Array], dict[str, Array]]:
    """Return the true reduced loss and gradients, each with its scale."""
    truth = case.truth(dtype)
    total, size = (
        sum(np.asarray(v).reshape(-1).tolist(), mp.zero) for v in (truth.value, truth.value_scale)
    )
    if reduction == "sum":
        return total, size, truth.grads, truth.grad_scales
    fixed = DENOMINATORS[reduction]
    value = oracle.reduce(truth, "mean", fixed)
    weight = sum(truth.weight.reshape(-1).tolist(), mp.zero) if fixed is None else mp.mpf(fixed)
    if weight == 0:
        zeros = {name: g * 0 for name, g in truth.grads.items()}
        return value, value, zeros, zeros
    grads, scales = {}, {}
    for name in case.wrt:
        moves = fixed is None and name in ("sample_weight", "class_weight", "labels")
        slope = _weight_slope(case, dtype, name) if moves else truth.grads[name] * 0
        grads[name] = (truth.grads[name] - value * slope) / weight
        scales[name] = (truth.grad_scales[name] + size / weight * np.abs(slope)) / weight
    return value, size / weight, grads, scales


@pytest.mark.parametrize("reduction", DENOMINATORS)
@pytest.mark.parametrize("case", REDUCED, ids=str)
def test_sums_and_means(harness: Harness, case: Case, reduction: str) -> None:
    dtype = case.dtypes[0]
    fixed, name = DENOMINATORS[reduction], {"denominator": "mean"}.get(reduction, reduction)
    value, grads = case.value_and_grads(harness, dtype, reduction=name, denominator=fixed)
    true, scale, true_grads, grad_scales = _reduced(case, dtype, reduction)
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
    total, scale, _, _ = _reduced(case, dtype, "sum")
    assert isinstance(part, xentropy.Mean)
    for got, true, size in ((part.total, total, scale), (part.weight, weight, abs(weight))):
        assert harness.numpy(got).dtype.name == "float64"
        true, size = (np.asarray(v, object) for v in (true, size))
        assert_within(harness.numpy(got), true, size, bound.value, wide)
    mean, size, _, _ = _reduced(case, dtype, "mean")
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
    true, scale, true_grads, scales = _reduced(case, "float32", "mean")
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
    "vocabulary": ("sparse_softmax_cross_entropy", (3, 131072), "index", {}),
    "vocabulary smoothing": (
        "cross_entropy",
        (2, 131072),
        "index",
        {"label_smoothing": 0.1, "z_loss": 1e-4},
    ),
    "vocabulary dense": ("softmax_cross_entropy", (2, 131072), "dense", {}),
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
    assert_within(harness.numpy(value), truth.value, truth.value_scale, bound.value)
    assert_within(harness.numpy(grad), truth.grads[first], truth.grad_scales[first], bound.gradient)


# --- forward mode, second order, maps ---------------------------------------------------------


def assert_forward_mode(harness: Harness, transform: Callable[..., Any], case: Case) -> None:
    """The tangents of the losses add up to the gradient, contracted."""
    dtype, r = case.dtypes[0], rng(f"tangents {case.name}")
    given, inputs = case.give(harness, dtype), case.inputs(dtype)
    directions = {k: r.normal(size=inputs[k].shape).astype(inputs[k].dtype) for k in case.wrt}

    def f(*moving: Any) -> Any:
        return case.function()(*{**given, **dict(zip(case.wrt, moving, strict=True))}.values())

    tangent = harness.numpy(
        transform(
            f, tuple(given[k] for k in case.wrt), tuple(map(harness.array, directions.values()))
        )
    )
    truth, bound = case.truth(dtype), compare.bound(case.loss, case.options)
    assert tangent.shape == truth.value.shape
    pairs = [(truth.grads[k], truth.grad_scales[k], exact(v)) for k, v in directions.items()]
    want = sum(np.sum(g * v, initial=mp.zero) for g, _, v in pairs)
    size = sum(np.sum(s * np.abs(v), initial=mp.zero) for _, s, v in pairs)
    got = np.asarray(np.sum(tangent, dtype=np.float64))
    assert_within(
        got, np.asarray(want, object), np.asarray(size, object), bound.gradient, tangent.dtype.name
    )


def _small() -> list[Case]:
    """Two rows of three classes: every second derivative costs two evaluations of the oracle."""
    r = rng("second order")
    x, q = 2 * r.normal(size=(2, 3)), r.uniform(0.5, 2, 3)
    index, dense, e = np.array([2, 0]), r.dirichlet(np.ones(3), 2), r.normal(size=(2, 3))
    softmax: dict[str, Array] = {"logits": x, "labels": index, "class_weight": q}
    two = {"label_smoothing": 0.1, "z_loss": 0.05}
    given: list[tuple[str, dict[str, Array], dict[str, Any]]] = [
        ("sparse_softmax_cross_entropy", {"logits": x, "labels": index}, {}),
        ("cross_entropy", softmax, two),
        ("softmax_cross_entropy", {"logits": x, "labels": 2 * dense}, {}),
        ("poly_cross_entropy", softmax, two),
        ("softmax_focal_cross_entropy", {"logits": x, "labels": dense}, {"gamma": 1.5}),
        ("kl_divergence", {"logits": x, "labels": dense}, {"temperature": 2.0}),
        ("sigmoid_cross_entropy", {"logits": x, "labels": dense, "pos_weight": q}, {}),
        ("sigmoid_focal_cross_entropy", {"logits": x, "labels": dense}, {"gamma": 1.5}),
        ("squared_error", {"predictions": x, "targets": e}, {}),
        ("log_cosh", {"predictions": x, "targets": e}, {}),
        ("huber", {"predictions": x, "targets": e}, {}),
        ("binary_cross_entropy", {"probs": dense, "labels": e > 0}, {}),
    ]
    return [Case(loss, loss, a, o, wrt=(next(iter(a)),)) for loss, a, o in given]


def _differences(case: Case) -> Array:
    """Return the second derivative by the predictions: differences of the oracle's gradient."""
    at, h, columns = exact(case.arrays[case.first]), mp.mpf(10) ** -18, []
    for i in np.ndindex(at.shape):
        slopes = []
        for step in (h, -h):
            x = at.copy()
            x[i] = at[i] + step
            slopes.append(case.truth("float64", **{case.first: x}).grads[case.first])
        columns.append((slopes[0] - slopes[1]) / (2 * h))
    return np.stack(columns, axis=-1).reshape(at.shape * 2)


def assert_second_order(harness: Harness, transform: Callable[..., Any], case: Case) -> None:
    """Relative to the largest entry."""
    first, *others = case.give(harness, "float64").values()
    hessian = harness.numpy(transform(lambda x: case.function(reduction="sum")(x, *others), first))
    want, bound = _differences(case), compare.bound(case.loss, case.options)
    assert_within(hessian, want, np.full_like(want, np.abs(want).max()), bound.gradient)


def _with_zeros() -> list[Case]:
    """Losses whose second argument of ``wrt``, a weight or labels, is 0 in places."""
    r = rng("mixed")
    x, index = r.normal(size=(2, 3)), np.array([2, 0])
    probs, s, q = r.dirichlet(np.ones(3), 2), np.array([0.0, 1.5]), np.array([0.0, 2.0, 1.0])
    one_hot, each = np.eye(3)[index], np.outer([1.0, 0.5], q)
    given: list[tuple[str, dict[str, Array], dict[str, Any]]] = [
        ("sparse_softmax_cross_entropy", {"logits": x, "labels": index, "sample_weight": s}, {}),
        ("cross_entropy", {"logits": x, "labels": index, "class_weight": q}, {}),
        ("softmax_cross_entropy", {"logits": x, "labels": one_hot}, {"z_loss": 0.1}),
        ("kl_divergence", {"logits": x, "labels": one_hot}, {}),
        ("categorical_cross_entropy", {"probs": probs, "labels": one_hot}, {}),
        ("binary_cross_entropy", {"probs": probs, "labels": one_hot}, {}),
        ("sigmoid_cross_entropy", {"logits": x, "labels": one_hot, "pos_weight": q}, {}),
        ("squared_error", {"predictions": x, "targets": probs, "sample_weight": each}, {}),
    ]
    return [
        Case(f"{loss} by {list(a)[-1]}", loss, a, o, wrt=(next(iter(a)), list(a)[-1]))
        for loss, a, o in given
    ]


def assert_mixed(harness: Harness, transform: Callable[..., Any], case: Case) -> None:
    """The derivative by a weight of the gradient by the predictions, and the other way round."""
    given = case.give(harness, "float64")
    at, by = (case.arrays[name] for name in case.wrt)
    reshape = xentropy.backend_of(given[case.first]).xp.reshape

    def f(both: Any) -> Any:
        parts = (reshape(both[: at.size], at.shape), reshape(both[at.size :], by.shape))
        moved = {**given, **dict(zip(case.wrt, parts, strict=True))}
        return case.function(reduction="sum")(*moved.values())

    both = np.concatenate([at.ravel(), by.ravel()])
    hessian = harness.numpy(transform(f, harness.array(both)))
    still, h, columns = case.truth("float64").grads[case.first], mp.mpf(10) ** -18, []
    for i in np.ndindex(by.shape):  # the gradient is linear in a weight and in a label
        step = exact(by)
        step[i] += h
        moved = case.truth("float64", **{case.wrt[1]: step}).grads[case.first]
        columns.append(((moved - still) / h).ravel())
    want = np.stack(columns, axis=-1)
    size = np.full_like(want, np.abs(want).max())
    bound = compare.bound(case.loss, case.options).gradient
    assert_within(hessian[: at.size, at.size :], want, size, bound)
    assert_within(hessian[at.size :, : at.size].T, want, size, bound)


def assert_mapped(harness: Harness, transform: Callable[..., Any], case: Case) -> None:
    """A batch of calls at once, each with its own value and gradient."""
    dtype = case.dtypes[0]
    names = tuple(case.arrays)[:2]
    inputs = case.inputs(dtype)
    rest = {k: harness.array(v) for k, v in inputs.items() if k not in names}
    batches = {k: np.stack([inputs[k], np.flip(inputs[k], 0), inputs[k]]) for k in names}
    grad = xentropy.value_and_grad(getattr(xentropy, case.loss))

    def one(*arrays: Any) -> Any:
        return grad(*arrays, **rest, **case.options)

    values, grads = transform(one)(*(harness.array(b) for b in batches.values()))
    for i in range(3):
        arrays = {
            **case.arrays,
            **{
                k: b[i].astype(np.float64 if b.dtype.kind == "f" else int)
                for k, b in batches.items()
            },
        }
        single = Case(case.name, case.loss, arrays, case.options, case.wrt[:1])
        assert_case(single, dtype, harness.numpy(values)[i], {case.first: harness.numpy(grads)[i]})


def _at_zero(case: Case) -> Case:
    arrays = {**case.arrays, case.first: np.zeros_like(case.arrays[case.first])}
    return Case(f"{case.name} at zero", case.loss, arrays, case.options, case.wrt)


TRANSFORMED: list[tuple[str, Callable[..., None], list[Case]]] = [
    (
        "jvp",
        assert_forward_mode,
        _named(
            "softmax index everything",
            "softmax dense everything",
            "softmax focal index 2.0 scale 10",
            "kl 2.5 scale 10",
            "sigmoid everything",
            "sigmoid focal alpha (7,) soft",
            "binary uniform soft 0.2",
            "huber 0.1 scale 1",
            "logsumexp axis",
            "log_softmax axis",
        ),
    ),
    (
        "hessian",
        assert_second_order,
        [*_small(), *(_at_zero(c) for c in _small()[::3] if c.first == "logits")],
    ),
    ("hessian", assert_mixed, _with_zeros()),
    (
        "vmap",
        assert_mapped,
        _named(
            "softmax index everything",
            "softmax dense everything",
            "softmax ignore 5",
            "softmax focal index 2.0 scale 10",
            "sigmoid everything",
            "binary uniform soft 0.2",
            "huber 0.1 scale 1",
        ),
    ),
]


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
