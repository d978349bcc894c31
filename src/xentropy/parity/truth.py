"""The true results of a case: mpmath where it can, extended precision checked by mpmath beyond.

The numbers are kept with 64 bits where the platform has them, a two-thousandth of a float64 ulp,
because comparing them once per framework in mpmath would take longer than the frameworks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import bulk, compare, layer, oracle
from .cases import Case, by_class, flatten, of_layer, reduced, take

__all__ = ["Part", "Truths"]

Array: TypeAlias = npt.NDArray[Any]

_EXACT = 2**12
"""Numbers for which mpmath is asked in full: a second's worth or less."""
_PRODUCTS, _MORE_PRODUCTS = 2**16, 2**24
"""Of features and weights: for mpmath, and in extended precision."""
_SAMPLE = 2**9
"""Numbers on which `bulk` is checked, or a row."""
_KEPT = 2**23
"""Numbers up to which the truth is kept in memory rather than worked out again."""
_LONG_ROW = 2**14
_PLAIN = {"mean_squared_error": "squared_error", "mean_absolute_error": "absolute_error"}


@dataclass(frozen=True)
class Part:
    """Truth for some of the results, seen as `count` examples in C order, classes last."""

    count: int
    rows: Any
    value: Array
    value_scale: Array
    gradient: Array
    gradient_scale: Array
    reduced: bool = False


class Truths:
    """The truth of one case, part by part.

    Attributes
    ----------
    how
        ``"mpmath"``, ``"mpmath on N of M examples"``, or ``"longdouble"`` with such a check.
    doubt
        What the check of the extended precision against mpmath found wrong.
    """

    _checked: set[tuple[str, int]] = set()  # noqa: RUF012 - one memory for all cases of a run

    def __init__(self, case: Case) -> None:
        self.case = replace(case, loss=_PLAIN.get(case.loss, case.loss))
        self.reduced = reduced(case)
        self.flat = self._plain(flatten(self.case))
        self.doubt = ""
        self._parts: list[Part] | None = None
        self._layer = of_layer(self.flat.loss)
        rows, each = self.flat.prediction.shape
        self._each = each * len(self.flat.options["weight"]) if self._layer else each
        most = _PRODUCTS if self._layer else _EXACT
        large = rows * self._each > most
        known = (*bulk.LOSSES, "linear_cross_entropy")
        self._bulk = large and self.flat.loss in known and bulk.supported()
        self.how = "longdouble" if self._bulk else "mpmath"
        if self._bulk and not (self._layer and self._each > most):
            self._check()
        if large and not self.reduced and (self._layer or not self._bulk):
            self._sample(_MORE_PRODUCTS if self._bulk else most)

    def _plain(self, flat: Case) -> Case:
        options = {k: v for k, v in flat.options.items() if k != "reduction"}
        return replace(flat, options=options)

    def parts(self) -> Iterator[Part]:
        """Yield the truth; kept where it is small."""
        if self._parts is None and self.case.prediction.size <= _KEPT:
            self._parts = list(self._compute())
        yield from self._compute() if self._parts is None else self._parts

    def _compute(self) -> Iterator[Part]:
        if self._layer or not self._bulk:
            yield self._from_oracle()
        elif self.reduced:
            truth = bulk.evaluate(**_call(self.flat))
            yield self._whole(truth, bulk.reduce(truth, self._reduction))
        else:
            rows = self.flat.prediction.shape
            count = rows[0] if by_class(self.flat.loss) else rows[0] * rows[1]
            for where, truth in bulk.blocks(**_call(self.flat)):
                yield _part(count, where, truth, self.case.first)

    @property
    def _reduction(self) -> str:
        return str(self.case.options.get("reduction", "mean"))

    def _from_oracle(self) -> Part:
        rows = getattr(self, "_rows", slice(None))
        chosen = self.flat if isinstance(rows, slice) else take(self.flat, rows)
        truth = (_fast if self._bulk else _exact)(chosen)
        if self.reduced:
            reduce = bulk.reduce if self._bulk else oracle.reduce
            return self._whole(truth, reduce(truth, self._reduction))
        return _part(self.flat.prediction.shape[0], rows, truth, self.case.first)

    def _whole(self, truth: Any, value: Any) -> Part:
        """Return the truth of a sum or a mean; the weights do not depend on the predictions."""
        total = truth.weight.sum() if self._reduction == "mean" else 1
        share = 1 / total if total != 0 else 0 * total
        first, rows = self.case.first, self.flat.prediction.shape
        return Part(
            count=rows[0],
            rows=slice(None),
            value=_numbers(np.array([[value]])),
            value_scale=_numbers(np.array([[truth.value_scale.sum() * abs(share)]])),
            gradient=_numbers((truth.grads[first] * share).reshape(rows)),
            gradient_scale=_numbers((truth.grad_scales[first] * abs(share)).reshape(rows)),
            reduced=True,
        )

    def _sample(self, numbers: int) -> None:
        count, some = len(self.flat.prediction), max(1, numbers // self._each)
        if some < count:
            chosen = np.random.default_rng(0).choice(count, some, replace=False)
            self._rows = np.sort(chosen)
            self.how = f"{self.how.partition(',')[0]} on {some} of {count} rows"

    def _check(self) -> None:
        """Compare the extended precision with mpmath on some rows; one long row is enough."""
        count, key = len(self.flat.prediction), (self.flat.loss, self._each)
        if self._each >= _LONG_ROW and key in self._checked:
            return
        self._checked.add(key)
        some = min(count, max(1, _SAMPLE // self._each))
        flat = take(self.flat, np.sort(np.random.default_rng(0).choice(count, some, replace=False)))
        true, fast = _exact(flat), _fast(flat)
        self.how = f"longdouble, mpmath on {some} of {count} rows"
        first = self.case.first
        for got, truth, scale in (
            (fast.value, true.value, true.value_scale),
            (fast.grads[first], true.grads[first], true.grad_scales[first]),
        ):
            error = _distance(got, truth, scale)
            if not error <= compare.BULK:
                self.doubt = f"the extended precision is off mpmath by {error:.2g} ulp of float64"


def _exact(flat: Case) -> oracle.Truth:
    evaluate = layer.evaluate if of_layer(flat.loss) else oracle.evaluate
    return evaluate(**_call(flat))


def _fast(flat: Case) -> oracle.Truth:
    if of_layer(flat.loss):
        return layer.evaluate(**_call(flat), large=True)
    return bulk.evaluate(**_call(flat))


def _call(flat: Case) -> dict[str, Any]:
    first = "hidden" if of_layer(flat.loss) else "prediction"
    given = {"loss": flat.loss, first: flat.prediction, "labels": flat.labels}
    return given | {"dtype": flat.dtype, "wrt": (flat.first,), **flat.options}


def _part(count: int, rows: Any, truth: Any, first: str) -> Part:
    n = truth.value.shape[0]
    arrays = (truth.value, truth.value_scale, truth.grads[first], truth.grad_scales[first])
    value, value_scale, gradient, gradient_scale = (
        _numbers(x.reshape(n, x.size // max(n, 1))) for x in arrays
    )
    return Part(count, rows, value, value_scale, gradient, gradient_scale)


def _number(x: Any) -> Any:
    """Return a mpf as the sum of two float64 in extended precision."""
    try:
        high = float(x)
        return np.longdouble(high) + np.longdouble(float(x - high) if np.isfinite(high) else 0.0)
    except OverflowError:
        return np.longdouble(np.inf if x > 0 else -np.inf)


def _numbers(x: Array) -> Array:
    if x.dtype != object or not bulk.supported():
        return x
    return np.array([_number(v) for v in x.reshape(-1)], dtype=np.longdouble).reshape(x.shape)


@np.errstate(all="ignore")
def _distance(fast: Array, truth: Array, scale: Array) -> float:
    """Return the largest distance in ulp of float64; infinite where only one is not finite."""
    truth, scale = _numbers(truth), _numbers(scale)
    both = np.isfinite(fast) & np.isfinite(truth)
    same = (fast == truth) | (np.isnan(fast) & np.isnan(truth))
    errors = np.abs(fast - truth) / compare.ulp(scale, "float64")
    return float(np.max(np.where(both, errors, np.where(same, 0, np.inf)), initial=0))
