"""The array API standard as tests see it: `array_api_strict`, which is nothing but the standard."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np

from xentropy.testing.harness import Harness

__all__ = ["harness"]


class _Strict(Harness):
    def array(self, x: Any) -> Any:
        return array_api_strict.asarray(np.ascontiguousarray(x) if np.ndim(x) else np.asarray(x))

    def elsewhere(self, x: Any) -> Any:
        return array_api_strict.asarray(x, device=array_api_strict.Device("device1"))

    def numpy(self, x: Any) -> np.ndarray[Any, Any]:
        return np.from_dlpack(x)


harness = _Strict("array_api_strict")
