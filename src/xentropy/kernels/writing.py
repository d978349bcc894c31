"""The gradients of rows, once what they are made of is known: written, also past the cache."""

from __future__ import annotations

from typing import Any, NamedTuple

from .machine import helper, inlined, narrow_to, per_line, place_of, pointer, shifted, stream

__all__ = [
    "Slant",
    "clear",
    "copy",
    "deliver",
    "fill",
    "nothing",
    "scatter",
    "slant",
    "target",
    "write",
]


@helper
def copy(source: Any, count: Any, out: Any) -> Any:
    """Copy numbers."""
    for i in range(count):
        out[i] = source[i]


@helper
def fill(value: Any, count: Any, out: Any) -> Any:
    """Write the same number everywhere."""
    for i in range(count):
        out[i] = value


@helper
def clear(given: Any, r: Any, a: Any, count: Any, zero: Any, out: Any) -> Any:
    """0 where a class is left out."""
    mask = shifted(given.mask, r % given.masks * given.n + a)
    for i in range(count):
        out[i] = out[i] if mask[i] != 0 else narrow_to(zero, out[i])


@helper
def write(e: Any, count: Any, a: Any, out: Any) -> Any:
    """Write ``a * e``."""
    for i in range(count):
        out[i] = narrow_to(a * e[i], out[i])


@helper
def deliver(page: Any, count: Any, out: Any) -> Any:
    """Copy numbers past the cache, as far as they fill lines of it."""
    line = per_line(out)
    done = min(count, -place_of(out) % 64 * line // 64)
    copy(page, done, out)
    while done + line <= count:
        stream(shifted(page, done), shifted(out, done))
        done += line
    copy(shifted(page, done), count - done, shifted(out, done))


@inlined
def target(past: Any, i: Any, scratch: Any, out: Any) -> Any:
    """Where the gradient of the block from class ``i`` on is written first."""
    return pointer(place_of(scratch.page), out[0]) if past else shifted(out, i)


@helper
def nothing(n: Any, one: Any, out: Any) -> Any:
    """Write 0; ``one`` is in the compute dtype."""
    for i in range(n):
        out[i] = narrow_to(one - one, out[i])


class Slant(NamedTuple):
    """The numbers of a row that its gradient needs, in the compute dtype."""

    rest: Any
    inverse: Any  # of 1 + rest
    a: Any
    z: Any
    scale: Any
    epsilon: Any
    one: Any
    top: Any


@helper
def slant(e: Any, count: Any, b: Any, of: Any, out: Any) -> Any:
    """Write ``p (a + z - own) - own q`` with ``own = b (1 + epsilon p)``."""
    for i in range(count):
        p, q = e[i] * of.inverse, ((of.one - e[i]) + of.rest) * of.inverse
        own = b[i] + b[i] * (of.epsilon * p)
        out[i] = narrow_to(of.scale * (p * ((of.a - own) + of.z) - own * q), out[i])


@helper
def scatter(given: Any, first: Any, m: Any, stride: Any, rows: Any, out: Any) -> Any:
    """Write gradients of some rows where their logits lie, the rows side by side."""
    for j in range(given.n):
        for i in range(m):
            shifted(out, given.starts[first + i] + j * given.step)[0] = rows[i * stride + j]
