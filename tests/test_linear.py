"""The loss of a linear layer: beside the loss of logits that are held, and at its edges."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_same, assert_within
from tests.cases import Array, compute_dtype, need_dtype, own_gradient, rng, single
from tests.cases.linear import WRT, Head, call, cases, large_cases, layer, small
from tests.reduced import DENOMINATORS, reduced
from xentropy.parity import bulk, compare
from xentropy.testing import Harness

LINEAR = xentropy.linear_cross_entropy
CASES = cases()
BY_NAME = {case.name: case for case in CASES}


# --- accuracy ---------------------------------------------------------------------------------


def assert_beside(got: Array, dense: Array, truth: Array, scale: Array, dtype: str) -> None:
    """No farther from the truth than what is computed of logits that are held, in `dtype`."""
    own = got.dtype.name
    narrow = own if np.dtype(own).itemsize < np.dtype(dtype).itemsize else dtype
    off, allowed = (compare.ulp_errors(x, truth, scale, narrow) for x in (got, dense))
    most = compare.beside(allowed, rounded=narrow != dtype)
    assert np.max(off, initial=0) <= most, f"{np.max(off):.3g} ulp, at most {most:.3g}\n{off}"


def assert_head(
    harness: Harness, case: Head, dtype: str, value: Any, grads: Mapping[str, Any]
) -> None:
    """Compare losses and gradients with the truth, and their dtypes with those of the inputs."""
    truth, (value_of, grads_of) = case.truth(dtype), case.dense(harness, dtype)
    wide, inputs = compute_dtype(dtype), case.inputs(dtype)
    got = harness.numpy(value)
    assert got.dtype.name == wide
    assert_beside(got, harness.numpy(value_of), truth.value, truth.value_scale, wide)
    for name, grad in grads.items():
        found, dense = harness.numpy(grad), harness.numpy(grads_of[name])
        assert found.dtype == inputs[name].dtype, name
        assert_beside(found, dense, truth.grads[name], truth.grad_scales[name], wide)


def select(cases: list[Head]) -> list[Any]:
    return [(case, dtype) for case in cases for dtype in case.dtypes]


@pytest.mark.parametrize(("case", "dtype"), select(CASES), ids=str)
def test_values_and_gradients(harness: Harness, case: Head, dtype: str) -> None:
    for name in (dtype, case.layer or dtype):
        need_dtype(harness, name)
    value, grads = case.value_and_grads(harness, dtype)
    assert_head(harness, case, dtype, value, grads)


@pytest.mark.skipif(not bulk.supported(), reason="np.longdouble is float64 here")
@pytest.mark.parametrize(("case", "dtype"), select(large_cases()), ids=str)
def test_many_rows_and_classes(harness: Harness, case: Head, dtype: str) -> None:
    need_dtype(harness, dtype)
    value, grads = case.value_and_grads(harness, dtype)
    assert_head(harness, case, dtype, value, grads)


@pytest.mark.parametrize("case", [case for case in CASES if case.compiled], ids=str)
def test_every_mode(harness: Harness, mode: str, case: Head) -> None:
    """The value alone, and the gradient by the framework's own reverse mode."""
    f, given = harness.modes[mode](case.function()), case.give(harness, "float32")
    value, grads = f(*given.values()), own_gradient(harness, f, given, case.wrt)
    assert_head(harness, case, "float32", value, {k: harness.array(g) for k, g in grads.items()})


@pytest.mark.parametrize("memory", [1, 700, 2**26])
@pytest.mark.parametrize("kind", ["index", "dense"])
def test_any_memory(harness: Harness, kind: str, memory: int) -> None:
    r = rng("linear memory")
    arrays = {**layer(r, (9,), 70), "bias": r.normal(size=70), "labels": r.integers(0, 70, 9)}
    if kind == "dense":
        arrays["labels"] = r.dirichlet(np.ones(70), 9)
    options = {"max_memory": memory, "label_smoothing": 0.1}
    wrt = ("hidden", "weight", "bias")
    case = Head("memory", "linear_cross_entropy", arrays, options, wrt, large=True)
    assert_head(harness, case, "float32", *case.value_and_grads(harness, "float32"))


def test_a_fault_would_be_seen() -> None:
    """Products in half precision, and gradients that miss one row, are farther than allowed."""
    case = BY_NAME["linear index everything"]
    truth = case.truth("float32")
    value = np.asarray(truth.value, np.float64).astype(np.float32)
    scale = truth.value_scale
    assert_beside(value, value, truth.value, scale, "float32")
    for fault in (value * np.float32(1.0001), np.where(value == value.max(), 0, value)):
        with pytest.raises(AssertionError, match="ulp, at most"):
            assert_beside(fault, value, truth.value, scale, "float32")
    with pytest.raises(AssertionError, match="inf ulp"):
        assert_beside(value * np.nan, value * np.nan, truth.value, scale, "float32")


# --- reductions -------------------------------------------------------------------------------

REDUCED = [BY_NAME[f"linear {kind} everything"] for kind in ("index", "dense")]


@pytest.mark.parametrize("reduction", DENOMINATORS)
@pytest.mark.parametrize("case", [*REDUCED, BY_NAME["linear all ignored"]], ids=str)
def test_sums_and_means(harness: Harness, case: Head, reduction: str) -> None:
    options = {
        "reduction": {"denominator": "mean"}.get(reduction, reduction),
        "denominator": DENOMINATORS[reduction],
    }
    value, grads = case.value_and_grads(harness, "float32", **options)
    value_of, grads_of = case.dense(harness, "float32", **options)
    true, scale, true_grads, scales = reduced(case, "float32", reduction)
    got, dense = harness.numpy(value), harness.numpy(value_of)
    assert got.shape == ()
    assert got.dtype == np.float32
    true, scale = (np.asarray(x, object) for x in (true, scale))
    assert_beside(got, dense, true, scale, "float32")
    for name, grad in grads.items():
        pair = harness.numpy(grad), harness.numpy(grads_of[name])
        assert_beside(*pair, true_grads[name], scales[name], "float32")


@pytest.mark.parametrize("case", REDUCED, ids=str)
def test_partial_sums(harness: Harness, case: Head) -> None:
    part, grads = case.value_and_grads(harness, "float32", reduction="partial")
    whole, of_whole = case.dense(harness, "float32", reduction="partial")
    true, scale, true_grads, scales = reduced(case, "float32", "sum")
    assert isinstance(part, xentropy.Mean)
    weight = np.asarray(np.sum(case.truth("float32").weight), object)
    got = harness.numpy(part.weight)
    assert_within(got, weight, np.abs(weight), compare.VALUE, "float32")
    assert got.dtype == harness.numpy(part.total).dtype == harness.numpy(whole.total).dtype
    true, scale = (np.asarray(x, object) for x in (true, scale))
    total, dense = (harness.numpy(x.total).astype(np.float32) for x in (part, whole))
    assert_beside(total, dense, true, scale, "float32")
    for name, grad in grads.items():
        pair = harness.numpy(grad), harness.numpy(of_whole[name])
        assert_beside(*pair, true_grads[name], scales[name], "float32")


def test_the_denominator_is_differentiated(harness: Harness) -> None:
    case = BY_NAME["linear index of (4,)"]
    given, d = case.give(harness, "float32"), harness.array(single(4.0))
    grad = xentropy.value_and_grad(LINEAR, "denominator")
    value, by = grad(**given, **case.options, reduction="mean", denominator=d)
    np.testing.assert_array_equal(harness.numpy(by), harness.numpy(value) / -4)


def test_parts_of_a_batch_add_up(harness: Harness) -> None:
    """Of any split: the mean of the whole, and gradients that add up to its own."""
    r = rng("linear parts")
    wrt = ("hidden", "weight", "bias")
    arrays = {**layer(r, (7,), 9), "bias": r.normal(size=9), "labels": r.integers(0, 9, 7)}
    arrays["sample_weight"] = r.uniform(size=7)
    case = Head("parts", "linear_cross_entropy", arrays, {}, wrt)
    want, whole = case.dense(harness, "float32", reduction="mean")
    true, scale, grads, scales = reduced(case, "float32", "mean")
    parts, found = [], []
    weight = single(arrays["sample_weight"].astype(np.float32).sum())
    for rows in (slice(0, 3), slice(3, 3), slice(3, 7)):
        some = {k: v[rows] if len(v) == 7 else v for k, v in arrays.items()}
        one = Head("part", "linear_cross_entropy", some, {}, wrt)
        parts.append(LINEAR(**one.give(harness, "float32"), reduction="partial"))
        found.append(
            one.value_and_grads(harness, "float32", reduction="mean", denominator=weight)[1]
        )
    true, scale = (np.asarray(x, object) for x in (true, scale))
    value = harness.numpy(xentropy.Mean.sum(parts).value())
    assert_beside(value, harness.numpy(want), true, scale, "float32")
    for name in wrt:
        each = [harness.numpy(part[name]) for part in found]
        got = np.concatenate(each) if name == "hidden" else sum(each, start=0 * each[0])
        assert_beside(got, harness.numpy(whole[name]), grads[name], scales[name], "float32")


@pytest.mark.parametrize("max_memory", [1, 2**26])
def test_a_weight_tied_to_an_embedding(harness: Harness, mode: str, max_memory: int) -> None:
    """The features are rows of the weight: its gradient is that of both together."""
    if not xentropy.backend_of(harness.array(np.zeros(1))).autodiff:
        pytest.skip(f"{harness} has no automatic differentiation")
    words, labels = np.array([2, 0, 5, 2, 1, 3, 4]), np.array([0, 5, 2, 1, 3, 4, 5])
    table = rng("tied").normal(size=(6, 5)).astype(np.float32)
    chosen, y = np.eye(6, dtype=np.float32)[words], harness.array(labels)
    rows = harness.array(chosen)

    def f(loss: Any) -> dict[str, Array]:
        run = harness.modes[mode](lambda w: loss(rows @ w, w))
        return own_gradient(harness, run, {"weight": harness.array(table)}, ("weight",))

    got = f(lambda hidden, w: LINEAR(hidden, w, y, scale=0.5, max_memory=max_memory))
    turned = xentropy.backend_of(rows).xp.permute_dims
    dense = f(lambda x, w: xentropy.cross_entropy(0.5 * (x @ turned(w, (1, 0))), y))
    arrays = {"hidden": table[words], "weight": table, "labels": labels}
    wrt = ("hidden", "weight")
    truth = Head("tied", "linear_cross_entropy", arrays, {"scale": 0.5}, wrt).truth("float32")
    by, scale = (
        x["weight"] + chosen.T.astype(int) @ x["hidden"] for x in (truth.grads, truth.grad_scales)
    )
    assert_beside(got["weight"], dense["weight"], by, scale, "float32")


def test_a_one_hot_label_and_the_index_are_the_same(harness: Harness) -> None:
    r = rng("linear one-hot")
    options = {"label_smoothing": 0.1, "z_loss": 0.01, "scale": 0.5, "softcap": 4.0}
    arrays = {**small(), "class_weight": r.uniform(size=6), "sample_weight": r.uniform(size=4)}
    arrays = {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in arrays.items()}
    wrt = (*WRT, "class_weight", "sample_weight")
    for reduction in ("none", "mean"):
        case = Head("one-hot", "linear_cross_entropy", arrays, options, wrt)
        true, scale, grads, scales = (
            reduced(case, "float32", "mean")
            if reduction == "mean"
            else (lambda t: (t.value, t.value_scale, t.grads, t.grad_scales))(case.truth("float32"))
        )
        index, of_index = call(harness, arrays, wrt, **options, reduction=reduction)
        hot = {**arrays, "labels": np.eye(6, dtype=np.float32)[arrays["labels"]]}
        dense, of_dense = call(harness, hot, wrt, **options, reduction=reduction)
        true, scale = np.asarray(true, object), np.asarray(scale, object)
        assert_beside(dense, index, true, scale, "float32")
        for name, a, b in zip(wrt, of_dense, of_index, strict=True):
            assert_beside(a, b, grads[name], scales[name], "float32")


# --- what is left out -------------------------------------------------------------------------

RUBBISH = (np.nan, np.inf, -np.inf, 3e38)
OUT = np.array([False, True, True, False])
LEFT_OUT: dict[str, dict[str, Any]] = {
    "where": {"where": ~OUT},
    "sample_weight": {"sample_weight": single(~OUT)},
    "ignore_index": {"ignore_index": -7},
}


@pytest.mark.parametrize("out", LEFT_OUT)
@pytest.mark.parametrize("rubbish", RUBBISH)
def test_rows_left_out_hold_anything(harness: Harness, rubbish: float, out: str) -> None:
    """Their loss and gradient are 0, and no bit of the others, or of the weight's, changes."""
    options = LEFT_OUT[out]
    arrays = {**small(), **{k: v for k, v in options.items() if k != "ignore_index"}}
    numbers = {k: v for k, v in options.items() if k == "ignore_index"}
    arrays["labels"] = np.where(OUT, -7 if numbers else 0, arrays["labels"])
    clean, of_clean = call(harness, arrays, **numbers)
    dirty = {**arrays, "hidden": np.where(OUT[:, None], single(rubbish), arrays["hidden"])}
    dirty["labels"] = np.where(OUT, -7, arrays["labels"])
    value, grads = call(harness, dirty, **numbers)
    np.testing.assert_array_equal(value, clean)
    np.testing.assert_array_equal(value == 0, OUT)
    np.testing.assert_array_equal(np.all(grads[0] == 0, axis=1), OUT)
    for got, want in zip(grads, of_clean, strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_row_without_a_softmax_spoils_itself_only(harness: Harness) -> None:
    arrays = small()
    arrays["hidden"][1] = np.nan
    value, (by_hidden, by_weight, by_bias) = call(harness, arrays)
    np.testing.assert_array_equal(np.isnan(value), [False, True, False, False])
    np.testing.assert_array_equal(np.isnan(by_hidden).all(axis=1), np.isnan(value))
    np.testing.assert_array_equal(np.isnan(by_hidden).any(axis=1), np.isnan(value))
    assert np.isnan(by_weight).all()
    assert np.isnan(by_bias).all()


def test_a_bias_of_minus_infinity_takes_a_class_out(harness: Harness) -> None:
    """As a logit of -inf: off target it is nothing, on target the loss is +inf."""
    arrays = small()
    arrays["bias"][0] = -np.inf
    labels, kept = arrays["labels"], np.arange(6) != 0
    value, grads = call(harness, arrays)
    np.testing.assert_array_equal(np.isinf(value), labels == 0)
    assert all(np.isfinite(g).all() for g in grads)
    masked = {**small(), "class_mask": kept}
    want, wanted = call(harness, masked)
    np.testing.assert_array_equal(value, want)
    off = labels != 0
    np.testing.assert_array_equal(grads[0][off], wanted[0][off])


@pytest.mark.parametrize("out", [slice(0, 70), slice(60, 130)])
def test_tiles_without_a_class(harness: Harness, out: slice) -> None:
    """In little memory some classes come at a time: all of them may be taken out."""
    r = rng("linear tiles")
    bias = r.normal(size=130)
    bias[out] = -np.inf
    labels = r.permutation(np.flatnonzero(bias > -np.inf))[:3]
    arrays = {**layer(r, (3,), 130), "labels": labels, "bias": bias}
    case = Head("tiles", "linear_cross_entropy", arrays, {"max_memory": 1}, WRT)
    assert_head(harness, case, "float32", *case.value_and_grads(harness, "float32"))


def test_without_a_class_the_loss_is_nan(harness: Harness) -> None:
    nothing = np.zeros((4, 6), np.bool_)
    nothing[2] = True
    for mask in (nothing, np.zeros(6, np.bool_)):
        value, grads = call(harness, {**small(), "class_mask": mask})
        none = ~np.broadcast_to(mask, (4, 6)).any(axis=1)
        np.testing.assert_array_equal(np.isnan(value), none)
        np.testing.assert_array_equal(np.all(grads[0] == 0, axis=1) | none, none)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_no_rows(harness: Harness, batch: tuple[int, ...], reduction: Any) -> None:
    arrays = {**small(), "hidden": np.zeros((*batch, 5), np.float32)}
    for labels in (np.zeros(batch, np.int64), np.zeros((*batch, 6), np.float32)):
        value, grads = call(harness, {**arrays, "labels": labels}, reduction=reduction)
        assert value.shape == (batch if reduction == "none" else ())
        assert not value.any()
        for got, name in zip(grads, WRT, strict=True):
            np.testing.assert_array_equal(got, np.zeros_like(arrays[name]))


# --- arguments --------------------------------------------------------------------------------


def test_weak_arguments_follow_the_features(harness: Harness) -> None:
    arrays = small()
    given = {k: harness.array(v) for k, v in arrays.items()}
    lists = {k: v.tolist() for k, v in arrays.items() if k != "hidden"}
    host = {**arrays, "hidden": given["hidden"]}
    want = LINEAR(**given)
    for weak in ({"hidden": given["hidden"], **lists}, host):
        assert_same(harness, LINEAR(**weak), want)


def test_nothing_is_written_to(harness: Harness) -> None:
    arrays = small()
    given = {k: harness.array(v) for k, v in arrays.items()}
    xentropy.value_and_grad(LINEAR, WRT)(**given, softcap=2.0, scale=0.3)
    for name, x in given.items():
        np.testing.assert_array_equal(harness.numpy(x), arrays[name])


def test_what_a_partial_holds(harness: Harness) -> None:
    """`value_and_grad` takes a `functools.partial` of it, and positions."""
    arrays = small()
    given = {k: harness.array(v) for k, v in arrays.items()}
    hidden, weight, labels, bias = given.values()
    loss = functools.partial(LINEAR, bias=bias, reduction="sum")
    _, (by_weight,) = xentropy.value_and_grad(loss, (1,))(hidden, weight, labels)
    want = call(harness, arrays, reduction="sum")[1][1]
    np.testing.assert_array_equal(harness.numpy(by_weight), want)


def test_strict_names_nan_in_the_layer(harness: Harness) -> None:
    for name in WRT:
        arrays = small()
        arrays[name][(1,) * arrays[name].ndim] = np.nan
        given = {k: harness.array(v) for k, v in arrays.items()}
        with xentropy.strict(), pytest.raises(xentropy.InputError, match=f"`{name}` must not be"):
            LINEAR(**given)
    arrays = small()
    arrays["hidden"][1] = np.nan
    keep = harness.array(np.array([True, False, True, True]))
    with xentropy.strict():
        value, _ = call(harness, arrays, where=keep)
    assert np.isfinite(value).all()
