"""The true losses and statistics of a linear layer: those of its exact products."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import bulk, oracle
from .elementwise import Array, mp, stored
from .oracle import Truth

__all__ = ["ARRAYS", "evaluate"]

ARRAYS = ("hidden", "weight", "bias")


def _number(x: Any, compute: str, large: bool) -> Any:
    """Return numbers as they are in the compute dtype, as mpf or longdouble; None as it is."""
    if x is None or not large:
        return None if x is None else stored(x, compute)
    x = np.asarray(x)
    return np.asarray(x if x.dtype == np.longdouble else x.astype(compute), dtype=np.longdouble)


def _map(name: str, x: Array) -> Array:
    f = np.frompyfunc(getattr(mp, name), 1, 1) if x.dtype == object else getattr(np, name)
    return np.asarray(f(x), x.dtype)


@dataclass(frozen=True)
class _Layer:
    """The numbers of a layer: rows of features, and what makes logits of them."""

    rows: Array
    weight: Array
    bias: Array | None
    scale: Array
    softcap: Array | None

    @functools.cached_property
    def z(self) -> Array:
        """The logits without a cap."""
        return self.scale * (self.rows @ self.weight.T + (0 if self.bias is None else self.bias))

    @functools.cached_property
    def u(self) -> Array:
        """What the cap is multiplied by, 0 without one."""
        z, cap = self.z, self.softcap
        return np.zeros_like(z) if cap is None else _map("tanh", z / cap)

    @property
    def x(self) -> Array:
        """The logits."""
        return self.z if self.softcap is None else self.softcap * self.u

    @functools.cached_property
    def terms(self) -> Array:
        """What the products, the bias and the cap are rounded by, in ulp of 1."""
        terms = np.abs(self.scale) * (np.abs(self.rows) @ np.abs(self.weight.T))
        terms = terms if self.bias is None else terms + np.abs(self.scale * self.bias)
        return np.where(np.abs(self.z) < np.inf, terms + np.abs(self.x), 0)

    def through(self, g: Array, size: Array) -> tuple[Array, Array]:
        """Return a gradient by the logits, and what it is relative to, as those by the products."""
        e = np.where(size > 0, _map("exp", self.x - self.x.max(axis=1, keepdims=True)), 0)
        shift = (e * self.terms).sum(axis=1, keepdims=True) / np.maximum(e.sum(axis=1)[:, None], 1)
        slope = 1 - self.u * self.u
        bend = 0 * self.u if self.softcap is None else 1 + self.u * self.u
        more = slope * (1 + 3 * self.terms + shift) + bend
        return g * self.scale * slope, size * np.abs(self.scale) * more

    def gradient(self, name: str, by: Array, of: Callable[[Array], Array], live: Array) -> Array:
        """Return the gradient by an array of one by the products; `of` drops signs or not."""
        if name == "hidden":
            return np.where(live, by @ of(self.weight), 0 * by[:, :1])
        if name == "weight":
            return np.asarray(by.T @ of(np.where(live, self.rows, 0 * self.weight[:1])))
        return np.asarray(by.sum(axis=0))


@np.errstate(all="ignore")
def evaluate(
    loss: str,
    hidden: Array,
    labels: Any,
    *,
    weight: Array,
    dtype: str,
    bias: Array | None = None,
    wrt: tuple[str, ...] = (),
    large: bool = False,
    scale: float = 1.0,
    softcap: float | None = None,
    max_memory: int | None = None,
    **options: Any,
) -> Truth:
    """Return what `oracle.evaluate` does of the exact logits of a linear layer.

    The scales also hold what a rounding of the products moves: an error in ulp of them is that of
    a dense computation to within a small factor. Those of gradients by arrays that are not of the
    layer are all the largest.

    Parameters
    ----------
    large
        Whether to compute in extended precision: losses only.
    max_memory
        Makes no difference.
    """
    compute = "float64" if dtype == "float64" else "float32"
    h, w, b, s, cap = (_number(x, compute, large) for x in (hidden, weight, bias, scale, softcap))
    layer = _Layer(h.reshape(-1, h.shape[-1]), w, b, s, cap)
    others = tuple(name for name in wrt if name not in ARRAYS)
    logits = layer.x.reshape(*h.shape[:-1], len(w))
    given = {"dtype": dtype, "wrt": ("logits", *others), **options}
    inner = bulk.evaluate if large else oracle.evaluate
    truth = inner(loss.removeprefix("linear_"), logits, labels, **given)
    pairs = truth.grads, truth.grad_scales
    g, size = (pair.pop("logits").reshape(layer.z.shape) for pair in pairs)
    losses = truth.value_scale.reshape(-1) + (np.abs(g) * layer.terms).sum(axis=1)
    g, size = layer.through(g, size)
    for name in others:
        sizes = truth.grad_scales[name]
        truth.grad_scales[name] = np.full_like(sizes, sizes[sizes < np.inf].max())
    live = ~np.all(g == 0, axis=1, keepdims=True)  # the others may hold anything
    plain: Callable[[Array], Array] = np.asarray
    for pair, by, of in ((truth.grads, g, plain), (truth.grad_scales, size, np.abs)):
        for name in {*wrt} & {*ARRAYS}:
            found = layer.gradient(name, by, of, live)
            pair[name] = found.reshape(h.shape) if name == "hidden" else found
    return replace(truth, value_scale=losses.reshape(truth.value.shape))
