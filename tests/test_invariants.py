"""Laws that hold for any input: what may change nothing changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xentropy
from tests.asserts import assert_bits, assert_within
from tests.cases import Array, narrow, need_dtype, single
from xentropy.parity import compare, oracle
from xentropy.testing import Harness

N, C = 6, 5
SHARES = np.ones(C)

few = settings(
    derandomize=True,
    max_examples=8,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
"""A compiler takes part of a second for every new combination of options."""

seeds = st.integers(0, 2**32 - 1)


def draw_logits(seed: int, shape: tuple[int, ...] = (N, C)) -> tuple[np.random.Generator, Array]:
    """Return random numbers, and logits of a random scale."""
    r = np.random.default_rng(seed)
    return r, (10 ** r.uniform(-1, 1.5) * r.normal(size=shape)).astype(np.float32)


def call(
    harness: Harness, loss: str, x: Array, t: Any, options: dict[str, Any], wrt: str | int = 0
) -> tuple[Array, Array]:
    """Return the loss and its gradient, arrays passed as those of the framework."""
    f = xentropy.value_and_grad(getattr(xentropy, loss), wrt)
    arrays = {k: harness.array(v) for k, v in options.items() if isinstance(v, np.ndarray)}
    value, grad = f(harness.array(x), harness.array(t), **{**options, **arrays})
    return harness.numpy(value), harness.numpy(grad)


# --- two spellings of one label ---------------------------------------------------------------

OPTIONS: dict[str, Callable[[np.random.Generator], Any]] = {
    "class_weight": lambda r: r.uniform(0.5, 2, C).astype(np.float32),
    "class_mask": lambda r: np.arange(C) != r.integers(1, C),
    "label_smoothing": lambda r: float(r.uniform()),
    "z_loss": lambda r: float(r.uniform(0, 0.1)),
    "sample_weight": lambda r: r.uniform(0, 2, N).astype(np.float32),
    "where": lambda r: r.integers(0, 3, N) > 0,
}
SPELLINGS = {
    "cross_entropy": tuple(OPTIONS),
    "poly_cross_entropy": tuple(OPTIONS),
    "softmax_focal_cross_entropy": ("sample_weight", "where"),
    "categorical_cross_entropy": ("class_weight", "label_smoothing", "sample_weight", "where"),
}


@few
@given(seed=seeds, loss=st.sampled_from(list(SPELLINGS)), flags=st.integers(0, 2**6 - 1))
def test_one_hot_is_index(harness: Harness, seed: int, loss: str, flags: int) -> None:
    """Under every combination of options both are what the oracle says of the index."""
    r, x = draw_logits(seed)
    names = [name for i, name in enumerate(SPELLINGS[loss]) if flags >> i & 1]
    options = {name: OPTIONS[name](r) for name in names}
    index = np.zeros(N, np.int64) if "class_mask" in names else r.integers(0, C, N)
    sparse, first = loss, "logits"
    if loss.startswith("categorical"):
        x, sparse, first = single(1 / (1 + np.exp(-x))), f"sparse_{loss}", "probs"
    truth = oracle.evaluate(sparse, x, index, dtype="float32", wrt=(first,), **options)
    bound = compare.bound(loss, options)
    one_hot = np.eye(C, dtype=np.float32)[index]
    for name, labels in ((sparse, index), (loss, one_hot), (loss, one_hot.astype(bool))):
        value, grad = call(harness, name, x, labels, options)
        assert_within(value, truth.value, truth.value_scale, bound.value)
        assert_within(grad, truth.grads[first], truth.grad_scales[first], bound.gradient)


@few
@given(
    seed=seeds, k=st.sampled_from((-100, -1, 0, 3, 99)), dtype=st.sampled_from(("int64", "int8"))
)
def test_ignore_index_is_where(harness: Harness, seed: int, k: int, dtype: str) -> None:
    r, x = draw_logits(seed)
    out = r.integers(0, 2, N).astype(bool)
    labels = np.where(out, k, r.integers(0, C, N)).astype(dtype)
    for loss, reduction in itertools.product(
        ("sparse_softmax_cross_entropy", "softmax_focal_cross_entropy"), ("none", "mean")
    ):
        a = call(harness, loss, x, labels, {"ignore_index": k, "reduction": reduction})
        b = call(harness, loss, x, labels, {"where": labels != k, "reduction": reduction})
        assert_bits(a, b)


# --- symmetries -------------------------------------------------------------------------------

DENSE = {
    "softmax_cross_entropy": {},
    "softmax_focal_cross_entropy": {"gamma": 1.5},
    "poly_cross_entropy": {"epsilon": 2.0},
    "kl_divergence": {"temperature": 2.0},
}


@few
@given(seed=seeds, loss=st.sampled_from(list(DENSE)), power=st.integers(-8, 14))
def test_a_constant_added_to_all_logits(harness: Harness, seed: int, loss: str, power: int) -> None:
    """It changes no bit where the sum is exact."""
    r = np.random.default_rng(seed)
    x = (r.integers(-1000, 1000, (N, C)) / 128).astype(np.float32)
    shift = np.float32(r.choice([-1.0, 1.0]) * np.ldexp(float(r.integers(1, 64)), power - 7))
    np.testing.assert_array_equal((x + shift).astype(np.float64), x + np.float64(shift))
    index = r.integers(0, C, N)
    shares = r.dirichlet(SHARES, N).astype(np.float32)
    sparse = "sparse_softmax_cross_entropy"
    for name, labels, options in ((loss, shares, DENSE[loss]), (sparse, index, {})):
        moved = call(harness, name, x + shift, labels, options)
        assert_bits(moved, call(harness, name, x, labels, options))


@few
@given(seed=seeds, loss=st.sampled_from(list(DENSE)))
def test_the_order_of_the_classes(harness: Harness, seed: int, loss: str) -> None:
    r, x = draw_logits(seed)
    order, options = r.permutation(C), DENSE[loss]
    shares = r.dirichlet(SHARES, N).astype(np.float32)
    truth = oracle.evaluate(loss, x, shares, dtype="float32", wrt=("logits",), **options)
    bound = compare.bound(loss, options)
    value, grad = call(harness, loss, x[:, order], shares[:, order], options)
    assert_within(value, truth.value, truth.value_scale, bound.value)
    assert_within(
        grad, truth.grads["logits"][:, order], truth.grad_scales["logits"][:, order], bound.gradient
    )


@few
@given(seed=seeds)
def test_the_order_of_the_examples(harness: Harness, seed: int) -> None:
    """Every row is computed by itself."""
    r, x = draw_logits(seed)
    order, labels = r.permutation(N), r.integers(0, C, N)
    loss, options = "sparse_softmax_cross_entropy", {"label_smoothing": 0.1, "z_loss": 0.01}
    truth = oracle.evaluate(loss, x, labels, dtype="float32", wrt=("logits",), **options)
    bound = compare.bound(loss, options)
    value, grad = call(harness, loss, x[order], labels[order], options)
    assert_within(value, truth.value[order], truth.value_scale[order], bound.value)
    assert_within(
        grad, truth.grads["logits"][order], truth.grad_scales["logits"][order], bound.gradient
    )


@few
@given(seed=seeds, axis=st.sampled_from((0, 1, -1)))
def test_the_place_of_the_class_axis(harness: Harness, seed: int, axis: int) -> None:
    _, x = draw_logits(seed, (3, 4, C))
    r = np.random.default_rng(seed)
    shares = r.dirichlet(SHARES, (3, 4)).astype(np.float32)
    truth = oracle.evaluate("softmax_cross_entropy", x, shares, dtype="float32", wrt=("logits",))
    bound = compare.bound("softmax_cross_entropy", {})
    logits, labels = (np.moveaxis(v, -1, axis) for v in (x, shares))
    value, grad = call(harness, "softmax_cross_entropy", logits, labels, {"axis": axis})
    assert_within(value, truth.value, truth.value_scale, bound.value)
    g, scale = truth.grads["logits"], truth.grad_scales["logits"]
    assert_within(np.moveaxis(grad, axis, -1), g, scale, bound.gradient)


# --- parts of a batch -------------------------------------------------------------------------


@few
@given(seed=seeds, cuts=st.sampled_from(((3,), (2, 4), (0, 6))))
def test_any_split_is_the_whole(harness: Harness, seed: int, cuts: tuple[int, ...]) -> None:
    """Partial sums add up, and so do means by a common denominator and their gradients."""
    loss, (r, x) = "sparse_softmax_cross_entropy", draw_logits(seed)
    labels = r.integers(0, C, N)
    shared = {"class_weight": OPTIONS["class_weight"](r), "label_smoothing": 0.1}
    each = {"sample_weight": r.uniform(0, 2, N).astype(np.float32), "where": np.arange(N) != 1}
    options = {**shared, **each}
    truth = oracle.evaluate(loss, x, labels, dtype="float32", wrt=("logits",), **options)
    bound, mean = compare.bound(loss, options), oracle.reduce(truth, "mean")
    weight = float(sum(truth.weight.tolist()))
    parts, means, grads = [], [], []
    for rows in (slice(a, b) for a, b in itertools.pairwise((0, *cuts, N))):
        arrays = {
            k: harness.array(v)
            for k, v in {**shared, **{k: v[rows] for k, v in each.items()}}.items()
            if isinstance(v, np.ndarray)
        }
        given = {**options, **arrays}
        f = getattr(xentropy, loss)
        parts.append(
            f(harness.array(x[rows]), harness.array(labels[rows]), **given, reduction="partial")
        )
        value, grad = xentropy.value_and_grad(f)(
            harness.array(x[rows]),
            harness.array(labels[rows]),
            **given,
            reduction="mean",
            denominator=weight,
        )
        means.append(harness.numpy(value))
        grads.append(harness.numpy(grad))
    whole, whole_grad = call(harness, loss, x, labels, {**options, "reduction": "mean"})
    true, scale = np.asarray(mean, object), np.asarray(mean, object)
    total: Any = sum(parts)
    for got in (harness.numpy(total.value()), whole):
        assert_within(got, true, scale, bound.value)
    assert_within(np.asarray(np.sum(means, dtype=np.float64)), true, scale, bound.value, "float32")
    g, size = (v["logits"] / oracle.mp.mpf(weight) for v in (truth.grads, truth.grad_scales))
    for got in (np.concatenate(grads), whole_grad):
        assert_within(got, g, size, bound.gradient)


def test_partial_sums_of_no_parts(harness: Harness) -> None:
    """The built-in sum starts from 0, and an empty part adds nothing."""
    none = xentropy.squared_error(harness.array(np.zeros(0, np.float32)), 0.0, reduction="partial")
    some = xentropy.squared_error(harness.array(np.ones(2, np.float32)), 0.0, reduction="partial")
    parts: tuple[Any, ...] = (none + some, sum([none, some]), sum([some]))
    for part in parts:
        assert harness.numpy(part.value()) == 1
    assert harness.numpy(none.value()) == 0


# --- examples that are left out ---------------------------------------------------------------

RUBBISH = (np.nan, np.inf, -np.inf, 3e38)
OUT: dict[str, Callable[[Array], dict[str, Any]]] = {
    "where": lambda out: {"where": ~out},
    "sample_weight": lambda out: {"sample_weight": single(~out)},
}
BY_ROW: list[tuple[str, dict[str, Any], str]] = [
    ("sparse_softmax_cross_entropy", {}, "index"),
    ("cross_entropy", {"label_smoothing": 0.1, "z_loss": 0.01}, "index"),
    ("cross_entropy", {"class_weight": single([1, 0, 2, 1, 3])}, "index"),
    ("softmax_cross_entropy", {}, "shares"),
    ("softmax_focal_cross_entropy", {"gamma": 0.5}, "index"),
    ("poly_cross_entropy", {}, "index"),
    ("kl_divergence", {"temperature": 2.0}, "shares"),
    ("sparse_categorical_cross_entropy", {}, "index"),
    ("categorical_cross_entropy", {}, "shares"),
]


@few
@given(seed=seeds, how=st.sampled_from(list(OUT)))
@pytest.mark.parametrize("case", BY_ROW, ids=lambda case: f"{case[0]} {'+'.join(case[1])}")
def test_rows_left_out_hold_anything(
    harness: Harness, case: tuple[str, dict[str, Any], str], seed: int, how: str
) -> None:
    """Their loss and gradient are 0, and no bit of the others changes."""
    loss, options, kind = case
    r, x = draw_logits(seed)
    x = np.abs(x) / (1 + np.abs(x).max()) if "categorical" in loss else x
    labels: Array = (
        r.integers(0, C, N) if kind == "index" else r.dirichlet(SHARES, N).astype(np.float32)
    )
    out = np.arange(N) == r.integers(0, N)
    out |= r.integers(0, 2, N).astype(bool)
    given = {**options, **OUT[how](out)}
    clean = call(harness, loss, x, labels, given)
    dirty, wrong = x.copy(), labels.copy()
    dirty[out] = r.choice(RUBBISH, (int(out.sum()), C)).astype(np.float32)
    wrong[out] = r.choice([-1, C, 2**40]) if kind == "index" else single(r.choice(RUBBISH[:3]))
    assert_bits(call(harness, loss, dirty, wrong, given), clean)
    for got in clean:
        assert np.all(got[out] == 0)
    mean = {**given, "reduction": "mean"}
    assert_bits(call(harness, loss, dirty, wrong, mean), call(harness, loss, x, labels, mean))


BY_NUMBER: list[tuple[str, dict[str, Any]]] = [
    ("sigmoid_cross_entropy", {"pos_weight": 3.0}),
    ("sigmoid_focal_cross_entropy", {"gamma": 0.5}),
    ("binary_cross_entropy", {}),
    ("squared_error", {}),
    ("absolute_error", {}),
    ("log_cosh", {}),
    ("huber", {}),
    ("smooth_l1", {"beta": 0.0}),
]


@few
@given(seed=seeds, how=st.sampled_from(list(OUT)))
@pytest.mark.parametrize("case", BY_NUMBER, ids=lambda case: case[0])
def test_numbers_left_out_hold_anything(
    harness: Harness, case: tuple[str, dict[str, Any]], seed: int, how: str
) -> None:
    loss, options = case
    r, x = draw_logits(seed)
    x = np.abs(x) / (1 + np.abs(x).max()) if loss.startswith("binary") else x
    labels = r.uniform(size=x.shape).astype(np.float32)
    out = r.integers(0, 2, x.shape).astype(bool)
    given = {**options, **OUT[how](out)}
    clean = call(harness, loss, x, labels, given)
    dirty, wrong = (
        np.where(out, r.choice(RUBBISH, x.shape), x),
        np.where(out, r.choice(RUBBISH, x.shape), labels),
    )
    assert_bits(call(harness, loss, single(dirty), single(wrong), given), clean)
    for got in clean:
        assert np.all(got[out] == 0)


@few
@given(seed=seeds)
def test_gradients_by_the_others_ignore_what_is_left_out(harness: Harness, seed: int) -> None:
    """A NaN that is left out reaches no gradient by a weight either."""
    r, x = draw_logits(seed)
    labels, out = r.integers(0, C, N), np.arange(N) % 3 == 1
    dirty = np.where(out[:, None], single(np.nan), x)
    for name in ("class_weight", "sample_weight"):
        options = {
            "class_weight": single(r.uniform(0.5, 2, C)),
            "sample_weight": single(r.uniform(0.5, 2, N)),
            "where": ~out,
            "reduction": "mean",
        }
        clean = call(harness, "cross_entropy", x, labels, options, name)
        assert_bits(call(harness, "cross_entropy", dirty, labels, options, name), clean)


# --- weights ----------------------------------------------------------------------------------

SHAPES = ((3, 4), (1, 4), (3, 1), (1, 1), ())


@few
@given(seed=seeds, shape=st.sampled_from(SHAPES), reduction=st.sampled_from(("none", "mean")))
def test_weights_broadcast(
    harness: Harness, seed: int, shape: tuple[int, ...], reduction: str
) -> None:
    """Weights are broadcast first, then summed."""
    r, x = draw_logits(seed, (3, 4, C))
    labels = r.integers(0, C, (3, 4))
    weight = np.asarray(r.uniform(0.5, 2, shape), np.float32)
    keep = np.asarray(r.integers(0, 3, shape) > 0)
    small: dict[str, Array] = {"sample_weight": weight, "where": keep}
    full = {k: np.array(np.broadcast_to(v, (3, 4))) for k, v in small.items()}
    a, b = (
        call(harness, "cross_entropy", x, labels, {**arrays, "reduction": reduction})
        for arrays in (small, full)
    )
    assert_bits(a, b)


# --- memory -----------------------------------------------------------------------------------


def _arguments(seed: int) -> dict[str, Array]:
    r, x = draw_logits(seed)
    return {
        "logits": x,
        "labels": r.dirichlet(SHARES, N).astype(np.float32),
        "class_weight": r.uniform(0.5, 2, C).astype(np.float32),
        "class_mask": np.array([True, True, True, False, True]),
        "sample_weight": r.uniform(0, 2, N).astype(np.float32),
        "where": r.integers(0, 3, N) > 0,
    }


WEAK: dict[str, Callable[[Harness, Array], Any]] = {
    "arrays": lambda harness, x: harness.array(x),
    "NumPy": lambda harness, x: x,
}


@pytest.mark.parametrize("weak", WEAK)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_inputs_stay_as_they_are(harness: Harness, dtype: str, weak: str) -> None:
    """Read-only ones are accepted, and no byte of others changes."""
    need_dtype(harness, dtype)
    for writable in (False, True):
        hosts = {
            k: np.array(
                narrow(
                    v.astype(np.float64) if v.dtype.kind == "f" else v,
                    dtype if k == "logits" else "float32",
                )
            )
            for k, v in _arguments(5).items()
        }
        before = {k: v.tobytes() for k, v in hosts.items()}
        for host in hosts.values():
            host.flags.writeable = writable
        given = {
            k: harness.array(v) if k == "logits" else WEAK[weak](harness, v)
            for k, v in hosts.items()
        }
        f = xentropy.value_and_grad(xentropy.cross_entropy)
        results = [f(**given, label_smoothing=0.1, reduction=how) for how in ("none", "mean")]
        assert len(results) == 2
        assert {k: v.tobytes() for k, v in hosts.items()} == before
        strong = {k: v for k, v in given.items() if not isinstance(v, np.ndarray)}
        assert {k: harness.numpy(v).tobytes() for k, v in strong.items()} == {
            k: before[k] for k in strong
        }


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "Fortran": np.asfortranarray,
    "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: np.flip(np.flip(x).copy()),
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
    "broadcast": lambda x: np.broadcast_to(x, (2, *x.shape))[1],
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_numpy_labels_and_weights(harness: Harness, layout: str) -> None:
    """Sums may be added in another order, so the bounds decide."""
    arguments, spread = _arguments(6), LAYOUTS[layout]
    x, f = arguments.pop("logits"), xentropy.value_and_grad(xentropy.cross_entropy)
    shares, index = arguments.pop("labels"), np.arange(N) % 3
    for labels, options in (
        (shares, arguments),
        *((index.astype(dtype), {}) for dtype in (np.int64, np.int16, np.uint32)),
    ):
        odd = {k: spread(v) for k, v in options.items()}
        value, grad = map(harness.numpy, f(harness.array(x), spread(labels), **odd))
        truth = oracle.evaluate(
            "cross_entropy", x, labels, dtype="float32", wrt=("logits",), **options
        )
        bound = compare.bound("cross_entropy", options)
        assert_within(value, truth.value, truth.value_scale, bound.value)
        assert_within(grad, truth.grads["logits"], truth.grad_scales["logits"], bound.gradient)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_layout_of_numpy_predictions(dtype: str, layout: str) -> None:
    r, x = draw_logits(7)
    x = x.astype(dtype)
    labels, shares = r.integers(0, C, N), r.dirichlet(SHARES, N)
    for loss, t in (
        ("cross_entropy", labels),
        ("cross_entropy", shares),
        ("sigmoid_cross_entropy", shares),
        ("huber", shares),
    ):
        f: Any = xentropy.value_and_grad(getattr(xentropy, loss))
        for reduction in ("none", "mean"):
            for got, want in zip(
                f(LAYOUTS[layout](x), t, reduction=reduction),
                f(x, t, reduction=reduction),
                strict=True,
            ):
                assert got.dtype.name == want.dtype.name
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("loss", ["cross_entropy", "sigmoid_cross_entropy", "huber"])
def test_views_of_an_array(harness: Harness, loss: str) -> None:
    """Slices of a larger array give what a copy of them gives."""
    r, x = draw_logits(8, (2 * N, C + 3))
    t = r.uniform(size=(2 * N, C + 3)).astype(np.float32)
    rows = (slice(1, None, 2), slice(1, C + 1))
    f: Any = xentropy.value_and_grad(getattr(xentropy, loss))
    got = f(harness.array(x)[rows], harness.array(t)[rows])
    want = f(
        harness.array(np.ascontiguousarray(x[rows])), harness.array(np.ascontiguousarray(t[rows]))
    )
    assert_bits(tuple(map(harness.numpy, got)), tuple(map(harness.numpy, want)))


def test_a_bit_would_be_seen() -> None:
    """The comparison itself: one bit, one dtype or one NaN is a difference."""
    x = single([1, 2, np.nan])
    assert_bits((x,), (x.copy(),))
    for bad in (np.nextafter(x, np.float32(9)), x.astype(np.float64), single([1, 2, 3])):
        with pytest.raises(AssertionError):
            assert_bits((bad,), (x,))
