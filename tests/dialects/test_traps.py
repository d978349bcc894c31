"""Each trap: the dialects as the originals, on record and live, and the core where it is concerned.

`tests.dialects.traps` lists them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.dialects import case as cases
from tests.dialects.case import LIVE, Outcome, outcome
from tests.dialects.test_grid import ALL as CALLS
from tests.dialects.test_grid import need_dtypes, ours
from tests.dialects.test_ledger import ALL as ENTRIES
from tests.dialects.traps import TRAPS, Seen, Trap
from xentropy.dialects import optax, torch
from xentropy.testing import Harness

NAMES = [trap.name for trap in TRAPS]
CASES = {f"{dialect}-{case}" for dialect, case in CALLS}
KNOWN = {str(entry) for entry in ENTRIES}
SHOWN = [(trap, seen) for trap in TRAPS for seen in trap.seen]
IDS = [f"{trap.name}-{seen}" for trap, seen in SHOWN]


def assert_seen(found: Outcome, seen: Seen) -> None:
    if isinstance(seen.value, str):
        assert seen.value in found.error, found.error
        return
    assert not found.error, found.error
    if seen.dtype:
        assert found.value.dtype.name == seen.dtype
    narrow = found.value.dtype.itemsize == 2
    close: dict[str, Any] = {"rtol": 8e-3 if narrow else seen.rtol, "atol": 1e-9}
    assert found.value.shape == np.shape(seen.value)
    np.testing.assert_allclose(found.value.astype(np.float64), seen.value, **close)
    for got, want in zip(
        found.gradients, [g for g in seen.gradients if g is not None], strict=True
    ):
        np.testing.assert_allclose(got.astype(np.float64), want, **close)


def places(seen: Seen) -> tuple[int, ...]:
    """Which arguments to differentiate by."""
    return tuple(i for i, gradient in enumerate(seen.gradients) if gradient is not None)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("trap", "seen"), SHOWN, ids=IDS)
def test_what_we_return(harness: Harness, trap: Trap, seen: Seen) -> None:
    case = seen.case(places(seen))
    need_dtypes(harness, case)
    assert_seen(outcome(lambda: ours(harness, seen.dialect, case)), seen)


@pytest.mark.parametrize(("trap", "seen"), SHOWN, ids=IDS)
def test_what_the_original_returns(harness: Harness, trap: Trap, seen: Seen) -> None:
    if LIVE[seen.dialect] != harness.name:
        pytest.skip(f"{seen.dialect} runs where {LIVE[seen.dialect]} does")
    case = seen.case(places(seen))
    with warnings.catch_warnings(action="ignore"):
        assert_seen(outcome(lambda: cases.module(seen.dialect).original(case)), seen)


@pytest.mark.parametrize("trap", TRAPS, ids=NAMES)
def test_what_shows_a_trap_is_run(trap: Trap) -> None:
    assert trap.seen or trap.entries or trap.core
    assert set(trap.cases) <= CASES, set(trap.cases) - CASES
    assert set(trap.entries) <= KNOWN, set(trap.entries) - KNOWN
    assert trap.core == (trap.name in CORE)


def test_each_is_told_once() -> None:
    assert len(set(NAMES)) == len(NAMES) == 30
    assert set(CORE) <= set(NAMES)
    assert {seen.dialect for _, seen in SHOWN} == set(LIVE)


# What the core makes of them.

X = np.array([[1, 2, 3], [1, 0, -1]], np.float32)
Y, HOT = np.array([2, 0]), np.eye(3, dtype=np.float32)[[2, 0]]
W, LOSS = np.array([1, 2, 4], np.float32), 0.4076059644443804
INF, NAN = np.inf, np.nan
Check = Callable[[Harness], None]
CORE: dict[str, Check] = {}


def core(name: str) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        CORE[name] = check
        return check

    return add


def assert_is(harness: Harness, found: Any, expected: Any, rtol: float = 1e-5) -> None:
    np.testing.assert_allclose(harness.numpy(found), expected, rtol=rtol, atol=1e-7)


def give(harness: Harness, *arrays: Any) -> list[Any]:
    return [harness.array(np.asarray(a)) for a in arrays]


def call(loss: Any, *args: Any, **options: Any) -> Any:
    return loss(*args, **options)


def f32(x: Any) -> Any:
    return np.asarray(x, np.float32)


@core("dtypes of labels")
def _(harness: Harness) -> None:
    x = np.zeros((2, 200), np.float32)
    for dtype in ("uint8", "int16", "int32", "int64"):
        labels = np.array([156, 3]).astype(dtype)  # 156 is -100 in 8 bits
        found = xentropy.cross_entropy(*give(harness, x, labels), ignore_index=-100)
        assert_is(harness, found, [np.log(200)] * 2)


@core("labels out of range")
def _(harness: Harness) -> None:
    x = harness.array(X)
    for wrong in (3, -1, -3):
        labels = harness.array(np.array([2, wrong]))
        with pytest.raises(xentropy.LabelError):
            xentropy.cross_entropy(x, labels)
        for mode, through in harness.modes.items():
            if mode != "eager":
                found = through(lambda x, t: xentropy.cross_entropy(x, t))(x, labels)
                assert_is(harness, found, [LOSS, NAN])


@core("the label -100")
def _(harness: Harness) -> None:
    x, labels = give(harness, X, np.array([2, -100]))
    with pytest.raises(xentropy.LabelError):
        xentropy.cross_entropy(x, labels)
    found = xentropy.cross_entropy(x, labels, ignore_index=-100, reduction="mean")
    assert_is(harness, found, LOSS)


@core("the mean of nothing that counts")
def _(harness: Harness) -> None:
    x, labels, none = give(harness, X, Y, np.zeros(2, np.float32))
    for options in ({"sample_weight": none}, {"where": none != 0}):
        run = xentropy.value_and_grad(xentropy.cross_entropy)
        value, gradient = run(x, labels, reduction="mean", **options)
        assert_is(harness, value, 0.0)
        assert_is(harness, gradient, 0 * X)


@core("empty batches")
def _(harness: Harness) -> None:
    x, labels = give(harness, X[:0], Y[:0])
    for options in ({"reduction": "sum"}, {"reduction": "mean"}):
        assert_is(harness, call(xentropy.cross_entropy, x, labels, **options), 0.0)
    assert harness.numpy(xentropy.cross_entropy(x, labels)).shape == (0,)


@core("what a weighted mean divides by")
def _(harness: Harness) -> None:
    e, zero, w = give(harness, f32([1, 2]), f32([0, 0]), f32([1, 3]))
    for loss, expected in (
        (xentropy.squared_error, 13 / 4),
        (xentropy.absolute_error, 7 / 4),
        (xentropy.huber, 5 / 4),
    ):
        assert_is(harness, loss(e, zero, sample_weight=w, reduction="mean"), expected)
    found = xentropy.squared_error(e, zero, sample_weight=w, reduction="mean", denominator=2)
    assert_is(harness, found, 13 / 2)


@core("class weights of an index and of its one-hot row")
def _(harness: Harness) -> None:
    x, y, hot, w = give(harness, X, Y, HOT, W)
    for smoothing in (0.0, 0.3):
        by = {"class_weight": w, "label_smoothing": smoothing, "reduction": "mean"}
        one, other = xentropy.cross_entropy(x, y, **by), xentropy.cross_entropy(x, hot, **by)
        assert_is(harness, one, harness.numpy(other))


@core("label smoothing")
def _(harness: Harness) -> None:
    x, y = give(harness, X, Y)
    assert_is(harness, xentropy.cross_entropy(x, y, label_smoothing=0.3), [LOSS + 0.3] * 2)
    # Of the other classes alone: a larger share of all.
    assert_is(harness, xentropy.cross_entropy(x, y, label_smoothing=0.45), [LOSS + 0.45] * 2)
    turned = harness.array(np.ascontiguousarray(X.T))
    found = xentropy.cross_entropy(turned, y, axis=0, label_smoothing=0.3)
    assert_is(harness, found, [LOSS + 0.3] * 2)
    for wrong in (-0.1, 1.5):
        with pytest.raises(xentropy.OptionError):
            xentropy.cross_entropy(x, y, label_smoothing=wrong)


@core("a logit of -inf beside the label")
def _(harness: Harness) -> None:
    x, hot = give(harness, f32([[0, -INF, 0]]), f32([[1, 0, 0]]))
    run = xentropy.value_and_grad(xentropy.cross_entropy)
    for labels in (hot, harness.array(np.array([0]))):
        value, gradient = run(x, labels)
        assert_is(harness, value, [np.log(2)])
        assert_is(harness, gradient, [[-0.5, 0, 0.5]])
    assert_is(harness, xentropy.cross_entropy(x, hot, label_smoothing=0.1), [INF])


@core("the gradient of labels that do not sum to 1")
def _(harness: Harness) -> None:
    x, t = give(harness, X[:1], f32([[0, 2, 0]]))
    _, gradient = xentropy.value_and_grad(xentropy.cross_entropy)(x, t)
    assert_is(harness, gradient, [[0.1800612, -1.5105430, 1.3304819]])


@core("broadcasting of targets")
def _(harness: Harness) -> None:
    x, one, row = give(harness, X, HOT[:1], HOT[0])
    assert_is(harness, xentropy.cross_entropy(x, one), [LOSS, LOSS + 2])
    assert_is(harness, xentropy.squared_error(x, harness.array(X[:1])), (X - X[:1]) ** 2)
    with pytest.raises(xentropy.ShapeError):
        xentropy.squared_error(x, row)
    with pytest.raises(xentropy.ShapeError):
        xentropy.squared_error(one, x)


@core("probabilities of 0 and 1")
def _(harness: Harness) -> None:
    p, t = give(harness, f32([0, 1, 0, 1]), f32([1, 0, 0, 1]))
    assert_is(harness, xentropy.binary_cross_entropy(p, t), [INF, INF, 0, 0])


@core("binary cross-entropy of far logits")
def _(harness: Harness) -> None:
    x, t = give(harness, f32([-1e4, 1e4, 1e4, -50]), f32([1, 0, 1, 1]))
    value, gradient = xentropy.value_and_grad(xentropy.sigmoid_cross_entropy)(x, t)
    assert_is(harness, value, [1e4, 1e4, 0, 50])
    assert_is(harness, gradient, [-1, 1, 0, -1])


@core("infinite logits of sigmoids")
def _(harness: Harness) -> None:
    x, t = give(harness, f32([INF, -INF, INF, -INF]), f32([1, 0, 0, 1]))
    assert_is(harness, xentropy.sigmoid_cross_entropy(x, t), [0, 0, INF, INF])


@core("half precision")
def _(harness: Harness) -> None:
    n = 70_000
    try:
        x = harness.array(np.zeros((n, 2), np.float16))
    except TypeError:
        pytest.skip("no float16")
    labels = harness.array(np.zeros(n, np.int64))
    run = xentropy.value_and_grad(xentropy.cross_entropy)
    value, gradient = run(x, labels, reduction="mean")
    assert_is(harness, value, np.log(2))
    assert (harness.numpy(gradient) != 0).all()


@core("Huber and its relative")
def _(harness: Harness) -> None:
    e, zero = give(harness, f32([1, 2]), f32([0, 0]))
    assert_is(harness, xentropy.huber(e, zero, delta=0.5), [0.375, 0.875])
    assert_is(harness, xentropy.smooth_l1(e, zero, beta=0.5), [0.75, 1.75])
    assert_is(harness, xentropy.smooth_l1(e, zero, beta=0.0), [1, 2])
    for loss, options in (
        (xentropy.huber, {"delta": 0.0}),
        (xentropy.huber, {"delta": -1.0}),
        (xentropy.smooth_l1, {"beta": -1.0}),
    ):
        with pytest.raises(xentropy.OptionError):
            call(loss, e, zero, **options)


@core("Kullback-Leibler divergence")
def _(harness: Harness) -> None:
    x, t = give(harness, f32([[0, -INF], [0, 0]]), f32([[1, 0], [0.5, 0.5]]))
    assert_is(harness, xentropy.kl_divergence(x, t), [0, 0])
    x, t = give(harness, np.log(f32([[0.25, 0.75], [0.5, 0.5]])), f32([[0.5, 0.5]] * 2))
    assert_is(harness, xentropy.kl_divergence(x, t, reduction="mean"), 0.0719205)


@core("NaN in a row that is left out")
def _(harness: Harness) -> None:
    x, labels, where = give(harness, f32([[1, 2, 3], [NAN, INF, 0]]), Y, np.array([True, False]))
    value, gradient = xentropy.value_and_grad(xentropy.cross_entropy)(
        x, labels, where=where, reduction="mean"
    )
    assert_is(harness, value, LOSS)
    assert (harness.numpy(gradient)[1] == 0).all()


@core("a mask that leaves out the class of the label")
def _(harness: Harness) -> None:
    x, labels, mask = give(harness, X, Y, np.array([[True, True, False], [True, True, True]]))
    assert_is(harness, xentropy.cross_entropy(x, labels, class_mask=mask), [INF, LOSS])


@core("arguments that are written to")
def _(harness: Harness) -> None:
    calls: Any = (
        (xentropy.cross_entropy, X, Y),
        (xentropy.cross_entropy, X, HOT),
        (xentropy.sigmoid_cross_entropy, X, HOT),
        (torch.cross_entropy, X, Y),
        (optax.softmax_cross_entropy, X, HOT),
    )
    for loss, x, t in calls:
        given, labels = give(harness, X.copy(), t)
        run = xentropy.value_and_grad(loss)
        once, again = run(given, labels), run(given, labels)
        np.testing.assert_array_equal(harness.numpy(given), x)
        np.testing.assert_array_equal(harness.numpy(labels), t)
        for a, b in zip(once, again, strict=True):
            np.testing.assert_array_equal(harness.numpy(a), harness.numpy(b))


@core("odd numbers of classes")
def _(harness: Harness) -> None:
    r = np.random.default_rng(27)
    for n in (1, 2, 31, 127, 130, 257, 2049, 50257):
        x, y = r.normal(size=(3, n)).astype(np.float32), r.integers(0, n, 3)
        e = np.exp(x.astype(np.float64))
        expected = np.log(e.sum(1)) - x[range(3), y]
        arrays = give(harness, x, y)
        value, gradient = xentropy.value_and_grad(xentropy.cross_entropy)(*arrays)
        assert_is(harness, value, expected, 1e-6)
        wanted = e / e.sum(1, keepdims=True)
        wanted[range(3), y] -= 1
        assert_is(harness, gradient, wanted, 1e-4)
        head = r.normal(size=(n, 4)).astype(np.float32)
        rows = r.normal(size=(3, 4)).astype(np.float32)
        found = torch.linear_cross_entropy(*give(harness, rows, head, y))
        logits = rows.astype(np.float64) @ head.T
        expected = np.log(np.exp(logits).sum(1)) - logits[range(3), y]
        assert_is(harness, found, expected.mean(), 1e-5)


@core("names for the same idea")
def _(harness: Harness) -> None:
    x, y, w = give(harness, X, Y, f32([1, 0]))
    options: tuple[dict[str, Any], ...] = (
        {"ignore_index": 0},
        {"where": w != 0},
        {"sample_weight": w},
        {"class_weight": harness.array(f32([0, 1, 1]))},
    )
    for each in options:
        assert_is(harness, xentropy.cross_entropy(x, y, reduction="mean", **each), LOSS)


@pytest.mark.parametrize("name", CORE)
def test_the_core(harness: Harness, name: str) -> None:
    assert_right = CORE[name]
    assert_right(harness)
