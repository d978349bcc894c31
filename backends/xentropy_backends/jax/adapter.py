"""JAX arrays: each formula a `jax.custom_jvp`, compiled once a structure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import jax
import jax.core
import jax.custom_derivatives
import jax.experimental
import jax.export
import jax.numpy as jnp
import numpy as np

from xentropy._types import Arrays, Options
from xentropy.dispatch import AutodiffBackend
from xentropy.formulas import formula as rules
from xentropy.formulas.formula import Formula
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.numeric import exact_log1p
from xentropy.formulas.statistics import Request, evaluate
from xentropy.kernels import calls, plain
from xentropy.reduction import MEANS

from . import kernels, linear

__all__ = ["backend", "enable_x64"]


def _size(x: Any, axis: int | None, /) -> Any:
    return x.size if axis is None else x.shape[axis]  # may be symbolic


def _pow(x: Any, y: Any, /) -> Any:
    return jnp.power(x, jnp.asarray(y, dtype=x.dtype))


# Without x64 too there is a float64 inside; it was in jax.experimental before JAX 0.8.
_place = jax if hasattr(jax, "enable_x64") else jax.experimental
enable_x64: Any = getattr(_place, "enable_x64")  # noqa: B009


def _sum(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    # Float32 in float64. Splitting off exact leading parts, as elsewhere, is not safe here: XLA
    # contracts the product that a term is into a fused multiply-add, kernel by kernel.
    if x.dtype == jnp.float32:
        with enable_x64(True):
            wide = jnp.sum(x, axis=axis, keepdims=keepdims, dtype=jnp.float64)
            return wide.astype(jnp.float32)
    return jnp.sum(x, axis=axis, keepdims=keepdims)


def _matmul(a: Any, b: Any, dtype: Any, turned: str = "", /) -> Any:
    a, b = a.T if turned == "a" else a, b.T if turned == "b" else b
    if a.dtype != b.dtype:
        a, b = a.astype(dtype), b.astype(dtype)
    # Half precision is added up in the wider dtype, without a copy.
    return jnp.matmul(a, b, preferred_element_type=dtype)


def _max(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    most = jnp.max(x, axis=axis, keepdims=keepdims)
    # Of a long row of NaN XLA's own is -inf on the CPU: https://github.com/openxla/xla/issues/21461
    return jnp.where(most == -jnp.inf, jnp.sum(x, axis=axis, keepdims=keepdims), most)


def _top_k(x: Any, k: int, /) -> Any:
    return jnp.asarray(jax.lax.top_k(x, k)[1], dtype=jax.dtypes.canonicalize_dtype(np.int64))


def _where(condition: Any, x: Any, y: Any, /) -> Any:
    if not isinstance(condition, jax.core.Tracer):  # a number would be moved implicitly
        like = x if hasattr(x, "dtype") else y
        there = kernels.place((condition, like))
        x, y = (
            v if hasattr(v, "dtype") else jax.device_put(like.dtype.type(v), there) for v in (x, y)
        )
    return jnp.where(condition, x, y)


# Outside of a program what an index is compared with, or is, would be moved.
_gather = jax.jit(lambda x, index: x[index])
_first = jax.jit(lambda x: x[..., 0], inline=True)

_LANES = 128


def _total(x: Any, dtype: Any, /) -> Any:
    # XLA's own sum of a matrix in float64 is off by 5 ulp.
    if x.dtype != dtype or type(x.size) is not int or x.size <= _LANES:
        return jnp.sum(x, dtype=dtype)
    rows = -(-x.size // _LANES)
    padded = jnp.pad(jnp.ravel(x), (0, rows * _LANES - x.size))
    sums = jnp.sum(padded.reshape(rows, _LANES), axis=0)
    while sums.size > 1:
        sums = sums[: sums.size // 2] + sums[sums.size // 2 :]
    return sums[0]


_namespace: Any = SimpleNamespace(
    abs=jnp.abs,
    astype=lambda x, dtype, /: jnp.asarray(x, dtype=dtype),
    broadcast_like=lambda x, like, /: jnp.broadcast_to(x, like.shape),
    class_range=lambda labels, n, /: jnp.arange(n, dtype=labels.dtype),
    concat=jnp.concatenate,
    count_nonzero=jnp.count_nonzero,
    exp=jnp.exp,
    expand_dims=jnp.expand_dims,
    float32=jnp.float32,
    float64=jnp.float64,
    followed=False,
    gather=_gather,
    int32=jnp.int32,
    int64=jnp.int64,
    isfinite=jnp.isfinite,
    isinf=jnp.isinf,
    log=jnp.log,
    log1p=lambda x, /: exact_log1p(_namespace, x),
    matmul=_matmul,
    max=_max,
    ones_like=jax.jit(jnp.ones_like, inline=True),  # outside of a trace the 1 would be moved
    permute_dims=jnp.permute_dims,
    pow=_pow,
    # Needed in float64 only, where a second sum would keep XLA from fusing the loss into the first.
    rescue=lambda held, x, otherwise, /: x,
    reshape=jnp.reshape,
    sign=jnp.sign,
    size=_size,
    squeeze=jnp.squeeze,
    stop_gradient=jax.lax.stop_gradient,
    sum=_sum,
    tanh=jnp.tanh,
    top_k=_top_k,
    total=_total,
    where=_where,
    zeros_like=jax.jit(jnp.zeros_like, inline=True),
)


def _inside(formula: Formula) -> AbstractContextManager[Any]:
    """Where a formula is evaluated: a reduction in float64, also without x64."""
    return enable_x64(True) if formula.reduces == "all" else nullcontext()


_kernel = kernels.Kernel(_namespace)


@functools.cache
def _rule(
    formula: Formula,
    static: tuple[tuple[str, Any], ...],
    numbers: tuple[str, ...],
    upstream: float | None,
) -> Callable[..., Any]:
    """The formula as a differentiable function of its arrays and its numeric options.

    Numbers are operands, so that a schedule of them compiles once. ``upstream`` is the cotangent
    that is expected.
    """
    count = len(formula.roles)

    def split(operands: Arrays) -> tuple[Arrays, Options]:
        return operands[:count], {
            **dict(static),
            **dict(zip(numbers, operands[count:], strict=True)),
        }

    def kernel(operands: Arrays, upstream: float | None) -> list[Any]:
        given = tuple(x is not None for x in operands[:count])
        spec = kernels.Spec(formula.name, static, numbers, given, upstream)
        return _kernel(spec, tuple(x for x in operands if x is not None))

    @jax.custom_jvp
    def evaluate(*operands: Any) -> Any:
        arrays, options = split(operands)
        if kernels.serves(formula, arrays):
            return kernel(operands, None)[0]
        with _inside(formula):
            return rules.value(_namespace, formula, arrays, options)

    def push(primals: Arrays, tangents: Arrays) -> tuple[Any, Any]:
        arrays, options = split(primals)
        moving = tuple(
            None if role == "constant" or isinstance(t, jax.custom_derivatives.SymbolicZero) else t
            for role, t in zip(formula.roles.values(), tangents[:count], strict=True)
        )
        # Half precision has no digits to spare for a cotangent that was not expected.
        narrow = arrays[0].dtype == jnp.float16
        narrow |= formula.coupled and arrays[0].dtype == jnp.bfloat16
        if moving[0] is None or narrow or not kernels.serves(formula, arrays):
            output = evaluate(*primals)
            with _inside(formula):
                tangent = rules.jvp(_namespace, formula, arrays, options, moving)
            return output, jnp.zeros_like(output) if tangent is None else tangent
        if formula.coupled:
            output, p = kernel(primals, 1.0)
            # What is not used of the others XLA does not compute.
            d, *_ = rules.coupling(_namespace, formula, arrays, options)
            return output, rules.push_coupled(_namespace, d, p, 1.0 - p, moving[0], options)
        expected = 1.0 if upstream is None else upstream
        output, slope = kernel(primals, expected)
        pieces = jnp.asarray(slope, output.dtype) * jnp.asarray(moving[0], output.dtype)
        # XLA drops the factor 1 that reverse mode makes of this where the cotangent is as expected.
        kept = bool(options.get("keepdims"))
        tangent = jnp.sum(pieces, axis=options["axis"], keepdims=kept) / expected
        rest = rules.jvp(_namespace, formula, arrays, options, (None, *moving[1:]))
        return output, tangent if rest is None else tangent + rest

    evaluate.defjvp(push, symbolic_zeros=True)
    return jax.jit(evaluate)


@functools.cache
def _statistics(axis: int, dtype: str, outputs: tuple[str, ...], k: int) -> Callable[..., Arrays]:
    """Statistics of arrays, compiled together."""

    def all_of_them(x: Any, labels: Any, mask: Any, keep: Any, scale: Any) -> Arrays:
        request = Request(x, labels, mask, keep, axis, dtype, scale, outputs, k)
        return evaluate(backend.apply, _namespace, request)

    return jax.jit(all_of_them)


@functools.cache
def _linear_statistics(layer: Layer, request: Request) -> Callable[..., Arrays]:
    """Those of a layer, whose numbers are operands."""

    def all_of_them(given: Operands, scale: Any, softcap: Any) -> Arrays:
        whole = layer._replace(scale=scale, softcap=softcap)
        return linear.statistics(whole, given, request)

    return jax.jit(all_of_them)


_REAL = {np.dtype(x) for x in (jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64)}


_config: Any = jax.config


@functools.cache
def _home() -> Any:
    """The CPU, where it is the one device that arrays lie on unless told otherwise."""
    devices = jax.devices()
    return {devices[0]} if len(devices) == 1 and devices[0].platform == "cpu" else None


def _is_at_home(x: Any) -> bool:
    if isinstance(x, jax.core.Tracer) or not isinstance(x, jax.Array) or x.committed:
        return False
    return bool(x.devices() == _home()) and not _config.jax_debug_nans


class _JAX(AutodiffBackend):
    def owns(self, x: object) -> bool:
        return isinstance(x, jax.Array)

    def dtype_name(self, x: Any) -> str:
        return str(x.dtype.name)

    def device(self, x: Any) -> Any:
        # Uncommitted arrays move freely; a tracer has no place yet.
        if isinstance(x, jax.core.Tracer) or not x.committed:
            return None
        devices = sorted(map(str, x.devices()))
        return ", ".join(devices)

    def default_float(self) -> str:
        return str(jax.dtypes.canonicalize_dtype(np.float64).name)

    def asarray(self, x: np.ndarray[Any, Any], like: Any | None) -> Any:
        # Put there explicitly: jax.transfer_guard refuses what jnp.asarray does.
        array = np.asarray(x, jax.dtypes.canonicalize_dtype(x.dtype))
        return jax.device_put(array, kernels.place((like,)))

    def concrete(self, x: Any, *, sync: bool = False) -> np.ndarray[Any, Any] | None:
        if isinstance(x, jax.core.Tracer):
            return None
        on_host = all(device.platform == "cpu" for device in x.devices())
        return np.asarray(x) if (on_host or sync) and x.is_fully_addressable else None

    def index_dtype(self, x: Any) -> str:
        return str(jax.dtypes.canonicalize_dtype(np.int64).name)

    def number(self, n: int, beside: Any) -> Any:
        (found,) = kernels.put((n,), (beside,))
        return found

    def first(self, x: Any) -> Any:
        return _first(x)

    def accumulator(self, x: Any) -> str:
        return str(jax.dtypes.canonicalize_dtype(np.float64).name)

    def apply(
        self, formula: Formula, arrays: Arrays, options: Options, upstream: float | None = None
    ) -> Any:
        if formula.reduces == "all":
            options = {**options, "dtype": "float64"}
        numbers = {k: v for k, v in options.items() if isinstance(v, (float, jax.Array))}
        static = tuple((k, v) for k, v in options.items() if k not in numbers)
        expected = upstream if isinstance(arrays[0], jax.core.Tracer) else None
        rule = _rule(formula, static, tuple(numbers), expected)
        return rule(*arrays, *kernels.put(numbers.values(), arrays))

    def linear(self, head: Head, given: Operands) -> Any:
        return linear.losses(head, given)

    def linear_statistics(self, layer: Layer, given: Operands, request: Request) -> Arrays:
        bare = layer._replace(scale=None, softcap=None)
        numbers = kernels.put((layer.scale, layer.softcap), given)
        return _linear_statistics(bare, request)(given, *numbers)

    def plain_cross_entropy(self, x: Any, labels: Any, reduction: str) -> Any:
        if not (_is_at_home(x) and _is_at_home(labels)) or x.dtype not in _REAL:
            return None
        host, y = np.asarray(x), np.asarray(labels)
        if y.dtype.kind in "iu":
            y = y.astype(np.int64, copy=False)
        if not plain.serves(host, y, reduction):
            return None
        found = plain.cross_entropy(host, y, reduction)
        try:
            return found and jnp.asarray(found[0])
        except jax.errors.JaxRuntimeError:  # jax.transfer_guard
            return None

    def statistics(self, request: Request) -> Arrays:
        x, labels, mask, keep, axis, dtype, scale, outputs, k = request
        arrays = (x, labels, mask, keep)
        return _statistics(axis, dtype, outputs, k)(*arrays, *kernels.put((scale,), arrays))

    def value_and_grad(self, function: Callable[..., Any], primals: Arrays) -> tuple[Any, Arrays]:
        # Not `jax.value_and_grad`, which moves a 1 to the device in silence.
        total, pull, value = jax.vjp(function, *primals, has_aux=True)
        (one,) = kernels.put([np.ones((), total.dtype)], [total])
        return value, pull(one)

    def kernels(self) -> list[str]:
        return calls.names() if _home() else ["formulas"]

    def versions(self) -> dict[str, str]:
        return {"jax": jax.__version__}

    def devices(self) -> list[str]:
        return [str(device) for device in jax.devices()]


backend = _JAX("jax", _namespace)

# What is exported is saved with the types that it returns.
if hasattr(jax.export, "register_namedtuple_serialization"):  # since JAX 0.4.36
    for _name, _mean in MEANS.items():
        jax.export.register_namedtuple_serialization(_mean, serialized_name=_name)
