"""Any other library of the array API standard, by its own namespace or by array-api-compat."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import array_api_compat
import numpy as np

from xentropy.dispatch import Backend
from xentropy.formulas.numeric import split_sum

__all__ = ["backend"]

_STANDARD = (
    *(
        "abs",
        "concat",
        "exp",
        "float32",
        "float64",
        "int64",
        "isfinite",
        "isinf",
        "log",
        "log1p",
        "max",
    ),
    *("ones_like", "permute_dims", "pow", "reshape", "sign", "squeeze", "tanh", "where"),
    "zeros_like",
)


def _is_known(x: Any) -> bool:
    """Whether all lengths are known; Dask writes NaN for one that is not."""
    return all(n == n for n in x.shape)


def _namespace(base: Any) -> Any:
    """The formulas' functions on a namespace of the standard."""

    def astype(x: Any, dtype: Any, /) -> Any:
        return x if x.dtype == dtype else base.astype(x, dtype)

    def broadcast_like(x: Any, like: Any, /) -> Any:
        known = _is_known(like)
        return base.broadcast_to(x, like.shape) if known else x + base.zeros_like(like)

    def expand_dims(x: Any, /, *, axis: int) -> Any:
        # Dask's own reshapes, which takes known lengths.
        return x[(slice(None),) * (axis % (x.ndim + 1)) + (None, ...)]

    def total(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
        def own(terms: Any) -> Any:
            return base.sum(terms, axis=axis, keepdims=True)

        if not isinstance(axis, int) or not x.shape[axis] > 0:
            return base.sum(x, axis=axis, keepdims=keepdims)
        result = split_sum(xp, own, x, axis, x.shape[axis])
        return result if keepdims else base.squeeze(result, axis=axis)

    def size(x: Any, axis: int | None, /) -> Any:
        n = x.size if axis is None else x.shape[axis]
        # An unknown one is computed with the rest.
        return int(n) if n == n else base.sum(base.ones_like(x, dtype=base.int64), axis=axis)

    def class_range(labels: Any, n: int, /) -> Any:
        return base.arange(n, dtype=labels.dtype, device=array_api_compat.device(labels))

    def count_nonzero(x: Any, /, *, axis: int, keepdims: bool) -> Any:
        return base.sum(base.astype(x, base.int64), axis=axis, keepdims=keepdims)

    def top_k(x: Any, k: int, /) -> Any:
        return base.argsort(x, axis=-1, descending=True, stable=True)[..., :k]

    def wide_total(x: Any, dtype: Any, /) -> Any:
        return total(astype(x, dtype), axis=None, keepdims=False)

    def gather(x: Any, index: Any, /) -> Any:
        if not _is_known(index):
            hits = expand_dims(index, axis=-1) == base.arange(x.shape[0], dtype=index.dtype)
            return base.sum(base.where(hits, x, base.zeros_like(x)), axis=-1)
        flat = base.take(x, base.reshape(index, (-1,)), axis=0)
        return base.reshape(flat, index.shape)

    def matmul(a: Any, b: Any, dtype: Any, turned: str = "", /) -> Any:
        a, b = a.T if turned == "a" else a, b.T if turned == "b" else b
        return base.matmul(astype(a, dtype), astype(b, dtype))

    functions = {name: getattr(base, name) for name in _STANDARD}
    xp: Any = SimpleNamespace(
        **functions,
        astype=astype,
        broadcast_like=broadcast_like,
        class_range=class_range,
        count_nonzero=count_nonzero,
        expand_dims=expand_dims,
        followed=False,
        gather=gather,
        matmul=matmul,
        rescue=lambda held, x, otherwise, /: base.where(held, x, otherwise()),
        size=size,
        stop_gradient=lambda x, /: x,
        sum=total,
        top_k=top_k,
        total=wide_total,
    )
    return xp


_NONE: Any = SimpleNamespace()


class _ArrayAPI(Backend):
    """Serves a family; `bind` makes one for each namespace that it meets."""

    def __init__(self, name: str, base: Any = None) -> None:
        super().__init__(name, _namespace(base) if base is not None else _NONE)
        self._base: Any = base
        self._bound: dict[str, _ArrayAPI] = {}

    def owns(self, x: object) -> bool:
        if not array_api_compat.is_array_api_obj(x):
            return False
        try:
            base = array_api_compat.array_namespace(x)
        except TypeError:  # of what has every attribute that it is asked for, as torch.fx.Proxy
            return False
        return self._base is None or base is self._base

    def bind(self, x: Any) -> Backend:
        base = array_api_compat.array_namespace(x)
        name = base.__name__.removeprefix("array_api_compat.").partition(".")[0]
        if name not in self._bound:
            self._bound[name] = _ArrayAPI(name, base)
        return self._bound[name]

    def device(self, x: Any) -> str:
        # array_api_strict.Device('CPU_DEVICE') is to read CPU_DEVICE.
        text = str(array_api_compat.device(x))
        quoted = re.search(r"'(.*)'", text)
        return quoted[1] if quoted else text

    def asarray(self, x: np.ndarray[Any, Any], like: Any | None) -> Any:
        if like is None:
            return self._base.asarray(x)
        return self._base.asarray(x, device=array_api_compat.device(like))

    def concrete(self, x: Any, *, sync: bool = False) -> np.ndarray[Any, Any] | None:
        on_host = self.device(x).lower().startswith("cpu")
        if array_api_compat.is_lazy_array(x) or not (on_host or sync):
            return None
        try:
            return np.from_dlpack(x)
        except (AttributeError, BufferError, RuntimeError, TypeError):
            return None

    def versions(self) -> dict[str, str]:
        if self._base is None:
            return {"array-api-compat": array_api_compat.__version__}
        return {self.name: getattr(self._base, "__version__", "unknown")}


backend = _ArrayAPI("array_api")
