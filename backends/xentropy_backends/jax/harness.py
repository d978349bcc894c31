"""JAX as tests see it, in its strictest settings: nothing is promoted in silence."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from xentropy.testing.harness import Harness, Run

__all__ = ["harness"]

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


def _jvp(f: Run, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    return jax.jvp(f, primals, tangents)[1]


class _JAX(Harness):
    modes: ClassVar = {"eager": lambda f: f, "jit": jax.jit}
    transforms: ClassVar = {
        "jvp": _jvp,
        "hessian": lambda f, x: jax.hessian(f)(x),
        "vmap": jax.vmap,
    }

    def array(self, x: Any) -> Any:
        return jnp.asarray(x)

    def gradient(
        self, f: Run, primals: tuple[Any, ...], argnums: tuple[int, ...]
    ) -> tuple[Any, ...]:
        return jax.grad(f, argnums)(*primals)


harness = _JAX("jax")
