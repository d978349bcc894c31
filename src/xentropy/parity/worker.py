"""The process of one framework: ``python -m xentropy.parity.worker``.

It reads cases from a folder, runs each loss and the framework's own op with their gradients, and
writes the numbers to another. What it says on standard output is one JSON object per line.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import inspect
import json
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import xentropy
from xentropy.dispatch import installed_backends
from xentropy.testing.harness import Harness, load_harness

from . import cases, held
from .cases import Case
from .exchange import read_cases, write_arrays

__all__ = ["about", "main", "runs"]

Array: TypeAlias = npt.NDArray[Any]
Tensor: TypeAlias = Any
Function: TypeAlias = Callable[..., Any]


def about(name: str) -> dict[str, Any]:
    """Return the versions, the devices and the kernels of a framework."""
    loaders = installed_backends()
    if name in loaders:
        backend = loaders[name]()
    else:
        backend = xentropy.backend_of(load_harness(name).array(np.zeros(1, np.float32)))
    return {
        "versions": backend.versions(),
        "devices": backend.devices(),
        "kernels": backend.kernels(),
    }


def _natives(name: str) -> Mapping[str, Function]:
    folder = xentropy_folder(name)
    module = f"xentropy_backends.{folder}.native"
    try:
        found: Mapping[str, Function] = importlib.import_module(module).NATIVE
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return {}
    return found


def xentropy_folder(name: str) -> str:
    """Return the folder of a backend: the standard's own library stands for the generic one."""
    return "array_api" if name == "array_api_strict" else name


def _stored(array: Array, dtype: str) -> Array:
    if dtype != "bfloat16":
        return array
    import ml_dtypes

    return array.astype(ml_dtypes.bfloat16)


def _wide(array: Array) -> Array:
    """Return numbers of 16 bits as float32, which holds them exactly and which files know."""
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def _total(losses: Tensor) -> Tensor:
    if not losses.ndim:
        return losses
    return xentropy.backend_of(losses).xp.sum(losses, axis=None, keepdims=False)


@functools.cache
def _function(
    loss: str, mode: str, scalars: tuple[tuple[str, Any], ...], names: tuple[str, ...]
) -> Function:
    """Return a function of arrays, in a code object of its own: torch counts compilations by it."""
    call, order = cases.function(loss), cases.positional(loss)

    def run(prediction: Tensor, *arrays: Tensor) -> Tensor:
        given = dict(zip(names, arrays, strict=True)) | dict(scalars)
        first = [given.pop(name) for name in order if name in given]
        return call(prediction, *first, **given)

    name = f"{loss}_{mode}_{len(names)}".replace(".", "_")
    run.__code__ = run.__code__.replace(co_name=name)
    return types.FunctionType(run.__code__, run.__globals__, closure=run.__closure__)


class _Call:
    """A case with the arrays of a framework."""

    def __init__(self, harness: Harness, case: Case) -> None:
        self.harness = harness
        self.case = case
        self.prediction = harness.array(_stored(case.prediction, case.dtype))
        arrays = {k: v for k, v in case.options.items() if isinstance(v, np.ndarray)}
        self.scalars = {k: v for k, v in case.options.items() if k not in arrays}
        if case.labels is not None:
            arrays = {"labels": case.labels, **arrays}
        self.arrays = {k: harness.array(v) for k, v in arrays.items()}

    def ours(self, mode: str) -> dict[str, Array]:
        """Return the loss and its gradient as the library computes them in a mode."""
        given = self.prediction, self.arrays, self.scalars
        return self._numpy(_computed(self.harness, mode, self.case.loss, *given))

    def dense(self) -> dict[str, Array]:
        """Return the same of logits that the framework holds, its own products."""
        rest = self.arrays | self.scalars
        rest.pop("max_memory", None)
        of_layer = {k: rest.pop(k) for k in held.LAYER if k in rest}
        wide = "float64" if self.case.dtype == "float64" else "float32"
        layer = held.hold(self.prediction, **of_layer, dtype=wide)
        arrays = {k: v for k, v in rest.items() if k in self.arrays}
        scalars = {k: v for k, v in rest.items() if k not in arrays}
        loss = self.case.loss.removeprefix("linear_")
        found = _computed(self.harness, "eager", loss, layer.logits, arrays, scalars)
        if "gradient" in found:
            found["gradient"] = layer.back(found["gradient"])["hidden"]
        return {f"dense_{name}": array for name, array in self._numpy(found).items()}

    def _numpy(self, found: Mapping[str, Tensor]) -> dict[str, Array]:
        return {name: self.harness.numpy(array) for name, array in found.items()}

    def native(self, op: Function) -> dict[str, Array]:
        """Return what the framework's own op gives; nothing where it does not take the options."""
        options = self.scalars | self.arrays
        labels = options.pop("labels", None)
        try:
            inspect.signature(op).bind(self.prediction, labels, **options)
        except TypeError:
            return {}
        found = {"native_value": self.harness.numpy(op(self.prediction, labels, **options))}
        if type(self.harness).gradient is not Harness.gradient:
            gradient = _gradient(self.harness, lambda x: op(x, labels, **options), self.prediction)
            found["native_gradient"] = self.harness.numpy(gradient)
        return found


def _gradient(harness: Harness, function: Function, x: Tensor) -> Tensor:
    return harness.gradient(lambda x: _total(function(x)), (x,), (0,))[0]


def _computed(
    harness: Harness,
    mode: str,
    loss: str,
    x: Tensor,
    arrays: Mapping[str, Tensor],
    scalars: Mapping[str, Any],
) -> dict[str, Tensor]:
    """Return a loss in a mode, and its gradient where the library or the framework has it."""
    if type(harness).gradient is Harness.gradient and cases.has_gradient(loss):
        rest = {**arrays, **scalars}
        first = [rest.pop(name) for name in cases.positional(loss) if name in rest]
        value, gradient = xentropy.value_and_grad(cases.function(loss))(x, *first, **rest)
        return {"value": value, "gradient": gradient}
    given, names = tuple(arrays.values()), tuple(arrays)
    function = _compiled(harness, mode, loss, tuple(sorted(scalars.items())), names)
    found = {"value": function(x, *given)}
    if type(harness).gradient is not Harness.gradient:
        found["gradient"] = _gradient(harness, lambda x: function(x, *given), x)
    return found


@functools.cache
def _compiled(
    harness: Harness,
    mode: str,
    loss: str,
    scalars: tuple[tuple[str, Any], ...],
    names: tuple[str, ...],
) -> Function:
    compile_: Callable[[Function], Function] = harness.modes[mode]
    return compile_(_function(loss, mode, scalars, names))


def runs(harness: Harness, case: Case, natives: Mapping[str, Function]) -> Iterator[dict[str, Any]]:
    """Yield a record per mode: numbers by name, or the first line of an error."""
    for mode in harness.modes:
        if mode != "eager" and not case.compiled:
            continue
        record: dict[str, Any] = {"mode": mode, "arrays": {}}
        try:
            call = _Call(harness, case)
        except ModuleNotFoundError as error:
            yield record | {"left_out": f"{error.name} is not installed"}
            continue
        except Exception as error:  # an array that the framework does not take
            yield record | {"error": _line(error)}
            continue
        try:
            record["arrays"] = call.ours(mode)
            if cases.of_layer(case.loss):
                record["arrays"] |= call.dense()
        except Exception as error:  # what the library raises is a result
            record["error"] = _line(error)
        op = natives.get(case.loss)
        if op is not None and mode == "eager":
            try:
                record["arrays"] |= call.native(op)
            except Exception as error:
                record["native_error"] = _line(error)
        yield record


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"


def _work(harness: Harness, folder: Path, out: Path, say: Callable[[Any], None]) -> None:
    natives = _natives(harness.name)
    for n, case in enumerate(read_cases(folder)):
        for record in runs(harness, case, natives):
            arrays = record.pop("arrays")
            record["dtypes"] = {k: v.dtype.name for k, v in arrays.items()}
            write_arrays(
                out / f"{n}-{record['mode']}.npz", {k: _wide(v) for k, v in arrays.items()}
            )
            say(record | {"case": n})


def main(arguments: list[str] | None = None) -> None:
    """Run the cases of a folder on one framework, or without a folder say what it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("backend")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("out", nargs="?", type=Path)
    chosen = parser.parse_args(arguments)
    # Standard output is the line to the parent: what frameworks print goes to standard error.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as line:
        os.dup2(2, 1)

        def say(record: Any) -> None:
            print(json.dumps(record), file=line, flush=True)

        if chosen.folder is None:
            say({"about": about(chosen.backend)})
        else:
            # The harness first: it decides how the framework is configured.
            harness = load_harness(chosen.backend)
            say({"about": about(chosen.backend)})
            _work(harness, chosen.folder, chosen.out, say)
        say({"done": True})


if __name__ == "__main__":
    main(sys.argv[1:])
