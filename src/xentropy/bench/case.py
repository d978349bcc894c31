"""What is measured, as data: it is sent to the process of a framework as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias

from xentropy._types import Reduction

__all__ = ["ITEMSIZE", "LINEAR", "Ask", "Case", "Run", "as_json", "from_json"]

What: TypeAlias = Literal[
    "xentropy", "statistics", "native", "chunked", "products", "copy", "max", "import"
]
How: TypeAlias = Literal["eager", "jit", "donated"]

ITEMSIZE = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
"""The dtypes of predictions, and their size in bytes."""

LINEAR = "linear_cross_entropy"
"""The loss of a layer: of hidden features and a weight, which it has gradients by."""


@dataclass(frozen=True)
class Run:
    """One call to be timed.

    Attributes
    ----------
    what
        The library, its statistics of a layer, the framework's own op for the same loss, the same
        of a layer in chunks of rows or its matrix products alone, a NumPy method that reads or
        copies the predictions, or the import of the library, which is no call and measured
        elsewhere.
    shape
        Of the predictions; of a layer its rows, features and classes.
    gradient
        Whether the gradient is computed too.
    how
        ``jit`` is that of JAX, or ``tf.function``; ``donated`` is JAX's.
    options
        Of the library's loss, or of the chunks. The array ``class_weight`` is the text
        ``"random"``.
    threads
        Of the kernels, in a process of its own; None for one on each core.
    """

    what: What = "xentropy"
    loss: str = "sparse_softmax_cross_entropy"
    shape: tuple[int, ...] = (2048, 32000)
    dtype: str = "float32"
    gradient: bool = False
    how: How = "eager"
    reduction: Reduction = "none"
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None

    @property
    def elements(self) -> int:
        """The number of predictions, of a layer that of its logits."""
        return math.prod(self.shape[::2] if self.loss == LINEAR else self.shape)

    @property
    def differentiated(self) -> int:
        """How many of the first arguments gradients are by."""
        return 2 if self.loss == LINEAR else 1

    @property
    def nbytes(self) -> int:
        """The size of the predictions."""
        return self.elements * ITEMSIZE[self.dtype]


@dataclass(frozen=True)
class Ask:
    """What is to be reached.

    Attributes
    ----------
    kind
        ``faster``: the second run takes at least ``value`` times as long as the first; ``within``:
        the first takes at most ``value`` times as long as the second; ``even``: the time per
        element of all runs is within that factor; ``ms``: the first takes at most ``value``
        milliseconds; ``none``: nothing, it is only told.
    """

    kind: Literal["faster", "within", "even", "ms", "none"]
    value: float = 0.0


@dataclass(frozen=True)
class Case:
    """Runs that are timed in turn, the first of them judged.

    Attributes
    ----------
    numba
        Whether Numba may be found.
    memory
        The most that the first run may need beyond its arguments and its result, as a part of the
        size of the predictions.
    alone
        Whether it needs a process of its own: TensorFlow keeps the memory that it has once had, so
        that a later call seems to take none.
    """

    name: str
    framework: str
    runs: tuple[Run, ...]
    ask: Ask = Ask("none")
    numba: bool = True
    memory: float | None = None
    alone: bool = False

    @property
    def across(self) -> bool:
        """Whether the runs need processes that differ."""
        return len({run.threads for run in self.runs}) > 1

    def only(self, run: Run) -> Case:
        """Return the case with one of its runs."""
        return replace(self, runs=(run,))


def as_json(case: Case) -> dict[str, Any]:
    """Return what JSON can hold."""
    return asdict(case)


def from_json(given: Mapping[str, Any]) -> Case:
    """Return the case that `as_json` was given."""
    runs = tuple(Run(**{**run, "shape": tuple(run["shape"])}) for run in given["runs"])
    return Case(**{**given, "runs": runs, "ask": Ask(**given["ask"])})
