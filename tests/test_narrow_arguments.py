"""Labels and weights of 16 bits are the numbers that they hold, beside predictions of any dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import narrow, need_dtype, rng
from xentropy.testing import Harness

X, HALF = rng("narrow arguments").normal(size=(4, 3)), np.array([0.5, 2.0, 1.25])
SHARES = np.array([[0.5, 0.25, 0.25]] * 4)
INDEX = np.array([0, 2, 1, 1])
CALLS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "distributions": (xentropy.softmax_cross_entropy, SHARES, {}),
    "class weights": (xentropy.sparse_softmax_cross_entropy, INDEX, {"class_weight": HALF}),
    "weights": (xentropy.sparse_softmax_cross_entropy, INDEX, {"sample_weight": SHARES[:, 0]}),
    "binary labels": (xentropy.sigmoid_cross_entropy, SHARES, {}),
    "positive weights": (xentropy.sigmoid_cross_entropy, SHARES, {"pos_weight": HALF}),
    "targets": (xentropy.squared_error, SHARES, {}),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("predictions", ["float32", "same"])
def test_they_are_what_they_hold(harness: Harness, name: str, dtype: str, predictions: str) -> None:
    need_dtype(harness, dtype)
    loss, labels, options = CALLS[name]

    def run(others: str) -> tuple[Any, Any]:
        def convert(x: Any) -> Any:
            return harness.array(x if x.dtype.kind == "i" else narrow(x, others))

        x = narrow(X, dtype if predictions == "same" else "float32")
        given = {k: convert(v) for k, v in options.items()}
        value, gradient = xentropy.value_and_grad(loss)(harness.array(x), convert(labels), **given)
        return harness.numpy(value), harness.numpy(gradient).astype("f")

    for got, wanted in zip(run(dtype), run("float32"), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", ["where", "ignore_index"])
def test_the_weights_of_a_masked_mean_are_pushed_forward(harness: Harness, name: str) -> None:
    if "jvp" not in harness.transforms:
        pytest.skip(f"{harness} has no forward mode")
    x, labels = harness.array(X.astype("f")), harness.array(INDEX)
    options: dict[str, Any] = {"ignore_index": 1}
    if name == "where":
        options = {"where": harness.array(INDEX != 1)}

    def f(x: Any) -> Any:
        loss = xentropy.sparse_softmax_cross_entropy
        return loss(x, labels, reduction="mean", **options)

    value, gradient = xentropy.value_and_grad(f)(x)
    tangent = np.linspace(0, 1, X.size, dtype="f").reshape(X.shape)
    pushed = harness.transforms["jvp"](f, (x,), (harness.array(tangent),))
    assert value.ndim == 0
    expected = (harness.numpy(gradient) * tangent).sum()
    np.testing.assert_allclose(harness.numpy(pushed), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", [xentropy.cross_entropy, xentropy.linear_cross_entropy])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_gradient_by_weights_of_a_mean_is_rounded_once(
    harness: Harness, loss: Any, dtype: str
) -> None:
    need_dtype(harness, dtype)
    r = rng("weights of a mean")
    # The losses differ little, so that what a weight has above and below almost cancels.
    x, y = r.normal(0, 0.01, (400, 3)).astype(np.float32), np.arange(400) % 3
    of_rows, of_classes = r.integers(4, 16, 400) / 8, r.integers(4, 16, 3) / 8
    arrays = [x, y] if loss is xentropy.cross_entropy else [x, np.eye(3, dtype=np.float32), y]
    weights = {"sample_weight": of_rows, "class_weight": of_classes}
    narrowed = {name: harness.array(narrow(w, dtype)) for name, w in weights.items()}

    gradient = xentropy.value_and_grad(loss, tuple(weights))
    _, found = gradient(*map(harness.array, arrays), **narrowed, reduction="mean")

    wide = x.astype(np.float64)
    losses = np.log(np.exp(wide).sum(1)) - wide[np.arange(400), y]
    whole = of_rows * of_classes[y]
    each = (losses - np.average(losses, weights=whole)) / whole.sum()
    by_class = np.array([np.sum((of_rows * each)[y == c]) for c in range(3)])
    cases = zip(map(harness.numpy, found), (of_classes[y] * each, by_class), (1, 134), strict=True)
    for got, want, terms in cases:
        assert got.dtype.name == dtype
        step = np.abs(np.spacing(narrow(want, dtype)).astype(np.float64))
        # Half of it, and what float32 adds up.
        most = step / 2 + 2.0**-22 * terms * losses.max() * 4 / whole.sum()
        assert np.max(np.abs(got.astype(np.float64) - want) / most) <= 1
