"""Dask arrays: nothing is computed before the caller asks, and lengths may be unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import pytest

import xentropy

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

R = np.random.default_rng(3)
# Some of each chunk: of an empty one Dask itself takes no maximum.
KEPT = np.array([1, 0, 1, 0, 1, 1, 0, 1, 1], np.bool_)
HOST = {
    "logits": R.normal(size=(9, 3)),
    "labels": R.integers(0, 3, 9),
    "shares": R.dirichlet(np.ones(3), 9),
    "weight": R.uniform(0.5, 2.0, 9),
}
# Called as no type checker would let anybody.
losses: Any = xentropy


def arrays(kind: str) -> dict[str, Any]:
    """The examples kept; in Dask the length of each chunk is unknown, unless ``known``."""
    if kind == "numpy":
        return {name: x[KEPT] for name, x in HOST.items()}
    chunks = {name: da.from_array(x, chunks=(4, *x.shape[1:])) for name, x in HOST.items()}
    kept = {name: x[da.from_array(KEPT, chunks=4)] for name, x in chunks.items()}
    return {k: x.compute_chunk_sizes() for k, x in kept.items()} if kind == "known" else kept


def refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """A scheduler that computes nothing."""
    raise AssertionError


CALLS: dict[str, Callable[..., Any]] = {
    "indices": lambda a, **k: losses.sparse_softmax_cross_entropy(a["logits"], a["labels"], **k),
    "options": lambda a, **k: losses.cross_entropy(
        *(a["logits"], a["labels"]),
        **{"ignore_index": 1, "label_smoothing": 0.125, "z_loss": 0.5, "class_weight": [1, 2, 3.0]},
        sample_weight=a["weight"],
        **k,
    ),
    "distributions": lambda a, **k: losses.softmax_cross_entropy(
        a["logits"], a["shares"], sample_weight=a["weight"], **k
    ),
    "elements": lambda a, **k: losses.sigmoid_cross_entropy(a["logits"], a["shares"], **k),
    "focal": lambda a, **k: losses.softmax_focal_cross_entropy(a["logits"], a["labels"], **k),
    "gradients": lambda a, **k: losses.value_and_grad(losses.cross_entropy, (0, "sample_weight"))(
        a["logits"], a["shares"], sample_weight=a["weight"], **k
    ),
}


@pytest.mark.parametrize("kind", ["known", "unknown"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "partial"])
@pytest.mark.parametrize("name", CALLS)
def test_a_loss_is_lazy(name: str, reduction: str, kind: str) -> None:
    given = arrays(kind)
    with dask.config.set(scheduler=refuse):
        lazy = CALLS[name](given, reduction=reduction)
    (got,) = dask.compute(lazy)
    want = CALLS[name](arrays("numpy"), reduction=reduction)
    for one, other in zip(flat(got), flat(want), strict=True):
        assert np.shape(one) == np.shape(other)
        assert np.all(np.abs(one - other) <= 8 * np.spacing(np.abs(other).max(initial=1.0)))


def flat(x: Any) -> list[Any]:
    """The arrays in nested tuples."""
    return [leaf for part in x for leaf in flat(part)] if isinstance(x, tuple) else [x]


def test_what_cannot_be_told_of_unknown_lengths_is_refused() -> None:
    a = arrays("unknown")
    with pytest.raises(xentropy.UnsupportedError) as classes:
        losses.sparse_softmax_cross_entropy(a["logits"], [0, 1, 0], axis=0)
    assert str(classes.value) == (
        "xentropy.sparse_softmax_cross_entropy: the number of classes of `logits` must be known.\n"
        "  logits: float64[?, 3] dask cpu\n"
        "Hint: call compute_chunk_sizes() of the arrays of unknown length."
    )
    with pytest.raises(xentropy.ShapeError) as labels:
        losses.sparse_softmax_cross_entropy(a["logits"], HOST["labels"][KEPT])
    assert str(labels.value) == (
        "xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without "
        f"axis -1, (nan,).\n  logits: float64[?, 3] dask cpu\n  labels: int64[{KEPT.sum()}] numpy "
        "cpu\nHint: call compute_chunk_sizes() of the arrays of unknown length."
    )
    with pytest.raises(xentropy.ShapeError) as targets:
        losses.squared_error(a["logits"], HOST["logits"][KEPT])
    assert str(targets.value).endswith(
        "Hint: call compute_chunk_sizes() of the arrays of unknown length."
    )
