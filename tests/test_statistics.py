"""Statistics of a softmax: values and derivatives in ulp, orders of classes exactly."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import pytest

import xentropy
from tests import statistics_truth as true
from tests.asserts import assert_bits, assert_within
from tests.cases import Array, compute_dtype, narrow, need_dtype, own_gradient, rng, single
from tests.cases.inputs import LOGITS
from tests.oracle_calls import exact
from xentropy.formulas import statistics as formulas
from xentropy.parity import compare
from xentropy.parity.oracle import mp
from xentropy.testing import Harness

N, C, K = 6, 7, 3
NAN, INF, LOWEST = np.nan, np.inf, float(np.finfo(np.float32).min)
ALL = ("log_prob", "logsumexp", "entropy", "rank", "correct", ("top_k", K))
BOUND = compare.bound("softmax_statistics", {})
f: Any = xentropy.softmax_statistics


@dataclass(frozen=True, eq=False)
class Case:
    """A matrix of logits, its labels and options."""

    name: str
    x: Array
    y: Array
    mask: Array | None = None
    options: dict[str, Any] = field(default_factory=dict)
    compiled: bool = False

    def __repr__(self) -> str:
        return self.name

    @property
    def ignored(self) -> Array:
        ignore_index = self.options.get("ignore_index")
        return np.zeros(self.y.shape, bool) if ignore_index is None else self.y == ignore_index

    def inputs(self, dtype: str) -> Array:
        with np.errstate(over="ignore"):
            return narrow(self.x, dtype)

    def call(self, harness: Harness, outputs: Any = ALL) -> Callable[..., Any]:
        """The statistics as a function of the logits and the labels."""
        more = dict(self.options)
        if self.mask is not None:
            more["class_mask"] = harness.array(self.mask)
        return lambda x, y: f(x, y, outputs=outputs, **more)

    def give(self, harness: Harness, dtype: str) -> dict[str, Any]:
        return {"x": harness.array(self.inputs(dtype)), "y": harness.array(self.y)}

    def truth(self, name: str, dtype: str) -> true.Statistic:
        x = self.inputs(dtype).astype(np.float64)
        scale = self.options.get("scale", 1.0)
        scale = float(scale if dtype == "float64" else np.float32(scale))
        kept = True if self.mask is None else self.mask
        return true.statistics(name, x, self.y, kept=kept, ignored=self.ignored, scale=scale)

    def assert_right(self, harness: Harness, dtype: str, found: Any, k: int = K) -> None:
        """Compare all that was found with the truth."""
        host = {name: harness.numpy(value) for name, value in found._asdict().items()}
        for name in {*true.REAL} & {*host}:
            want = self.truth(name, dtype)
            assert host[name].dtype.name == compute_dtype(dtype)
            assert_within(host[name], want.value, want.scale, BOUND.value)
        kept = True if self.mask is None else self.mask
        orders = true.order(self.inputs(dtype), kept, self.options.get("scale", 1.0))
        rank = true.ranks(orders, self.y, self.ignored)
        want_k = true.top_k(orders, k, self.ignored)
        wanted = {"rank": rank, "correct": rank == 0, "top_k": want_k}
        for name in {*wanted} & {*host}:
            integer = "int64" if harness.float64 else "int32"
            assert host[name].dtype.name == ("bool" if name == "correct" else integer)
            np.testing.assert_array_equal(host[name], wanted[name])


def need_transform(harness: Harness, name: str) -> Callable[..., Any]:
    if name not in harness.transforms:
        pytest.skip(f"{harness} has no {name}")
    return harness.transforms[name]


def labels(name: str, n: int = N, c: int = C) -> Array:
    return rng(f"labels {name}").integers(0, c, n)


def _ties(r: np.random.Generator) -> Array:
    return r.integers(0, 3, (N, C)).astype(np.float64)


R = rng("statistics")
X, Y = 3 * R.normal(size=(N, C)), labels("statistics")
FULL = R.random((N, C)) < 0.6
EDGES = np.array(
    [
        # at the label -inf; +inf; nothing but -inf; NaN; the lowest number beside -inf; zeros
        [0.0, -INF, 1.0, 2.0, -INF, 0.0, 0.0],
        [0.0, INF, 1.0, 2.0, INF, 0.0, 0.0],
        [-INF] * C,
        [0.0, 1.0, NAN, 2.0, 0.0, 0.0, 0.0],
        [-INF, LOWEST, -INF, LOWEST, -INF, -INF, LOWEST],
        [0.0, -0.0, 0.0, -0.0, -1.0, 0.0, -0.0],
    ]
)
EDGE_LABELS = np.array([1, 4, 0, 1, 3, 3])
SOME = np.array([False, True, False, True, True, True, True])
CASES = [
    *(Case(name, g(rng(name), (N, C)), labels(name)) for name, g in LOGITS.items()),
    Case("plain", X, Y, compiled=True),
    Case("scale 0.7", X, Y, options={"scale": 0.7}, compiled=True),
    Case("scale 1/3 confident", LOGITS["confident"](R, (N, C)), Y * 0, options={"scale": 1 / 3}),
    Case("scale 30", X / 9, Y, options={"scale": 30.0}),
    Case("scale -0.7", X, Y, options={"scale": -0.7}),
    Case("ties", _ties(R), Y, compiled=True),
    Case("class mask", X, Y, SOME),
    Case("full mask", X, Y, FULL, {"scale": 1.3}, compiled=True),
    Case("one number for a mask", X, Y, np.array(True)),
    Case("ties mask", _ties(R), Y, FULL),
    Case("ignored", X, np.where(np.arange(N) % 2, -100, Y), options={"ignore_index": -100}),
    Case("ignored edges", EDGES, np.full(N, 9), options={"ignore_index": 9}, compiled=True),
    Case("edges", EDGES, EDGE_LABELS, compiled=True),
    Case("edges scaled", EDGES, EDGE_LABELS, options={"scale": 0.7}),
    Case("edges turned", EDGES, EDGE_LABELS, options={"scale": -1.0}),
    Case("edges mask", EDGES, EDGE_LABELS, SOME, compiled=True),
    Case("no class", X, Y, np.zeros(C, bool)),
]
RUNS = [
    (case, dtype)
    for case in CASES
    for dtype in ("float32", "float64", "float16", "bfloat16")
    if dtype in ("float32", "float64") or case.name in ("plain", "scale 0.7", "edges", "ties")
]


@pytest.mark.parametrize(("case", "dtype"), RUNS, ids=str)
def test_values(harness: Harness, case: Case, dtype: str) -> None:
    need_dtype(harness, dtype)
    given = case.give(harness, dtype)
    case.assert_right(harness, dtype, case.call(harness)(*given.values()))


@pytest.mark.parametrize("case", [case for case in CASES if case.compiled], ids=str)
def test_every_mode(harness: Harness, mode: str, case: Case) -> None:
    given = case.give(harness, "float32")
    case.assert_right(harness, "float32", harness.modes[mode](case.call(harness))(*given.values()))


def differentiable(case: Case) -> bool:
    return "edges" not in case.name or case.name == "ignored edges"


def assert_gradient(
    harness: Harness, case: Case, dtype: str, outputs: tuple[str, ...], call: Callable[..., Any]
) -> None:
    """Compare the framework's own gradient of the sum of some outputs, where it has one."""
    arrays = case.give(harness, dtype)
    grads = own_gradient(harness, lambda x, y: sum(call(x, y)), arrays, ("x",))
    if grads:
        parts = [case.truth(name, dtype) for name in outputs]
        want, size = (np.sum(each, 0) for each in zip(*(p[2:] for p in parts), strict=True))
        assert grads["x"].dtype.name == dtype
        assert_within(grads["x"], want, size, BOUND.gradient_in(dtype), dtype)


@pytest.mark.parametrize("name", true.REAL)
@pytest.mark.parametrize(("case", "dtype"), RUNS, ids=str)
def test_gradients(harness: Harness, case: Case, dtype: str, name: str) -> None:
    need_dtype(harness, dtype)
    assert_gradient(harness, case, dtype, (name,), case.call(harness, name))


@pytest.mark.parametrize("case", [case for case in CASES if case.compiled], ids=str)
def test_gradients_in_every_mode(harness: Harness, mode: str, case: Case) -> None:
    call = harness.quick(mode)(case.call(harness, true.REAL))
    assert_gradient(harness, case, "float32", true.REAL, call)


# --- forward mode, second order, maps ---------------------------------------------------------


@pytest.mark.parametrize("name", true.REAL)
@pytest.mark.parametrize(
    "case", [c for c in CASES if c.name in ("scale 0.7", "full mask")], ids=str
)
def test_forward_mode(harness: Harness, case: Case, name: str) -> None:
    jvp, given = need_transform(harness, "jvp"), case.give(harness, "float32")
    direction = single(rng("direction").normal(size=(N, C)))
    call = case.call(harness, name)
    moved = jvp(lambda x: call(x, given["y"])[0], (given["x"],), (harness.array(direction),))
    want = case.truth(name, "float32")
    pushed = np.sum(want.grad * exact(direction), 1)
    size = np.sum(want.grad_scale * np.abs(exact(direction)), 1)
    assert_within(harness.numpy(moved), pushed, size, BOUND.gradient)


@pytest.mark.parametrize("name", true.REAL)
@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_second_order(harness: Harness, name: str, scale: float) -> None:
    """Relative to the largest entry; row 1 has ties, and a logit of -inf would be no difference."""
    hessian = need_transform(harness, "hessian")
    need_dtype(harness, "float64")
    x, y = rng("second order").normal(size=(2, 3)), np.array([2, 0])
    x[1] = [0.5, 0.5, -1.0]
    backend, given = xentropy.backend_of(harness.array(x)), harness.array(y)

    def total(x: Any) -> Any:
        found = f(x, given, outputs=name, scale=scale)[0]
        return backend.xp.sum(found, axis=None, keepdims=False)

    got = harness.numpy(hessian(total, harness.array(x)))
    step, columns = mp.mpf(10) ** -18, []
    for i in np.ndindex(x.shape):
        slopes = []
        for h in (step, -step):
            at = exact(x)
            at[i] += h
            slopes.append(true.statistics(name, at, y, scale=scale).grad)
        columns.append((slopes[0] - slopes[1]) / (2 * step))
    want = np.stack(columns, axis=-1).reshape(x.shape * 2)
    assert_within(got, want, np.full_like(want, np.abs(want).max()), BOUND.gradient)


def test_maps(harness: Harness) -> None:
    """A batch of calls at once gives what each gives alone."""
    vmap = need_transform(harness, "vmap")
    x, y = single(rng("maps").normal(size=(3, N, C))), labels("maps", 3 * N).reshape(3, N)
    found = vmap(lambda x, y: f(x, y, outputs=ALL, scale=0.7))(harness.array(x), harness.array(y))
    for i in range(3):
        one = type(found)(*(harness.array(harness.numpy(v)[i]) for v in found))
        case = Case("one", x[i].astype(np.float64), y[i], options={"scale": 0.7})
        case.assert_right(harness, "float32", one)


# --- orders -----------------------------------------------------------------------------------

LENGTHS = [1, 2, 5, 257, 4097]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("n", LENGTHS)
def test_orders_of_any_length(harness: Harness, n: int, masked: bool) -> None:
    """Few values, so that ties are everywhere; rows in order, turned, and of one value."""
    r = rng(f"orders {n}")
    x = single(r.integers(-2, 3, (6, n)) / 2)
    x[0], x[1], x[2] = np.arange(n), -np.arange(n), 1
    x[3, r.random(n) < 0.5] = -INF
    y, mask = r.integers(0, n, 6), r.random((6, n)) < 0.5
    kept, options = (mask, {"class_mask": harness.array(mask)}) if masked else (True, {})
    orders = true.order(x, kept)
    for k in {1, min(n, 3), min(n, 300), n}:
        outputs = ("rank", ("top_k", k), "correct")
        found = f(harness.array(x), harness.array(y), outputs=outputs, **options)
        rank, first, correct = map(harness.numpy, found)
        np.testing.assert_array_equal(rank, true.ranks(orders, y))
        np.testing.assert_array_equal(first, true.top_k(orders, k))
        np.testing.assert_array_equal(correct, rank == 0)


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
def test_any_axis(harness: Harness, axis: int) -> None:
    x = single(rng("axis").normal(size=(3, 4, 5)))
    last = np.moveaxis(x, axis, -1)
    n, batch = last.shape[-1], last.shape[:-1]
    y = rng("axis labels").integers(0, n, batch)
    mask = np.arange(n) != 1
    options = {"class_mask": harness.array(mask), "ignore_index": 2, "outputs": ALL}
    found = f(harness.array(x), harness.array(y), axis=axis, **options)
    assert harness.numpy(found.top_k).shape == (*batch, K)
    flat = [harness.numpy(v).reshape(-1, *v.shape[len(batch) :]) for v in found]
    case = Case(
        "axis", last.reshape(-1, n).astype(np.float64), y.reshape(-1), mask, {"ignore_index": 2}
    )
    case.assert_right(harness, "float32", type(found)(*map(harness.array, flat)))


@pytest.mark.parametrize("shape", [(0, 4), (3, 1), (1,), (4,), (2, 0, 3)])
def test_shapes_at_the_edge(harness: Harness, shape: tuple[int, ...]) -> None:
    x, y = single(rng("shapes").normal(size=shape)), np.zeros(shape[:-1], np.int64)
    for options in ({}, {"class_mask": harness.array(np.arange(shape[-1]) >= 0)}):
        found = f(harness.array(x), harness.array(y), outputs=(*ALL[:-1], ("top_k", 1)), **options)
        host = [harness.numpy(v) for v in found]
        assert [v.shape for v in host] == [shape[:-1]] * 5 + [(*shape[:-1], 1)]
        flat = [harness.array(v.reshape(-1, *v.shape[len(shape) - 1 :])) for v in host]
        case = Case("shape", x.reshape(-1, shape[-1]).astype(np.float64), y.reshape(-1))
        case.assert_right(harness, "float32", type(found)(*flat), 1)


# --- labels -----------------------------------------------------------------------------------

WRONG = np.array([3, -1, C, -100, 2**31, 0])
LEFT = Case("wrong labels", X, WRONG, options={"ignore_index": -100})


def test_wrong_labels_are_refused(harness: Harness) -> None:
    for outputs in (*ALL, ALL):
        with pytest.raises(xentropy.LabelError, match=r"labels\[1\] is -1, the first of 3"):
            LEFT.call(harness, outputs)(*LEFT.give(harness, "float32").values())


def test_wrong_labels_that_cannot_be_read(harness: Harness, mode: str) -> None:
    """NaN, no rank, not correct; what needs no label is there."""
    if mode == "eager":
        pytest.skip("there they are refused")
    y = WRONG if harness.float64 else np.minimum(WRONG, C)
    case = Case("wrong labels", X, y, options=LEFT.options)
    found = harness.quick(mode)(case.call(harness))(*case.give(harness, "float32").values())
    case.assert_right(harness, "float32", found)
    assert np.isnan(harness.numpy(found.log_prob)).sum() == 3


def test_labels_may_be_missing(harness: Harness) -> None:
    outputs = ("entropy", ("top_k", K), "logsumexp")
    found = f(harness.array(single(X)), None, outputs=outputs)
    with_labels = f(harness.array(single(X)), harness.array(Y), outputs=outputs)
    assert_bits(tuple(map(harness.numpy, found)), tuple(map(harness.numpy, with_labels)))


# --- what is asked for ------------------------------------------------------------------------


ONE = {"entropy": "entropy", "list": ["entropy"], "pair": ("top_k", 2), "pairs": [("top_k", 2)]}


@pytest.mark.parametrize("how", ONE)
def test_one_output(harness: Harness, how: str) -> None:
    found = f(harness.array(single(X)), harness.array(Y), outputs=ONE[how])
    assert found._fields == ("top_k" if "pair" in how else "entropy",)


def test_the_order_is_that_asked_for(harness: Harness) -> None:
    given = harness.array(single(X)), harness.array(Y)
    first, second = f(*given, outputs=ALL), f(*given, outputs=ALL[::-1])
    assert first._fields == ("log_prob", "logsumexp", "entropy", "rank", "correct", "top_k")
    assert second._fields == first._fields[::-1]
    for name in first._fields:
        one, other = (harness.numpy(getattr(found, name)) for found in (first, second))
        np.testing.assert_array_equal(one, other)


def test_calls_share_the_type_of_the_result(harness: Harness) -> None:
    given = harness.array(single(X)), harness.array(Y)
    assert type(f(*given, outputs=("rank", "entropy"))) is type(
        f(*given, outputs=["rank", "entropy"])
    )
    assert type(f(*given, outputs=("rank",))) is not type(f(*given, outputs=("correct",)))


def test_a_long_row_of_nan(harness: Harness) -> None:
    """XLA's maximum of one is -inf."""
    x = np.zeros((2, 5000), np.float32)
    x[1] = NAN
    for scale in (1.0, 2.0):
        found = f(harness.array(x), None, outputs=("logsumexp", "entropy"), scale=scale)
        for each in found:
            assert np.isnan(harness.numpy(each)).tolist() == [False, True]


def test_results_can_be_pickled() -> None:
    found = f(single(X), Y, outputs=ALL)
    again = pickle.loads(pickle.dumps(found))
    assert type(again) is type(found)
    assert_bits(tuple(again), tuple(found))


NEEDED = {
    "log_prob": ["cross_entropy_index"],
    "logsumexp": ["logsumexp"],
    "entropy": ["entropy"],
    "rank": ["count_nonzero"],
    "correct": ["count_nonzero"],
    "top_k": ["count_nonzero", "top_k"],
}


@pytest.mark.parametrize("name", NEEDED)
def test_nothing_else_is_computed(name: str) -> None:
    backend, seen = xentropy.backend_of(np.empty(0)), []
    real = backend.xp

    class Watched:
        """The namespace, with a note of what orders classes."""

        def __getattr__(self, key: str) -> Any:
            if key in ("count_nonzero", "top_k"):
                seen.append(key)
            return getattr(real, key)

    def apply(formula: Any, *arguments: Any) -> Any:
        seen.append(formula.name)
        return backend.apply(formula, *arguments)

    request = formulas.Request(X, Y[:, None], None, None, -1, "float64", None, (name,), 2)
    watched: Any = Watched()
    (found,) = formulas.evaluate(apply, watched, request)
    assert sorted({*seen}) == NEEDED[name]
    assert len(found) == N


def test_numpy_sorts_no_row() -> None:
    """Of all classes; only the k that are found."""
    x = single(rng("sorts").normal(size=(2, 5000)))
    with (
        mock.patch.object(np, "argsort", wraps=np.argsort) as sort,
        mock.patch.object(np, "sort") as full,
    ):
        f(x, [0, 1], outputs=("rank", "correct", ("top_k", 5)))
    assert all(call.args[0].shape[-1] == 5 for call in sort.call_args_list)
    assert not full.called


def test_the_gradient_of_a_tuple_is_refused() -> None:
    with pytest.raises(xentropy.DTypeError, match="must return a floating array"):
        xentropy.value_and_grad(f)(X, Y, outputs="entropy")


# --- the tests --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", true.REAL)
def test_a_fault_would_be_seen(name: str) -> None:
    """A fault of twice the bound."""
    want = CASES[0].truth(name, "float32")
    value = want.value.astype(np.float64).astype(np.float32)
    assert_within(value, want.value, want.scale, BOUND.value)
    at = want.scale.argmax()
    value[at] += np.float32(2 * np.ceil(BOUND.value) * compare.ulp(want.scale[at], "float32"))
    with pytest.raises(AssertionError, match="ulp, at most"):
        assert_within(value, want.value, want.scale, BOUND.value)
