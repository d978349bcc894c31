"""Errors in units in the last place, and the bounds they are held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from mpmath import MPContext

__all__ = [
    "BULK",
    "FUSED_GRADIENT",
    "FUSED_VALUE",
    "GRADIENT",
    "LAYER",
    "NATIVE_VALUE",
    "ROUNDING",
    "VALUE",
    "Bound",
    "beside",
    "bound",
    "summary",
    "ulp",
    "ulp_errors",
]

Array: TypeAlias = npt.NDArray[Any]

VALUE = 4.0
"""Losses and `logsumexp`, relative to their scale."""
GRADIENT = 8.0
"""Gradients, relative to their scale."""
FUSED_VALUE = 2.0
"""Losses of the fused CPU kernels: index labels and the sigmoid."""
FUSED_GRADIENT = 4.0
"""Gradients of the fused CPU kernels: hard labels without smoothing or z-loss."""
NATIVE_VALUE = 4.0
"""Fused ops of a framework on its accelerator, absolute: in ulp of max(1, |logsumexp|)."""
ROUNDING = 0.5
"""Of an exact number to a dtype: of a gradient to one narrower than the compute dtype, say."""
LAYER = 1.0
"""A linear head beside the dense computation: their sums have other orders."""
BULK = 2.0**-7
"""What `bulk` may be off by from `oracle`, in ulp of float64."""

_mp: Any = MPContext()
_mp.dps = 60


@dataclass(frozen=True)
class _Format:
    digits: int  # of the significand, in bits
    low: int  # exponent of the smallest normal number
    high: int  # exponent of the largest number
    compute: str

    @property
    def smallest(self) -> float:
        return float(np.ldexp(1.0, self.low))

    @property
    def largest(self) -> float:
        return float(np.ldexp(2.0 - np.ldexp(1.0, 1 - self.digits), self.high))


_FORMATS = {
    "bfloat16": _Format(8, -126, 127, "float32"),
    "float16": _Format(11, -14, 15, "float32"),
    "float32": _Format(24, -126, 127, "float32"),
    "float64": _Format(53, -1022, 1023, "float64"),
}


def _exponent(y: Any) -> int:
    y = abs(y)
    return int(_mp.frexp(y)[1]) - 1 if y > 0 and _mp.isfinite(y) else 0


@np.errstate(all="ignore")
def ulp(y: Array, dtype: str) -> Array:
    """Return the spacing of the numbers of `dtype` in the binade of `y`, as float64.

    Below the smallest normal number it stays what it is there; 0, infinities and NaN count as 0.
    """
    form, y = _FORMATS[dtype], np.asarray(y)
    usual = (np.abs(y) > 0) & (np.abs(y) < np.inf)
    if y.dtype == object:
        in_range = np.frompyfunc(lambda v: max(form.low, min(_exponent(v), form.high)), 1, 1)
        exponent = np.asarray(in_range(y), dtype=np.int64)
    else:
        exponent = np.frexp(np.abs(y))[1].astype(np.int64) - 1
    spacing = np.clip(np.where(usual, exponent, form.low), form.low, form.high) - form.digits + 1
    return np.asarray(np.ldexp(1.0, spacing), dtype=np.float64)


@np.errstate(all="ignore")
def ulp_errors(got: Array, truth: Array, scale: Array, dtype: str, *, terms: float = 1.0) -> Array:
    """Return the distance of `got` from `truth` in ulp of `scale`, element by element.

    Parameters
    ----------
    got
        What is judged: any floating dtype.
    truth, scale
        The true numbers and what the error is relative to, as object arrays of mpf or as floating
        arrays wider than `got`; same shape.
    dtype
        The name of the dtype of `got`: float64, float32, float16 or bfloat16.
    terms
        How many terms of weight 1 are summed. Each may have been flushed to 0 below the smallest
        normal number of the compute dtype.

    Returns
    -------
    ndarray
        float64. Infinite where NaN or an infinity is on one side only. A true number beyond the
        largest finite one may be an infinity of its sign. A gap that flushed terms explain is 0,
        if the sign is right.
    """
    got, truth, scale = np.asarray(got), np.asarray(truth), np.asarray(scale)
    if not got.shape == truth.shape == scale.shape:
        msg = f"shapes differ: got {got.shape}, truth {truth.shape}, scale {scale.shape}"
        raise ValueError(msg)
    shape, form = got.shape, _FORMATS[dtype]
    got, truth, scale = got.reshape(-1).astype(np.float64), truth.reshape(-1), scale.reshape(-1)
    defined = np.isfinite(got) & (np.abs(truth) < np.inf)
    gap = np.abs(_like(truth, np.where(defined, got, 0)) - np.where(defined, truth, 0))
    errors = np.asarray(gap / ulp(scale, dtype), dtype=np.float64)
    smallest = _FORMATS[form.compute].smallest
    lost = terms * smallest
    flushed = (truth != 0) & (np.abs(truth) < lost) & (gap <= lost)
    same_sign = ((got > 0) & (truth > 0)) | ((got < 0) & (truth < 0))
    errors = np.where(flushed & (same_sign | (got == 0)), 0.0, errors)
    both_infinite = np.isinf(got) & (np.abs(truth) > form.largest) & same_sign
    both_nan = np.isnan(got) & (truth != truth)
    errors = np.where(defined, errors, np.where(both_infinite | both_nan, 0.0, np.inf))
    return np.asarray(errors, dtype=np.float64).reshape(shape)


def _like(truth: Array, numbers: Array) -> Array:
    """Return float64 `numbers` in the arithmetic of `truth`."""
    if truth.dtype != object:
        return numbers.astype(np.longdouble)
    return np.asarray(np.frompyfunc(_mp.mpf, 1, 1)(numbers.astype(object)), dtype=object)


@dataclass(frozen=True)
class Bound:
    """What a loss and its gradient may be off by, in ulp of their scales.

    Attributes
    ----------
    value, gradient
        On every path.
    fused_value, fused_gradient
        On the fused CPU kernels.
    """

    value: float
    gradient: float
    fused_value: float
    fused_gradient: float

    def gradient_in(self, dtype: str, *, fused: bool = False) -> float:
        """Return the bound of a gradient in `dtype`, in its ulp.

        Narrower than the compute dtype, half an ulp for the rounding to `dtype` comes on top of the
        error in the compute dtype, which is a small part of an ulp there.
        """
        bound, form = self.fused_gradient if fused else self.gradient, _FORMATS[dtype]
        wider = _FORMATS[form.compute].digits - form.digits
        return bound if wider == 0 else ROUNDING + float(np.ldexp(bound, -wider))


_INDEX_OR_SIGMOID = (
    "sigmoid_cross_entropy",
    "sparse_softmax_cross_entropy",
    "weighted_sigmoid_cross_entropy",
)
_FOCAL = ("sigmoid_focal_cross_entropy", "softmax_focal_cross_entropy")


def bound(loss: str, options: Mapping[str, Any]) -> Bound:
    """Return the bounds of a public loss called with `options`.

    Notes
    -----
    A focal loss is a power of 1 - p, which multiplies its relative error by gamma.
    What is computed of a linear layer has no bound of its own: see `beside`.
    """
    if loss.startswith("linear_"):
        msg = f"{loss} is held to the error of the dense computation, not to a bound"
        raise ValueError(msg)
    if loss in _FOCAL:
        more = 1.0 + float(options.get("gamma", 2.0))
        return Bound(VALUE * more, GRADIENT * more, VALUE * more, GRADIENT * more)
    fused = FUSED_VALUE if loss in _INDEX_OR_SIGMOID else VALUE
    hard = not options.get("label_smoothing") and not options.get("z_loss")
    return Bound(VALUE, GRADIENT, fused, FUSED_GRADIENT if hard else GRADIENT)


def beside(dense: Array, *, rounded: bool) -> float:
    """Return what a linear head may be off by, in ulp.

    Parameters
    ----------
    dense
        The errors of the dense computation, in ulp; those that are not finite allow nothing.
    rounded
        Whether the result is of a dtype narrower than the compute dtype.
    """
    errors = np.asarray(dense, dtype=np.float64)
    most = float(np.max(errors, initial=0.0, where=np.isfinite(errors)))
    return most + LAYER + (ROUNDING if rounded else 0.0)


def summary(errors: Array) -> tuple[float, float]:
    """Return the largest and the median of `errors`; zeros if there are none."""
    errors = np.asarray(errors, dtype=np.float64)
    if errors.size == 0:
        return 0.0, 0.0
    return float(np.max(errors)), float(np.median(errors))
