"""Losses with a term for each class or element, and their gradients, in extended precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tests.cases import Array

__all__ = [
    "Truth",
    "divergence",
    "entropy",
    "focal",
    "log_softmax",
    "logsumexp",
    "parts",
    "sigmoid_focal",
]


class Truth(NamedTuple):
    """Losses and gradients in extended precision, and the magnitudes of their terms."""

    value: Array
    value_scale: Array
    slope: Array
    slope_scale: Array


class Parts(NamedTuple):
    p: Array
    q: Array
    surprise: Array
    lse: Array


def parts(x: Array, temperature: float = 1.0) -> Parts:
    """Of a softmax, the largest term out of the sum."""
    z = x.astype(np.longdouble)
    rows, top = np.arange(len(z)), z.argmax(1)
    highest = z[rows, top][:, None]
    z = (z - highest) / np.longdouble(x.dtype.type(temperature))
    e = np.exp(z)
    e[rows, top] = 0
    rest = e.sum(1, keepdims=True)
    others = rest - e
    others[rows, top] = rest[:, 0] - 1
    e[rows, top] = 1
    log_rest = np.log1p(rest)
    q = (1 + others) / (1 + rest)
    q[rows, top] = (rest / (1 + rest))[:, 0]
    return Parts(e / (1 + rest), q, log_rest - z, highest + log_rest)


def of_terms(s: Parts, terms: Array, a: Array, factor: float = 1.0) -> Truth:
    """The sum of terms whose gradient is ``p (sum(a) - a) - a q``."""
    total = a.sum(1, keepdims=True)
    slope = factor * (s.p * (total - a) - a * s.q)
    magnitude = s.p * (np.abs(a).sum(1, keepdims=True) - np.abs(a)) + np.abs(a) * s.q
    return Truth(terms.sum(1), np.abs(terms).sum(1), slope, np.abs(factor) * magnitude)


def divergence(x: Array, t: Array, temperature: float = 1.0) -> Truth:
    s, t = parts(x, temperature), t.astype(np.longdouble)
    log = np.log(np.where(t == 0, 1, t))
    square = np.longdouble(temperature) ** 2
    found = of_terms(s, square * t * (log + s.surprise), t, temperature)
    return found._replace(value_scale=(square * t * (np.abs(log) + s.surprise)).sum(1))


def focal(x: Array, t: Array, gamma: float = 2.0) -> Truth:
    s, t = parts(x), t.astype(np.longdouble)
    ratio = s.p * s.surprise / np.where(s.q == 0, 1, s.q)
    ratio = np.where(s.q == 0, 1, ratio)
    power = s.q ** np.longdouble(x.dtype.type(gamma))
    return of_terms(s, t * power * s.surprise, t * power * (1 + gamma * ratio))


def logsumexp(x: Array, t: Array) -> Truth:
    s = parts(x)
    lse = s.lse[:, 0]
    return Truth(lse, np.maximum(np.abs(x.max(1)), np.abs(lse)), s.p, s.p)


def log_softmax(x: Array, t: Array) -> Truth:
    """With the gradient of the sum of all."""
    s = parts(x)
    slope = s.q - s.p * (x.shape[1] - 1)
    return Truth(-s.surprise, s.surprise, slope, s.q + s.p * (x.shape[1] - 1))


def entropy(x: Array) -> Truth:
    """The mean of the surprises, and ``-p (log p + H)``, whose terms are of either sign."""
    s = parts(x)
    drop = x.max(1, keepdims=True) - x.astype(np.longdouble)
    mean = (s.p * drop).sum(1, keepdims=True)
    value = (s.p * s.surprise).sum(1)
    return Truth(value, value, s.p * (drop - mean), s.p * (drop + mean))


def sigmoid_focal(x: Array, t: Array, gamma: float = 2.0) -> Truth:
    """Of labels that are 0 or 1."""
    m = np.where(t > 0, x, -x).astype(np.longdouble)
    e = np.exp(-np.abs(m))
    surprise = np.log1p(e) + np.maximum(-m, 0)
    q = np.where(m > 0, e, 1) / (1 + e)
    power = q ** np.longdouble(x.dtype.type(gamma))
    sign = np.where(t > 0, -1, 1)
    slope = sign * power * (q + gamma * (np.where(m > 0, 1, e) / (1 + e)) * surprise)
    return Truth(power * surprise, power * surprise, slope, np.abs(slope))
