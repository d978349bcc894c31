"""PyTorch as tests see it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import torch

from xentropy.testing.harness import Harness, Run
from xentropy_backends.torch import devices, kernels
from xentropy_backends.torch.adapter import backend
from xentropy_backends.torch.ways import LENGTHS, WAYS, compiled

__all__ = ["harness"]


def _jvp(f: Run, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    return torch.func.jvp(f, primals, tangents)[1]


class _Torch(Harness):
    modes: ClassVar = {
        "eager": lambda f: f,
        "compile": compiled(backend="inductor"),
    }
    traced: ClassVar = {"compile": compiled()}
    transforms: ClassVar = {
        "jvp": _jvp,
        "hessian": lambda f, x: torch.func.hessian(f)(x),
        "jacobian": lambda f, x: torch.autograd.functional.jacobian(f, x, vectorize=True),
        "vmap": torch.func.vmap,
    }

    ways: ClassVar = WAYS
    lengths: ClassVar = LENGTHS
    followed_way = "torch.export"
    narrow_devices = ("mps",)

    def compiles_nothing(self) -> AbstractContextManager[Any]:
        found: AbstractContextManager[Any] = torch._dynamo.config.patch(error_on_recompile=True)
        return found

    def places(self) -> Mapping[str, Callable[[], AbstractContextManager[Any]]]:
        return devices.places()

    def unreadable(self) -> AbstractContextManager[Any]:
        return devices.unreadable()

    def allocations(self, least: int) -> AbstractContextManager[list[int]]:
        return devices.Allocations(least)

    def array(self, x: Any) -> Any:
        host = np.array(x)
        if host.dtype.name == "bfloat16":
            return torch.from_numpy(host.view(np.int16)).view(torch.bfloat16).to(self.device)
        return torch.from_numpy(host).to(self.device)

    def accelerators(self) -> list[str]:
        return [name for name in backend.devices() if name != "cpu"]

    def numpy(self, x: Any) -> np.ndarray[Any, Any]:
        x = x.detach().cpu()
        if x.dtype == torch.bfloat16:
            # Known to NumPy by name where ml_dtypes, which made the array, is loaded.
            return x.view(torch.int16).numpy().view(np.dtype("bfloat16"))
        values: np.ndarray[Any, Any] = x.numpy()
        return values

    def elsewhere(self, x: Any) -> Any:
        return x.to("meta")

    def layouts(self, x: Any) -> Mapping[str, Any]:
        found = {"torch.sparse_coo": x.to_sparse()}
        found["a nested one"] = torch.nested.as_nested_tensor([x, x[:1]], layout=torch.jagged)
        with warnings.catch_warnings(action="ignore"):  # that it is a prototype
            found["a nested one (strided)"] = torch.nested.as_nested_tensor([x, x[:1]])
        if torch.backends.mkldnn.is_available():
            found["torch._mkldnn"] = x.to_mkldnn()
        return found

    def views(self, x: Any) -> Mapping[str, Any]:
        imaginary = torch.complex(x, -x).conj().imag
        assert imaginary.is_neg()
        return {"the imaginary part of a conjugate": imaginary}

    def gradient(
        self, f: Run, primals: tuple[Any, ...], argnums: tuple[int, ...]
    ) -> tuple[Any, ...]:
        # Inside another gradient the primals belong to its graph.
        inside = any(x.requires_grad for x in primals)
        leaves = [
            x if x.requires_grad else x.detach().requires_grad_(i in argnums)
            for i, x in enumerate(primals)
        ]
        wanted = [leaves[i] for i in argnums]
        return torch.autograd.grad(f(*leaves), wanted, create_graph=inside)

    def accelerator(self) -> AbstractContextManager[Any]:
        return mock.patch.object(kernels, "accelerated", return_value=True)


harness = _Torch("torch")
