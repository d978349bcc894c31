"""One call of a dialect, and what the original made of it, live or on record."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]
RECORDED = Path(__file__).parent / "recorded"
#: In the process of which backend the original runs.
LIVE = {
    "torch": "torch",
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "optax": "jax",
    "sklearn": "numpy",
}


@dataclass(frozen=True)
class Case:
    """A call: NumPy arrays among the arguments and options become arrays of a framework.

    Attributes
    ----------
    name
        Of its own in its dialect.
    function
        Of the dialect; a class where ``options`` are those of the class and ``call`` those of the
        call.
    wrt
        The positions to differentiate by.
    """

    name: str
    function: str
    args: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    wrt: tuple[int, ...] = (0,)
    call: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.function}-{self.name}"

    def arrays(self) -> list[Array]:
        """All that become arrays of a framework."""
        given = (*self.args, *self.options.values(), *(self.call or {}).values())
        return [x for x in given if isinstance(x, np.ndarray)]


@dataclass(frozen=True)
class Outcome:
    """A value and gradients, as NumPy arrays in the dtypes that came, or the names of an error.

    Of ``reduction="none"`` and the like the gradient is that of the sum.
    """

    value: Any = None
    gradients: tuple[Any, ...] = ()
    error: tuple[str, ...] = ()


#: What the array API standard has no dtype for.
LACKS = {"array_api_strict": {"float16", "bfloat16"}}


def dtypes(case: Case, there: Outcome | None = None) -> set[str]:
    """The names of the dtypes of a call, and of what it returns where it is differentiated."""
    arrays = [*case.arrays(), there.value if there is not None and case.wrt else None]
    options = {str(case.options.get("dtype"))} if case.call is not None else set()
    return {x.dtype.name for x in arrays if isinstance(x, np.ndarray)} | options


def array(data: Any, dtype: str) -> Array:
    """A NumPy array of any dtype name, bfloat16 too."""
    return np.asarray(data).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def families(error: BaseException) -> tuple[str, ...]:
    """The builtin errors that would catch it, but those that catch everything."""
    return tuple(
        kind.__name__
        for kind in type(error).__mro__
        if kind.__module__ == "builtins"
        and kind.__name__ not in ("Exception", "BaseException", "object")
    )


def outcome(run: Callable[[], tuple[Any, tuple[Any, ...]]]) -> Outcome:
    """What a call gives, or how it fails."""
    try:
        value, gradients = run()
    except Exception as error:
        return Outcome(error=families(error))
    return Outcome(value, gradients)


def module(dialect: str) -> ModuleType:
    """``tests.dialects.<dialect>_cases``: ``CASES``, ``original(case)``, ``truth(case)``.

    ``original`` returns the value and gradients as NumPy arrays, or raises; ``truth`` the same in
    `numpy.longdouble`, by code that is neither ours nor the original's.
    """
    return importlib.import_module(f"tests.dialects.{dialect}_cases")


def record(dialect: str) -> None:
    """Write what the original makes of every case."""
    cases = module(dialect)
    found = {}
    for case in cases.CASES:
        out = outcome(functools.partial(cases.original, case))
        assert str(case) not in found, case
        found[str(case)] = {
            "value": _encoded(out.value),
            "gradients": [_encoded(g) for g in out.gradients],
            "error": list(out.error),
        }
    write(dialect, cases.VERSION, found)


def write(dialect: str, version: str, found: Mapping[str, Any]) -> None:
    """A line a case."""
    lines = [f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
    head = f'{{"version": {json.dumps(version)}, "cases": {{'
    path = RECORDED / f"{dialect}.json"
    path.write_text(head + "\n" + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


def recorded(dialect: str) -> dict[str, Outcome]:
    """What `record` wrote."""
    text = json.loads((RECORDED / f"{dialect}.json").read_text(encoding="utf-8"))
    return {
        name: Outcome(
            _decoded(each["value"]), tuple(map(_decoded, each["gradients"])), tuple(each["error"])
        )
        for name, each in text["cases"].items()
    }


def _encoded(x: Any) -> Any:
    if x is None:
        return None
    x = np.asarray(x)
    # A float64 tells every number of the narrower dtypes apart.
    return {"dtype": x.dtype.name, "data": x.astype(np.float64).tolist(), "shape": x.shape}


def _decoded(x: Any) -> Any:
    if x is None:
        return None
    return array(np.reshape(np.asarray(x["data"], np.float64), x["shape"]), x["dtype"])
