"""The adapter of `tiny`, as its authors would write it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.third_party.tiny import Array, lift
from xentropy.dispatch import Backend

__all__ = ["backend"]

_FUNCTIONS = """
    abs count_nonzero exp expand_dims isfinite isinf log log1p max ones_like permute_dims pow
    reshape sign squeeze sum tanh where zeros_like
"""

_namespace: Any = SimpleNamespace(
    **{name: lift(getattr(np, name)) for name in _FUNCTIONS.split()},
    astype=lift(lambda x, dtype: x.astype(dtype)),
    broadcast_like=lift(lambda x, like: np.broadcast_to(x, like.shape)),
    concat=lambda arrays, axis: Array(np.concatenate([x.values for x in arrays], axis)),
    class_range=lift(lambda labels, n: np.arange(n, dtype=labels.dtype)),
    float32=np.float32,
    float64=np.float64,
    followed=False,
    gather=lift(lambda x, index: x[index]),
    int64=np.int64,
    matmul=lift(
        lambda a, b, dtype, turned="": np.matmul(
            (a.T if turned == "a" else a).astype(dtype), (b.T if turned == "b" else b).astype(dtype)
        )
    ),
    rescue=lambda held, x, otherwise: x if held.values else otherwise(),
    size=lambda x, axis: x.values.size if axis is None else x.shape[axis],
    stop_gradient=lambda x: x,
    top_k=lift(lambda x, k: np.argsort(-x, axis=-1, kind="stable")[..., :k]),
    total=lift(lambda x, dtype: x.sum(dtype=dtype)),
)


class _Tiny(Backend):
    def owns(self, x: object) -> bool:
        return isinstance(x, Array)

    def dtype_name(self, x: Any) -> str:
        return str(x.dtype.name)

    def asarray(self, x: np.ndarray[Any, Any], like: Any | None) -> Any:
        return Array(x)

    def concrete(self, x: Any, *, sync: bool = False) -> Any:
        return x.values


backend = _Tiny("tiny", _namespace)
