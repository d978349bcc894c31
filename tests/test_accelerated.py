"""What runs on accelerators in eager mode: other numbers, the same meaning.

The framework's own softmax computes there, to an absolute bound. It runs on the CPU just as well,
so that it can be tested without an accelerator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_within
from tests.cases import Array, Case, own_gradient, rng, select
from tests.cases.extremes import TABLE, Row
from xentropy.parity import compare
from xentropy.testing import Harness

LOSSES = ("cross_entropy", "softmax_cross_entropy", "sparse_softmax_cross_entropy")


@pytest.fixture(autouse=True)
def _accelerator(harness: Harness) -> Iterator[None]:
    context = harness.accelerator()
    if context is None:
        pytest.skip("the formulas run on its accelerators too: see Harness.accelerator")
    with context:
        yield


def sizes(case: Case, dtype: str) -> Array:
    """Return ``max(1, |lse|)`` of each example, times the largest of its weights."""
    x = case.inputs(dtype)[case.first].astype(np.float64)
    axis = case.options.get("axis", -1)
    keep = case.arrays.get("class_mask", np.True_)
    if keep.ndim == 1:
        keep = np.expand_dims(keep, tuple(i for i in range(x.ndim) if i != axis % x.ndim))
    x = np.where(keep, x, -np.inf)
    with np.errstate(invalid="ignore"):
        top = x.max(axis, keepdims=True)
        lse = top + np.log(np.exp(x - top).sum(axis, keepdims=True))
    largest = max(1.0, np.abs(case.arrays.get("class_weight", np.ones(1))).max(initial=1))
    largest *= max(1.0, np.abs(case.arrays.get("sample_weight", np.ones(1))).max(initial=1))
    if case.arrays["labels"].dtype.kind == "f":
        largest *= max(1.0, np.abs(case.arrays["labels"]).sum(axis).max(initial=0))
    size: Array = np.maximum(1.0, np.abs(np.nan_to_num(lse, posinf=1, neginf=1))) * largest
    return size


@pytest.mark.parametrize(
    ("case", "dtype"), select(lambda case: case.loss in LOSSES and "logits" in case.wrt), ids=str
)
def test_values_and_gradients(harness: Harness, case: Case, dtype: str) -> None:
    """To 4 ulp of max(1, |lse|), beside what z-loss may be off by."""
    truth = case.truth(dtype)
    value, grads = case.value_and_grads(harness, dtype)
    size, axis = sizes(case, dtype), case.options.get("axis", -1)
    scale = truth.value_scale + np.squeeze(size, axis)
    assert_within(harness.numpy(value), truth.value, scale, compare.NATIVE_VALUE)
    got = harness.numpy(grads["logits"])
    scale = truth.grad_scales["logits"] + size
    assert_within(got, truth.grads["logits"], scale, compare.NATIVE_VALUE + compare.ROUNDING)


ROWS = [row for row in TABLE if row.loss in LOSSES and not row.only]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_extremes(harness: Harness, row: Row) -> None:
    """Infinities and NaN are where they are elsewhere."""
    given = {k: harness.array(v) for k, v in row.arrays("float32").items()}
    grad = xentropy.value_and_grad(getattr(xentropy, row.loss), row.first)
    value, gradient = (harness.numpy(x) for x in grad(**given, **row.numbers()))
    np.testing.assert_allclose(value, np.float32(row.value), atol=2e-4, rtol=1e-6)
    np.testing.assert_allclose(gradient, np.float32(row.gradient), atol=2e-4, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1, "z_loss": 0.1}], ids=str)
def test_wrong_labels_and_left_out_rows(harness: Harness, options: dict[str, Any]) -> None:
    """A wrong label is not read: its example is NaN. What is left out may hold anything."""
    x = rng("accelerated labels").normal(size=(6, 4)).astype(np.float32)
    x[3], x[4] = np.nan, np.inf
    labels = np.array([1, -1, 4, -100, 99, 2])
    weight = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 2.0], np.float32)
    f = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy)
    value, gradient = (
        harness.numpy(a)
        for a in f(
            harness.array(x),
            harness.array(labels),
            ignore_index=-100,
            sample_weight=harness.array(weight),
            **options,
        )
    )
    assert np.isnan(value).tolist() == [False, True, True, False, False, False]
    assert np.isnan(gradient).all(1).tolist() == [False, True, True, False, False, False]
    assert value[3] == value[4] == 0
    assert not gradient[3:5].any()
    assert gradient[5].any()


def test_in_blocks(harness: Harness) -> None:
    """More rows than a block holds, and half precision, which is widened block by block."""
    r = rng("accelerated blocks")
    n = 33
    x, labels = r.normal(size=(n, 2**18)), r.integers(0, 2**18, n)
    f = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy)
    for dtype in ("float32", "float16"):
        wide = x.astype(dtype).astype(np.float64)
        e = np.exp(wide)
        p = e / e.sum(-1, keepdims=True)
        value, gradient = f(harness.array(x.astype(dtype)), harness.array(labels))
        want = np.log(e.sum(-1)) - wide[np.arange(n), labels]
        assert harness.numpy(value).dtype == np.float32
        assert_within(harness.numpy(value), want, np.abs(want), compare.NATIVE_VALUE)
        p[np.arange(n), labels] -= 1
        got = harness.numpy(gradient)
        assert got.dtype.name == dtype
        assert_within(got, p, np.ones_like(p), compare.NATIVE_VALUE)


def test_second_order(harness: Harness) -> None:
    """The gradient has a gradient, by the logits and by a weight of 0."""
    x = rng("accelerated second order").normal(size=(2, 3))
    arrays = (harness.array(x), harness.array(np.array([0.0, 1.0])))
    labels = harness.array(np.array([2, 0]))
    e = np.exp(x)
    p = e / e.sum(-1, keepdims=True)
    t = np.eye(3)[[2, 0]]

    def f(logits: Any, weight: Any) -> Any:
        loss = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy)
        gradient = loss(logits, labels, sample_weight=weight)[1]
        return xentropy.squared_error(gradient, 0.0, reduction="sum")

    by_x, by_weight = harness.gradient(f, arrays, (0, 1))
    g = p - t  # d/dw of |w g|^2 is 2 w |g|^2; by the logits 2 w^2 H g
    want = 2 * np.array([[0.0], [1.0]]) * (p * g - p * (p * g).sum(-1, keepdims=True))
    assert_within(harness.numpy(by_x), want, np.ones_like(want), compare.GRADIENT)
    slope = 2 * np.array([0.0, 1.0]) * (g * g).sum(-1)
    assert_within(harness.numpy(by_weight), slope, np.ones(2), compare.GRADIENT)

    def linear(weight: Any) -> Any:
        loss = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy)
        gradient = loss(arrays[0], labels, sample_weight=weight)[1]
        return xentropy.squared_error(gradient, harness.array(g), reduction="sum")

    # d/dw of |w g - g|^2 is 2 (w - 1) |g|^2: not 0 where the weight is.
    (found,) = harness.gradient(linear, arrays[1:], (0,))
    slope = -2 * np.array([1.0, 0.0]) * (g * g).sum(-1)
    assert_within(harness.numpy(found), slope, np.ones(2), compare.GRADIENT)


def test_what_is_mapped(harness: Harness) -> None:
    """The labels or the weights alone, and the cotangent, as in a Jacobian."""
    if "vmap" not in harness.transforms:
        pytest.skip("nothing to map with: `Harness.transforms` has no vmap")
    r = rng("accelerated maps")
    x, w = harness.array(r.normal(size=(2, 3))), harness.array(r.uniform(1, 2, (4, 3)))
    t, y = harness.array(r.dirichlet(np.ones(3), (4, 2))), harness.array(np.array([[1, 2], [0, 0]]))
    mapped: list[tuple[Any, Any]] = [
        (w, lambda w: xentropy.cross_entropy(x, y[0], class_weight=w, label_smoothing=0.1)),
        (t, lambda t: xentropy.cross_entropy(x, t)),
        (y, lambda y: xentropy.value_and_grad(xentropy.cross_entropy)(x, y)[1]),
    ]
    for batch, f in mapped:
        got = harness.numpy(harness.transforms["vmap"](f)(batch))
        each = np.stack([harness.numpy(f(batch[i])) for i in range(len(got))])
        assert_within(got, each, np.ones_like(each), compare.VALUE)
    hessian = harness.transforms["hessian"]
    got = harness.numpy(hessian(lambda x: xentropy.cross_entropy(x, y[0], reduction="sum"), x))
    e = np.exp(harness.numpy(x))
    p = e / e.sum(-1, keepdims=True)
    for i in range(2):
        want = np.diag(p[i]) - np.outer(p[i], p[i])
        assert_within(got[i, :, i], want, np.ones_like(want), compare.GRADIENT)


def test_one_number_on_the_cpu(harness: Harness) -> None:
    """Weights of one number need not be moved."""
    x = harness.array(np.zeros((2, 3), np.float32))
    far = harness.elsewhere(x)
    if far is None:
        pytest.skip("one device: no harness can make a second, see `Harness.elsewhere`")
    weight = harness.array(np.array(2.0, np.float32))
    loss = xentropy.cross_entropy(far, [0, 1], sample_weight=weight, class_weight=weight)
    assert tuple(loss.shape) == (2,)


def test_it_is_what_runs(harness: Harness) -> None:
    """A confident row keeps its digits in the formula only."""
    x, label = np.array([[40.0, 0.0, 0.0]]), np.array([0])
    assert harness.numpy(xentropy.cross_entropy(harness.array(x), harness.array(label)))[0] == 0
    logits = {"logits": harness.array(x)}

    def f(logits: Any) -> Any:
        return xentropy.cross_entropy(logits, harness.array(label), reduction="sum")

    assert own_gradient(harness, f, logits, ("logits",))["logits"][0, 0] == 0
