"""What the losses of rows, and the slopes of their gradients, are of the sums of the rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .by_row import Numbers

__all__ = ["Label", "Sums", "dense_loss", "exp_difference", "index_loss", "merge", "miss_of"]

Array = npt.NDArray[Any]


class Sums(NamedTuple):
    """The sums of some rows, each in float64; ``exp(x - top)`` is 1 at each maximum."""

    top: Any
    rest: Any  # of exp(x - top), without one maximum
    spread: Any  # of w (top - x)
    mass: Any  # of w
    gap: Any  # of w (1 - exp(x - top))


class Label(NamedTuple):
    """What each row has at its label."""

    x: Array  # NaN where the label is none
    weight: Array | float
    share: Array | float  # that smoothing gives it


def exp_difference(x: Array, top: Array, z: Array, back: Array, lost: Array) -> Array:
    """``exp(x - top)``, what the rounding of the difference lost put back (see `formulas`)."""
    np.subtract(x, top, out=z)
    np.subtract(z, x, out=back)
    np.subtract(z, back, out=lost)
    np.subtract(x, lost, out=lost)
    back += top
    lost -= back
    np.exp(z, out=z)
    lost += 1
    np.fmin(lost, 2, out=lost)  # NaN where the difference is infinite
    z *= lost
    return z


def merge(parts: Sums) -> Sums:
    """The sums of rows from those of their pieces, all counted from the largest maximum."""
    top, rest, spread, mass, gap = parts
    peak = np.arange(top.shape[0]), top.argmax(axis=1)
    most = top[peak][:, None]
    drop = most - top
    spare = [np.empty_like(top) for _ in range(3)]
    f = exp_difference(top, most, *spare)
    f[peak] = 1
    rest = rest * f
    f[peak] = 0
    rest += f
    f[peak] = 1
    spread = spread + np.where(mass == 0, 0.0, drop * mass)
    gap = f * gap - np.where(mass == 0, 0.0, mass * np.expm1(-drop))
    return Sums(most[:, 0], *(each.sum(axis=1) for each in (rest, spread, mass, gap)))


def miss_of(sums: Sums, total: Array) -> Any:
    """The sum of ``w (1 - p)``."""
    return (sums.gap + sums.rest * sums.mass) / total


def index_loss(label: Label, numbers: Numbers, sums: Sums) -> tuple[Array, Array]:
    """The losses of rows, and ``top, a, c, own`` of their gradients (see `rows`)."""
    total, log_rest = 1.0 + sums.rest, np.log1p(sums.rest)
    drop = sums.top - label.x
    e_y = np.exp(-drop)
    p, q = e_y / total, ((1.0 - e_y) + sums.rest) / total
    surprise, lse = log_rest + drop, sums.top + log_rest
    if numbers.gamma >= 0:
        power = q**numbers.gamma
        cost = np.where(power == 0, 0.0, power * surprise)
        ratio = np.where(p == 0, 0.0, p * surprise) / q
        slope = power * (1.0 + numbers.gamma * np.where(q == 0, 1.0, ratio))
    else:
        cost, slope = surprise + numbers.epsilon * q, 1.0 + numbers.epsilon * p
    keep = (1.0 - numbers.smoothing) * label.weight
    loss = np.where(keep == 0, sums.rest - sums.rest, keep * cost)
    if numbers.z_loss:
        loss = loss + numbers.z_loss * (lse * lse)
    miss, mass = miss_of(sums, total), sums.mass
    smoothed = mass * log_rest + sums.spread + numbers.epsilon * miss
    loss = loss + np.where(mass == 0, 0.0, smoothed)
    others = 2.0 * numbers.z_loss * lse + (mass + numbers.epsilon * (mass - miss))
    slopes = np.empty((4, loss.size))
    slopes[0] = sums.top
    slopes[1] = (others + keep * slope) / total
    slopes[2] = numbers.epsilon / total
    slopes[3] = p * others - (keep * slope) * q - label.share * (1.0 + numbers.epsilon * p)
    wrong = np.isnan(sums.rest) | np.isnan(label.x)
    slopes[:, wrong] = np.nan
    return np.where(wrong, np.nan, loss), slopes


def dense_loss(numbers: Numbers, sums: Sums) -> tuple[Array, Array]:
    """The losses of rows, and ``top, rest, a, z`` of their gradients (see `rows`)."""
    total, log_rest = 1.0 + sums.rest, np.log1p(sums.rest)
    lse, miss = sums.top + log_rest, miss_of(sums, total)
    labeled = sums.mass * log_rest + sums.spread + numbers.epsilon * miss
    # A row without labels is not 0 * inf.
    loss = np.where((sums.mass == 0) & (sums.spread == 0), sums.rest - sums.rest, labeled)
    if numbers.z_loss:
        loss = loss + numbers.z_loss * (lse * lse)
    slants = np.empty((4, loss.size))
    slants[0] = sums.top
    slants[1] = sums.rest
    slants[2] = sums.mass + numbers.epsilon * (sums.mass - miss)
    slants[3] = 2.0 * numbers.z_loss * lse
    wrong = np.isnan(sums.rest)
    slants[:, wrong] = np.nan
    return np.where(wrong, np.nan, loss), slants
