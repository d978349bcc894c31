"""The losses of optax themselves, in the process of JAX."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tests.dialects.case import Case
from tests.dialects.optax_truth import LOSSES

__all__ = ["ORIGINALS", "original"]


def ORIGINALS() -> dict[str, Any]:
    """The functions of the original."""
    import optax.losses

    return {name: getattr(optax.losses, name) for name in LOSSES}


def original(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """What the original makes of a case."""
    import jax
    import jax.experimental
    import jax.numpy as jnp

    function = ORIGINALS()[case.function]
    x64: Any = getattr(jax if hasattr(jax, "enable_x64") else jax.experimental, "enable_x64")  # noqa: B009
    with (
        x64(True),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")

        def convert(x: Any) -> Any:
            return jnp.asarray(x) if isinstance(x, np.ndarray) else x

        args = list(map(convert, case.args))
        options = {name: convert(x) for name, x in case.options.items()}
        moved = tuple(args[k] for k in case.wrt)

        def total(*moved: Any) -> tuple[Any, Any]:
            given = list(args)
            for k, x in zip(case.wrt, moved, strict=True):
                given[k] = x
            value = function(*given, **options)
            return jnp.sum(value), value

        # Compiled as a whole: one by one the operations of all cases take minutes.
        if not case.wrt:
            return np.asarray(jax.jit(total)(*moved)[1]), ()
        run = jax.jit(jax.grad(total, tuple(range(len(moved))), has_aux=True))
        grads, value = run(*moved)
        return np.asarray(value), tuple(np.asarray(g) for g in grads)
