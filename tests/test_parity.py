"""The parts of the parity command: cases, truth, judgement and the numbers in its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import xentropy
from xentropy.parity import bulk, compare, layer, oracle, selection, worker
from xentropy.parity.cases import LOSSES, Case, by_class, flatten, has_gradient, of_layer, take
from xentropy.parity.exchange import read_cases, write_cases
from xentropy.parity.judge import judge
from xentropy.parity.report.rows import number
from xentropy.parity.statistics import REAL
from xentropy.parity.truth import Truths
from xentropy.testing import Harness

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 3, 5)) * 3
INDEX = RNG.integers(0, 5, (4, 3))
SOFT = RNG.dirichlet(np.ones(5), (4, 3))
WEIGHT = RNG.normal(size=(7, 5))
EXCLUDED = {"backend_of", "register_backend", "strict", "value_and_grad"}
SHAPED = {
    "index": Case("a", "sparse_softmax_cross_entropy", X, INDEX, {"ignore_index": 2}),
    "dense on axis 1": Case(
        "a",
        "cross_entropy",
        np.moveaxis(X, -1, 1),
        np.moveaxis(SOFT, -1, 1),
        {"axis": 1, "class_weight": np.arange(1.0, 6), "sample_weight": INDEX[:1] * 0.5},
    ),
    "mask": Case("a", "softmax_cross_entropy", X, SOFT, {"class_mask": np.arange(5) != 2}),
    "where": Case("a", "logsumexp", X, None, {"where": np.array([True, False, True, True, True])}),
    "matrix": Case("a", "log_softmax", X, None, {"axis": 0, "where": X > -2}),
    "sigmoid": Case("a", "sigmoid_cross_entropy", X, SOFT[:, :1], {"pos_weight": np.arange(5.0)}),
    "plain": Case("a", "huber", X, SOFT, {"sample_weight": np.array(2.0), "where": X > 0}),
    "number": Case("a", "huber", np.array(3.0), np.array(0.5)),
    "row": Case("a", "sparse_softmax_cross_entropy", X[0, 0], INDEX[0, 0]),
    "statistic": Case(
        "a",
        "softmax_statistics.log_prob",
        np.moveaxis(X, -1, 1),
        INDEX,
        {"axis": 1, "ignore_index": 2, "scale": 0.5},
    ),
    "entropy": Case("a", "softmax_statistics.entropy", X, None, {"class_mask": X > -2}),
    "layer": Case(
        "a",
        "linear_cross_entropy",
        X,
        INDEX,
        {"weight": WEIGHT, "ignore_index": 2, "sample_weight": INDEX[:1] * 0.5, "softcap": 3.0},
    ),
    "layer, soft labels": Case(
        "a",
        "linear_cross_entropy",
        X,
        RNG.dirichlet(np.ones(7), (1, 3)) * (np.arange(7) != 2),
        {"weight": WEIGHT, "bias": WEIGHT[:, 0], "class_mask": np.arange(7) != 2},
    ),
    "statistic of a layer": Case(
        "a", "linear_softmax_statistics.logsumexp", X, None, {"weight": WEIGHT, "max_memory": 1}
    ),
}


def recorded(harness: Harness, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a worker writes about a case."""
    (record,) = worker.runs(harness, replace(case, compiled=False), {})
    arrays = record.pop("arrays")
    return record | {"dtypes": {name: x.dtype.name for name, x in arrays.items()}}, arrays


def numpy_record(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    return recorded(Harness("numpy"), case)


def test_every_public_loss_is_known() -> None:
    public = {name for name in xentropy.__all__ if name[0].islower()} - EXCLUDED
    assert {name.partition(".")[0] for name in LOSSES} == public


def test_every_statistic_that_is_a_real_number_is_known() -> None:
    for name in ("softmax_statistics", "linear_softmax_statistics"):
        assert {f"{name}.{output}" for output in REAL} <= set(LOSSES)


@pytest.mark.parametrize("quick", [True, False])
def test_the_standing_cases_cover_every_loss(quick: bool) -> None:
    cases, notes = selection.standing((), (), quick)
    assert notes == []
    dtypes = ("float32",) if quick else ("float32", "float64")
    covered = {(case.loss, case.dtype) for case in cases}
    assert {(loss, dtype) for loss in LOSSES for dtype in dtypes} <= covered
    assert any(case.compiled for case in cases) is not quick


@pytest.mark.parametrize("name", ["digits", "confident rows", "offsets", "infinities"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_either_kind_of_labels_is_tested(name: str, dtype: str) -> None:
    cases, _ = selection.standing(("cross_entropy",), (dtype,), False)
    by_name = {case.name: case.labels for case in cases}
    dense, index = by_name[name], by_name[f"{name}, index labels"]
    assert dense is not None
    assert index is not None
    assert index.dtype.kind == "i"
    np.testing.assert_array_equal(np.eye(dense.shape[-1])[index], dense)


def test_the_digits_are_confident() -> None:
    cases, _ = selection.standing(("sparse_softmax_cross_entropy",), ("float64",), False)
    case = next(case for case in cases if case.name == "digits")
    assert case.labels is not None
    losses = xentropy.sparse_softmax_cross_entropy(case.prediction, case.labels)
    assert case.prediction.shape == (1797, 10)
    assert np.median(losses) < np.finfo(np.float32).eps / 2 < losses.max()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_inputs_are_rounded_as_stored(dtype: str) -> None:
    x = np.concatenate([RNG.normal(size=1000), [np.inf, -np.inf, np.nan, 1e-30, 65519.0]])
    rounded = Case("a", "squared_error", x, x).cast(dtype).prediction
    with np.errstate(all="ignore"):
        stored = x.astype(np.float32).astype(getattr(ml_dtypes, dtype, dtype)).astype(np.float32)
    np.testing.assert_array_equal(rounded.astype(np.float32), stored)


def test_labels_beyond_the_result_dtype_become_infinite() -> None:
    large = np.array([1e300, -1e300, 1e-300])
    labels = Case("a", "squared_error", np.zeros(3), large).cast("float32").labels
    np.testing.assert_array_equal(labels, np.array([np.inf, -np.inf, 0], np.float32))


@pytest.mark.parametrize("name", SHAPED)
def test_rows_have_the_truth_of_the_whole(name: str) -> None:
    case, flat = SHAPED[name], flatten(SHAPED[name])
    evaluate: Any = layer.evaluate if of_layer(case.loss) else oracle.evaluate
    more: Any = {"dtype": "float64", "wrt": (case.first,)}
    whole = evaluate(case.loss, case.prediction, case.labels, **more, **case.options)
    rows = evaluate(case.loss, flat.prediction, flat.labels, **more, **flat.options)
    gradient, value = whole.grads[case.first], whole.value
    if by_class(case.loss):
        axis = case.options.get("axis", -1)
        gradient = np.moveaxis(gradient, axis, -1)
        value = np.moveaxis(value, axis, -1) if case.loss == "log_softmax" else value
    np.testing.assert_array_equal(rows.value.reshape(-1), value.reshape(-1))
    np.testing.assert_array_equal(rows.grads[case.first].reshape(-1), gradient.reshape(-1))
    chosen = np.arange(len(flat.prediction))[-2:]
    some = take(flat, chosen)
    few = evaluate(case.loss, some.prediction, some.labels, dtype="float64", **some.options)
    np.testing.assert_array_equal(few.value, rows.value[chosen])


@pytest.mark.parametrize("name", SHAPED)
def test_what_numpy_computes_is_judged_in_any_layout(name: str) -> None:
    case = SHAPED[name]
    result = judge(Truths(case), case, "numpy", *numpy_record(case))
    assert result.failures == ()
    assert set(result.errors) == ({"value", "gradient"} if has_gradient(case.loss) else {"value"})
    if "gradient" in result.errors:
        assert result.errors["gradient"].count == case.prediction.size


NEWER = [name for name, case in SHAPED.items() if "statistic" in case.loss or of_layer(case.loss)]


@pytest.mark.parametrize("name", NEWER)
def test_layers_and_statistics_are_judged_on_every_framework(harness: Harness, name: str) -> None:
    """And a fault in what they return, and not in what stands beside it, is seen."""
    case = SHAPED[name].cast("float32")
    record, arrays = recorded(harness, case)
    truths = Truths(case)
    assert judge(truths, case, harness.name, record, arrays).failures == ()
    for kind in {"value", "gradient"} & {*arrays}:
        off = arrays | {kind: arrays[kind] * np.float32(1.0001)}
        (failure,) = judge(truths, case, harness.name, record, off).failures
        assert failure.startswith(f"{kind} ")


def test_a_layer_is_held_to_the_errors_of_logits_that_are_held() -> None:
    case = SHAPED["layer"].cast("float32")
    record, arrays = numpy_record(case)
    result = judge(Truths(case), case, "numpy", record, arrays)
    assert set(result.errors) == {"value", "gradient"}
    for kind, got in arrays.items():
        if kind.startswith("dense_"):
            as_ours = arrays | {kind.removeprefix("dense_"): got}
            dense = judge(Truths(case), case, "numpy", record, as_ours)
            largest = dense.errors[kind.removeprefix("dense_")].largest
            assert result.bounds[kind.removeprefix("dense_")] == largest + compare.LAYER
    del arrays["dense_value"]
    (failure,) = judge(Truths(case), case, "numpy", record, arrays).failures
    assert "ulp > nan" in failure


@pytest.mark.parametrize(
    ("times", "how"),
    [(1, "longdouble, mpmath on 14 of 4800 rows"), (300, "longdouble on 1597 of 4800 rows")],
)
def test_large_layers_are_judged_too(times: int, how: str) -> None:
    weight = np.tile(WEIGHT, (times, 1))
    x, labels = np.tile(X, (400, 1, 1)), np.tile(INDEX, (400, 1))
    case = Case("a", "linear_cross_entropy", x, labels, {"weight": weight})
    truths = Truths(case)
    assert truths.how == how
    assert judge(truths, case, "numpy", *numpy_record(case)).failures == ()


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("repeats", [1, 400])
def test_reduced_losses_are_judged(reduction: str, repeats: int) -> None:
    options = {"reduction": reduction, "class_weight": np.arange(1.0, 6)}
    x, labels = np.tile(X, (repeats, 1, 1)), np.tile(INDEX, (repeats, 1))
    case = Case("a", "sparse_softmax_cross_entropy", x, labels, options)
    truths = Truths(case)
    assert truths.how.startswith("mpmath" if repeats == 1 else "longdouble, mpmath on")
    assert judge(truths, case, "numpy", *numpy_record(case)).failures == ()


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("shape", [(0, 5), (2, 0, 5)])
def test_nothing_adds_up_to_zero(reduction: str, shape: tuple[int, ...]) -> None:
    labels = np.zeros(shape[:-1], int)
    for loss, t in (("sparse_softmax_cross_entropy", labels), ("huber", np.zeros(shape))):
        case = Case("a", loss, np.zeros(shape), t, {"reduction": reduction})
        record, arrays = numpy_record(case)
        assert judge(Truths(case), case, "numpy", record, arrays).failures == ()
        wrong = judge(Truths(case), case, "numpy", record, arrays | {"value": np.array(0.5)})
        assert wrong.failures[0].startswith("value ")


def test_what_is_not_finite_is_told_apart() -> None:
    """One row of NaN, one with an infinite loss and a finite gradient, two ordinary ones."""
    x, labels = X[:, 0].copy(), np.zeros(4, int)
    x[0, 1], x[1, 0] = np.nan, -np.inf
    case = Case("a", "sparse_softmax_cross_entropy", x, labels)
    record, arrays = numpy_record(case)
    result = judge(Truths(case), case, "numpy", record, arrays)
    value, gradient = result.errors["value"], result.errors["gradient"]
    assert result.failures == ()
    assert (value.count, value.finite, value.nan, value.each.size) == (4, 2, 1, 2)
    assert (gradient.count, gradient.finite, gradient.nan, gradient.each.size) == (20, 15, 5, 15)


@pytest.mark.parametrize(
    ("row", "got"), [(0, 0.0), (0, np.inf), (1, np.nan), (1, 1e30), (1, -np.inf), (2, np.nan)]
)
def test_what_is_not_finite_is_compared_by_place_and_sign(row: int, got: float) -> None:
    x, labels = X[:, 0].copy(), np.zeros(4, int)
    x[0, 1], x[1, 0] = np.nan, -np.inf
    case = Case("a", "sparse_softmax_cross_entropy", x, labels)
    record, arrays = numpy_record(case)
    value = arrays["value"].copy()
    value[row] = got
    failures = judge(Truths(case), case, "numpy", record, arrays | {"value": value}).failures
    assert [f.partition(":")[0] for f in failures] == [f"value inf ulp > 4 at [{row}]"]


@pytest.mark.parametrize(
    ("loss", "how"),
    [
        ("huber", "longdouble, mpmath on 512 of 24000 rows"),
        ("log_cosh", "mpmath on 4096 of 24000 rows"),
        ("log_softmax", "mpmath on 819 of 4800 rows"),
    ],
)
def test_large_arrays_are_judged_too(loss: str, how: str) -> None:
    x = np.tile(X, (400, 1, 1))
    case = Case("a", loss, x, None if loss == "log_softmax" else np.zeros_like(x))
    truths = Truths(case)
    assert truths.how == how
    assert judge(truths, case, "numpy", *numpy_record(case)).failures == ()


def test_an_extended_precision_that_is_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    right = bulk.evaluate

    def off(*args: Any, **options: Any) -> oracle.Truth:
        truth = right(*args, **options)
        return replace(truth, value=truth.value * (1 + np.longdouble(2) ** -55))

    monkeypatch.setattr(bulk, "evaluate", off)
    case = Case("a", "squared_error", np.tile(X, (400, 1, 1)), np.array(0.5))
    result = judge(Truths(case), case, "numpy", *numpy_record(case))
    assert "the extended precision is off mpmath by" in result.failures[0]


CHANGES: Mapping[str, tuple[str, str]] = {
    "dtype": ("gradient", "gradient is float32, not float64"),
    "shape": ("value", "value has shape (60,), not (4, 3, 5)"),
    "nan": ("value", "value inf ulp > 4 at [0]: got nan, true "),
    "ulp": ("gradient", "gradient 1"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_wrong_is_said(change: str) -> None:
    case = SHAPED["plain"]
    record, arrays = numpy_record(case)
    what, text = CHANGES[change]
    if change == "dtype":
        record["dtypes"][what] = "float32"
    elif change == "shape":
        arrays[what] = arrays[what].reshape(60)
    elif change == "nan":
        arrays[what] = arrays[what].copy()
        arrays[what].flat[0] = np.nan
    else:
        arrays[what] = arrays[what] * (1 + 2.0**-49)
    failures = judge(Truths(case), case, "numpy", record, arrays).failures
    assert any(failure.startswith(text) for failure in failures), failures


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_numbers_of_a_failure_can_be_told_apart(dtype: str) -> None:
    case = SHAPED["plain"].cast(dtype)
    record, arrays = numpy_record(case)
    change = 1 + 16 * np.finfo(dtype).eps
    arrays["value"] = (arrays["value"] * change).astype(dtype)
    (failure,) = judge(Truths(case), case, "numpy", record, arrays).failures
    got, true = failure.partition("got ")[2].split(", true ")
    assert np.dtype(dtype).type(got) in arrays["value"]
    assert np.dtype(dtype).type(true) not in arrays["value"]
    assert got != true


def test_an_array_that_a_framework_does_not_take_is_an_error_of_its_case() -> None:
    class Picky(Harness):
        def array(self, x: Any) -> Any:
            msg = "no such dtype\nand more"
            raise TypeError(msg)

    (record,) = worker.runs(Picky("picky"), SHAPED["plain"], {})
    assert record == {"mode": "eager", "arrays": {}, "error": "TypeError: no such dtype"}


def test_cases_survive_the_way_to_a_worker(tmp_path: Path) -> None:
    cases, _ = selection.standing(("cross_entropy", "logsumexp"), (), False)
    write_cases(tmp_path, cases)
    for sent, got in zip(cases, read_cases(tmp_path), strict=True):
        assert (sent.name, sent.loss, sent.dtype) == (got.name, got.loss, got.dtype)
        np.testing.assert_array_equal(sent.prediction, got.prediction)
        np.testing.assert_equal(dict(sent.options), dict(got.options))
        np.testing.assert_equal(sent.labels, got.labels)


@pytest.mark.parametrize(
    ("ulps", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (0.004, "0.00"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (99.96, "100"),
        (9999.4, "9999"),
        (12345.0, "1.2e4"),
        (9.96e6, "1.0e7"),
        (1.26e13, "1e13"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_take_five_characters(ulps: float | None, text: str) -> None:
    assert number(ulps) == text
    assert len(text) <= 5
