"""What formulas use of PyTorch, where its names or its numbers differ from the standard's."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import torch

from xentropy.formulas.numeric import split_sum
from xentropy.kernels import calls

from . import kernels

__all__ = ["exact", "followed", "xp"]


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

    result = split_sum(xp, total, x, dims, x.numel())
    return result if keepdims else torch.squeeze(result, dims)


def _sign(x: Any, /) -> Any:
    # PyTorch's own is 0 at NaN: https://github.com/pytorch/pytorch/issues/41245
    return torch.where(torch.isnan(x), x, torch.sign(x))


def _rescue(held: Any, x: Any, otherwise: Callable[[], Any], /) -> Any:
    if not torch.compiler.is_compiling() and kernels.is_plain(held):
        return x if held else otherwise()
    return torch.where(held, x, otherwise())


def exact(x: Any) -> AbstractContextManager[Any]:
    """Products in the dtype of what is multiplied, also where autocast has another in mind."""
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


def _matmul(a: Any, b: Any, dtype: Any, turned: str = "", /) -> Any:
    with exact(a):
        return torch.mm(
            (a.T if turned == "a" else a).to(dtype), (b.T if turned == "b" else b).to(dtype)
        )


_FEW = 16
"""Places for whose classes a row is read once each; a sort takes longer."""


def _top_k(x: Any, k: int, /) -> Any:
    # Of equal ones torch.topk takes any: its values are looked up, each once.
    if k > _FEW:
        return torch.sort(x, dim=-1, descending=True, stable=True).indices[..., :k]
    top, classes = torch.topk(x, k, dim=-1).values, torch.arange(x.shape[-1], device=x.device)
    found: list[Any] = []
    for i in range(k):
        hit = x == top[..., i : i + 1]
        if i:
            is_new = top[..., i : i + 1] != top[..., i - 1 : i]
            hit = hit & (is_new | (classes > found[-1]))
        # The first of the largest, as argmax promises.
        found.append(torch.argmax(hit.to(torch.uint8), dim=-1, keepdim=True))
    return torch.cat(found, -1)


def _class_range(labels: Any, n: Any, /) -> Any:
    return torch.arange(n, dtype=labels.dtype, device=labels.device)


def _total(x: Any, dtype: Any, /) -> Any:
    if x.dtype == dtype:
        return _sum(x, axis=None, keepdims=False)
    if not torch.compiler.is_compiling() and kernels.is_plain(x):
        # PyTorch's own takes five times as long.
        return torch.tensor(calls.total(kernels.lend(x)), dtype=dtype, device=x.device)
    return torch.sum(x, dtype=dtype)


def _stop_gradient(x: Any, /) -> Any:
    if torch.compiler.is_compiling() or kernels.transforming():
        return x.detach()
    # Batches of cotangents or tangents, by `is_grads_batched` and `vectorize`, have no rule for it;
    # nothing follows them.
    # https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/LegacyBatchingRegistrations.cpp
    return x.detach() if kernels.again() and not kernels.is_batched(x) else x


xp: Any = SimpleNamespace(
    abs=torch.abs,
    # Not of a length that torch.export leaves open: a number.
    astype=lambda x, dtype, /: x.to(dtype) if isinstance(x, torch.Tensor) else x,
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
    followed=False,
    gather=lambda x, index, /: x[index],
    int64=torch.int64,
    isfinite=torch.isfinite,
    isinf=torch.isinf,
    log=torch.log,
    log1p=torch.log1p,
    matmul=_matmul,
    max=lambda x, /, *, axis, keepdims: torch.amax(x, dim=axis, keepdim=keepdims),
    ones_like=torch.ones_like,
    permute_dims=torch.permute,
    pow=torch.pow,
    rescue=_rescue,
    reshape=torch.reshape,
    sign=_sign,
    size=lambda x, axis, /: x.numel() if axis is None else x.shape[axis],
    squeeze=torch.squeeze,
    stop_gradient=_stop_gradient,
    sum=_sum,
    tanh=torch.tanh,
    top_k=_top_k,
    total=_total,
    where=torch.where,
    zeros_like=torch.zeros_like,
)


def _abs(x: Any, /) -> Any:
    # The derivative of PyTorch's own is 0 at NaN: https://github.com/pytorch/pytorch/issues/41245
    return torch.abs(x) * torch.where(torch.isnan(x), math.nan, torch.ones_like(x))


def _size(x: Any, axis: int | None, /) -> Any:
    # Nor does vmap multiply by a length that varies:
    # https://meta-pytorch.github.io/compile-graph-break-site/gb/gb4315.html
    return torch.full((), x.numel(), device=x.device) if axis is None else x.shape[axis]


# Compiled code maps no rules: there the transforms of torch.func see the values alone, and so does
# who differentiates what was exported.
followed: Any = SimpleNamespace(**{**vars(xp), "abs": _abs, "size": _size, "followed": True})
