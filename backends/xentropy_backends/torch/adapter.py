"""PyTorch tensors: the formulas inside one `autograd.Function`, which serves every transform."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad

from xentropy._types import Arrays, Options
from xentropy.dispatch import AutodiffBackend, LayoutError
from xentropy.formulas import formula as rules
from xentropy.formulas.formula import Formula
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.numeric import split_sum
from xentropy.formulas.statistics import Request
from xentropy.kernels import calls, plain

from . import kernels, linear

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


def _sign(x: Any, /) -> Any:
    # PyTorch's own is 0 at NaN: https://github.com/pytorch/pytorch/issues/41245
    return torch.where(torch.isnan(x), x, torch.sign(x))


def _rescue(held: Any, x: Any, otherwise: Callable[[], Any], /) -> Any:
    if not torch.compiler.is_compiling() and kernels.is_plain(held):
        return x if held else otherwise()
    return torch.where(held, x, otherwise())


def _top_k(x: Any, k: int, /) -> Any:
    # Of equal ones torch.topk takes any.
    return torch.sort(x, dim=-1, descending=True, stable=True).indices[..., :k]


def _class_range(labels: Any, n: Any, /) -> Any:
    return torch.arange(n, dtype=labels.dtype, device=labels.device)


def _total(x: Any, dtype: Any, /) -> Any:
    if x.dtype == dtype:
        return _sum(x, axis=None, keepdims=False)
    if not torch.compiler.is_compiling() and kernels.is_plain(x):
        # PyTorch's own takes five times as long.
        return torch.tensor(calls.total(kernels.lend(x)), dtype=dtype)
    return torch.sum(x, dtype=dtype)


_namespace: Any = SimpleNamespace(
    abs=torch.abs,
    astype=lambda x, dtype, /: x.to(dtype),
    broadcast_like=lambda x, like, /: x.expand_as(like),
    class_range=_class_range,
    concat=lambda arrays, /, *, axis: torch.cat(arrays, axis),
    count_nonzero=lambda x, /, *, axis, keepdims: torch.sum(
        x, dim=axis, keepdim=keepdims, dtype=torch.int64
    ),
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
    matmul=lambda a, b, dtype, turned="", /: torch.mm(
        (a.T if turned == "a" else a).to(dtype), (b.T if turned == "b" else b).to(dtype)
    ),
    max=lambda x, /, *, axis, keepdims: torch.amax(x, dim=axis, keepdim=keepdims),
    ones_like=torch.ones_like,
    permute_dims=torch.permute,
    pow=torch.pow,
    rescue=_rescue,
    reshape=torch.reshape,
    sign=_sign,
    size=lambda x, axis, /: x.numel() if axis is None else x.shape[axis],
    squeeze=torch.squeeze,
    stop_gradient=lambda x, /: x.detach(),
    sum=_sum,
    tanh=torch.tanh,
    top_k=_top_k,
    total=_total,
    where=torch.where,
    zeros_like=torch.zeros_like,
)


def _wanted(ctx: Any, formula: Formula) -> tuple[bool, ...]:
    """Which gradients are needed."""
    count = len(formula.roles)
    pairs = zip(ctx.needs_input_grad[-count:], formula.roles.values(), strict=True)
    return tuple(needed and role != "constant" for needed, role in pairs)


class _Rule(torch.autograd.Function):
    """A formula whose derivative are its partials, for torch.compile.

    It refuses to read a function with forward mode (graph break GB0144).
    """

    @staticmethod
    def forward(formula: Formula, options: Options, *arrays: Any) -> Any:
        return rules.value(_namespace, formula, arrays, options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.formula, ctx.options, *arrays = inputs
        ctx.save_for_backward(*arrays)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        # Inside torch.func outputs of other rules seem to need no gradient: all are computed, and
        # the compiler drops those that nobody wants.
        wrt = tuple(
            x is not None and role != "constant"
            for x, role in zip(ctx.saved_tensors, ctx.formula.roles.values(), strict=True)
        )
        call = (ctx.formula, ctx.saved_tensors, ctx.options)
        return (None, None, *rules.vjp(_namespace, *call, wrt, cotangents[0]))


class _EagerRule(torch.autograd.Function):
    """A formula whose derivative are its partials, in every mode and under every transform."""

    generate_vmap_rule = True

    @staticmethod
    def forward(kernel: kernels.Kernel, saving: bool, *arrays: Any) -> Any:
        return kernel.value(saving, arrays)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.kernel, _, *arrays = inputs
        ctx.save_for_backward(*arrays)
        ctx.save_for_forward(*arrays)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        kernel, arrays = ctx.kernel, ctx.saved_tensors
        wrt, first = _wanted(ctx, kernel.formula), None
        if wrt[0]:
            # Differentiated again only where somebody may: the rule costs as much as a small call.
            again = torch.is_grad_enabled()
            first = (_Gradient.apply if again else _gradient)(kernel, cotangents[0], *arrays)
        wrt, pulled = (False, *wrt[1:]), (None,) * len(arrays)
        if any(wrt):
            call = (kernel.formula, arrays, kernel.options)
            pulled = rules.vjp(_namespace, *call, wrt, cotangents[0])
        return (None, None, first, *pulled[1:])

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        formula = ctx.kernel.formula
        moving = tuple(
            None if role == "constant" else t
            for t, role in zip(tangents[2:], formula.roles.values(), strict=True)
        )
        call = (_namespace, formula, ctx.saved_tensors, ctx.kernel.options)
        found = rules.jvp(*call, moving)
        # PyTorch takes no None for a zero: it asserts that the tangent is floating.
        return torch.zeros_like(rules.value(*call)) if found is None else found


class _PlainRule(torch.autograd.Function):
    """The same outside torch.func, where no signature is inspected: 80 us of a small call.

    https://github.com/pytorch/pytorch/blob/v2.13.0/torch/autograd/function.py#L600
    """

    @staticmethod
    def forward(ctx: Any, kernel: kernels.Kernel, saving: bool, *arrays: Any) -> Any:
        ctx.kernel = kernel
        ctx.save_for_backward(*arrays)
        ctx.save_for_forward(*arrays)
        return kernel.value(saving, arrays)

    backward = _EagerRule.backward
    jvp = _EagerRule.jvp


def _gradient(kernel: kernels.Kernel, cotangent: Any, *arrays: Any) -> Any:
    return kernel.gradient(cotangent, arrays)


class _Gradient(torch.autograd.Function):
    """The gradient by the first argument; its own derivatives are those of the formula."""

    generate_vmap_rule = True

    @staticmethod
    def forward(kernel: kernels.Kernel, cotangent: Any, *arrays: Any) -> Any:
        return kernel.gradient(cotangent, arrays)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.kernel, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        needed = [i for i, need in enumerate(ctx.needs_input_grad[1:]) if need]
        f, primals = _as_function(ctx, needed)
        pulled = dict(zip(needed, torch.func.vjp(f, *primals)[1](upstream[0]), strict=True))
        return (None, *(pulled.get(i) for i in range(len(ctx.saved_tensors))))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        moving = [i for i, t in enumerate(tangents[1:]) if t is not None]
        f, primals = _as_function(ctx, moving)
        # Forward mode refuses what lies in the memory of one number, as the cotangent of a sum.
        primals = tuple(x.clone() if i == 0 else x for i, x in zip(moving, primals, strict=True))
        return torch.func.jvp(f, primals, tuple(tangents[1 + i] for i in moving))[1]


def _as_function(ctx: Any, moving: list[int]) -> tuple[Callable[..., Any], Arrays]:
    """The gradient as a function of some of the saved tensors, and these."""

    def f(*primals: Any) -> Any:
        tensors = list(ctx.saved_tensors)
        for i, x in zip(moving, primals, strict=True):
            tensors[i] = x
        return ctx.kernel.first_partial(*tensors)

    return f, tuple(ctx.saved_tensors[i] for i in moving)


class _Plain(torch.autograd.Function):
    """A plain cross-entropy whose gradient came with it; other derivatives are the formulas'."""

    @staticmethod
    def forward(ctx: Any, x: Any, labels: Any, reduction: str, result: Any, gradient: Any) -> Any:
        ctx.save_for_backward(x, labels)
        ctx.reduction, ctx.early = reduction, [gradient]
        return result

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        (cotangent,) = cotangents
        again = torch.is_grad_enabled()
        if ctx.early and not again and _is_one(cotangent):
            return (ctx.early.pop(), *_NO_GRADIENTS)
        x, labels = ctx.saved_tensors
        with torch.enable_grad():
            x = x if again else x.detach().requires_grad_()
            result = _plain_by_formulas(x, labels, ctx.reduction)
            found = torch.autograd.grad(result, x, cotangent, create_graph=again)
        return (*found, *_NO_GRADIENTS)


def _is_one(cotangent: Any) -> bool:
    if not kernels.is_plain(cotangent):
        return False
    return bool(cotangent.item() == 1 if cotangent.ndim == 0 else (cotangent == 1).all())


_NO_GRADIENTS = (None,) * 4


def _plain_by_formulas(x: Any, labels: Any, reduction: str) -> Any:
    dtype = "float64" if x.dtype == torch.float64 else "float32"
    return plain.by_formulas(backend.apply, x, labels.unsqueeze(-1), reduction, dtype)


_EXCHANGED = {torch.float32, torch.float64, torch.int32, torch.int64, torch.bool}


class _Torch(AutodiffBackend):
    reads_weights = True

    def owns(self, x: object) -> bool:
        return isinstance(x, torch.Tensor)

    def unwrap(self, x: Any) -> Any:
        if x is None or (x.layout is torch.strided and not x.is_nested):
            return x
        rule, hint = f"a dense tensor, not {x.layout}", "pass its to_dense()."
        if x.is_nested:
            rule = "a dense tensor, not a nested one"
            hint = "pass its to_padded_tensor(0.0), and as `where` what is no padding."
        raise LayoutError(rule, hint)

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
        if not plain or place == "meta" or (kernels.accelerated(x) and not sync):
            return None
        if inner.device.type == "cpu" and not inner.requires_grad and inner.dtype in _EXCHANGED:
            return np.from_dlpack(inner)
        # Inside torch.func a detached tensor has no storage to view.
        dtype = "float64" if x.is_floating_point() else self.dtype_name(x)
        return np.asarray(inner.tolist(), dtype=dtype)

    def eager(self) -> bool:
        return not torch.compiler.is_compiling()

    def followed(self, x: Any) -> bool:
        return bool(x.requires_grad or kernels.transforming() or forward_ad._current_level >= 0)

    def accumulator(self, x: Any) -> str:
        return "float32" if x.device.type == "mps" else "float64"

    def apply(
        self, formula: Formula, arrays: Arrays, options: Options, upstream: float | None = None
    ) -> Any:
        if not torch.compiler.is_compiling():
            saving = torch.is_grad_enabled() and arrays[0].requires_grad
            rule = _EagerRule if kernels.transforming() else _PlainRule
            return rule.apply(
                kernels.Kernel(_namespace, formula, options, upstream), saving, *arrays
            )
        if any(x is not None and x.requires_grad for x in arrays):
            return _Rule.apply(formula, options, *arrays)
        # Without a gradient Dynamo would hand a context to `forward`, which has none.
        return rules.value(_namespace, formula, arrays, options)

    def linear(self, head: Head, given: Operands) -> Any:
        return linear.losses(head, given)

    def linear_statistics(self, layer: Layer, given: Operands, request: Request) -> Arrays:
        return linear.statistics(layer, given, request)

    def plain_cross_entropy(self, x: Any, labels: Any, reduction: str) -> Any:
        if not isinstance(labels, torch.Tensor) or labels.dtype != torch.int64:
            return None
        if (
            x.dtype not in kernels.MEMORY
            or kernels.transforming()
            or forward_ad._current_level >= 0
        ):
            return None
        found = kernels.plain_cross_entropy(x, labels, reduction)
        if found is None or found[1] is None:
            return found and found[0]
        return _Plain.apply(x, labels, reduction, *found)

    def statistics(self, request: Request) -> Arrays:
        return kernels.statistics(request) or super().statistics(request)

    def value_and_grad(self, function: Callable[..., Any], primals: Arrays) -> tuple[Any, Arrays]:
        argnums = tuple(range(len(primals)))
        grads, (_, value) = torch.func.grad_and_value(function, argnums, has_aux=True)(*primals)
        return value, grads

    def kernels(self) -> list[str]:
        return [*calls.names(), "own softmax on accelerators"]

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def devices(self) -> list[str]:
        names = ["cpu"]
        if torch.cuda.is_available():
            names += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        return [*names, "mps"] if torch.backends.mps.is_available() else names


backend = _Torch("torch", _namespace)
