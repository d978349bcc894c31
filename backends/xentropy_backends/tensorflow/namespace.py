"""The namespace of the formulas on TensorFlow tensors.

TensorFlow's own NumPy mode is not used: it changes type promotion for the whole process.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from xentropy.formulas.numeric import exact_log1p

__all__ = ["namespace"]


def _astype(x: Any, dtype: Any, /) -> Any:
    return x if x.dtype == dtype else tf.cast(x, dtype)


def _where(condition: Any, x: Any, y: Any, /) -> Any:
    # In a graph the first of two arguments decides on the dtype, a number as float32.
    if not tf.is_tensor(x):
        x = tf.constant(x, y.dtype)
    elif not tf.is_tensor(y):
        y = tf.constant(y, x.dtype)
    return tf.where(condition, x, y)


def _log(x: Any, /) -> Any:
    # In float32 off by 3.4 ulp where x is near 1, outside XLA.
    if x.dtype == tf.float32:
        return tf.cast(tf.math.log(tf.cast(x, tf.float64)), tf.float32)
    return tf.math.log(x)


def _log1p(x: Any, /) -> Any:
    # In float32 off by 3.7 ulp outside XLA, in float64 by 125 inside.
    if x.dtype == tf.float32:
        return tf.cast(tf.math.log1p(tf.cast(x, tf.float64)), tf.float32)
    return exact_log1p(namespace, x)


def _max(x: Any, /, *, axis: int, keepdims: bool) -> Any:
    top = tf.reduce_max(x, axis=axis, keepdims=keepdims)
    if tf.executing_eagerly():
        return top
    # XLA drops NaN on the CPU: https://github.com/tensorflow/tensorflow/issues/116992
    spoiled = tf.reduce_any(tf.math.is_nan(x), axis=axis, keepdims=keepdims)
    return _where(spoiled, float("nan"), top)


def _sum(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    # TensorFlow adds up in few accumulators, XLA in one: 131072 equal terms are off by 7000 ulp.
    # https://github.com/tensorflow/tensorflow/issues/51419
    if x.dtype == tf.float32:
        wide = tf.reduce_sum(tf.cast(x, tf.float64), axis=axis, keepdims=keepdims)
        return tf.cast(wide, tf.float32)
    if x.dtype == tf.float64:
        return _split_sum(x, axis, keepdims)
    return tf.reduce_sum(x, axis=axis, keepdims=keepdims)


def _split_sum(x: Any, axis: Any, keepdims: bool) -> Any:
    """Sum the leading bits of all terms without error, then the rest.

    The leading bits are multiples of a unit so large that their sum is exact in any order,
    whatever a compiler makes of it (Rump, Ogita and Oishi, SIAM J. Sci. Comput. 31, 2008).
    """

    def total(terms: Any) -> Any:
        return tf.reduce_sum(terms, axis=axis, keepdims=keepdims)

    largest = tf.reduce_max(tf.abs(x), axis=axis, keepdims=True)
    count = tf.cast(_size(x, None), x.dtype)  # more than are added up: that costs nothing
    unit = tf.stop_gradient(4.0 * count * largest)
    high = (x + unit) - unit
    exact = total(high) + total(x - high)
    return tf.where(tf.math.is_finite(exact), exact, total(x))


def _size(x: Any, axis: int | None, /) -> Any:
    n = x.shape.num_elements() if axis is None else x.shape[axis]
    if n is not None:
        return n
    if axis is None:
        return tf.size(x, out_type=tf.int64)
    return tf.shape(x, out_type=tf.int64)[axis]


def _class_range(labels: Any, n: Any, /) -> Any:
    return tf.range(tf.cast(n, labels.dtype))


namespace: Any = SimpleNamespace(
    abs=tf.abs,
    astype=_astype,
    class_range=_class_range,
    exp=tf.exp,
    expand_dims=tf.expand_dims,
    float32=tf.float32,
    float64=tf.float64,
    int32=tf.int32,
    int64=tf.int64,
    isfinite=tf.math.is_finite,
    isinf=tf.math.is_inf,
    log=_log,
    log1p=_log1p,
    max=_max,
    ones_like=tf.ones_like,
    pow=tf.pow,
    reshape=tf.reshape,
    sign=tf.sign,
    size=_size,
    squeeze=tf.squeeze,
    stop_gradient=tf.stop_gradient,
    sum=_sum,
    tanh=tf.tanh,
    where=_where,
    zeros_like=tf.zeros_like,
)
