"""TensorFlow: eager tensors, graphs and XLA, with the partials of the formulas as gradients."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from xentropy._types import Arrays, Namespace, Options
from xentropy.dispatch import AutodiffBackend, LayoutError
from xentropy.errors import UnsupportedError
from xentropy.formulas import linear as heads
from xentropy.formulas.formula import Formula, value, vjp
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.numeric import exact_log1p, split_sum
from xentropy.formulas.statistics import Request
from xentropy.kernels import calls, plain

from . import graphs, kernels, linear

__all__ = ["backend"]


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
    return exact_log1p(_namespace, x)


def _max(x: Any, /, *, axis: int, keepdims: bool) -> Any:
    top = tf.reduce_max(x, axis=axis, keepdims=keepdims)
    if tf.executing_eagerly():
        return top
    # XLA drops NaN on the CPU: https://github.com/tensorflow/tensorflow/issues/116992
    spoiled = tf.reduce_any(tf.math.is_nan(x), axis=axis, keepdims=keepdims)
    return _where(spoiled, float("nan"), top)


def _sum(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    # TensorFlow adds up in few accumulators, XLA in one: 7000 ulp at 131072 equal terms.
    # https://github.com/tensorflow/tensorflow/issues/51419
    if x.dtype == tf.float32:
        wide = tf.reduce_sum(tf.cast(x, tf.float64), axis=axis, keepdims=keepdims)
        return tf.cast(wide, tf.float32)

    def total(terms: Any) -> Any:
        return tf.reduce_sum(terms, axis=axis, keepdims=True)

    # More are counted than are added up: that costs nothing.
    result = split_sum(_namespace, total, x, axis, tf.cast(_size(x, None), x.dtype))
    return result if keepdims else tf.squeeze(result, axis)


def _size(x: Any, axis: int | None, /) -> Any:
    n = x.shape.num_elements() if axis is None else x.shape[axis]
    if n is not None:
        return n
    if axis is None:
        return tf.size(x, out_type=tf.int64)
    return tf.shape(x, out_type=tf.int64)[axis]


def _rescue(held: Any, x: Any, otherwise: Callable[[], Any], /) -> Any:
    # On an accelerator to ask would be to wait; and XLA cannot map what asks, as
    # tf.vectorized_map of a mean would.
    if tf.executing_eagerly() and not kernels.accelerated(x) and held:
        return x
    return tf.where(held, x, otherwise())


def _count_nonzero(x: Any, /, *, axis: int, keepdims: bool) -> Any:
    return tf.reduce_sum(tf.cast(x, tf.int64), axis=axis, keepdims=keepdims)


def _top_k(x: Any, k: int, /) -> Any:
    return tf.cast(tf.math.top_k(x, k).indices, tf.int64)


def _class_range(labels: Any, n: Any, /) -> Any:
    return tf.range(tf.cast(n, labels.dtype))


def _total(x: Any, dtype: Any, /) -> Any:
    if x.dtype == dtype:
        return _sum(x, axis=tuple(range(x.ndim)), keepdims=False)
    return tf.reduce_sum(tf.cast(x, dtype))


_namespace: Any = SimpleNamespace(
    abs=tf.abs,
    astype=_astype,
    broadcast_like=lambda x, like, /: tf.broadcast_to(x, tf.shape(like)),
    class_range=_class_range,
    concat=lambda arrays, /, *, axis: tf.concat(arrays, axis),
    count_nonzero=_count_nonzero,
    exp=tf.exp,
    expand_dims=tf.expand_dims,
    float32=tf.float32,
    float64=tf.float64,
    followed=False,
    gather=lambda x, index, /: tf.gather(x, index),
    int32=tf.int32,
    int64=tf.int64,
    isfinite=tf.math.is_finite,
    isinf=tf.math.is_inf,
    log=_log,
    log1p=_log1p,
    matmul=lambda a, b, dtype, turned="", /: tf.matmul(
        _astype(a, dtype), _astype(b, dtype), turned == "a", turned == "b"
    ),
    max=_max,
    ones_like=tf.ones_like,
    permute_dims=tf.transpose,
    pow=tf.pow,
    rescue=_rescue,
    reshape=tf.reshape,
    sign=tf.sign,
    size=_size,
    squeeze=tf.squeeze,
    stop_gradient=tf.stop_gradient,
    sum=_sum,
    tanh=tf.tanh,
    top_k=_top_k,
    total=_total,
    where=_where,
    zeros_like=tf.zeros_like,
)
# Where nothing stands beside what is computed: neither our gradients nor our tangents.
_followed: Any = SimpleNamespace(**(vars(_namespace) | {"followed": True}))


_REAL = {
    tf.float16: "float32",
    tf.bfloat16: "float32",
    tf.float32: "float32",
    tf.float64: "float64",
}
"""What logits are computed in."""


class _TensorFlow(AutodiffBackend):
    reads_weights = True
    opens_lengths = True

    def owns(self, x: object) -> bool:
        # Keras variables too; ragged and sparse tensors and slices are not arrays.
        return isinstance(x, tf.__internal__.types.Tensor)

    def unwrap(self, x: Any) -> Any:
        if not self.owns(x):
            return x
        if not graphs.compares():
            rule = "a tensor whose values == compares"
            hint = "call it in eager mode or in tf.function, with tensor equality enabled."
            raise LayoutError(rule, hint)
        return _tensor(x)

    def dtype_name(self, x: Any) -> str:
        return str(tf.as_dtype(x.dtype).name)

    def device(self, x: Any) -> str | None:
        """``cpu``, ``gpu:0``; None in a graph, whose ops are placed when it runs."""
        x = _tensor(x)
        if x.shape.rank is None:
            hint = "give it one with tf.ensure_shape or an input_signature."
            msg = f"xentropy: the rank of every tensor must be known.\nHint: {hint}"
            raise UnsupportedError(msg)
        return None if tf.is_symbolic_tensor(x) else kernels.place(x.device)

    def default_float(self) -> str:
        return "float32"

    def asarray(self, x: np.ndarray[Any, Any], like: Any | None) -> Any:
        if like is None or tf.is_symbolic_tensor(like):
            return tf.convert_to_tensor(x)
        with tf.device(_tensor(like).device):
            return tf.convert_to_tensor(x)

    def concrete(self, x: Any, *, sync: bool = False) -> np.ndarray[Any, Any] | None:
        x = _tensor(x)
        if tf.is_symbolic_tensor(x):
            return None
        if kernels.accelerated(x):
            return np.asarray(x.numpy()) if sync else None
        try:
            return np.from_dlpack(x)
        except (BufferError, RuntimeError):  # bfloat16
            return np.asarray(x.numpy())

    def of_shape(self, x: Any, shape: tuple[Any, ...]) -> Any:
        x = tf.identity(x)  # tf.ensure_shape knows no forward mode in graphs
        x.set_shape(shape)
        return x

    def agreeing(self, x: Any, beside: list[tuple[Any, int] | None], *, exact: bool) -> Any:
        return graphs.agreeing(x, beside, exact)

    def followed(self, x: Any) -> bool:
        # Tensors know nothing of the tapes that watch them.
        return kernels.is_recorded()

    # Nothing here depends on the values of tensors: AutoGraph would find nothing to convert.
    @tf.autograph.experimental.do_not_convert
    def apply(
        self, formula: Formula, arrays: Arrays, options: Options, upstream: float | None = None
    ) -> Any:
        arrays = graphs.inside(tuple(None if x is None else _tensor(x) for x in arrays))
        if graphs.is_pushed(arrays):
            return value(_followed, formula, arrays, options)
        given = _cut_off(arrays)
        kernel = kernels.find(self.xp, formula, arrays, options, upstream)
        output = value(self.xp, formula, given, options) if kernel is None else kernel.value(given)
        if tf.executing_eagerly() and not kernels.is_recorded():
            return output
        first, *others = _groups(formula, arrays, kernel is not None) or [()]
        result = _differentiable(self.xp, formula, arrays, options, first, output, kernel)
        for group in others:
            # Not tf.zeros_like, which is the same in all calls of tf.vectorized_map. So would be
            # what hangs on it and on weights that they share: it keeps the first call's gradient.
            zero = tf.cast(output > float("inf"), output.dtype)
            result += _differentiable(self.xp, formula, arrays, options, group, zero)
        return result

    def plain_cross_entropy(self, x: Any, labels: Any, reduction: str) -> Any:
        if not isinstance(x, tf.Tensor) or not isinstance(labels, tf.Tensor):
            return None
        if x.dtype not in _REAL or labels.dtype != tf.int64 or not graphs.compares():
            return None

        def by_formulas(x: Any) -> Any:
            y = tf.expand_dims(labels, -1)
            return plain.by_formulas(self.apply, x, y, reduction, _REAL[x.dtype])

        return kernels.plain_cross_entropy(x, labels, reduction, by_formulas)

    @tf.autograph.experimental.do_not_convert
    def linear(self, head: Head, given: Operands) -> Any:
        given = Operands(*graphs.inside(given))
        if graphs.is_pushed(given):
            return heads.losses(_followed, head, given)
        return linear.losses(self.xp, self.apply, head, given)

    def statistics(self, request: Request) -> Arrays:
        return kernels.statistics(request) or super().statistics(request)

    @tf.autograph.experimental.do_not_convert
    def linear_statistics(self, layer: Layer, given: Operands, request: Request) -> Arrays:
        given = Operands(*graphs.inside(given))
        if graphs.is_pushed(given):
            found = heads.ask(_followed, layer, given, request, self.statistics)
            for x in found:
                if x.shape.rank is None:  # of a length that is not known, beside one that is
                    x.set_shape(given.hidden.shape[:1])
            return found
        return linear.statistics(self, layer, given, request)

    def value_and_grad(self, function: Callable[..., Any], primals: Arrays) -> tuple[Any, Arrays]:
        # An identity makes each argument distinct, also where the caller passes one tensor twice.
        tensors = tuple(tf.identity(x) for x in primals)
        for x in tensors:
            if x.dtype.size < 2:
                rule = f"TensorFlow has no gradients with respect to {x.dtype.name}."
                msg = f"xentropy.value_and_grad: {rule}\nHint: cast it to float16 or bfloat16."
                raise UnsupportedError(msg)
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            root, result = function(*tensors)
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(root, tensors, unconnected_gradients=zero)
        return result, tuple(tf.convert_to_tensor(g) for g in gradients)

    def kernels(self) -> list[str]:
        return [*calls.names(), "own softmax on accelerators"]

    def versions(self) -> dict[str, str]:
        return {"tensorflow": str(tf.__version__)}

    def devices(self) -> list[str]:
        return [kernels.place(device.name) for device in tf.config.list_logical_devices()]


def _tensor(x: Any) -> Any:
    """The value of a variable; a tensor is its own."""
    return x if isinstance(x, tf.Tensor) else tf.convert_to_tensor(x)


def _cut_off(arrays: Arrays) -> Arrays:
    """What a value is to be computed from, which has a gradient of its own.

    What tapes do not watch they do not keep: of the value they need no intermediate result. In a
    graph they keep nothing that is not used, and what `tf.vectorized_map` makes of it loses the
    gradients of our own: a tape around that differentiates the value.
    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/ops/parallel_for/pfor.py#L2247
    """
    if not tf.executing_eagerly():
        return arrays
    return tuple(None if x is None else tf.stop_gradient(x) for x in arrays)


def _groups(formula: Formula, arrays: Arrays, by_kernel: bool) -> list[tuple[int, ...]]:
    """The positions of the arrays to be differentiated, in groups.

    A tape asks for the gradients of a whole group, if it watches one array of it. So weights, whose
    gradient costs a pass of its own and is seldom asked for, stand alone.
    """
    together: list[int] = []
    alone: list[int] = []
    for i, (role, x) in enumerate(zip(formula.roles.values(), arrays, strict=True)):
        if x is None or role == "constant" or not x.dtype.is_floating:
            continue
        joined = i == 0 or role == "elements" or formula.reduces == "all"
        joined = joined and not (i and by_kernel)
        (together if joined else alone).append(i)
    return [tuple(together)] * bool(together) + [(i,) for i in alone]


def _differentiable(
    xp: Namespace,
    formula: Formula,
    arrays: Arrays,
    options: Options,
    group: tuple[int, ...],
    output: Any,
    kernel: kernels.Kernel | None = None,
) -> Any:
    """``output`` with the formula's gradient by the arrays at the positions in ``group``."""
    wrt = tuple(i in group for i in range(len(arrays)))

    @tf.custom_gradient
    def connect(*tensors: Any) -> tuple[Any, Callable[[Any], list[Any]]]:
        inputs = list(arrays)
        for i, x in zip(group, tensors, strict=True):
            inputs[i] = x

        def gradient(upstream: Any) -> list[Any]:
            upstream = tf.convert_to_tensor(upstream)  # tf.gather sends slices
            if kernel is not None:
                return [kernel.gradient(upstream, tuple(inputs))]
            found = vjp(xp, formula, tuple(inputs), options, wrt, upstream)
            # The first argument, the predictions, is never broadcast.
            return [_unbroadcast(found[i], inputs[i]) if i else found[i] for i in group]

        return output, gradient

    if not group:
        return output
    # In a graph forward mode takes the tangent of the identity that a custom gradient hangs on, 0
    # here, for its own. Of a function it takes the transposed gradient.
    # https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/ops/custom_gradient.py#L402
    call = connect if tf.executing_eagerly() else tf.function(connect, autograph=False)
    return call(*(arrays[i] for i in group))


def _unbroadcast(gradient: Any, x: Any) -> Any:
    """Sum over the lengths of ``x`` that turn out to be 1 only when the graph runs."""
    if x.shape.is_fully_defined():
        return gradient
    like = tf.shape(x)
    axes = tf.raw_ops.BroadcastGradientArgs(s0=like, s1=tf.shape(gradient)).r0
    return tf.reshape(_namespace.sum(gradient, axis=axes, keepdims=True), like)


backend = _TensorFlow("tensorflow", _namespace)
