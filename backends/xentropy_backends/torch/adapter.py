"""PyTorch tensors: the formulas inside one `autograd.Function`, which serves every transform."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from xentropy._types import Arrays, Options
from xentropy.dispatch import Backend
from xentropy.formulas import formula as rules
from xentropy.formulas import fused
from xentropy.formulas.formula import Formula
from xentropy.formulas.numeric import split_sum

__all__ = ["backend"]


def _sum(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    # PyTorch's own sum is off by 9 ulp at 131072 terms, Inductor's by 15.
    dims = tuple(range(x.ndim)) if axis is None else axis
    if x.dtype == torch.float32 and x.device.type != "mps":
        wide = torch.sum(x, dim=dims, keepdim=keepdims, dtype=torch.float64)
        return wide.to(torch.float32)
    if x.numel() == 0:
        return torch.sum(x, dim=dims, keepdim=keepdims)

    def total(terms: Any) -> Any:
        return torch.sum(terms, dim=dims, keepdim=True)

    result = split_sum(_namespace, total, x, dims, x.numel())
    return result if keepdims else torch.squeeze(result, dims)


def _size(x: Any, axis: int | None, /) -> Any:
    return x.numel() if axis is None else x.shape[axis]


def _sign(x: Any, /) -> Any:
    # PyTorch's own is 0 at NaN: https://github.com/pytorch/pytorch/issues/41245
    return torch.where(torch.isnan(x), x, torch.sign(x))


def _class_range(labels: Any, n: Any, /) -> Any:
    return torch.arange(n, dtype=labels.dtype, device=labels.device)


_namespace: Any = SimpleNamespace(
    abs=torch.abs,
    astype=lambda x, dtype, /: x.to(dtype),
    class_range=_class_range,
    exp=torch.exp,
    expand_dims=lambda x, /, *, axis: torch.unsqueeze(x, axis),
    float32=torch.float32,
    float64=torch.float64,
    gather=lambda x, index, /: x[index],
    int64=torch.int64,
    isfinite=torch.isfinite,
    isinf=torch.isinf,
    log=torch.log,
    log1p=torch.log1p,
    max=lambda x, /, *, axis, keepdims: torch.amax(x, dim=axis, keepdim=keepdims),
    ones_like=torch.ones_like,
    pow=torch.pow,
    reshape=torch.reshape,
    sign=_sign,
    size=_size,
    squeeze=torch.squeeze,
    stop_gradient=lambda x, /: x.detach(),
    sum=_sum,
    tanh=torch.tanh,
    where=torch.where,
    zeros_like=torch.zeros_like,
)


def _map_rows(f: Callable[..., Any], rows: Arrays, step: int, /) -> Any:
    n = rows[0].shape[0]
    if n <= step:
        return f(*rows)
    result = None
    for start in range(0, n, step):
        part = slice(start, start + step)
        block = f(*(None if x is None else x[part] for x in rows))
        result = block.new_empty((n, *block.shape[1:])) if result is None else result
        result[part] = block
    return result


# For accelerators: in place, so that no second array of the size of the logits is held.
_fused_ops: Any = SimpleNamespace(
    add_at=lambda p, index, x, /: p.scatter_add_(1, index, x),
    broadcast_to=torch.broadcast_to,
    fill=lambda p, where, x, /: p.masked_fill_(where, x),
    log_softmax=lambda x, dtype, /: torch.log_softmax(x, -1, dtype=dtype),
    map_rows=_map_rows,
    moveaxis=torch.moveaxis,
    multiply=lambda p, x, /: p.mul_(x),
    softmax=lambda x, dtype, /: torch.softmax(x, -1, dtype=dtype),
    subtract_product=lambda p, a, b, /: p.addcmul_(a, b, value=-1.0),
    take=lambda p, index, /: torch.gather(p, 1, index),
)


def _is_fused(formula: Formula, arrays: Arrays) -> bool:
    """Whether the framework's own softmax computes: on accelerators, in eager mode, unmapped."""
    return (
        formula in fused.FORMULAS
        and accelerated(arrays[0])
        and not torch.compiler.is_compiling()
        and torch.func.debug_unwrap(arrays[0]).ndim == arrays[0].ndim
    )


def accelerated(x: Any) -> bool:
    """Whether ``x`` lies on an accelerator."""
    return bool(x.device.type != "cpu")


class _Rule(torch.autograd.Function):
    """A formula whose derivative are its partials."""

    generate_vmap_rule = True

    @staticmethod
    def forward(formula: Formula, options: Options, *arrays: Any) -> Any:
        if _is_fused(formula, arrays):
            return fused.value(_namespace, _fused_ops, formula, arrays, options)
        return rules.value(_namespace, formula, arrays, options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.formula, ctx.options, *arrays = inputs
        ctx.save_for_backward(*arrays)
        ctx.save_for_forward(*arrays)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        # Under torch.compile, inside torch.func, outputs of other rules seem to need no gradient.
        wrt = tuple(
            x is not None and (needed or torch.compiler.is_compiling()) and role != "constant"
            for x, needed, role in zip(
                ctx.saved_tensors, ctx.needs_input_grad[2:], ctx.formula.roles.values(), strict=True
            )
        )
        formula, options, arrays = ctx.formula, ctx.options, ctx.saved_tensors
        first = None
        if wrt[0] and _is_fused(formula, arrays):
            first = _FusedGradient.apply(formula, options, cotangents[0], *arrays)
            wrt = (False, *wrt[1:])
        pulled: Arrays = (None,) * len(arrays)
        if any(wrt):
            pulled = rules.vjp(_namespace, formula, arrays, options, wrt, cotangents[0])
        return (None, None, pulled[0] if first is None else first, *pulled[1:])


class _ForwardRule(_Rule):
    """The same with forward mode, which torch.compile refuses to read (graph break GB0144)."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        moving = tuple(
            None if role == "constant" else t
            for t, role in zip(tangents[2:], ctx.formula.roles.values(), strict=True)
        )
        return rules.jvp(_namespace, ctx.formula, ctx.saved_tensors, ctx.options, moving)


class _FusedGradient(torch.autograd.Function):
    """The gradient by the logits from the framework's own softmax, differentiated as a formula."""

    generate_vmap_rule = True

    @staticmethod
    def forward(formula: Formula, options: Options, cotangent: Any, *arrays: Any) -> Any:
        if _is_fused(formula, arrays):
            return fused.gradient(_namespace, _fused_ops, formula, arrays, options, cotangent)
        return _first_gradient(formula, options, cotangent, *arrays)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.formula, ctx.options, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        needed = [i for i, need in enumerate(ctx.needs_input_grad[2:]) if need]
        f, primals = _of(ctx, needed)
        pulled = dict(zip(needed, torch.func.vjp(f, *primals)[1](upstream[0]), strict=True))
        return (None, None, *(pulled.get(i) for i in range(len(ctx.saved_tensors))))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        moving = [i for i, t in enumerate(tangents[2:]) if t is not None]
        f, primals = _of(ctx, moving)
        return torch.func.jvp(f, primals, tuple(tangents[2 + i] for i in moving))[1]


def _first_gradient(formula: Formula, options: Options, cotangent: Any, *arrays: Any) -> Any:
    wrt = (True, *(False for _ in arrays[1:]))
    return rules.vjp(_namespace, formula, arrays, options, wrt, cotangent)[0]


def _of(ctx: Any, moving: list[int]) -> tuple[Callable[..., Any], Arrays]:
    """The gradient as a function of some of the saved tensors, and these."""

    def f(*primals: Any) -> Any:
        tensors = list(ctx.saved_tensors)
        for i, x in zip(moving, primals, strict=True):
            tensors[i] = x
        return _first_gradient(ctx.formula, ctx.options, *tensors)

    return f, tuple(ctx.saved_tensors[i] for i in moving)


_EXCHANGED = {torch.float32, torch.float64, torch.int32, torch.int64, torch.bool}


class _Torch(Backend):
    autodiff = True

    def owns(self, x: object) -> bool:
        return isinstance(x, torch.Tensor)

    def device(self, x: Any) -> Any:
        return x.device

    def default_float(self) -> str:
        return str(torch.get_default_dtype()).removeprefix("torch.")

    def asarray(self, x: np.ndarray[Any, Any], like: Any | None) -> Any:
        device = None if like is None else like.device
        if torch.compiler.is_compiling():
            return torch.as_tensor(x, device=device)
        # A copy: the array may be read-only, or written to later while the graph still needs it.
        return torch.tensor(x, device=device)

    def concrete(self, x: Any, *, sync: bool = False) -> np.ndarray[Any, Any] | None:
        if torch.compiler.is_compiling():
            return None
        inner = torch.func.debug_unwrap(x)
        # A tensor mapped by vmap hides a dimension; subclasses may hold no data at all.
        plain = type(inner) in (torch.Tensor, torch.nn.Parameter) and inner.ndim == x.ndim
        place = inner.device.type
        if not plain or place == "meta" or (accelerated(x) and not sync):
            return None
        if inner.device.type == "cpu" and not inner.requires_grad and inner.dtype in _EXCHANGED:
            return np.from_dlpack(inner)
        # Inside torch.func a detached tensor has no storage to view.
        dtype = "float64" if x.is_floating_point() else self.dtype_name(x)
        return np.asarray(inner.tolist(), dtype=dtype)

    def eager(self) -> bool:
        return not torch.compiler.is_compiling()

    def accumulator(self, x: Any) -> str:
        return "float32" if x.device.type == "mps" else "float64"

    def apply(self, formula: Formula, arrays: Arrays, options: Options) -> Any:
        if not torch.compiler.is_compiling():
            return _ForwardRule.apply(formula, options, *arrays)
        if any(x is not None and x.requires_grad for x in arrays):
            return _Rule.apply(formula, options, *arrays)
        # Without a gradient Dynamo would hand a context to `forward`, which has none.
        return rules.value(_namespace, formula, arrays, options)

    def value_and_grad(self, function: Callable[..., Any], primals: Arrays) -> tuple[Any, Arrays]:
        argnums = tuple(range(len(primals)))
        grads, (_, value) = torch.func.grad_and_value(function, argnums, has_aux=True)(*primals)
        return value, grads

    def kernels(self) -> list[str]:
        return ["formulas", "own softmax on accelerators"]

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def devices(self) -> list[str]:
        names = ["cpu"]
        if torch.cuda.is_available():
            names += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        return [*names, "mps"] if torch.backends.mps.is_available() else names


backend = _Torch("torch", _namespace)
