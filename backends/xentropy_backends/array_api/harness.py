"""The array API standard as tests see it: `array_api_strict`, which is nothing else, and CuPy."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import array_api_strict
import numpy as np

from xentropy.testing.harness import Harness

__all__ = ["harnesses"]


class _Strict(Harness):
    def array(self, x: Any) -> Any:
        return array_api_strict.asarray(np.ascontiguousarray(x) if np.ndim(x) else np.asarray(x))

    def elsewhere(self, x: Any) -> Any:
        return array_api_strict.asarray(x, device=array_api_strict.Device("device1"))

    def numpy(self, x: Any) -> np.ndarray[Any, Any]:
        return np.from_dlpack(x)


class _CuPy(Harness):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._cupy = importlib.import_module(name)

    def array(self, x: Any) -> Any:
        return self._cupy.asarray(x)

    def numpy(self, x: Any) -> np.ndarray[Any, Any]:
        host: np.ndarray[Any, Any] = self._cupy.asnumpy(x)
        return host

    def accelerators(self) -> list[str]:
        return ["cuda"] if self._cupy.cuda.is_available() else []


@functools.cache
def _made(kind: type[Harness], name: str) -> Harness:
    return kind(name)


harnesses: Mapping[str, Callable[[], Harness]] = {
    "array_api_strict": functools.partial(_made, _Strict, "array_api_strict"),
    "cupy": functools.partial(_made, _CuPy, "cupy"),
}
"""Made when they are asked for: CuPy may be missing."""
