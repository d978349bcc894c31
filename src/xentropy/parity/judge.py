"""What a framework returned, measured against the truth and held to the bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import compare
from .cases import Case, by_class, logits_shape, of_layer, result_shape
from .truth import Part, Truths

__all__ = ["Errors", "Result", "judge"]

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Errors:
    """Errors in ulp of one quantity, element by element, and the worst of them.

    Attributes
    ----------
    each
        Of the numbers whose truth is finite, and of the others where they are not what they should
        be; NaN and infinities in their places would only make the median look better.
    count, finite, nan
        How many numbers there are, and of how many the truth is finite or NaN.
    """

    each: Array
    count: int = 0
    finite: int = 0
    nan: int = 0
    at: tuple[int, ...] = ()
    got: float = math.nan
    true: float = math.nan

    @property
    def largest(self) -> float:
        """Return the maximum, 0 if there is nothing."""
        return compare.summary(self.each)[0]


@dataclass(frozen=True)
class Result:
    """One case on one framework in one mode.

    Attributes
    ----------
    errors
        By ``value``, ``gradient``, ``native_value`` and ``native_gradient``, where there are any.
    bounds
        Of ``value`` and ``gradient``, in ulp.
    failures
        Why the case does not pass, one line each; empty where it does.
    """

    case: Case
    backend: str
    mode: str
    errors: Mapping[str, Errors]
    bounds: Mapping[str, float]
    failures: tuple[str, ...]
    native_error: str = ""
    how: str = ""
    left_out: str = ""
    dtypes: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Return whether every number is within its bound."""
        return not self.failures


class _Sums:
    """The errors of one quantity, part by part."""

    def __init__(self, got: Array, gradient: bool, dtype: str, terms: float) -> None:
        self.got, self.gradient, self.dtype, self.terms = got, gradient, dtype, terms
        self.each: list[Array] = []
        self.count = self.finite = self.nan = 0
        self.worst = Errors(np.zeros(0))

    def add(self, part: Part) -> None:
        truth = part.gradient if self.gradient else part.value
        scale = part.gradient_scale if self.gradient else part.value_scale
        whole = part.reduced and not self.gradient
        rows = self.got.reshape(1 if whole else part.count, truth.shape[1])
        some = rows if whole else rows[part.rows]
        errors = compare.ulp_errors(some, truth, scale, self.dtype, terms=self.terms)
        finite = np.asarray(np.abs(truth) < np.inf, dtype=bool)
        self.each.append(errors[finite | (errors != 0)].astype(np.float32))
        self.count += truth.size
        self.finite += int(finite.sum())
        self.nan += int((truth != truth).sum())
        if errors.size and (not self.worst.at or errors.max() > self.worst.largest):
            at = np.unravel_index(int(errors.argmax()), errors.shape)
            row = 0 if whole else int(np.arange(part.count)[part.rows][at[0]])
            place = (row, *(int(i) for i in at[1:] if errors.shape[1] > 1))
            largest = np.array([errors.max()])
            self.worst = Errors(largest, at=place, got=float(some[at]), true=_float(truth[at]))

    def result(self) -> Errors:
        each = np.concatenate(self.each) if self.each else np.zeros(0)
        return replace(self.worst, each=each, count=self.count, finite=self.finite, nan=self.nan)


def _terms(case: Case) -> float:
    """Return how many terms of weight 1 a loss or a gradient adds up at most.

    In an entropy a probability of 0 has the weight -log(p) of the largest that is flushed to 0.
    """
    weights = [np.max(np.abs(v), initial=1.0) for k, v in case.options.items() if "weight" in k]
    if case.loss.endswith(".entropy"):
        weights.append(-np.log(np.finfo(_computed_in(case)).tiny))
    shape = logits_shape(case)
    count = shape[case.options.get("axis", -1)] if shape else 1
    return float(count) * max(weights, default=1.0)


def _computed_in(case: Case) -> str:
    return "float64" if case.dtype == "float64" else "float32"


def _errors(
    quantities: Mapping[str, tuple[Array, str]], truths: Truths, terms: float
) -> dict[str, Errors]:
    """Return the errors by name of arrays and their dtypes, in one pass through the truth."""
    sums = {
        name: _Sums(got, name.endswith("gradient"), dtype, terms)
        for name, (got, dtype) in quantities.items()
    }
    for part in truths.parts() if sums else ():
        for sum_ in sums.values():
            sum_.add(part)
    return {name: sum_.result() for name, sum_ in sums.items()}


def _float(x: Any) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def _classes_last(case: Case, x: Array) -> Array:
    """Return a result of the shape of the predictions with the classes last."""
    if not by_class(case.loss) or x.shape != case.prediction.shape:
        return x
    return np.moveaxis(x, case.options.get("axis", -1), -1)


def judge(
    truths: Truths,
    case: Case,
    backend: str,
    record: Mapping[str, Any],
    arrays: Mapping[str, Array],
) -> Result:
    """Return the errors of what a worker wrote about a case, and whether they are allowed."""
    expected = {"value": _computed_in(case), "gradient": case.dtype}
    failures = [record["error"]] if record.get("error") else []
    failures += [truths.doubt] if truths.doubt else []
    quantities: dict[str, tuple[Array, str]] = {}
    native_error = record.get("native_error", "")
    for name, got in arrays.items():
        kind = name.rpartition("_")[2]
        shape = case.prediction.shape if kind == "gradient" else result_shape(case)
        if got.shape == shape:
            quantities[name] = (_classes_last(case, got), expected[kind])
        elif name.startswith("native_"):
            native_error = f"{kind} has shape {got.shape}, not {shape}"
        else:
            failures.append(f"{name} has shape {got.shape}, not {shape}")
    errors = _errors(quantities, truths, _terms(case))
    dense = {kind: errors.pop(f"dense_{kind}", None) for kind in expected}
    bounds = _bounds(case, dense)
    for kind in sorted(expected.keys() & arrays.keys(), reverse=True):
        failures += _complaints(kind, errors.get(kind), bounds[kind], record, expected[kind])
    return Result(
        case=case,
        backend=backend,
        mode=record["mode"],
        errors=errors,
        bounds=bounds,
        failures=tuple(failures),
        native_error=native_error,
        how=truths.how,
        left_out=record.get("left_out", ""),
        dtypes=record.get("dtypes", {}),
    )


def _bounds(case: Case, dense: Mapping[str, Errors | None]) -> dict[str, float]:
    """Return the bounds in ulp: those of the loss, of a layer the errors of logits held and more.

    NaN, which no error is within, where there are no such errors.
    """
    if not of_layer(case.loss):
        known = compare.bound(case.loss, case.options)
        return {"value": known.value, "gradient": known.gradient_in(case.dtype)}
    narrow = {"gradient": case.dtype in ("float16", "bfloat16")}
    return {
        kind: math.nan if e is None else compare.beside(e.each, rounded=narrow.get(kind, False))
        for kind, e in dense.items()
    }


def _complaints(
    kind: str, errors: Errors | None, bound: float, record: Mapping[str, Any], dtype: str
) -> list[str]:
    found = []
    if record["dtypes"][kind] != dtype:
        found.append(f"{kind} is {record['dtypes'][kind]}, not {dtype}")
    if errors is not None and not errors.largest <= bound:
        place = f" at {list(errors.at)}" if errors.at else ""
        digits = 17 if dtype == "float64" else 9  # that tell any two numbers of it apart
        numbers = f"got {errors.got:.{digits}g}, true {errors.true:.{digits}g}"
        found.append(f"{kind} {errors.largest:.3g} ulp > {bound:.3g}{place}: {numbers}")
    return found
