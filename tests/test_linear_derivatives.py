"""The loss of a linear layer under transforms, and its cotangents and tangents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_within
from tests.cases import Array, need_dtype, own_gradient, rng, single
from tests.cases.linear import WRT, Head, layer, small
from tests.oracle_calls import exact
from xentropy.parity import compare
from xentropy.parity.oracle import mp
from xentropy.testing import Harness

LINEAR = xentropy.linear_cross_entropy


# --- transforms -------------------------------------------------------------------------------


def contracted(pairs: Mapping[str, Array], along: Mapping[str, Array]) -> Array:
    """The sum of products over all arguments."""
    parts = (np.sum(pairs[k] * exact(v)) for k, v in along.items())
    return np.asarray(sum(parts, mp.zero), object)


def second_derivative(case: Head, name: str, along: Array) -> Array:
    """The derivative of the true gradient by an argument, in a direction."""
    at, h = exact(case.arrays[name]), mp.mpf(10) ** -18
    ends = [case.truth("float64", **{name: at + s * exact(along)}).grads[name] for s in (h, -h)]
    return np.asarray((ends[0] - ends[1]) / (2 * h))


def test_every_transform(harness: Harness, transform: str) -> None:
    """Forward mode, second order, cotangents at once and maps, as far as the framework has them."""
    need_dtype(harness, "float64")
    arrays = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in small().items()}
    case = Head("transformed", "linear_cross_entropy", arrays, {}, WRT)
    given, truth = case.give(harness, "float64"), case.truth("float64")
    moving = tuple(given[k] for k in WRT)
    r, f = rng("linear transforms"), harness.transforms[transform]
    along = {k: r.normal(size=arrays[k].shape) for k in WRT}

    def loss(hidden: Any, weight: Any, bias: Any) -> Any:
        return LINEAR(hidden, weight, given["labels"], bias=bias)

    def by_weight(weight: Any) -> Any:
        losses = loss(given["hidden"], weight, given["bias"])
        return xentropy.backend_of(losses).xp.sum(losses, axis=None, keepdims=False)

    def by_hidden(hidden: Any) -> Any:
        return loss(hidden, *moving[1:])

    if transform == "jvp":
        tangent = harness.numpy(f(loss, moving, tuple(map(harness.array, along.values()))))
        sizes = {k: np.abs(v) for k, v in along.items()}
        size = contracted(truth.grad_scales, sizes)
        assert_within(np.sum(tangent), contracted(truth.grads, along), size, compare.GRADIENT)
    elif transform == "hessian":
        found = np.tensordot(harness.numpy(f(by_weight, given["weight"])), along["weight"])
        want = second_derivative(case, "weight", along["weight"])
        assert_within(found, want, np.full_like(want, np.abs(want).max()), compare.GRADIENT)
    elif transform == "jacobian":
        found = harness.numpy(f(by_hidden, given["hidden"])).sum(axis=0)
        wanted = truth.grads["hidden"], truth.grad_scales["hidden"]
        assert_within(found, *wanted, compare.GRADIENT)
    else:
        batch = np.stack([arrays["hidden"], 2 * arrays["hidden"]])
        values = harness.numpy(f(by_hidden)(harness.array(batch)))
        for value, hidden in zip(values, batch, strict=True):
            one = case.truth("float64", hidden=hidden)
            assert_within(value, one.value, one.value_scale, compare.VALUE)


# --- cotangents and tangents ------------------------------------------------------------------


@pytest.mark.parametrize("kept", [(1, 0, 1, 1), (0, 0, 0, 0)], ids=str)
def test_cotangents_of_zero(harness: Harness, kept: tuple[int, ...]) -> None:
    """Rows whose losses nobody wants, as of a mask that is applied outside."""
    arrays = layer(rng("zeros"), (4,), 7)
    given = {name: harness.array(single(arrays[name])) for name in ("hidden", "weight")}
    y, factor = harness.array(np.array([1, 2, 3, 4])), harness.array(single(kept))

    def of_layer(hidden: Any, weight: Any) -> Any:
        return LINEAR(hidden, weight, y) * factor

    def of_logits(hidden: Any, weight: Any) -> Any:
        logits = xentropy.backend_of(hidden).xp.matmul(hidden, weight, hidden.dtype, "b")
        return xentropy.cross_entropy(logits, y) * factor

    got, want = (
        own_gradient(harness, f, given, ("hidden", "weight")) for f in (of_layer, of_logits)
    )
    for name, gradient in got.items():
        assert_within(gradient, want[name], np.ones_like(want[name]), compare.GRADIENT)


@pytest.mark.parametrize("name", ["class_weight", "sample_weight", "labels"])
def test_tangents_of_what_is_not_of_the_layer(harness: Harness, name: str) -> None:
    """The loss is linear in each, but for what it is without."""
    jvp = harness.ways["eager"].get("jvp")
    if jvp is None:
        pytest.skip("the framework pushes no tangents")
    r = rng(f"tangents {name}")
    arrays = {**layer(r, (4,), 7), "labels": r.dirichlet(np.ones(7), 4)}
    arrays |= {"class_weight": r.uniform(1, 2, 7), "sample_weight": r.uniform(1, 2, 4)}
    given = {k: harness.array(single(v)) for k, v in arrays.items()}
    moving, tangent = given.pop(name), harness.array(single(r.uniform(size=arrays[name].shape)))

    def f(x: Any) -> Any:
        return LINEAR(**given, **{name: x})

    got = harness.numpy(jvp(f)(tangent, moving))
    want = harness.numpy(f(tangent))
    assert_within(got, want, np.full_like(want, np.abs(want).max()), compare.GRADIENT)
