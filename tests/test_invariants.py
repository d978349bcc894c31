"""Laws that hold for any input: what may change nothing changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import xentropy
from tests.asserts import assert_bits, assert_true, assert_within
from tests.cases import Array, single
from tests.drawn import SHARES, C, N, call, draw_logits, few, give, seeds
from xentropy.parity import compare, oracle
from xentropy.testing import Harness

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
        assert_true(truth, bound, value, {first: grad})


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
    assert_true(truth, bound, value, {"logits": grad[:, np.argsort(order)]})


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
    back = np.argsort(order)
    assert_true(truth, bound, value[back], {"logits": grad[back]})


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
    assert_true(truth, bound, value, {"logits": np.moveaxis(grad, axis, -1)})


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
        part = {**shared, **{k: v[rows] for k, v in each.items()}}
        arrays = harness.array(x[rows]), harness.array(labels[rows])
        f: Any = xentropy.sparse_softmax_cross_entropy
        parts.append(f(*arrays, **give(harness, part), reduction="partial"))
        by = {"reduction": "mean", "denominator": weight}
        value, grad = call(harness, loss, x[rows], labels[rows], {**part, **by})
        means.append(value)
        grads.append(grad)
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
