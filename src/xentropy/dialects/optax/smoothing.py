"""Labels that are less sure of themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from xentropy import _steps as steps
from xentropy.formulas.label_smoothing import smoothed

from .arguments import Given, classes, optax_spoken, ranked, spread

__all__ = ["smooth_labels"]


@optax_spoken()
def smooth_labels(labels: Any, alpha: Any, *, axis: Any = -1, where: Any = None) -> Any:
    """``optax.losses.smooth_labels`` of 0.2.8.

    ``where`` counts the classes; one that it leaves out gets its share nonetheless. A mask that is
    broadcast along the classes counts each of them, in the original one.

    * ``labels``: probabilities.
    * ``alpha``: the share that goes to all classes alike.
    * ``axis``: that of the classes, a tuple of several, or None for all.
    * ``where``: True keeps.
    """
    given = Given("smooth_labels", labels=labels, alpha=alpha, where=where)
    t, mask = given["labels"], given["where"]
    full = given.full(labels=t, alpha=given["alpha"], where=mask)
    axes = classes(given, axis, full.ndim)
    dtype = given.dtype("labels", "alpha")
    arrays = (spread(t, full), ranked(given["alpha"], full.ndim), _count(given, full, axes))
    options = {"dtype": given.name_of(dtype)}
    return steps.cast(given.call.backend.apply(smoothed, arrays, options), dtype)


def _count(given: Given, full: Any, axes: tuple[int, ...]) -> Any:
    """How many classes the mask keeps of each row."""
    xp, mask = given.xp, given["where"]
    compute = getattr(xp, given.name_of(given.dtype("labels", "alpha")))
    if mask is None:
        n = math.prod([full.shape[a] for a in axes])
        return xp.astype(given.call.adopt(np.asarray(n, np.float32)), compute)
    kept = xp.astype(spread(mask, full), compute)
    return xp.sum(kept, axis=axes, keepdims=True) if axes else kept
