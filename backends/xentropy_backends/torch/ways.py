"""The ways in which PyTorch runs a function, for tests; see `Harness.ways`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.autograd import forward_ad

from xentropy.testing.harness import Run
from xentropy.testing.ways import Derive, joined, then, through

__all__ = ["LENGTHS", "WAYS", "compiled"]


def _gradient(f: Run) -> Run:
    def run(x: Any, *rest: Any) -> Any:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(f(x, *rest).sum(), x)[0]

    return run


def _jvp(f: Run) -> Run:
    def run(tangent: Any, x: Any, *rest: Any) -> Any:
        with forward_ad.dual_level():
            moved = f(forward_ad.make_dual(x, tangent), *rest)
            return forward_ad.unpack_dual(moved).tangent

    return run


def _mapped(f: Run) -> Run:
    """Over the first axis of the first two arrays."""
    return lambda *arrays: torch.func.vmap(
        f, tuple(0 if i < 2 else None for i in range(len(arrays)))
    )(*arrays)


EAGER: Mapping[str, Derive] = {
    "value": lambda f: f,
    "gradient": _gradient,
    "hessian": lambda f: (
        lambda x, *rest: torch.autograd.functional.hessian(lambda x: f(x, *rest).sum(), x)
    ),
    "jvp": _jvp,
    "jacobian": lambda f: (
        lambda x, *rest: torch.autograd.functional.jacobian(lambda x: f(x, *rest), x)
    ),
    "vmap": _mapped,
    "vmap of gradient": lambda f: _gradient(_mapped(f)),
}


def _total(f: Run) -> Run:
    return lambda *arrays: f(*arrays).sum()


FUNC: Mapping[str, Derive] = {
    "value": lambda f: f,
    "gradient": lambda f: torch.func.grad(_total(f)),
    "hessian": lambda f: torch.func.hessian(_total(f)),
    "jvp": lambda f: (
        lambda tangent, x, *rest: torch.func.jvp(lambda x: f(x, *rest), (x,), (tangent,))[1]
    ),
    "jacobian": torch.func.jacrev,
    "vmap": _mapped,
    "vmap of gradient": lambda f: _mapped(torch.func.grad(_total(f))),
}


def compiled(dynamic: bool = False, backend: str = "aot_eager") -> Derive:
    """What a compiler makes of the graphs is seen where tests have modes: it takes seconds each."""

    def compiled(f: Run) -> Run:
        # Functions that share their code count as recompilations of one.
        torch._dynamo.reset()
        found: Run = torch.compile(f, fullgraph=True, dynamic=dynamic, backend=backend)
        return found

    return compiled


def _autocast(dtype: torch.dtype) -> Derive:
    def within(f: Run) -> Run:
        def run(*arrays: Any) -> Any:
            with torch.autocast(arrays[0].device.type, dtype):
                return f(*arrays)

        return run

    return within


def _some(*columns: str, of: Mapping[str, Derive] = EAGER) -> Mapping[str, Derive]:
    return {name: of[name] for name in columns}


class _Module(torch.nn.Module):
    def __init__(self, f: Run) -> None:
        super().__init__()
        self.f = f

    def forward(self, *arrays: Any) -> Any:
        return self.f(*arrays)


def _exported(derive: Derive, any_length: bool = False) -> Derive:
    """What is derived of an exported module, which is made ahead of the first call.

    For more rows, too, that stand along the first axes.
    """

    def exported(f: Run) -> Run:
        found: list[Run] = []

        def run(*arrays: Any) -> Any:
            if not found:
                found.append(derive(_module(f, _seen(derive, f, arrays), any_length)))
            return found[0](*arrays)

        return run

    return exported


def _seen(derive: Derive, f: Run, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arrays like those that a function meets inside of what is derived of it."""
    found: list[Any] = []

    def noting(*inner: Any) -> Any:
        found[:] = [torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in inner]
        return f(*inner)

    derive(noting)(*arrays)
    return tuple(found)


def _module(f: Run, arrays: tuple[Any, ...], any_length: bool) -> Run:
    rows = {0: torch.export.Dim("rows", min=2)}
    open_ = (
        tuple(rows if len(x) == len(arrays[0]) else None for x in arrays) if any_length else None
    )
    given = None if open_ is None else (open_,)  # of what `forward` takes together
    module: Run = torch.export.export(_Module(f), arrays, dynamic_shapes=given).module()
    return module


def _each(derived: Mapping[str, Derive], **options: Any) -> Mapping[str, Derive]:
    return {name: _exported(each, **options) for name, each in derived.items()}


WAYS: Mapping[str, Mapping[str, Derive]] = {
    "eager": EAGER,
    "torch.func": FUNC,
    "torch.compile": through(compiled(), _some("value", "gradient", "jvp", "jacobian")),
    # As far as Dynamo goes; what follows it, which takes as long, is seen above and in part below.
    "torch.compile of torch.func": then(FUNC, compiled(backend="eager")),
    "torch.compile, dynamic shapes": {
        **then(FUNC, compiled(dynamic=True, backend="eager")),
        **then(_some("value", "gradient", "jvp", of=FUNC), compiled(dynamic=True)),
    },
    "torch.export": _each(EAGER),
    "torch.func of torch.export": _each(FUNC),
    "autocast to float16": then(EAGER, _autocast(torch.float16)),
    "autocast to bfloat16": then(EAGER, _autocast(torch.bfloat16)),
}
LENGTHS: Mapping[str, Mapping[str, Derive]] = {
    "torch.compile": through(compiled(dynamic=True), _some("value", "gradient")),
    "torch.compile of torch.func": {
        name: joined(FUNC[name], compiled(dynamic=True)) for name in ("value", "gradient")
    },
    "torch.export": _each(_some("value", "gradient"), any_length=True),
}
