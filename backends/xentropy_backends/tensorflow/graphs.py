"""What graphs of TensorFlow need, and eager tensors do not."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from xentropy._types import Arrays

from . import kernels

__all__ = ["agreeing", "compares", "inside", "is_pushed"]


def compares() -> bool:
    """Whether ``==`` compares what tensors hold, as formulas take it to, and not which they are."""
    # Not public, but what tells without a tensor: in eager mode every call asks.
    if not getattr(tf.Tensor, "_USE_EQUALITY", True):
        return False
    return tf.executing_eagerly() or tf.compat.v1.executing_eagerly_outside_functions()


def inside(arrays: Arrays) -> Arrays:
    """Eager tensors as tensors of the graph that is being built.

    Of what a function in it closes over, gradients of loops and of gradients do not find them.
    """
    if tf.executing_eagerly():
        return arrays
    return tuple(x if x is None or tf.is_symbolic_tensor(x) else tf.identity(x) for x in arrays)


def is_pushed(arrays: Arrays) -> bool:
    """Whether forward mode goes on in a graph, op by op.

    There no tape around it, and no other forward mode, follows what it makes of a gradient of our
    own: the transposed function, whose derivative would be 0.
    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/eager/forwardprop.py
    """
    if tf.executing_eagerly():
        return False
    return kernels.has_tangent(*(x for x in arrays if x is not None and x.dtype.is_floating))


def agreeing(x: Any, beside: list[tuple[Any, int] | None], exact: bool) -> Any:
    """``x``, which `Backend.agreeing` describes.

    A tensor that is not stretched passes tf.broadcast_to as it is, and under XLA, which drops
    assertions, it fails too. int32, in what accelerators compute on the host: to wait for a length
    there would be to wait for all that goes before.
    """
    lengths = []
    for axis, place in enumerate(beside):
        n = tf.shape(x)[axis]
        if place is not None:
            like, i = place
            own, n = n, tf.shape(like)[i]
            is_stretched = (1 - _differ(own, 1)) * _differ(n, 1)
            n += is_stretched * ((-2 if exact else 1) - n)  # of no tensor the length is -2
        lengths.append(n)
    result = tf.broadcast_to(x, lengths, name="xentropy_lengths_must_agree")
    result.set_shape(x.shape)
    return result


def _differ(n: Any, m: Any) -> Any:
    """1 or 0."""
    return tf.minimum(tf.maximum(n, m) - tf.minimum(n, m), 1)
