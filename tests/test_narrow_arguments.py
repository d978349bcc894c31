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
