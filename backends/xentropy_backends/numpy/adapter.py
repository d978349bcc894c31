"""NumPy arrays: the formulas on `numpy`, with sums that stay accurate along every axis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from xentropy._tape import active, record
from xentropy._types import Arrays, Options
from xentropy.dispatch import Backend
from xentropy.formulas.formula import Formula, value, vjp
from xentropy.formulas.linear import Head, Layer, Operands, differentiate, on_tape
from xentropy.formulas.statistics import Request, picked
from xentropy.kernels import calls, linear, linear_statistics, plain
from xentropy.kernels.memory import dtype_name

__all__ = ["backend"]


def _astype(x: Any, dtype: Any, /) -> Any:
    return np.asarray(x).astype(dtype, copy=False)


# NumPy's own sum is off by 5 ulp at 100 terms of which one is large, by more along a first axis.
_WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}


def _sum(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    x = np.asarray(x)
    wide = np.sum(x, axis=axis, keepdims=keepdims, dtype=_WIDER[x.dtype])
    return np.asarray(wide, dtype=x.dtype)


def _size(x: Any, axis: int | None, /) -> int:
    return int(x.size) if axis is None else int(x.shape[axis])


def _class_range(labels: Any, n: int, /) -> Any:
    return np.arange(n, dtype=labels.dtype)


def _matmul(a: Any, b: Any, dtype: Any, turned: str = "", /) -> Any:
    a, b = a.T if turned == "a" else a, b.T if turned == "b" else b
    return np.matmul(_astype(a, dtype), _astype(b, dtype))


def _top_k(x: Any, k: int, /) -> Any:
    n = x.shape[-1]
    least = np.partition(x, n - k, axis=-1)[..., n - k, None]
    above, equal = x > least, x == least
    missing = k - np.count_nonzero(above, axis=-1, keepdims=True)
    chosen = np.nonzero(above | (equal & (np.cumsum(equal, axis=-1) <= missing)))[-1]
    chosen = chosen.reshape(*x.shape[:-1], k)
    order = np.argsort(-np.take_along_axis(x, chosen, -1), axis=-1, kind="stable")
    return np.take_along_axis(chosen, order, -1)


def _exp(x: Any, /) -> Any:
    # A perplexity may be infinite too, and is no formula.
    with np.errstate(over="ignore"):
        return np.exp(x)


def _total(x: Any, dtype: Any, /) -> Any:
    found = _sum(x, axis=None, keepdims=False) if x.dtype == dtype else calls.total(x)
    return np.asarray(found, dtype=dtype)


_namespace: Any = SimpleNamespace(
    abs=np.abs,
    astype=_astype,
    broadcast_like=lambda x, like, /: np.broadcast_to(x, like.shape),
    class_range=_class_range,
    concat=np.concatenate,
    count_nonzero=np.count_nonzero,
    exp=_exp,
    expand_dims=np.expand_dims,
    float32=np.float32,
    float64=np.float64,
    followed=False,
    gather=lambda x, index, /: x[index],
    int64=np.int64,
    isfinite=np.isfinite,
    isinf=np.isinf,
    log=np.log,
    log1p=np.log1p,
    matmul=_matmul,
    max=np.max,
    ones_like=np.ones_like,
    permute_dims=np.transpose,
    pow=np.power,
    rescue=lambda held, x, otherwise, /: x if held else otherwise(),
    reshape=np.reshape,
    sign=np.sign,
    size=_size,
    squeeze=np.squeeze,
    stop_gradient=lambda x, /: x,
    sum=_sum,
    tanh=np.tanh,
    top_k=_top_k,
    total=_total,
    where=np.where,
    zeros_like=np.zeros_like,
)


def _by_kernel(formula: Formula, arrays: Arrays, options: Options, upstream: float | None) -> Any:
    tape = active()
    saving = tape is not None and tape.wants(arrays[0])
    if tape is not None and not tape.reduces:
        upstream = 1.0
    output, state = calls.losses(formula, arrays, options, saving=saving, upstream=upstream)

    def pull(wanted: tuple[bool, ...], cotangent: Any) -> Arrays:
        others = (wanted[0] and state is None, *wanted[1:])
        pulled: Arrays = (None,) * len(arrays)
        if any(others):
            pulled = vjp(_namespace, formula, arrays, options, others, cotangent)
        if wanted[0] and state is not None:
            pulled = (calls.gradient(state, cotangent), *pulled[1:])
        return pulled

    record(_namespace, formula, arrays, options, output, pull)
    return output


_REAL = ("float16", "bfloat16", "float32", "float64")


class _NumPy(Backend):
    reads_weights = True

    def owns(self, x: object) -> bool:
        return isinstance(x, (np.ndarray, np.generic)) and not isinstance(x, np.ma.MaskedArray)

    def dtype_name(self, x: Any) -> str:
        return dtype_name(x.dtype)

    def device(self, x: Any) -> str:
        return "cpu"

    def asarray(self, x: np.ndarray[Any, Any], like: Any | None) -> Any:
        return x

    def concrete(self, x: Any, *, sync: bool = False) -> np.ndarray[Any, Any]:
        return np.asarray(x)

    def apply(
        self, formula: Formula, arrays: Arrays, options: Options, upstream: float | None = None
    ) -> Any:
        # Infinities and NaN are results here; underflow is a probability of 0.
        with np.errstate(all="ignore"):
            name = dtype_name(arrays[0].dtype)
            if calls.serves(formula, arrays, "float32" if name.startswith("float8") else name):
                return _by_kernel(formula, arrays, options, upstream)
            # A loss of scalars is a 0-d array like any other, not a NumPy scalar.
            output = np.asarray(value(self.xp, formula, arrays, options))
        record(self.xp, formula, arrays, options, output)
        return output

    def plain_cross_entropy(self, x: Any, labels: Any, reduction: str) -> Any:
        if type(x) is not np.ndarray or type(labels) is not np.ndarray or active() is not None:
            return None
        if not x.dtype.isnative or dtype_name(x.dtype) not in _REAL:
            return None
        if not plain.serves(x, labels, reduction):
            return None
        found = plain.cross_entropy(x, labels, reduction)
        return found and found[0]

    def linear(self, head: Head, given: Operands) -> Any:
        tape = active()
        wanted = () if tape is None else tuple(map(tape.wants, given[:3]))
        losses, state = linear.losses(head, given, wanted=wanted)

        def pull(wanted: tuple[bool, ...], cotangent: Any) -> Arrays:
            pulled = linear.gradients(state, cotangent, wanted[:3])
            others = (False, False, False, *wanted[3:])
            if any(others):
                with np.errstate(all="ignore"):
                    found = differentiate(_namespace, head, given, others, cotangent)
                pulled = (*pulled, *found[3:])
            return (*pulled, *(None for _ in given[len(pulled) :]))

        record(_namespace, on_tape(head), given, {}, losses, pull)
        return losses

    def statistics(self, request: Request) -> Arrays:
        if 0 in request.x.shape:
            return super().statistics(request)
        with np.errstate(all="ignore"):
            return picked(calls.statistics(request), request.outputs)

    def linear_statistics(self, layer: Layer, given: Operands, request: Request) -> Arrays:
        if 0 in given.hidden.shape:
            return super().linear_statistics(layer, given, request)
        return picked(linear_statistics.statistics(layer, given, request), request.outputs)

    def kernels(self) -> list[str]:
        return calls.names()

    def versions(self) -> dict[str, str]:
        return {"numpy": np.__version__}


backend = _NumPy("numpy", _namespace)
