"""PyTorch tensors: the formulas inside one `autograd.Function`, which serves every transform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.utils import _pytree as pytree

from xentropy._types import Arrays, Options
from xentropy.dispatch import AutodiffBackend, LayoutError
from xentropy.formulas import formula as rules
from xentropy.formulas.formula import Formula
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.statistics import Request
from xentropy.kernels import calls
from xentropy.reduction import MEANS

from . import compiled, kernels, linear
from .namespace import followed, xp
from .rules import EagerRule, Plain, PlainRule, Rule

__all__ = ["backend"]


_EXCHANGED = {torch.float32, torch.float64, torch.int32, torch.int64, torch.bool}


def _apart(arrays: Arrays) -> Arrays:
    """The arrays, none of them twice, as Dynamo wants them of a rule.

    https://meta-pytorch.github.io/compile-graph-break-site/gb/gb6297.html
    """
    found: list[Any] = []
    for x in arrays:
        if x is not None and any(x is y for y in found):
            x = x.view_as(x)
        found.append(x)
    return tuple(found)


class _Torch(AutodiffBackend):
    reads_weights = True
    types = frozenset({torch.Tensor, torch.nn.Parameter})

    def owns(self, x: object) -> bool:
        return isinstance(x, torch.Tensor)

    def unwrap(self, x: Any) -> Any:
        if kernels.tracing():
            rule, hint = "outside of torch.jit.trace", "pass the function to torch.export."
            raise LayoutError(rule, hint)
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
            if kernels.transforming() and kernels.pushed_twice():
                return rules.value(followed, formula, arrays, options)
            saving = torch.is_grad_enabled() and arrays[0].requires_grad
            rule = EagerRule if kernels.transforming() else PlainRule
            return rule.apply(kernels.Kernel(xp, formula, options, upstream), saving, *arrays)
        if kernels.transforming() or kernels.exporting():
            # What stands for a rule in compiled code is not mapped, as torch.func does for a
            # Hessian.
            return rules.value(followed, formula, arrays, options)
        kernels.refuse_tangents()
        if any(x is not None and x.requires_grad for x in arrays):
            return Rule.apply(formula, options, *_apart(arrays))
        # Without a gradient Dynamo would hand a context to `forward`, which has none.
        return rules.value(xp, formula, arrays, options)

    def linear(self, head: Head, given: Operands) -> Any:
        if torch.compiler.is_compiling():
            return compiled.losses(head, given)
        if kernels.transforming() and kernels.pushed_twice():
            return linear.evaluate(head, given)
        return linear.losses(head, given)

    def linear_statistics(self, layer: Layer, given: Operands, request: Request) -> Arrays:
        of_rows = compiled if torch.compiler.is_compiling() else linear
        return of_rows.statistics(layer, given, request)

    def plain_cross_entropy(self, x: Any, labels: Any, reduction: str) -> Any:
        if not isinstance(labels, torch.Tensor) or labels.dtype != torch.int64:
            return None
        if (
            x.dtype not in kernels.MEMORY
            or kernels.transforming()
            or forward_ad._current_level >= 0
            or kernels.tracing()
        ):
            return None
        found = kernels.plain_cross_entropy(x, labels, reduction)
        if found is None or found[1] is None:
            return found and found[0]
        return Plain.apply(x, labels, reduction, *found)

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


backend = _Torch("torch", xp)

# What is exported is saved with the types that it returns; there is no public way to tell of them.
for _name, _mean in MEANS.items():
    pytree._register_namedtuple(_mean, serialized_type_name=_name)
