"""JAX as tests see it, in its strictest settings: nothing is promoted in silence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar
from unittest import mock

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from xentropy.testing.harness import Harness, Run

from . import kernels
from .ways import LENGTHS, NARROW, WAYS, spread

__all__ = ["harness"]

# Float64 where the environment does not say otherwise.
jax.config.update("jax_enable_x64", os.environ.get("JAX_ENABLE_X64", "1") != "0")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


def _jvp(f: Run, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    return jax.jvp(f, primals, tangents)[1]


class _JAX(Harness):
    modes: ClassVar = {"eager": lambda f: f, "jit": jax.jit}
    float64 = bool(jax.config.read("jax_enable_x64"))
    transforms: ClassVar = {
        "jvp": _jvp,
        "hessian": lambda f, x: jax.hessian(f)(x),
        "jacobian": lambda f, x: jax.jacrev(f)(x),
        "vmap": jax.vmap,
    }

    ways: ClassVar = WAYS
    lengths: ClassVar = LENGTHS
    compiles_lengths = True
    narrow_ways: ClassVar = NARROW
    # On the CPU `jax.transfer_guard` lets everything be read: tried with 0.10.2.
    reads = (
        "arrays on an accelerator go the way of tracers, which raise where they are read: "
        "see the way jit in tests/test_matrix.py"
    )

    @contextmanager
    def compiles_nothing(self) -> Iterator[None]:
        found: list[str] = []

        def listen(event: str, duration_secs: float, **rest: Any) -> None:
            if event.startswith("/jax/core/compile/"):
                found.append(f"{event} {rest}")

        jax.monitoring.register_event_duration_secs_listener(listen)
        try:
            yield
        finally:
            jax.monitoring.unregister_event_duration_listener(listen)
        assert not found, found

    def lowered(self, f: Run, arrays: tuple[Any, ...]) -> Mapping[str, str]:
        compiled = jax.jit(f)
        return {
            platform: jax.export.export(compiled, platforms=[platform])(*arrays).mlir_module()
            for platform in ("cuda", "tpu")
        }

    def no_transfers(self) -> AbstractContextManager[None]:
        found: AbstractContextManager[None] = jax.transfer_guard("disallow")
        return found

    def array(self, x: Any) -> Any:
        array = jnp.asarray(x)
        if array.dtype != x.dtype == np.float64:
            msg = "jax_enable_x64 is off"
            raise TypeError(msg)
        if self.device is None:
            return array
        there = next(
            d for d in (*jax.devices(), *jax.devices("cpu")) if self.device in str(d).lower()
        )
        return jax.device_put(array, there)

    def placements(self) -> Mapping[str, Callable[[Any], Any]]:
        if jax.device_count() == 1:
            return {}
        another = jax.devices()[-1]
        return {"another device": lambda x: jax.device_put(x, another), "all devices": spread}

    def accelerators(self) -> list[str]:
        return [str(d).lower() for d in jax.devices() if d.platform != "cpu"]

    @contextmanager
    def called_kernels(self) -> Iterator[None]:
        jax.clear_caches()
        with mock.patch.object(kernels, "LEAST", 1):
            yield
        jax.clear_caches()

    def gradient(
        self, f: Run, primals: tuple[Any, ...], argnums: tuple[int, ...]
    ) -> tuple[Any, ...]:
        return jax.grad(f, argnums)(*primals)


harness = _JAX("jax")
