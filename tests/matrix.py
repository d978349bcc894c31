"""The rows of the matrix, every public loss, and its columns, what is derived of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import xentropy
from tests import statistics_truth
from tests.asserts import assert_true, assert_within
from tests.cases import Array, Case, rng
from tests.oracle_calls import exact
from xentropy.parity import compare
from xentropy.parity.oracle import Truth, mp
from xentropy.testing import COLUMNS, Harness

__all__ = ["COLUMN_TESTS", "ENTRIES", "Entry", "Mean", "dtype_of"]


@dataclass(frozen=True, eq=False)
class Entry:
    """A function of the arrays of a case, predictions first, whose truth is that of the case."""

    name: str
    case: Case
    call: Callable[..., Any]  # by keyword, with the options of the case

    def __repr__(self) -> str:
        return self.name

    @functools.cached_property
    def function(self) -> Callable[..., Any]:
        """Of nothing but the arrays, in order."""
        names = tuple(self.case.arrays)

        def f(*arrays: Any) -> Any:
            return self.call(**dict(zip(names, arrays, strict=True)), **self.case.options)

        return f

    @functools.cached_property
    def moved(self) -> Entry:
        """The same at other predictions."""
        x = self.case.arrays[self.case.first]
        arrays = {**self.case.arrays, self.case.first: np.flip(x, 0).copy()}
        return Entry(self.name, replace(self.case, arrays=arrays), self.call)

    def truth(self, column: str, dtype: str) -> Any:
        """What the column is to be; worked out once."""
        return _TRUTHS[column](self, dtype)

    @property
    def bound(self) -> compare.Bound:
        return compare.bound(self.case.loss, self.case.options)


@dataclass(frozen=True, eq=False, repr=False)
class _Entropy(Case):
    """Its truth is not the oracle's."""

    def truth(self, dtype: str, **replaced: Any) -> Truth:
        x, kept = {**self.inputs(dtype), **replaced}.values()
        found = statistics_truth.statistics("entropy", x, np.zeros(len(x), int), kept=kept)
        grads, sizes = {self.first: found.grad}, {self.first: found.grad_scale}
        return Truth(found.value, found.scale, grads, sizes, np.ones(len(x)))


class Mean(Case):
    """The oracle knows each loss and its weight, which does not depend on the predictions."""

    def truth(self, dtype: str, **replaced: Any) -> Truth:
        each = super().truth(dtype, **replaced)
        count = np.sum(each.weight)

        def parts(found: dict[str, Array]) -> dict[str, Array]:
            return {name: x / count for name, x in found.items()}

        value, scale = (np.asarray(np.sum(x) / count) for x in (each.value, each.value_scale))
        return Truth(value, scale, parts(each.grads), parts(each.grad_scales), each.weight)


# --- the rows ---------------------------------------------------------------------------------

_R = rng("matrix")
_X, _PROBS, _E = 2 * _R.normal(size=(2, 3)), _R.dirichlet(np.ones(3), 2), _R.normal(size=(2, 3))
_INDEX, _SHARES, _Q = np.array([2, 0]), _R.dirichlet(np.ones(3), 2), _R.uniform(0.5, 2, 3)
_S = _R.uniform(0.5, 2, 2)
_LOGITS = {"logits": _X, "labels": _INDEX}
_DENSE = {"logits": _X, "labels": _SHARES}
_WEIGHTED = {"class_weight": _Q, "sample_weight": _S}
_MASK = {"class_mask": np.array([[True, False, True]])}
_ROW = {"where": np.array([[True], [False]])}
_ANY = {"class_mask": np.array([[True], [True]])}
_TWO = {"label_smoothing": 0.1, "z_loss": 0.05}
_GIVEN: dict[str, tuple[dict[str, Array], dict[str, Any]]] = {
    # All options at once, so that each way meets them; the others have few.
    "cross_entropy": ({**_LOGITS, **_WEIGHTED, **_MASK}, _TWO),
    "softmax_cross_entropy": (_DENSE, {}),
    "sparse_softmax_cross_entropy": (_LOGITS, {}),
    "sigmoid_cross_entropy": ({**_DENSE, **_ROW}, {}),
    "weighted_sigmoid_cross_entropy": ({**_DENSE, "pos_weight": _Q}, {}),
    "binary_cross_entropy": ({"probs": _PROBS, "labels": _SHARES}, {}),
    "categorical_cross_entropy": ({"probs": _PROBS, "labels": _SHARES}, {"label_smoothing": 0.1}),
    "sparse_categorical_cross_entropy": ({"probs": _PROBS, "labels": _INDEX}, {}),
    "sigmoid_focal_cross_entropy": (_DENSE, {"gamma": 1.5}),
    "softmax_focal_cross_entropy": ({**_LOGITS, "alpha": _Q}, {"gamma": 1.5}),
    "poly_cross_entropy": (_LOGITS, {"epsilon": 0.5}),
    "kl_divergence": (_DENSE, {"temperature": 2.0}),
    "squared_error": ({"predictions": _X, "targets": _E}, {}),
    "absolute_error": ({"predictions": _X, "targets": _E}, {}),
    "log_cosh": ({"predictions": _X, "targets": _E}, {}),
    "huber": ({"predictions": _X, "targets": _E}, {}),
    "smooth_l1": ({"predictions": _X, "targets": _E}, {"beta": 0.5}),
    "mean_squared_error": ({"predictions": _X, "targets": _E}, {}),
    "mean_absolute_error": ({"predictions": _X, "targets": _E}, {}),
    "logsumexp": ({"x": _X}, {}),
    "log_softmax": ({"x": _X}, {}),
}


def _unit(x: Any) -> Any:
    """A layer whose products with the features are these, exactly."""
    backend = xentropy.backend_of(x)
    return backend.asarray(np.eye(3, dtype=backend.dtype_name(x)), x)


def _linear(*, logits: Any, **rest: Any) -> Any:
    return xentropy.linear_cross_entropy(logits, _unit(logits), reduction="mean", **rest)


def _log_prob(*, logits: Any, labels: Any) -> Any:
    found = xentropy.softmax_statistics(logits, labels, outputs=("rank", "log_prob"))
    return -found.log_prob


def _entropy(*, x: Any, **mask: Any) -> Any:
    return xentropy.softmax_statistics(x, None, outputs="entropy", **mask).entropy


def _linear_entropy(*, x: Any, **mask: Any) -> Any:
    outputs = ("entropy", ("top_k", 2))
    return xentropy.linear_softmax_statistics(x, _unit(x), None, outputs=outputs, **mask).entropy


def _entries() -> dict[str, list[Entry]]:
    """By public function."""
    cases = {
        loss: (Mean if loss.startswith("mean") else Case)(
            f"matrix {loss}", loss, arrays, options, wrt=(next(iter(arrays)),)
        )
        for loss, (arrays, options) in _GIVEN.items()
    }
    found = {loss: [Entry(loss, case, getattr(xentropy, loss))] for loss, case in cases.items()}
    # KL, too, adds up terms of both signs.
    entropy = _Entropy("matrix entropy", "kl_divergence", {"x": _X, **_ANY}, wrt=("x",))
    plain = cases["sparse_softmax_cross_entropy"]
    head = Mean(
        "matrix linear_cross_entropy",
        "sparse_softmax_cross_entropy",
        {**_LOGITS, "class_weight": _Q, **_MASK},
        wrt=("logits",),
    )
    found["linear_cross_entropy"] = [Entry("linear_cross_entropy", head, _linear)]
    found["softmax_statistics"] = [
        Entry("softmax_statistics log_prob", plain, _log_prob),
        Entry("softmax_statistics entropy", entropy, _entropy),
    ]
    found["linear_softmax_statistics"] = [
        Entry("linear_softmax_statistics entropy", entropy, _linear_entropy)
    ]
    return found


ENTRIES = _entries()


def dtype_of(harness: Harness, way: str, column: str) -> str:
    """Second derivatives are differences of many roundings: in float64, where there is one."""
    wide = harness.float64 and way not in harness.narrow_ways
    return "float64" if column == "hessian" and wide else "float32"


# --- the truths -------------------------------------------------------------------------------

_H = mp.mpf(10) ** -18


def _differences(entry: Entry, dtype: str, of: Callable[[Truth], Array]) -> Array:
    """The derivative of something true by the predictions: differences of the oracle's."""
    case = entry.case
    at, columns = exact(case.inputs(dtype)[case.first]), []
    for i in np.ndindex(at.shape):
        pair = []
        for step in (_H, -_H):
            x = at.copy()
            x[i] = at[i] + step
            pair.append(np.asarray(of(case.truth(dtype, **{case.first: x})), object))
        columns.append((pair[0] - pair[1]) / (2 * _H))
    stacked = np.stack(columns, axis=-1)
    return stacked.reshape(*stacked.shape[:-1], *at.shape)


@functools.cache
def _whole(entry: Entry, dtype: str) -> Truth:
    return entry.case.truth(dtype)


@functools.cache
def _jacobian(entry: Entry, dtype: str) -> Array:
    return _differences(entry, dtype, lambda truth: truth.value)


@functools.cache
def _hessian(entry: Entry, dtype: str) -> Array:
    return _differences(entry, dtype, lambda truth: truth.grads[entry.case.first])


@functools.cache
def _batch(entry: Entry, dtype: str) -> list[tuple[dict[str, Array], Truth]]:
    """Three calls, which differ in their first two arrays, and their truths."""
    inputs, found = entry.case.inputs(dtype), []
    names = tuple(entry.case.arrays)[:2]
    for shift in range(3):
        some = {name: np.roll(inputs[name], shift) for name in names}
        found.append((some, entry.case.truth(dtype, **some)))
    return found


_TRUTHS: Mapping[str, Callable[[Entry, str], Any]] = {
    "value": _whole,
    "gradient": _whole,
    "hessian": _hessian,
    "jvp": _jacobian,
    "jacobian": _jacobian,
    "vmap": _batch,
    "vmap of gradient": _batch,
}


# --- the columns ------------------------------------------------------------------------------


def _give(harness: Harness, case: Case, dtype: str) -> tuple[Any, ...]:
    return tuple(case.give(harness, dtype).values())


def _compare_value(harness: Harness, run: Any, entry: Entry, dtype: str) -> None:
    value = harness.numpy(run(*_give(harness, entry.case, dtype)))
    assert value.dtype == dtype
    assert_true(entry.truth("value", dtype), entry.bound, value, {})


def _compare_gradient(harness: Harness, run: Any, entry: Entry, dtype: str) -> None:
    got = harness.numpy(run(*_give(harness, entry.case, dtype)))
    assert got.dtype == dtype
    first, truth = entry.case.first, entry.truth("gradient", dtype)
    most = entry.bound.gradient_in(dtype)
    assert_within(got, truth.grads[first], truth.grad_scales[first], most)


def _compare_matrix(column: str, harness: Harness, run: Any, entry: Entry, dtype: str) -> None:
    """Relative to the largest entry."""
    got, want = harness.numpy(run(*_give(harness, entry.case, dtype))), entry.truth(column, dtype)
    assert got.dtype == dtype
    size = np.full_like(want, np.abs(want).max(initial=0) or mp.mpf(1))
    assert_within(got, want, size, entry.bound.gradient)


def _compare_tangent(harness: Harness, run: Any, entry: Entry, dtype: str) -> None:
    """The Jacobian times a direction."""
    x = entry.case.arrays[entry.case.first]
    direction = rng(f"direction {entry}").normal(size=x.shape).astype(dtype)
    got = harness.numpy(run(harness.array(direction), *_give(harness, entry.case, dtype)))
    jacobian, v = entry.truth("jvp", dtype), exact(direction)
    axes = tuple(range(-x.ndim, 0))
    want, size = np.sum(jacobian * v, axis=axes), np.sum(np.abs(jacobian * v), axis=axes)
    # The terms of each entry cancel, too.
    terms = entry.truth("gradient", dtype).grad_scales[entry.case.first] * np.abs(v)
    size = size + np.sum(terms, axis=tuple(range(np.ndim(want), x.ndim)))
    assert_within(got, np.asarray(want), np.asarray(size), entry.bound.gradient)


def _run_mapped(harness: Harness, run: Any, entry: Entry, dtype: str) -> tuple[Any, Any]:
    calls = entry.truth("vmap", dtype)
    inputs = entry.case.inputs(dtype)
    arrays = [
        np.stack([some[name] for some, _ in calls]) if name in calls[0][0] else x
        for name, x in inputs.items()
    ]
    return calls, harness.numpy(run(*map(harness.array, arrays)))


def _compare_mapped(harness: Harness, run: Any, entry: Entry, dtype: str) -> None:
    calls, got = _run_mapped(harness, run, entry, dtype)
    assert len(got) == len(calls)
    for value, (_, truth) in zip(got, calls, strict=True):
        assert_true(truth, entry.bound, value, {})


def _compare_mapped_gradient(harness: Harness, run: Any, entry: Entry, dtype: str) -> None:
    calls, got = _run_mapped(harness, run, entry, dtype)
    first = entry.case.first
    for grad, (_, truth) in zip(got, calls, strict=True):
        size, most = truth.grad_scales[first], entry.bound.gradient_in(dtype)
        assert_within(grad, truth.grads[first], size, most)


COLUMN_TESTS: Mapping[str, Callable[[Harness, Any, Entry, str], None]] = {
    "value": _compare_value,
    "gradient": _compare_gradient,
    "hessian": functools.partial(_compare_matrix, "hessian"),
    "jvp": _compare_tangent,
    "jacobian": functools.partial(_compare_matrix, "jacobian"),
    "vmap": _compare_mapped,
    "vmap of gradient": _compare_mapped_gradient,
}
assert tuple(COLUMN_TESTS) == COLUMNS
