# What Numba compiles is not what its types say: an intrinsic is called without its context.
from typing import Any

def __getattr__(name: str) -> Any: ...
