"""Statistics of a linear layer: those of its logits, which a layer of ones gives exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import xentropy
from tests import statistics_truth as true
from tests.asserts import assert_within
from tests.cases import need_dtype, own_gradient, rng, single
from tests.oracle_calls import exact
from tests.test_statistics import (
    ALL,
    BOUND,
    CASES,
    NAN,
    C,
    Case,
    K,
    N,
    X,
    Y,
    assert_gradient,
    need_transform,
)
from xentropy.parity.oracle import mp
from xentropy.testing import Harness

f: Any = xentropy.linear_softmax_statistics


@dataclass(frozen=True, eq=False, repr=False)
class Layer(Case):
    """The same matrix as features, whose products with the unit matrix are exact."""

    def call(self, harness: Harness, outputs: Any = ALL) -> Callable[..., Any]:
        more = dict(self.options)
        if self.mask is not None:
            more["class_mask"] = harness.array(self.mask)
        weight = harness.array(np.eye(C, dtype=np.float32))
        return lambda x, y: f(x, weight, y, outputs=outputs, **more)

    def truth(self, name: str, dtype: str) -> true.Statistic:
        options = {k: v for k, v in self.options.items() if k != "max_memory"}
        return replace(Case(self.name, self.x, self.y, self.mask), options=options).truth(
            name, dtype
        )


def layer(case: Case, **more: Any) -> Layer:
    return Layer(case.name, case.x, case.y, case.mask, {**case.options, **more}, case.compiled)


NAMES = ("plain", "ties", "class mask", "full mask", "one number for a mask", "ignored")
FINITE = [replace(case, options={}) for case in CASES if case.name in NAMES[:-1]]
FINITE += [case for case in CASES if case.name == NAMES[-1]]
LAYERS = [
    *(layer(case) for case in FINITE),
    *(layer(case, max_memory=1) for case in FINITE),
    layer(Case("twice", X, Y), scale=2.0),
    layer(Case("turned", X, Y), scale=-0.5, max_memory=300),
]
DTYPES = ("float32", "float64", "float16", "bfloat16")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_values(harness: Harness, case: Layer, dtype: str) -> None:
    need_dtype(harness, dtype)
    given = case.give(harness, dtype)
    case.assert_right(harness, dtype, case.call(harness)(*given.values()))


SOME = [LAYERS[0], layer(Case("full mask", X, Y, FINITE[3].mask), max_memory=300)]


@pytest.mark.parametrize("case", SOME, ids=str)
def test_every_mode(harness: Harness, mode: str, case: Layer) -> None:
    call = harness.modes[mode](case.call(harness))
    case.assert_right(harness, "float32", call(*case.give(harness, "float32").values()))


@pytest.mark.parametrize("case", [case for case in LAYERS if "-0.5" not in str(case)], ids=str)
def test_gradients_by_the_features(harness: Harness, case: Layer) -> None:
    call = case.call(harness, true.REAL)
    assert_gradient(harness, case, "float32", true.REAL, call)


@pytest.mark.parametrize("case", SOME, ids=str)
def test_gradients_in_every_mode(harness: Harness, mode: str, case: Layer) -> None:
    call = harness.modes[mode](case.call(harness, true.REAL))
    assert_gradient(harness, case, "float32", true.REAL, call)


@pytest.mark.parametrize("name", true.REAL)
@pytest.mark.parametrize("max_memory", [1, 2**26])
def test_gradients_by_the_weight(harness: Harness, name: str, max_memory: int) -> None:
    x, unit = single(X), np.eye(C, dtype=np.float32)
    arrays = {"w": harness.array(unit), "x": harness.array(x), "y": harness.array(Y)}

    def call(w: Any, x: Any, y: Any) -> Any:
        return f(x, w, y, outputs=(name, "rank"), max_memory=max_memory)[0]

    grads = own_gradient(harness, call, arrays, ("w",))
    if grads:
        of_logits = true.statistics(name, x.astype(np.float64), Y)
        want = of_logits.grad.T @ exact(x)
        size = of_logits.grad_scale.T @ np.abs(exact(x))
        assert_within(grads["w"], want, size, BOUND.gradient)


def test_forward_mode(harness: Harness) -> None:
    jvp = need_transform(harness, "jvp")
    case = layer(Case("plain", X, Y), max_memory=300)
    given, direction = case.give(harness, "float32"), single(rng("direction").normal(size=(N, C)))
    call = case.call(harness, ("rank", "entropy"))
    moved = jvp(lambda x: call(x, given["y"])[1], (given["x"],), (harness.array(direction),))
    want = case.truth("entropy", "float32")
    pushed = np.sum(want.grad * exact(direction), 1)
    size = np.sum(want.grad_scale * np.abs(exact(direction)), 1)
    assert_within(harness.numpy(moved), pushed, size, BOUND.gradient)


def test_forward_mode_of_what_does_not_move(harness: Harness) -> None:
    jvp = need_transform(harness, "jvp")
    case = layer(Case("plain", X, Y), max_memory=300)
    given, call = case.give(harness, "float32"), case.call(harness, "rank")

    def ranks(x: Any) -> Any:
        xp = xentropy.backend_of(x).xp
        return xp.astype(call(x, given["y"]).rank, xp.float32) + 0.0 * x[:, 0]

    moved = jvp(ranks, (given["x"],), (given["x"],))
    np.testing.assert_array_equal(harness.numpy(moved), np.zeros(N))


def test_a_bias_and_a_cap(harness: Harness) -> None:
    """What the logits round to moves them by less than their size."""
    bias, cap = single(rng("bias").normal(size=C)), 2.0
    x = single(X)
    raw = (exact(x) + exact(bias)) / 2
    logits = cap * np.vectorize(mp.tanh, otypes=[object])(raw / cap)
    given = {"bias": harness.array(bias), "softcap": cap, "scale": 0.5}
    weight = harness.array(np.eye(C, dtype=np.float32))
    found = f(harness.array(x), weight, harness.array(Y), outputs=ALL, **given)
    for name in true.REAL:
        want = true.statistics(name, logits, Y)
        host = harness.numpy(getattr(found, name))
        assert_within(host, want.value, want.scale + mp.mpf(cap), BOUND.value)
    orders = true.order(logits.astype(np.float64), True, 1.0)
    np.testing.assert_array_equal(harness.numpy(found.rank), true.ranks(orders, Y))
    np.testing.assert_array_equal(harness.numpy(found.top_k), true.top_k(orders, K))


def test_rows_left_out_hold_anything(harness: Harness) -> None:
    x, y = single(X), Y.copy()
    x[1], y[1] = NAN, -100
    case = layer(Case("left out", X, y), ignore_index=-100)
    given = {"x": harness.array(x), "y": harness.array(y)}
    case.assert_right(harness, "float32", case.call(harness)(*given.values()))

    def call(w: Any, x: Any, y: Any) -> Any:
        found = f(x, w, y, outputs=true.REAL, ignore_index=-100)
        return sum(found)

    weight = harness.array(np.eye(C, dtype=np.float32))
    grads = own_gradient(harness, call, {"w": weight, **given}, ("w", "x"))
    if grads:
        assert np.isfinite(grads["w"]).all()
        np.testing.assert_array_equal(grads["x"][1], np.zeros(C, np.float32))


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_any_batch(harness: Harness, batch: tuple[int, ...]) -> None:
    x = single(rng("batch").normal(size=(*batch, C)))
    y = np.zeros(batch, np.int64)
    weight = harness.array(np.eye(C, dtype=np.float32))
    found = f(harness.array(x), weight, harness.array(y), outputs=ALL)
    host = [harness.numpy(v) for v in found]
    assert [v.shape for v in host] == [batch] * 5 + [(*batch, K)]
    flat = [harness.array(v.reshape(-1, *v.shape[len(batch) :])) for v in host]
    case = Case("batch", x.reshape(-1, C).astype(np.float64), y.reshape(-1))
    case.assert_right(harness, "float32", type(found)(*flat))


def test_labels_are_needed_only_where_they_are(harness: Harness) -> None:
    x, weight = harness.array(single(X)), harness.array(np.eye(C, dtype=np.float32))
    assert harness.numpy(f(x, weight, None, outputs="entropy").entropy).shape == (N,)
    with pytest.raises(xentropy.DTypeError, match="linear_softmax_statistics: `labels` must be"):
        f(x, weight, None, outputs="rank")
    with pytest.raises(xentropy.ShapeError, match=r"transpose it: weight\.T"):
        f(x, harness.array(np.ones((C, 2), np.float32)), None, outputs="entropy")
