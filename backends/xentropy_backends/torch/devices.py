"""Devices without having them, for tests: tensors without numbers, and what they would take."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, NoReturn
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Allocations", "places", "unreadable"]


def _on(device: str) -> Callable[[Any], torch.Tensor]:
    """What makes a tensor on a device, of the shape and dtype of a NumPy array."""

    def make(x: Any) -> torch.Tensor:
        dtype = torch.bfloat16 if x.dtype.name == "bfloat16" else getattr(torch, x.dtype.name)
        return torch.empty(x.shape, dtype=dtype, device=device)

    return make


@functools.cache
def _accelerator() -> str:
    """CUDA where PyTorch was built with it.

    Elsewhere a device of no kind: autograd and views ask CUDA for a guard, also of fake tensors,
    and find none (https://github.com/pytorch/pytorch/pull/163187). Delete it when they do.
    """
    if torch.backends.cuda.is_built():
        return "cuda"
    backend_registration._setup_privateuseone_for_python_backend("elsewhere")
    return "elsewhere"


def places() -> dict[str, Callable[[], AbstractContextManager[Any]]]:
    """See `Harness.places`; to be asked before the first backward, which counts the devices."""
    device = _accelerator()

    @contextmanager
    def fake() -> Iterator[Callable[[Any], torch.Tensor]]:
        with FakeTensorMode():  # in which what depends on the numbers raises
            yield _on(device)

    return {"meta": lambda: nullcontext(_on("meta")), "an accelerator": fake}


_READS = ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__")


@contextmanager
def unreadable() -> Iterator[None]:
    """Fail where a tensor is read from Python."""

    def refuse(name: str) -> Callable[..., NoReturn]:
        def refused(*_: Any, **__: Any) -> NoReturn:
            msg = f"a tensor was read by {name}"
            raise AssertionError(msg)

        return refused

    with ExitStack() as stack:
        for name in (*_READS, "__array__", "__dlpack__"):
            stack.enter_context(mock.patch.object(torch.Tensor, name, refuse(name)))
        yield


class Allocations(TorchDispatchMode):
    """Notes the bytes of memory that ops return and were not given."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self._least, self._found = least, list[int]()
        self._kept: list[torch.Tensor] = []  # so that no memory is taken for that of another

    def __enter__(self) -> Any:
        super().__enter__()
        return self._found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {x.untyped_storage()._cdata for x in _tensors((args, kwargs))}
        for x in _tensors(result):
            memory = x.untyped_storage()
            if x.numel() >= self._least and memory._cdata not in given:
                self._found.append(memory.nbytes())
                self._kept.append(x)
        return result


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]
