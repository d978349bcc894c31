"""Forward mode, second order and maps, as transforms of a framework, against the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import xentropy
from tests.asserts import assert_case, assert_within
from tests.cases import Array, Case, named, rng
from tests.oracle_calls import exact
from xentropy.parity import compare
from xentropy.parity.oracle import mp
from xentropy.testing import Harness

__all__ = ["TRANSFORMED"]


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


def assert_forward_over_reverse(
    harness: Harness, transform: Callable[..., Any], case: Case
) -> None:
    """The tangent of the gradient, beside the second derivative times the direction."""
    first, *others = case.give(harness, "float64").values()
    direction = rng(f"tangents {case.name}").normal(size=case.arrays[case.first].shape)

    def gradient(x: Any) -> Any:
        names = list(case.arrays)[1:]
        both = xentropy.value_and_grad(getattr(xentropy, case.loss))
        return both(x, **dict(zip(names, others, strict=True)), **case.options)[1]

    tangent = harness.numpy(transform(gradient, (first,), (harness.array(direction),)))
    terms = _differences(case) * exact(direction)
    axes = tuple(range(direction.ndim, terms.ndim))
    want, size = np.sum(terms, axis=axes), np.sum(np.abs(terms), axis=axes)
    bound = compare.bound(case.loss, case.options)
    assert_within(tangent, want, np.full_like(want, size.max()), bound.gradient)


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
        named(
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
    ("jvp", assert_forward_over_reverse, _small()),
    (
        "hessian",
        assert_second_order,
        [*_small(), *(_at_zero(c) for c in _small()[::3] if c.first == "logits")],
    ),
    ("hessian", assert_mixed, _with_zeros()),
    (
        "vmap",
        assert_mapped,
        named(
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
