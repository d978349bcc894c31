"""What computes in eager TensorFlow: kernels on the CPU, its own softmax on accelerators."""

from __future__ import annotations

import functools
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from xentropy._types import Arrays, Namespace, Options
from xentropy.formulas import fused
from xentropy.formulas.formula import Formula, jvp, vjp
from xentropy.formulas.statistics import Request, picked
from xentropy.kernels import calls, plain
from xentropy.kernels.pool import aligned

__all__ = [
    "Kernel",
    "accelerated",
    "are_plain",
    "are_watched",
    "find",
    "has_tangent",
    "is_recorded",
    "lend",
    "place",
    "plain_cross_entropy",
    "statistics",
    "take",
    "widened",
]


def _map_rows(f: Callable[..., Any], rows: Arrays, step: int, /) -> Any:
    n = rows[0].shape[0]
    if n <= step:
        return f(*rows)
    parts = [slice(start, start + step) for start in range(0, n, step)]
    return tf.concat([f(*(None if x is None else x[p] for x in rows)) for p in parts], 0)


def _moveaxis(x: Any, source: int, destination: int, /) -> Any:
    order = list(range(x.ndim))
    order.insert(destination % x.ndim, order.pop(source))
    return tf.transpose(x, order)


def _add_at(p: Any, index: Any, x: Any, /) -> Any:
    # Not a scatter, whose gradient tf.GradientTape does not have twice.
    return p + tf.where(tf.range(p.shape[1], dtype=index.dtype) == index, x, tf.zeros_like(x))


def _whole(p: Any, /) -> Any:
    # TensorFlow's own leave numbers beside a NaN or an infinity.
    spoiled = tf.reduce_any(tf.math.is_nan(p), -1, keepdims=True)
    return p + tf.where(spoiled, tf.constant(float("nan"), p.dtype), tf.zeros_like(p[:, :1]))


# For accelerators; tensors are never written to.
_fused_ops: Any = SimpleNamespace(
    add_at=_add_at,
    broadcast_to=lambda x, shape, /: x if x.shape == shape else tf.broadcast_to(x, shape),
    fill=lambda p, where, x, /: tf.where(where, tf.constant(x, p.dtype), p),
    log_softmax=lambda x, dtype, /: _whole(tf.nn.log_softmax(tf.cast(x, dtype))),
    map_rows=_map_rows,
    moveaxis=_moveaxis,
    multiply=lambda p, x, /: p * x,
    softmax=lambda x, dtype, /: _whole(tf.nn.softmax(tf.cast(x, dtype))),
    subtract_product=lambda p, a, b, /: p - a * b,
    take=lambda p, index, /: tf.gather(p, index, batch_dims=1),
)


@functools.cache
def place(device: str) -> str:
    """``cpu``, ``gpu:0``."""
    spec = tf.DeviceSpec.from_string(device)
    kind = str(spec.device_type).lower()
    return kind if kind == "cpu" else f"{kind}:{spec.device_index}"


def accelerated(x: Any) -> bool:
    """Whether ``x`` lies on an accelerator."""
    return place(x.device) != "cpu"


class Kernel(ABC):
    """What evaluates one call in eager mode, with a gradient whose gradient is the formula's."""

    def __init__(self, xp: Namespace, formula: Formula, options: Options) -> None:
        self.xp, self.formula, self.options = xp, formula, options

    @abstractmethod
    def value(self, arrays: Arrays) -> Any:
        """The losses."""

    @abstractmethod
    def slope(self, upstream: Any, arrays: Arrays) -> Any:
        """The gradient by the logits."""

    def gradient(self, upstream: Any, arrays: Arrays) -> Any:
        """The gradient by the logits, to be differentiated again."""
        moving = [i for i, x in enumerate(arrays) if x is not None and x.dtype.is_floating]
        only = (True, *(False for _ in arrays[1:]))
        if has_tangent(upstream, *(arrays[i] for i in moving)):
            # Op by op: the tape below does not record what forward mode would make of it.
            return vjp(self.xp, self.formula, arrays, self.options, only, upstream)[0]

        @tf.custom_gradient
        def first(upstream: Any, *tensors: Any) -> tuple[Any, Callable[[Any], Any]]:
            def second(again: Any) -> Any:
                inputs = list(arrays)
                with tf.GradientTape() as tape:
                    tape.watch(tensors)
                    for i, x in zip(moving, tensors, strict=True):
                        inputs[i] = x
                    call = (self.formula, tuple(inputs), self.options)
                    slope = vjp(self.xp, *call, only, upstream)[0]
                by_tensors = tape.gradient(slope, tensors, output_gradients=again)
                # Not from the tape, which does not record while forward mode transposes this.
                tangents = (again, *(None for _ in arrays[1:]))
                return jvp(self.xp, *call, tangents), *by_tensors

            return self.slope(upstream, arrays), second

        return first(upstream, *(arrays[i] for i in moving))


class _Fused(Kernel):
    """The framework's own softmax, on accelerators."""

    def value(self, arrays: Arrays) -> Any:
        return fused.value(self.xp, _fused_ops, self.formula, arrays, self.options)

    def slope(self, upstream: Any, arrays: Arrays) -> Any:
        return fused.gradient(self.xp, _fused_ops, self.formula, arrays, self.options, upstream)


class _OnHost(Kernel):
    """A kernel on the memory of tensors on the CPU, which computes the gradient with the value."""

    def __init__(
        self, xp: Namespace, formula: Formula, options: Options, upstream: float | None
    ) -> None:
        super().__init__(xp, formula, options)
        self._upstream = upstream
        self._state: Any = None

    def value(self, arrays: Arrays) -> Any:
        losses, self._state = self._evaluate(arrays, saving=is_recorded())
        return take(losses)

    def _evaluate(self, arrays: Arrays, *, saving: bool) -> tuple[Any, Any]:
        """The losses, and what the gradient needs of them."""
        lent = (lend(arrays[0]), *(lend(widened(x)) for x in arrays[1:]))
        call = functools.partial(calls.losses, saving=saving, upstream=self._upstream)
        with np.errstate(all="ignore"):
            return call(self.formula, lent, self.options, empty=aligned)

    def slope(self, upstream: Any, arrays: Arrays) -> Any:
        if tf.is_symbolic_tensor(upstream):  # of many at once, as in tape.jacobian
            only = (True, *(False for _ in arrays[1:]))
            return vjp(self.xp, self.formula, arrays, self.options, only, upstream)[0]
        state = self._evaluate(arrays, saving=True)[1] if self._state is None else self._state
        return take(calls.gradient(state, lend(upstream), empty=aligned))


def find(
    xp: Namespace, formula: Formula, arrays: Arrays, options: Options, upstream: float | None
) -> Kernel | None:
    """What evaluates the formula in eager mode; None where the formula does."""
    given = [x for x in arrays if x is not None]
    if any(tf.is_symbolic_tensor(x) for x in given):
        return None
    if accelerated(arrays[0]):
        return _Fused(xp, formula, options) if formula in fused.FORMULAS else None
    on_host = not any(map(accelerated, given))
    if on_host and calls.serves(formula, arrays, arrays[0].dtype.name):
        return _OnHost(xp, formula, options, upstream)
    return None


def _internal(name: str) -> Any:
    """A module that is not public; where it is missing, no call is short."""
    try:
        return importlib.import_module(f"tensorflow.python.eager.{name}")
    except ImportError:
        return None


def statistics(request: Request) -> Arrays | None:
    """Statistics of tensors on the CPU of which no derivative is asked for; None of others."""
    given = [x for x in request.arrays if x is not None]
    if not tf.executing_eagerly() or any(map(tf.is_symbolic_tensor, given)) or is_recorded():
        return None
    if any(map(accelerated, given)) or request.x.dtype.size < 2 or 0 in request.x.shape:
        return None
    with np.errstate(all="ignore"):
        found = calls.statistics(request.mapped(lend), aligned)
    return picked({name: take(y) for name, y in found.items()}, request.outputs)


_forwardprop_util, _record = _internal("forwardprop_util"), _internal("record")


def is_recorded() -> bool:
    """Whether somebody may ask for a gradient of what is computed now."""
    return _record is None or bool(_record.could_possibly_record())


def are_watched(tensors: list[Any]) -> bool:
    """Whether a tape watches one of the tensors, or may do so."""
    return _record is None or bool(_record.should_record_backprop(tensors))


def has_tangent(*tensors: Any) -> bool:
    """Whether forward mode is under way for one of the tensors, or may be."""
    if _forwardprop_util is None:
        return is_recorded()
    return bool(_forwardprop_util.pack_tangents(list(tensors)).tangents)


def are_plain(tensors: list[Any]) -> bool:
    """Whether they are numbers on the CPU of which nobody asks for a derivative."""
    if not tf.executing_eagerly() or any(map(tf.is_symbolic_tensor, tensors)):
        return False
    if any(map(accelerated, tensors)):
        return False
    return not (are_watched(tensors) or has_tangent(*tensors))


def plain_cross_entropy(
    x: Any, labels: Any, reduction: str, by_formulas: Callable[[Any], Any]
) -> Any:
    """`plain.cross_entropy` of eager tensors on the CPU; None where they are not, or fail."""
    if not (_record and _forwardprop_util):
        return None
    if any(tf.is_symbolic_tensor(t) or accelerated(t) for t in (x, labels)):
        return None
    recorded = is_recorded()
    if recorded and has_tangent(x):
        return None
    lent, y = lend(x), np.from_dlpack(labels)
    if not plain.serves(lent, y, reduction):
        return None
    upstream = None
    if recorded:
        upstream = 1.0 / y.size if reduction == "mean" else 1.0
    found = plain.cross_entropy(lent, y, reduction, upstream, aligned)
    if found is None:
        return None
    result = take(found[0])
    return result if found[1] is None else _connect(x, result, [take(found[1])], by_formulas)


def _connect(x: Any, result: Any, early: list[Any], by_formulas: Callable[[Any], Any]) -> Any:
    """Tell the tapes a gradient that is known, and by formulas where it is to be another.

    As `tf.custom_gradient` does, which inspects the function first: as long as the call takes.
    """

    def gradient(cotangent: Any) -> Any:
        # Of many at once, as in tape.jacobian, it is symbolic.
        known = early and not is_recorded() and not tf.is_symbolic_tensor(cotangent)
        if known and np.all(lend(cotangent) == 1):
            return [early.pop()]
        with tf.GradientTape() as tape:
            tape.watch(x)
            again = by_formulas(x)
        return [tape.gradient(again, x, output_gradients=cotangent)]

    _record.record_operation("XentropyPlain", [result], [x], gradient)
    return result


def lend(x: Any) -> Any:
    """A tensor on the CPU as an array of NumPy on the same memory, bfloat16 as its bits."""
    if x is None:
        return None
    return np.from_dlpack(tf.bitcast(x, tf.uint16) if x.dtype == tf.bfloat16 else x)


def widened(x: Any) -> Any:
    """Labels and weights in numbers: only of predictions do the kernels read the bits."""
    return tf.cast(x, tf.float32) if x is not None and x.dtype == tf.bfloat16 else x


def take(x: np.ndarray[Any, Any]) -> Any:
    """An array of NumPy as a tensor on the same memory, bits as bfloat16."""
    if not x.flags.c_contiguous:  # TensorFlow has no strides.
        x = _copied(x)
    tensor = tf.experimental.dlpack.from_dlpack(x.__dlpack__())
    return tf.bitcast(tensor, tf.bfloat16) if x.dtype == np.uint16 else tensor


def _copied(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    result = aligned(x.shape, x.dtype)
    result[...] = x
    return result
