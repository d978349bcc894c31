"""What graphs of TensorFlow need, and eager tensors do not."""

from __future__ import annotations

import tensorflow as tf

from xentropy._types import Arrays

from . import kernels

__all__ = ["inside", "is_pushed"]


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
