"""What computes in eager PyTorch: kernels on the CPU, PyTorch's own softmax on accelerators."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad

from xentropy._types import Arrays, Namespace, Options
from xentropy.errors import UnsupportedError
from xentropy.formulas import formula as rules
from xentropy.formulas import fused
from xentropy.formulas.formula import Formula
from xentropy.formulas.statistics import Request, picked
from xentropy.kernels import calls, plain, small
from xentropy.kernels.engine import has_numba

__all__ = [
    "MEMORY",
    "Kernel",
    "accelerated",
    "again",
    "exporting",
    "is_batched",
    "is_plain",
    "lend",
    "plain_cross_entropy",
    "pushed_twice",
    "refuse_tangents",
    "statistics",
    "take",
    "tracing",
    "transforming",
]


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


def accelerated(x: Any) -> bool:
    """Whether ``x`` lies on an accelerator."""
    return not x.is_cpu


_KINDS = {torch.Tensor, torch.nn.Parameter}


def is_plain(x: Any) -> bool:
    """Whether a tensor is memory on the CPU: no wrapper of a transform, no fake, no subclass.

    Nor a view whose signs are to be turned first.
    """
    return _is_memory(x) and torch.func.debug_unwrap(x) is x and not is_batched(x)


def _is_memory(x: Any) -> bool:
    """The same outside of transforms."""
    plain = type(x) in _KINDS and x.layout is torch.strided and not accelerated(x)
    return plain and not (x.is_neg() or x._is_zerotensor())


_functorch: Any = getattr(torch._C, "_functorch", None)

# Of vectorized Jacobians; private, and absent from some versions.
is_batched: Callable[[Any], bool] = getattr(_functorch, "is_legacy_batchedtensor", lambda x: False)

# Private, and absent from some versions: then the general rule serves.
transforming: Callable[[], bool] = getattr(
    torch._C, "_are_functorch_transforms_active", lambda: True
)

exporting: Callable[[], bool] = torch.compiler.is_exporting


def pushed_twice() -> bool:
    """Whether forward mode is around forward mode: what goes twice through a rule is 0 in silence.

    https://github.com/pytorch/pytorch/issues/197867
    """
    levels = [level.key() for level in _functorch.get_interpreter_stack() or ()]
    return levels.count(_functorch.TransformType.Jvp) > 1


# `torch.jit.trace` sees no kernel.
tracing: Callable[[], bool] = torch.jit.is_tracing  # type: ignore[attr-defined]


def refuse_tangents() -> None:
    """Inductor drops those of dual levels: https://github.com/pytorch/pytorch/issues/187284.

    What is exported is not compiled, and its operators have tangents.
    """
    if forward_ad._current_level >= 0 and not exporting():
        rule = "torch.compile drops the tangents of torch.autograd.forward_ad."
        msg = f"xentropy: {rule}\nHint: compile torch.func.jvp of the function."
        raise UnsupportedError(msg)


def again() -> bool:
    """Whether what a backward pass computes may be differentiated in its turn, in either mode."""
    return torch.is_grad_enabled() or forward_ad._current_level >= 0


def lend(x: Any) -> Any:
    """A tensor on the CPU as an array of NumPy on the same memory, bfloat16 as its bits."""
    if x is None:
        return None
    x = x.detach() if x.requires_grad else x
    return x.view(torch.uint16).numpy() if x.dtype == torch.bfloat16 else x.numpy()


def _widened(x: Any) -> Any:
    """Labels and weights in numbers: only of predictions do the kernels read the bits."""
    return x.float() if x is not None and x.dtype == torch.bfloat16 else x


def take(x: np.ndarray[Any, Any]) -> Any:
    """The inverse: a tensor on the memory of an array."""
    tensor = torch.from_numpy(x)
    return tensor.view(torch.bfloat16) if x.dtype == np.uint16 else tensor


MEMORY = {
    torch.float16: np.dtype(np.float16),
    torch.bfloat16: np.dtype(np.uint16),
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
}
"""The dtypes of predictions, and of their memory."""


def plain_cross_entropy(x: Any, labels: Any, reduction: str) -> tuple[Any, Any] | None:
    """`plain.cross_entropy` of tensors, and its gradient; None where it does not serve.

    Not to be called inside of a transform.
    """
    if not (_is_memory(x) and _is_memory(labels)):
        return None
    if not has_numba():
        return _own_cross_entropy(x, labels, reduction)
    shape, dtype = x.shape, MEMORY[x.dtype]
    if not (plain.fits(shape, labels.shape, dtype, reduction) and x.is_contiguous()):
        return None
    if not labels.is_contiguous():
        return None
    upstream = None
    if x.requires_grad and torch.is_grad_enabled():
        upstream = 1.0 / labels.numel() if reduction == "mean" else 1.0
    memory = x.data_ptr(), labels.data_ptr()
    found = plain.of_memory(*memory, shape, dtype, reduction, upstream)
    if found is None:
        return None
    result, gradient = found
    return torch.from_numpy(result), None if gradient is None else take(gradient)


def statistics(request: Request) -> Arrays | None:
    """Statistics of tensors on the CPU of which no derivative is asked for; None of others."""
    x = request.x
    if torch.compiler.is_compiling() or transforming() or forward_ad._current_level >= 0:
        return None
    if (x.requires_grad and torch.is_grad_enabled()) or x.dtype not in MEMORY or not x.numel():
        return None
    if not all(y is None or is_plain(y) for y in request.arrays):
        return None
    with np.errstate(all="ignore"):
        found = calls.statistics(request.mapped(lend))
    return picked({name: torch.from_numpy(y) for name, y in found.items()}, request.outputs)


_SURE = 1e-6
_FEW = 128
"""So many losses Python adds up sooner than PyTorch, which takes 4 us for a mean of few."""


def _own_cross_entropy(x: Any, labels: Any, reduction: str) -> tuple[Any, Any] | None:
    """PyTorch's own, in float64: of losses that are not tiny it has all digits of float32.

    The logarithm of a sum is off by 1e-16, beside a loss of 1e-6 by less than 1e-9 of it.
    """
    if x.dtype == torch.float64 or reduction not in ("none", "mean", "sum"):
        return None
    if x.shape[:-1] != labels.shape or not 0 < x.numel() <= small.MOST:
        return None
    rows, y = x.double(), labels
    if x.ndim != 2:
        rows, y = rows.reshape(-1, x.shape[-1]), labels.reshape(-1)
    try:
        losses = torch.nn.functional.cross_entropy(rows, y, reduction="none")
    except IndexError:  # a wrong label
        return None
    if reduction == "none" or losses.requires_grad or losses.numel() > _FEW:
        if not _is_sure(losses.min().item()):
            return None
        if reduction == "none":
            return losses.float().reshape(labels.shape), None
        return (losses.mean() if reduction == "mean" else losses.sum()).float(), None
    numbers = losses.tolist()
    if not _is_sure(min(numbers)):
        return None
    total = math.fsum(numbers) / (len(numbers) if reduction == "mean" else 1)
    return torch.scalar_tensor(total, dtype=torch.float32, device=x.device), None


def _is_sure(least: float) -> bool:
    """Whether the least of the losses is neither tiny nor NaN.

    Nor 0, as of a label of -100, which PyTorch ignores.
    """
    return least > _SURE


class _Kept:
    """What a gradient needs of the call of its losses."""

    def __init__(self, state: calls.State) -> None:
        self.state = state


class Kernel:
    """What evaluates one call in eager mode: a kernel, the own softmax, or the formula.

    It remembers the call of the value, for that of the gradient.
    """

    def __init__(
        self, xp: Namespace, formula: Formula, options: Options, upstream: float | None
    ) -> None:
        self._xp = xp
        self.formula, self.options, self.upstream = formula, options, upstream
        self._kept: Callable[[], _Kept | None] = lambda: None

    def value(self, saving: bool, arrays: Arrays) -> Any:
        """The value; with ``saving`` what the gradient needs is kept, or the gradient itself."""
        if self._is_fused(arrays):
            call = (self.formula, _at_home(arrays), self.options)
            return fused.value(self._xp, _fused_ops, *call)
        if self._is_on_host(arrays):
            return take(self._losses(saving, arrays))
        return rules.value(self._xp, self.formula, arrays, self.options)

    def gradient(self, cotangent: Any, arrays: Arrays) -> Any:
        """By the first argument."""
        if self._is_fused((*arrays, cotangent)):
            call = (self.formula, _at_home(arrays), self.options)
            return fused.gradient(self._xp, _fused_ops, *call, cotangent)
        if self._is_on_host(arrays) and is_plain(cotangent):
            if self._kept() is None:
                self._losses(True, arrays)
            kept = self._kept()
            assert kept is not None
            return take(calls.gradient(kept.state, lend(cotangent)))
        return self.first_partial(cotangent, *arrays)

    def first_partial(self, cotangent: Any, *arrays: Any) -> Any:
        """The same by the formula."""
        wrt = (True, *(False for _ in arrays[1:]))
        return rules.vjp(self._xp, self.formula, arrays, self.options, wrt, cotangent)[0]

    def _losses(self, saving: bool, arrays: Arrays) -> Any:
        lent = (lend(arrays[0]), *(lend(_widened(x)) for x in arrays[1:]))
        with np.errstate(all="ignore"):
            losses, state = calls.losses(
                self.formula, lent, self.options, saving=saving, upstream=self.upstream
            )
        if state is not None:
            kept = _Kept(state)
            self._kept = lambda: kept
        return losses

    def hand_over(self) -> Any:
        """A tensor that alone holds what the gradient needs; None where there is nothing.

        Autograd lets go of it, as of all that is saved, after a backward pass that is the last.
        """
        kept = self._kept()
        if kept is None:
            return None
        holder: Any = torch.empty(0, device="cpu")
        holder.kept, self._kept = kept, weakref.ref(kept)
        return holder

    def _is_fused(self, arrays: Arrays) -> bool:
        if self.formula not in fused.FORMULAS or not accelerated(arrays[0]):
            return False
        # What vmap maps hides a dimension, and nothing can be written to it in place.
        return all(x is None or torch.func.debug_unwrap(x).ndim == x.ndim for x in arrays)

    def _is_on_host(self, arrays: Arrays) -> bool:
        dtype = str(arrays[0].dtype).removeprefix("torch.")
        given = [x for x in arrays if x is not None]
        return calls.serves(self.formula, arrays, dtype) and all(map(is_plain, given))


def _at_home(arrays: Arrays) -> Arrays:
    """The arrays on the device of the first; those of one number may lie on the CPU."""
    device = arrays[0].device
    return tuple(x if x is None or x.ndim else x.to(device) for x in arrays)
