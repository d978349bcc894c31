"""`Mean`, which ``reduction="partial"`` gives, and ``denominator``, its like for gradients."""

from __future__ import annotations

import copy
import functools
import math
import operator
import pickle
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close
from tests.cases import need_dtype, rng
from xentropy import Mean
from xentropy.testing import Harness

N, C = 12, 5
SPLITS = [(12,), (1,) * 12, (5, 7), (0, 12)]


def batch(dtype: str = "float32") -> dict[str, Any]:
    """Predictions, labels and weights of one batch, a tenth of it left out."""
    r = np.random.default_rng(7)
    labels = r.integers(0, C, N)
    labels[3] = -100
    return {
        "logits": r.normal(size=(N, C)).astype(dtype),
        "labels": labels,
        "sample_weight": r.uniform(0.5, 2.0, N).astype(dtype),
    }


def parts(harness: Harness, sizes: tuple[int, ...], dtype: str = "float32") -> list[dict[str, Any]]:
    """The batch in micro-batches."""
    edges = np.cumsum(sizes)[:-1]
    pieces = {name: np.split(array, edges) for name, array in batch(dtype).items()}
    return [{name: harness.array(pieces[name][i]) for name in pieces} for i in range(len(sizes))]


# The built-in, whose type says that it may be 0.
total: Any = sum
loss = functools.partial(
    xentropy.sparse_softmax_cross_entropy, ignore_index=-100, label_smoothing=0.125
)


@pytest.mark.parametrize("sizes", SPLITS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_split_has_the_value_of_the_batch(
    harness: Harness, sizes: tuple[int, ...], dtype: str
) -> None:
    whole = loss(**parts(harness, (N,), dtype)[0], reduction="mean")
    means = [loss(**part, reduction="partial") for part in parts(harness, sizes, dtype)]
    for added in (total(means), functools.reduce(operator.add, means)):
        assert isinstance(added, Mean)
        assert harness.owns(added.value())
        assert_close(harness, added.value(), whole, 2)


@pytest.mark.parametrize("sizes", SPLITS)
def test_parts_are_added_up_by_the_class_too(harness: Harness, sizes: tuple[int, ...]) -> None:
    means = [loss(**part, reduction="partial") for part in parts(harness, sizes)]
    want = total(means)
    for given in (means, tuple(means), iter(means)):
        added = Mean.sum(given)
        assert type(added) is type(want)
        assert_close(harness, added.total, want.total, 0)
        assert_close(harness, added.weight, want.weight, 0)
        assert_close(harness, added.value(), want.value(), 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fields_are_scalars_in_the_widest_float_and_the_value_has_the_result_dtype(
    harness: Harness, dtype: str
) -> None:
    part = parts(harness, (N,), dtype)[0]
    mean = loss(**part, reduction="partial")
    wide = xentropy.backend_of(part["logits"]).accumulator(part["logits"])
    for field in mean:
        assert harness.owns(field)
        assert harness.numpy(field).dtype == wide
        assert harness.numpy(field).shape == ()
    for number in (
        mean.value(),
        (mean + mean).value(),
        total([mean, mean]).value(),
        mean.sum().value(),
    ):
        assert harness.numpy(number).dtype == dtype
        assert harness.numpy(number).shape == ()
    assert harness.numpy(mean.perplexity()).dtype == dtype


def test_the_fields_are_the_sum_and_the_sum_of_the_weights(harness: Harness) -> None:
    part = parts(harness, (N,), "float64")[0]
    mean = loss(**part, reduction="partial")
    assert_close(harness, mean.total, loss(**part, reduction="sum"), 2)
    weights, labels = batch("float64")["sample_weight"], batch()["labels"]
    assert_close(harness, mean.weight, harness.array(np.asarray(np.sum(weights[labels >= 0]))), 4)


def test_class_weights_and_masks_enter_the_weight(harness: Harness) -> None:
    x = harness.array(np.zeros((3, 2), np.float32))
    mean = xentropy.cross_entropy(
        x,
        [0, 1, 1],
        class_weight=[1.0, 4.0],
        where=[True, True, False],
        sample_weight=[2.0, 0.5, 8.0],
        reduction="partial",
    )
    assert harness.numpy(mean.weight) == 2.0 * 1.0 + 0.5 * 4.0


def test_pos_weight_and_alpha_do_not(harness: Harness) -> None:
    x = harness.array(np.zeros((3, 2), np.float32))
    weighted = xentropy.sigmoid_cross_entropy(x, 1.0, pos_weight=3.0, reduction="partial")
    focal = xentropy.sigmoid_focal_cross_entropy(x, 1.0, alpha=0.25, reduction="partial")
    assert harness.numpy(weighted.weight) == harness.numpy(focal.weight) == 6.0


def test_nothing_has_the_value_0(harness: Harness) -> None:
    empty = loss(**parts(harness, (0, N))[0], reduction="partial")
    assert harness.numpy(empty.total) == harness.numpy(empty.weight) == 0.0
    assert harness.numpy(empty.value()) == 0.0
    assert harness.numpy(empty.perplexity()) == 1.0
    ignored = xentropy.squared_error(
        harness.array(np.ones(2, np.float32)), 0.0, where=[False, False], reduction="partial"
    )
    assert harness.numpy(ignored.value()) == 0.0


def test_perplexity_is_the_exponential_of_the_unrounded_value(harness: Harness) -> None:
    x = harness.array(np.zeros(1, np.float32))
    backend = xentropy.backend_of(x)
    wide = np.dtype(backend.accumulator(x))
    mean = xentropy.absolute_error(x, 0.0, reduction="partial")
    shifted = type(mean)(mean.total + harness.array(np.array(20.0 + 2**-20, wide)), mean.weight)
    want = np.float32(np.exp(wide.type(20.0 + 2**-20)))
    assert abs(harness.numpy(shifted.perplexity()) - want) <= np.spacing(want)
    # The rounded value is another number, e to which is off by many ulp.
    rounded = np.exp(np.float64(harness.numpy(shifted.value())))
    assert abs(rounded - want) > 4 * np.spacing(want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_every_mode(harness: Harness, mode: str, dtype: str) -> None:
    need_dtype(harness, dtype)

    def reduced(logits: Any, labels: Any, sample_weight: Any) -> Any:
        mean = loss(logits, labels, sample_weight=sample_weight, reduction="partial")
        return mean, (mean + mean).value(), mean.perplexity()

    part = parts(harness, (N,), dtype)[0]
    mean, value, perplexity = harness.quick(mode)(reduced)(*part.values())
    want = loss(**part, reduction="partial")
    assert isinstance(mean, Mean)
    assert type(mean) is type(want)
    for field, wanted in zip(mean, want, strict=True):
        got, exact = harness.numpy(field), harness.numpy(wanted)
        assert got.dtype == exact.dtype
        assert abs(got - exact) <= 4 * np.spacing(exact.astype(dtype))
    # It is still what it was: it adds up with others and knows the dtype of its value.
    assert_close(harness, (mean + want).value(), want.value(), 4)
    assert_close(harness, value, want.value(), 4)
    assert_close(harness, perplexity, want.perplexity(), 8)


def test_mapped_over_micro_batches(harness: Harness) -> None:
    vmap = harness.transforms.get("vmap")
    if vmap is None:
        pytest.skip("nothing to map with: `Harness.transforms` has no vmap")
    given = [harness.array(array.reshape(3, 4, *array.shape[1:])) for array in batch().values()]

    def part(logits: Any, labels: Any, sample_weight: Any) -> Any:
        return loss(logits, labels, sample_weight=sample_weight, reduction="partial")

    mapped = vmap(part)(*given)
    assert isinstance(mapped, Mean)
    assert harness.numpy(mapped.total).shape == (3,)
    whole = loss(**parts(harness, (N,))[0], reduction="mean")
    assert_close(harness, mapped.sum().value(), whole, 1)
    each = [loss(**p, reduction="mean") for p in parts(harness, (4, 4, 4))]
    for got, want in zip(harness.numpy(mapped.value()), each, strict=True):
        assert_close(harness, harness.array(got), want, 1)
    values = vmap(lambda *arrays: part(*arrays).value())(*given)
    assert harness.numpy(values).dtype == np.float32


def test_it_is_a_tuple(harness: Harness) -> None:
    mean = loss(**parts(harness, (N,))[0], reduction="partial")
    first, second = mean
    assert first is mean.total
    assert second is mean.weight
    assert mean._fields == ("total", "weight")
    assert repr(mean).startswith("Mean(total=")
    assert Mean(first, second).total is first


def test_it_can_be_sent_to_another_process(harness: Harness) -> None:
    mean = loss(**parts(harness, (N,))[0], reduction="partial")
    for again in (pickle.loads(pickle.dumps(mean)), copy.deepcopy(mean)):
        assert type(again) is type(mean)
        assert_close(harness, again.value(), mean.value(), 0)


@pytest.mark.parametrize("other", [1, 2.0, None, (1.0, 2.0), "a"], ids=repr)
def test_it_adds_up_with_means_only(harness: Harness, other: Any) -> None:
    mean = loss(**parts(harness, (N,))[0], reduction="partial")
    with pytest.raises(TypeError):
        _ = mean + other
    with pytest.raises(TypeError):
        _ = other + mean


@pytest.mark.parametrize("given", [[], (1.0, 2.0), ["a"], 3, None, "array"], ids=repr)
def test_the_class_adds_up_means_only(harness: Harness, given: Any) -> None:
    parts = harness.array(np.ones(2)) if given == "array" else given
    with pytest.raises(xentropy.DTypeError):
        Mean.sum(parts)


def test_one_made_by_hand_has_the_dtype_of_its_fields(harness: Harness) -> None:
    for dtype in ("float32", "float64"):
        mean = Mean(*(harness.array(np.array(x, dtype)) for x in (3.0, 2.0)))
        assert harness.numpy(mean.value()) == 1.5
        assert harness.numpy(mean.value()).dtype == dtype
        assert harness.numpy((mean + mean).weight) == 4.0


@pytest.mark.parametrize("fields", [(3.0, 2.0), (3, 2), ("array", 2.0), (3.0, "array")], ids=repr)
def test_numbers_are_fields_too(harness: Harness, fields: tuple[Any, Any]) -> None:
    given = [
        harness.array(np.array(v, np.float32)) if field == "array" else field
        for field, v in zip(fields, (3.0, 2.0), strict=True)
    ]
    mean = Mean(*given)
    # Two numbers are of no framework but NumPy.
    read: Any = harness.numpy if "array" in fields else np.asarray
    results = (mean.value(), mean.sum().value(), (mean + mean).value(), Mean.sum([mean]).value())
    for got in map(read, results):
        assert got == 1.5
        assert got.dtype == ("float32" if "array" in fields else "float64")
    assert read(mean.perplexity()) == np.exp(1.5).astype(read(mean.perplexity()).dtype)
    assert read(Mean(0 * given[0], 0 * given[1]).value()) == 0.0


DENOMINATORS: dict[str, Any] = {
    "int": lambda harness: 16,
    "float": lambda harness: 16.0,
    "NumPy scalar": lambda harness: np.float64(16.0),
    "NumPy integer": lambda harness: np.int32(16),
    "0-d NumPy array": lambda harness: np.array(16.0),
    "0-d array": lambda harness: harness.array(np.array(16.0, np.float32)),
    "0-d integer array": lambda harness: harness.array(np.array(16)),
    "0-d float64 array": lambda harness: harness.array(np.array(16.0)),
}


@pytest.mark.parametrize("kind", DENOMINATORS)
def test_a_denominator_divides_the_sum(harness: Harness, kind: str) -> None:
    part = parts(harness, (N,))[0]
    got = loss(**part, reduction="mean", denominator=DENOMINATORS[kind](harness))
    mean = loss(**part, reduction="partial")
    assert harness.numpy(got).dtype == np.float32
    assert_close(harness, got, type(mean)(mean.total, 0.0 * mean.weight + 16.0).value(), 1)


def test_a_denominator_of_0(harness: Harness) -> None:
    x = harness.array(np.zeros(2, np.float32))
    for denominator in (0, 0.0, harness.array(np.array(0.0, np.float32))):
        nothing = xentropy.squared_error(x, 0.0, reduction="mean", denominator=denominator)
        assert harness.numpy(nothing) == 0.0
        something = xentropy.squared_error(x, 1.0, reduction="mean", denominator=denominator)
        assert harness.numpy(something) == np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mean_whose_sum_is_beyond_every_number(harness: Harness, mode: str, dtype: str) -> None:
    if dtype == "float64" and not harness.float64:
        pytest.skip("there is no float64: `Harness.float64`")
    # The largest is half of the largest number, the smallest below what a common scale would keep.
    shape = np.array([1.0, 0.5, 0.25, 1e-30])
    large = (np.tile(shape, 250) * (np.finfo(dtype).max / 2)).astype(dtype)
    most, want = large.max(), large.mean(dtype=np.longdouble)

    def means(x: Any, weight: Any, denominator: Any) -> Any:
        mean = functools.partial(xentropy.absolute_error, x, 0.0, reduction="mean")
        return mean(), mean(sample_weight=weight), mean(denominator=denominator)

    given = (large, np.full(1000, 0.5, dtype), np.array(2000.0, dtype))
    got = map(harness.numpy, harness.quick(mode)(means)(*map(harness.array, given)))
    for mean, exact in zip(got, (want, want, want / 2), strict=True):
        assert mean.dtype == dtype
        assert abs(mean - exact) <= 4 * np.spacing(np.abs(exact).astype(dtype))
    infinite = means(*map(harness.array, (np.full(1000, np.inf, dtype), *given[1:])))
    assert [harness.numpy(x) for x in infinite] == [np.inf] * 3
    # A sum of the weights that is beyond every number too.
    ones = np.ones(1000, dtype)
    heavy = means(*map(harness.array, (ones, np.full(1000, most, dtype), given[2])))
    assert harness.numpy(heavy[1]) == 1.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradients_of_a_mean_whose_sum_is_beyond_every_number(
    harness: Harness, dtype: str
) -> None:
    if dtype == "float64" and not harness.float64:
        pytest.skip("there is no float64: `Harness.float64`")
    most = float(np.finfo(dtype).max) / 2
    x, weight = (harness.array(np.full(1000, v, dtype)) for v in (most, 1.0))
    denominator = harness.array(np.array(4000.0, dtype))
    grad = xentropy.value_and_grad(xentropy.absolute_error, ("predictions", "denominator"))
    _, (by_x, by_denominator) = grad(x, 0.0, reduction="mean", denominator=denominator)
    assert_close(harness, by_x, harness.array(np.full(1000, 1 / 4000, dtype)), 1)
    want = np.array(-most / 4 / 4000, dtype)
    assert abs(harness.numpy(by_denominator) - want) <= 4 * np.spacing(np.abs(want))
    # Of equal losses the mean does not depend on their weights.
    by_weight = xentropy.value_and_grad(xentropy.absolute_error, "sample_weight")
    found = harness.numpy(by_weight(x, 0.0, sample_weight=weight, reduction="mean")[1])
    assert np.all(np.abs(found) <= 4 * np.spacing(np.array(most / 1000, dtype)))


@pytest.mark.parametrize("sizes", [(5, 7), (0, 12)])
def test_gradients_of_micro_batches_are_those_of_the_batch(
    harness: Harness, sizes: tuple[int, ...]
) -> None:
    grad = xentropy.value_and_grad(loss)
    _, want = grad(**parts(harness, (N,))[0], reduction="mean")
    split = parts(harness, sizes)
    denominator = total(loss(**part, reduction="partial") for part in split).weight
    pieces = [grad(**part, reduction="mean", denominator=denominator) for part in split]
    got = np.concatenate([harness.numpy(piece) for _, piece in pieces])
    assert_close(harness, harness.array(got), want, 1)
    totals = [xentropy.value_and_grad(loss)(**part, reduction="partial")[1] for part in split]
    got = np.concatenate([harness.numpy(g) for g in totals]) / harness.numpy(denominator)
    assert_close(harness, harness.array(got.astype(np.float32)), want, 1)


def test_the_denominator_is_differentiated(harness: Harness) -> None:
    x, d = harness.array(np.array([3.0, 1.0], np.float32)), harness.array(np.array(4.0, np.float32))
    value, grad = xentropy.value_and_grad(xentropy.squared_error, "denominator")(
        x, 0.0, reduction="mean", denominator=d
    )
    assert harness.numpy(value) == 10.0 / 4.0
    assert harness.numpy(grad) == -10.0 / 16.0
    assert harness.numpy(grad).dtype == np.float32


def test_of_stacked_fields_the_value_is_that_of_each_part(harness: Harness) -> None:
    stacked = Mean(*(harness.array(np.array(x)) for x in ([3.0, 0.0, 1.0], [2.0, 0.0, 0.0])))
    np.testing.assert_array_equal(harness.numpy(stacked.value()), [1.5, 0.0, np.inf])
    assert harness.numpy(stacked.sum().value()) == 2.0
    both = Mean.sum([stacked, stacked])
    assert harness.numpy(both.weight) == 4.0
    assert harness.numpy(both.value()) == 2.0


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_many_losses_are_added_up_to_two_ulp(harness: Harness, mode: str, reduction: Any) -> None:
    if not harness.float64:
        pytest.skip("there is no float64: `Harness.float64`")
    f = harness.quick(mode)(lambda x, t: xentropy.squared_error(x, t, reduction=reduction))
    for seed in range(20):
        r = rng(f"many {seed}")
        x, t = r.normal(0, 15, (128, 10)), r.integers(0, 2, (128, 10)).astype(np.float64)
        got = float(harness.numpy(f(harness.array(x), harness.array(t))))
        want = math.fsum(np.square(x - t).ravel()) / (x.size if reduction == "mean" else 1)
        assert abs(got - want) <= 2 * math.ulp(want)
