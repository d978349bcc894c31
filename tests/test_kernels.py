"""The fused kernels on the CPU: units, blocks, threads and memory, which no result may show."""

from __future__ import annotations

import multiprocessing
import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import xentropy
from tests.asserts import assert_within
from tests.cases import Array, narrow, need_dtype, rng
from xentropy.kernels import calls, early, threads
from xentropy.parity import compare
from xentropy.testing import Harness

LOSS = xentropy.sparse_softmax_cross_entropy
LENGTHS = [
    1,
    2,
    3,
    15,
    16,
    17,
    63,
    255,
    256,
    257,
    1023,
    1024,
    1025,
    4095,
    4096,
    4097,
    8192,
    12289,
    131071,
    131072,
    139265,
    1_000_003,
]


def truth(x: Array, labels: Array) -> tuple[Array, Array]:
    """Losses and gradients in extended precision, the largest term out of the sum."""
    wide = x.astype(np.longdouble)
    rows = np.arange(len(wide))
    top = wide.argmax(1)
    e = np.exp(wide - wide[rows, top][:, None])
    e[rows, top] = 0
    rest = e.sum(1)
    value = np.log1p(rest) + (wide[rows, top] - wide[rows, labels])
    e[rows, top] = 1
    p = e / (1 + rest)[:, None]
    others = p.copy()
    others[rows, labels] = 0
    p[rows, labels] = -others.sum(1)
    return value, p


def both(harness: Harness, x: Array, labels: Array, **options: Any) -> tuple[Array, Array]:
    """Losses and gradients by the library."""
    f = xentropy.value_and_grad(LOSS)
    value, grad = f(harness.array(x), harness.array(labels), **options)
    return harness.numpy(value), harness.numpy(grad)


def logits(name: str, rows: int, n: int, dtype: str) -> tuple[Array, Array]:
    r = rng(f"{name} {n}")
    x = narrow(4 * r.normal(size=(rows, n)), dtype)
    return x, r.integers(0, n, rows)


HALVES = [1, 17, 1025, 4097, 131072, 1_000_003]


@pytest.mark.parametrize(
    ("n", "dtype"),
    [
        *((n, dtype) for n in LENGTHS for dtype in ("float32", "float64")),
        *((n, dtype) for n in HALVES for dtype in ("float16", "bfloat16")),
    ],
)
def test_rows_of_any_length(harness: Harness, n: int, dtype: str) -> None:
    """Around the lengths of a vector, a block and a unit; the maximum at either end and tied."""
    need_dtype(harness, dtype)
    x, labels = logits("lengths", 6, n, dtype)
    x[1, -1] = x[2, 0] = 30
    x[3, 0] = x[3, -1] = 30
    labels[1], labels[2], labels[3] = n - 1, 0, n // 2
    value, grad = both(harness, x, labels)
    want, slope = truth(x, labels)
    assert_within(value, want, np.abs(want), compare.VALUE)
    assert_within(grad, slope, np.abs(slope), compare.GRADIENT)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("n", "dtype"), [(139265, "float32"), (1_000_003, "float64")])
def test_distributions_over_long_rows(
    harness: Harness, n: int, dtype: str, smoothing: float
) -> None:
    """The sums of many units are rounded together, not one by one."""
    need_dtype(harness, dtype)
    x, _ = logits("long distributions", 3, n, dtype)
    t = rng("long distributions").random((3, n)).astype(dtype)
    got = xentropy.softmax_cross_entropy(
        harness.array(x), harness.array(t), label_smoothing=smoothing
    )
    wide = x.astype(np.longdouble)
    top = wide.max(1, keepdims=True)
    lse = top + np.log(np.exp(wide - top).sum(1, keepdims=True))
    labels = (1 - np.longdouble(smoothing)) * t.astype(np.longdouble) + np.longdouble(smoothing) / n
    want = (labels * (lse - wide)).sum(1)
    assert_within(harness.numpy(got), want, want, compare.VALUE)


LARGE: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.1},
    "masked": {"class_mask": np.arange(33001) % 5 > 0},
    "left out": {"ignore_index": 0},
}


@pytest.mark.parametrize(
    ("name", "dtype"), [(name, "float32") for name in LARGE] + [("plain", "float64")]
)
def test_a_gradient_larger_than_a_cache(harness: Harness, name: str, dtype: str) -> None:
    """It is written past the cache, to rows that begin anywhere in a line."""
    n = 33001
    x, labels = logits("large", 260, n, dtype)
    labels[::2] = 1
    options = {k: harness.array(v) if np.ndim(v) else v for k, v in LARGE[name].items()}
    value, grad = both(harness, x, labels, **options)
    for rows in (slice(0, 9), slice(130, 139), slice(250, 260)):
        want, slope = both(harness, x[rows], labels[rows], **options)
        assert (value[rows] == want).all()
        assert (grad[rows] == slope).all()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_gradient_of_distributions_larger_than_a_cache(dtype: str) -> None:
    x = logits("large", 540, 33001, "float32")[0]
    x = x.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    t = np.full((33001,), 1 / 33001, np.float32)
    f = xentropy.value_and_grad(xentropy.softmax_cross_entropy)
    value, grad = f(x, np.broadcast_to(t, x.shape))
    for rows in (slice(0, 9), slice(530, 540)):
        want, slope = f(x[rows], np.broadcast_to(t, x[rows].shape))
        assert (value[rows] == want).all()
        assert (grad[rows] == slope).all()


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf], ids=["nan", "-nan", "inf"])
@pytest.mark.parametrize("place", [0, 100, 5000, 8999])
def test_what_is_no_number_spoils_its_row_alone(harness: Harness, bad: float, place: int) -> None:
    """In any unit, of either sign."""
    x, labels = logits("spoiled", 3, 9000, "float32")
    x[1, place] = np.copysign(np.float32(bad), bad)
    value, grad = both(harness, x, labels)
    assert np.isnan(value).tolist() == [False, True, False]
    assert np.isnan(grad).all(1).tolist() == [False, True, False]
    assert np.isfinite(grad[[0, 2]]).all()


@pytest.mark.parametrize("kept", [slice(0, 3), slice(4096, 8192), slice(8999, 9000)], ids=str)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}], ids=["plain", "smoothed"])
def test_units_that_hold_nothing(harness: Harness, kept: slice, options: dict[str, Any]) -> None:
    """Nothing but -inf, or nothing but what is masked, at either end and in between."""
    x, labels = logits("nothing", 3, 9000, "float32")
    mask = np.zeros(9000, np.bool_)
    mask[kept] = True
    labels[:] = kept.start
    want = both(harness, np.ascontiguousarray(x[:, kept]), labels - kept.start, **options)
    masked = both(harness, x, labels, class_mask=harness.array(mask), **options)
    x[:, ~mask] = -np.inf
    plain = both(harness, x, labels) if not options else masked
    for value, grad in (masked, plain):
        assert_within(value, want[0].astype(np.float64), np.abs(want[0]), compare.VALUE)
        size = np.abs(want[1]).max(1, keepdims=True) + np.zeros_like(want[1])
        assert_within(grad[:, kept], want[1].astype(np.float64), size, compare.GRADIENT)
        assert not grad[:, ~mask].any()
    x[1] = -np.inf
    assert np.isnan(both(harness, x, labels)[0]).tolist() == [False, True, False]


@pytest.mark.parametrize("left_out", [[0], [5], [0, 1, 4, 5], [2, 3], [0, 1, 2, 3, 4, 5]], ids=str)
def test_rows_that_are_left_out(harness: Harness, left_out: list[int]) -> None:
    """First, last, all: what they hold is not read."""
    x, labels = logits("left out", 6, 5000, "float32")
    want, slope = truth(x, labels)
    x[left_out], labels[left_out] = np.nan, -100
    want[left_out], slope[left_out] = 0, 0
    value, grad = both(harness, x, labels, ignore_index=-100)
    assert_within(value, want, np.abs(want), compare.VALUE)
    assert_within(grad, slope, np.abs(slope), compare.GRADIENT)


@pytest.mark.parametrize("layout", ["transposed", "strided", "reversed", "read-only"])
def test_layouts(harness: Harness, layout: str) -> None:
    x, labels = logits("layouts", 8, 300, "float32")
    want = both(harness, x, labels)
    laid = {
        "transposed": np.asfortranarray(x),
        "strided": np.repeat(x, 2, axis=1)[:, ::2],
        "reversed": np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
        "read-only": x.copy(),
    }[layout]
    laid.flags.writeable = layout != "read-only"
    f = xentropy.value_and_grad(LOSS)
    given = laid if harness.name == "numpy" else harness.array(np.ascontiguousarray(laid))
    value, grad = f(given, harness.array(labels))
    np.testing.assert_array_equal(harness.numpy(value), want[0])
    np.testing.assert_array_equal(harness.numpy(grad), want[1])


def test_another_axis(harness: Harness) -> None:
    x, labels = logits("axis", 6, 40, "float32")
    want = both(harness, x, labels)
    f = xentropy.value_and_grad(LOSS)
    value, grad = f(harness.array(np.ascontiguousarray(x.T)), harness.array(labels), axis=0)
    np.testing.assert_array_equal(harness.numpy(value), want[0])
    np.testing.assert_array_equal(harness.numpy(grad), want[1].T)


def test_threads_change_nothing(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the rows are shared out."""
    x, labels = logits("threads", 7, 700, "float32")
    t = np.abs(x) / 10
    monkeypatch.setattr(threads, "GRAIN", 10)
    results = []
    for n in (1, 2, 3, 7, 16):
        monkeypatch.setattr(threads, "cores", lambda n=n: n)
        sigmoid = xentropy.value_and_grad(xentropy.sigmoid_cross_entropy)
        value, grad = sigmoid(harness.array(x), harness.array(t))
        results.append([*both(harness, x, labels), harness.numpy(value), harness.numpy(grad)])
    for other in results[1:]:
        for got, want in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(got, want)


def test_an_error_in_a_thread_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "GRAIN", 1)
    monkeypatch.setattr(threads, "cores", lambda: 2)

    def kernel(start: int, stop: int) -> int:
        if start:
            raise ArithmeticError
        return stop

    with pytest.raises(ArithmeticError):
        threads.run(kernel, (), 2, 100)


def test_fewer_threads_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads.cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert threads.cores() >= 1


def _in_child(queue: Any) -> None:
    x = np.zeros((64, 9000), np.float32)
    queue.put(float(LOSS(x, np.zeros(64, np.int64), reduction="mean")))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system"
)
def test_threads_survive_a_fork() -> None:
    """As in the workers of a data loader: the pool of the parent is not there."""
    x = np.zeros((64, 9000), np.float32)
    want = float(LOSS(x, np.zeros(64, np.int64), reduction="mean"))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == want
    child.join(60)
    assert child.exitcode == 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_the_forward_holds_no_copy(dtype: str) -> None:
    """Beyond inputs and result at most 2 % of the logits: half precision is widened in pieces."""
    x = np.ones((2048, 32000), ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    labels = np.zeros(2048, np.int64)
    LOSS(x, labels)
    tracemalloc.start()
    LOSS(x, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 0.02 * x.nbytes


def test_a_cotangent_that_was_not_expected(harness: Harness) -> None:
    """The gradient that was computed with the value is for the mean itself, not for its double."""
    x, labels = logits("cotangent", 5, 50, "float64")
    _, slope = truth(x, labels)

    def double(logits: Any) -> Any:
        loss = LOSS(logits, harness.array(labels), reduction="mean")
        return loss + loss

    try:
        (grad,) = harness.gradient(double, (harness.array(x),), (0,))
    except NotImplementedError:
        pytest.skip("no automatic differentiation: nothing follows the loss")
    assert_within(harness.numpy(grad), slope * 2 / 5, np.abs(slope), compare.GRADIENT)


WEIGHTS: dict[str, dict[str, Any]] = {
    "class weights": {"class_weight": np.linspace(0.5, 2, 700)},
    "ignored": {"ignore_index": 3},
    "left out": {"where": np.arange(100) % 3 > 0},
    "sample weights": {"sample_weight": np.linspace(0, 2, 100)},
    "all": {
        "class_weight": np.linspace(0.5, 2, 700),
        "ignore_index": 3,
        "sample_weight": np.linspace(0, 2, 100),
    },
    "a denominator": {"denominator": 77.0},
}


@pytest.mark.parametrize("options", WEIGHTS.values(), ids=WEIGHTS)
def test_the_divisor_of_a_mean_is_expected(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """The gradient that came with the value is the one that is asked for, as it is."""
    x, labels = logits("divisor", 100, 700, "float32")
    labels[::9] = 3
    taken = []
    original = early.Early.take

    def spy(self: Any, engine: Any, cotangent: Any) -> Any:
        taken.append(set((np.asarray(cotangent) / self.upstream).reshape(-1).tolist()))
        return original(self, engine, cotangent)

    if not xentropy.backend_of(harness.array(x)).reads_weights:
        pytest.skip("no kernel waits for a number: Backend.reads_weights")
    monkeypatch.setattr(early.Early, "take", spy)
    arrays = {k: harness.array(v) if np.ndim(v) else v for k, v in options.items()}
    f = xentropy.value_and_grad(LOSS)
    f(harness.array(x), harness.array(labels), reduction="mean", **arrays)
    assert taken == [{1.0}]


def test_kernels_are_compiled_anew_where_any_of_their_files_changed(tmp_path: Path) -> None:
    machine = pytest.importorskip("xentropy.kernels.machine", exc_type=ImportError)
    rows = pytest.importorskip("xentropy.kernels.rows", exc_type=ImportError)
    stamps = []
    for text in ("a = 1", "a = 2"):
        folder = tmp_path / text[-1]
        folder.mkdir()
        (folder / "one.py").write_text("b = 0")
        (folder / "two.py").write_text(text)
        stamps.append(machine.stamp(folder))
    assert stamps[0] != stamps[1]
    here = machine.stamp(Path(machine.__file__).parent)
    assert rows.rows.py_func.__qualname__ == f"rows_{here}"


def test_it_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = calls.losses

    def spy(*args: Any, **kwargs: Any) -> Any:
        seen.append(args[0])
        return original(*args, **kwargs)

    monkeypatch.setattr(calls, "losses", spy)
    x = np.zeros((2, 3), np.float32)
    LOSS(x, np.array([0, 1]), label_smoothing=0.1)
    xentropy.cross_entropy(x, np.eye(3)[:2], label_smoothing=0.1)
    xentropy.poly_cross_entropy(x, np.array([0, 1]))
    xentropy.softmax_focal_cross_entropy(x, np.array([0, 1]))
    assert len(seen) == 4
