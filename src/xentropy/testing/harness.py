"""One framework as a test sees it; each backend has a `harness` of its own beside its adapter."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np

import xentropy
from xentropy.errors import UnsupportedError

__all__ = ["COLUMNS", "Harness", "Run", "load_harness"]

Run = Callable[..., Any]

COLUMNS = ("value", "gradient", "hessian", "jvp", "jacobian", "vmap", "vmap of gradient")
"""What a way to run a function may derive of it; see `Harness.ways`."""


class Harness:
    """Arrays and transforms of a framework; the defaults serve one without any transform.

    ``modes`` are ways to run a function of arrays: as it is, and through each compiler.
    ``transforms`` are the derivatives and maps that the framework has beyond the gradient:

    * ``jvp``: ``(f, primals, tangents) -> tangent`` of the output,
    * ``hessian``: ``(f, x) -> array`` of shape ``x.shape * 2`` for a scalar ``f``,
    * ``jacobian``: ``(f, x) -> array``, reverse mode with many cotangents at once,
    * ``vmap``: ``(f) -> f`` mapped over the first axis of all arguments.

    ``ways`` are all ways to run a function ``f`` of arrays, each with what it can derive of it, by
    the names in `COLUMNS`. Each entry takes ``f`` and returns a function of the same arrays:

    * ``value``: what ``f`` returns, an array of any shape,
    * ``gradient``, ``hessian``: of the sum of that, by the first array,
    * ``jacobian``: of that itself, by the first array,
    * ``jvp``: its tangent, a function of the tangent of the first array and then of all arrays,
    * ``vmap``, ``vmap of gradient``: over the first axis of the first two arrays, or of the one.

    ``lengths`` are those of them, or others, that serve batches of any length once they are made.
    """

    modes: ClassVar[Mapping[str, Callable[[Run], Run]]] = {"eager": lambda f: f}
    #: Those of the modes, if any, that take seconds for a function: as far as they trace it.
    traced: ClassVar[Mapping[str, Callable[[Run], Run]]] = {}
    transforms: ClassVar[Mapping[str, Run]] = {}
    ways: ClassVar[Mapping[str, Mapping[str, Callable[[Run], Run]]]] = {
        "eager": {"value": lambda f: f}
    }
    lengths: ClassVar[Mapping[str, Mapping[str, Callable[[Run], Run]]]] = {}
    #: Whether it compiles what is made of any length for each of them, when it meets it.
    compiles_lengths = False
    #: That of the ways, if there is one, whose derivatives follow values and see no partials.
    followed_way: ClassVar[str | None] = None
    #: What is to be known where `unreadable` can tell nothing.
    reads: ClassVar[str] = "its arrays lie in the memory of the host"
    #: Those of the ways in which there is no float64.
    narrow_ways: ClassVar[Collection[str]] = ()
    #: Those of the `accelerators` that have no float64.
    narrow_devices: ClassVar[Collection[str]] = ()
    #: Whether float64 arrays exist as this process is configured.
    float64 = True
    #: Where `array` puts arrays, one of `accelerators`; None for the CPU.
    device: str | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def quick(self, mode: str) -> Callable[[Run], Run]:
        """A mode, without what it makes of the code of a function where that takes seconds."""
        return {**self.modes, **self.traced}[mode]

    def array(self, x: Any) -> Any:
        """A NumPy array as one of the framework, of the same dtype."""
        return np.asarray(x)

    def numpy(self, x: Any) -> np.ndarray[Any, Any]:
        """An array of the framework as a NumPy array, of the same dtype."""
        return np.asarray(x)

    def elsewhere(self, x: Any) -> Any:
        """Copy an array to another device; None where there is no other."""
        return None

    def placements(self) -> Mapping[str, Callable[[Any], Any]]:
        """What lays an array somewhere else than on the first device, by name."""
        return {}

    def layouts(self, x: Any) -> Mapping[str, Any]:
        """Copies of a matrix, by layout, that no formula reads."""
        return {}

    def views(self, x: Any) -> Mapping[str, Any]:
        """The same numbers in views whose memory holds others."""
        return {}

    def accelerator(self) -> AbstractContextManager[Any] | None:
        """Treat arrays as if they lay on an accelerator; None where it makes no difference."""
        return None

    def places(self) -> Mapping[str, Callable[[], AbstractContextManager[Callable[[Any], Any]]]]:
        """Devices that hold no numbers, by name.

        Each is entered and gives what makes an array there of a NumPy array's shape and dtype.
        """
        return {}

    def accelerators(self) -> list[str]:
        """The devices at hand beside the CPU."""
        return []

    def unreadable(self) -> AbstractContextManager[Any] | None:
        """Fail where a number of an array is read from Python; None where nothing can tell."""
        return None

    def allocations(self, least: int) -> AbstractContextManager[list[int]]:
        """Note the bytes of each array of at least so many numbers that is allocated within."""
        msg = f"{self.name} does not tell what it allocates."
        raise UnsupportedError(msg)

    def called_kernels(self) -> AbstractContextManager[Any] | None:
        """Let compiled code call kernels for the smallest arrays; None where it never does."""
        return None

    def lowered(self, f: Run, arrays: tuple[Any, ...]) -> Mapping[str, str]:
        """The program of ``f`` for arrays like these, by platform: of others than the one at hand.

        None of them where the framework cannot tell.
        """
        return {}

    def ran_on_host(self, f: Run, arrays: tuple[Any, ...]) -> list[str] | None:
        """What the host would run of a graph of ``f`` for an accelerator; None without graphs."""
        return None

    def through_host(self, x: Any) -> Any:
        """The same array, by way of Python in a graph too; None where there is no way."""
        return None

    def no_transfers(self) -> AbstractContextManager[Any] | None:
        """Fail where anything is moved to or from a device; None where nothing can tell."""
        return None

    def forget(self) -> None:
        """Let go, after a test, of what the framework keeps of it for the rest of the process."""

    def compiles_nothing(self) -> AbstractContextManager[Any]:
        """Fail where something is compiled within."""
        return nullcontext()

    def is_of_tests(self, warning: str) -> bool:
        """Whether what was logged is about many tests in one process, not about the library."""
        return False

    def owns(self, x: Any) -> bool:
        """Whether ``x`` is an array of this framework."""
        return xentropy.backend_of(x) is xentropy.backend_of(self.array(np.zeros(1, np.float32)))

    def gradient(
        self, f: Run, primals: tuple[Any, ...], argnums: tuple[int, ...]
    ) -> tuple[Any, ...]:
        """The framework's own gradient of a scalar function."""
        msg = f"{self.name} has no automatic differentiation.\nHint: use xentropy.value_and_grad."
        raise UnsupportedError(msg)


def load_harness(name: str) -> Harness:
    """Import the harness of a backend; libraries of the standard have that of the generic one."""
    standard = name in ("array_api_strict", "cupy")
    folder = "array_api" if standard else name
    module = importlib.import_module(f"xentropy_backends.{folder}.harness")
    harness: Harness = module.harnesses[name]() if standard else module.harness
    return harness
