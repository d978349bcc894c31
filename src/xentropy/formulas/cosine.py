"""The cosine of the angle between two rows, and one less it, each without cancellation."""

from __future__ import annotations

from typing import Any, NamedTuple

from xentropy._types import Namespace

from .formula import Formula

__all__ = ["distance", "similarity"]


class _Unit(NamedTuple):
    """A row divided by its norm, or by the least norm where that is larger."""

    u: Any
    norm: Any
    lost: Any  # 1 - |u|^2, exactly 0 where the norm is its own


def _unit(xp: Namespace, a: Any, mask: Any, least: Any, axis: int) -> _Unit:
    if mask is not None:
        a = xp.where(mask, a, 0.0)
    # Of scaled entries no square overflows, and none that counts underflows.
    top = xp.stop_gradient(xp.max(xp.abs(a), axis=axis, keepdims=True))
    top = xp.where((top > 0) & xp.isfinite(top), top, 1.0)
    scaled = a / top
    norm = top * xp.pow(xp.sum(scaled * scaled, axis=axis, keepdims=True), 0.5)
    short = norm < least
    norm = xp.where(short, least, norm)
    if mask is not None:
        count = xp.sum(xp.where(mask, xp.ones_like(a), 0.0), axis=axis, keepdims=True)
        short = short | (count == 0)
        norm = xp.where(count == 0, 1.0, norm)
    u = a / norm
    return _Unit(u, norm, xp.where(short, 1.0 - xp.sum(u * u, axis=axis, keepdims=True), 0.0))


def _gap(xp: Namespace, u: _Unit, v: _Unit, sign: float, axis: int) -> Any:
    """``1 - sign u v`` as a sum of squares."""
    e = u.u - sign * v.u
    return 0.5 * (xp.sum(e * e, axis=axis, keepdims=True) + (u.lost + v.lost))


def _slope(xp: Namespace, u: _Unit, v: _Unit, axis: int) -> Any:
    """The derivative of ``u v`` by the row of ``u``: ``v`` less its part along ``u``."""
    near = (v.u - u.u) + _gap(xp, u, v, 1.0, axis) * u.u
    far = (v.u + u.u) - _gap(xp, u, v, -1.0, axis) * u.u
    cosine = xp.sum(u.u * v.u, axis=axis, keepdims=True)
    across = xp.where(cosine > 0, near, far)
    return xp.where(u.lost != 0, v.u, across) / u.norm


def _by_epsilon(xp: Namespace, u: _Unit, v: _Unit, epsilon: Any, axis: int) -> Any:
    """The derivative of ``u v`` by the least square of a norm, along the axis of length 1."""
    cosine = xp.sum(u.u * v.u, axis=axis, keepdims=True)
    one = xp.ones_like(cosine)
    count = xp.where(u.lost != 0, one, 0.0) + xp.where(v.lost != 0, one, 0.0)
    return -0.5 * cosine * count / xp.where(epsilon > 0, epsilon, 1.0)


def _similarity(xp: Namespace, u: _Unit, v: _Unit, axis: int) -> Any:
    return xp.sum(u.u * v.u, axis=axis, keepdims=True)


def _distance(xp: Namespace, u: _Unit, v: _Unit, axis: int) -> Any:
    return _gap(xp, u, v, 1.0, axis)


def _of_units(name: str, value_of: Any, sign: float) -> Formula:
    def units(
        xp: Namespace, a: Any, b: Any, mask: Any, epsilon: Any, least: Any, axis: int, dtype: str
    ) -> tuple[_Unit, _Unit]:
        if epsilon is not None:
            least = xp.pow(xp.where(epsilon > 0, epsilon, 0.0), 0.5)
        return _unit(xp, a, mask, least, axis), _unit(xp, b, mask, least, axis)

    def value(xp: Namespace, *, predictions: Any, targets: Any, mask: Any, **options: Any) -> Any:
        u, v = units(xp, predictions, targets, mask, **options)
        return value_of(xp, u, v, options["axis"])

    def partials(
        xp: Namespace,
        wrt: tuple[str, ...],
        *,
        predictions: Any,
        targets: Any,
        mask: Any,
        **options: Any,
    ) -> dict[str, Any]:
        u, v = units(xp, predictions, targets, mask, **options)
        found = {}
        for name in wrt:
            if name == "epsilon":
                found[name] = sign * _by_epsilon(xp, u, v, options["epsilon"], options["axis"])
                continue
            pair = (u, v) if name == "predictions" else (v, u)
            each = sign * _slope(xp, *pair, options["axis"])
            found[name] = each if mask is None else xp.where(mask, each, 0.0)
        return found

    roles: Any = {"predictions": "elements", "targets": "elements", "mask": "constant"}
    roles["epsilon"] = "elements"
    return Formula(name, roles, "axis", value, partials)


similarity = _of_units("cosine_similarity", _similarity, 1.0)
distance = _of_units("cosine_distance", _distance, -1.0)
