"""The process of one framework: it reads cases from standard input and writes times, all as JSON.

It is started by `xentropy.bench.processes`, before anything that reads the number of threads.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from . import inputs, memory
from .adapters import ADAPTERS, Adapter, MissingError
from .case import LINEAR, Case, Run, from_json
from .timing import Effort, Timed, alternate

__all__ = ["main"]

Say: TypeAlias = Callable[[Any], None]

# Below this the pages that are taken say nothing about the arrays.
_WORTH_WEIGHING = 2**23


class _Arguments:
    """The arguments of the runs of a case, kept for the next case where it has the same."""

    def __init__(self) -> None:
        self.held: dict[Any, inputs.Inputs] = {}

    def of(self, case: Case) -> list[inputs.Inputs]:
        keys = [self._key(run) for run in case.runs]
        self.held = {key: given for key, given in self.held.items() if key in keys}
        for key, run in zip(keys, case.runs, strict=True):
            if key not in self.held:
                self.held[key] = inputs.make(run, self._alike(run))
        return [self.held[key] for key in keys]

    @staticmethod
    def _key(run: Run) -> Any:
        wide = run.dtype == "float64"
        return inputs.KINDS[run.loss], wide, run.shape, tuple(sorted(run.options.items()))

    def _alike(self, run: Run) -> Any:
        """Return predictions of the same kind and number, in whatever shape."""
        kind, wide, _, _ = self._key(run)
        first = kind.split(", ")[0]
        if first == "distribution":
            return None
        for (other, other_wide, _, _), given in self.held.items():
            x = given.arrays[0]
            if (other.split(", ")[0], other_wide, x.size) == (first, wide, run.elements):
                return x
        return None


def _timed(adapter: Adapter, run: Run, given: inputs.Inputs) -> Timed | str:
    try:
        return adapter.timed(run, given)
    except MissingError as error:
        return str(error)
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed"


def _weigh(adapter: Adapter, run: Run, function: Timed) -> int | None:
    """Return the bytes that a first call takes, later ones may find them in the framework's hand.

    What compiles is called before.
    """
    if adapter.by_shape:
        function.once()
    else:
        # Of a layer also few classes: what is kept of the gradient by the weight would not be seen.
        shape = (2, run.shape[1], 1000) if run.loss == LINEAR else (2, *run.shape[1:])
        few = replace(run, shape=shape)
        adapter.timed(few, inputs.make(few)).once()
    return memory.beyond(function)


def _measure(adapter: Adapter, case: Case, effort: Effort, arguments: _Arguments) -> list[Any]:
    """Return a record per run: samples, calls per sample and bytes, or why there are none."""
    runs = zip(case.runs, arguments.of(case), strict=True)
    functions = [_timed(adapter, run, given) for run, given in runs]
    peaks = [
        None if isinstance(f, str) or run.nbytes < _WORTH_WEIGHING else _weigh(adapter, run, f)
        for run, f in zip(case.runs, functions, strict=True)
    ]
    # What has been made so far is no garbage: it need not be looked through while times are taken.
    gc.collect()
    gc.freeze()
    found = iter(alternate([f for f in functions if not isinstance(f, str)], effort))
    records: list[Any] = []
    for function, peak in zip(functions, peaks, strict=True):
        if isinstance(function, str):
            records.append({"missing": function})
            continue
        times = next(found)
        records.append({"samples": times.samples, "number": times.number, "peak": peak})
    gc.unfreeze()
    return records


def _work(request: Mapping[str, Any], say: Say) -> None:
    adapter = ADAPTERS[request["framework"]]()
    say({"about": {"versions": adapter.versions(), "kernels": adapter.kernels()}})
    effort, arguments = Effort(**request["effort"]), _Arguments()
    for n, given in enumerate(request["cases"]):
        try:
            runs = _measure(adapter, from_json(given), effort, arguments)
        except Exception as error:  # what goes wrong in one case is told, and the next one tried
            text = str(error).strip().splitlines()
            say({"case": n, "error": f"{type(error).__name__}: {text[0] if text else ''}"})
            continue
        say({"case": n, "runs": runs})


def main() -> None:
    """Measure what standard input asks for."""
    request = json.load(sys.stdin)
    if request["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: request["cores"]])
    # Standard output is the line to the parent: what frameworks print goes to standard error.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as line:
        os.dup2(2, 1)

        def say(record: Any) -> None:
            print(json.dumps(record), file=line, flush=True)

        _work(request, say)
        say({"done": True})
