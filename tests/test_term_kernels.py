"""Kernels of the losses with a term for each class or element: lengths, layouts, threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

import xentropy
from tests.asserts import assert_within
from tests.cases import Array, narrow, need_dtype, rng
from tests.terms_truth import (
    Truth,
    divergence,
    entropy,
    focal,
    log_softmax,
    logsumexp,
    parts,
    sigmoid_focal,
)
from xentropy.formulas import sigmoid, softmax
from xentropy.formulas.formula import Formula, value, vjp
from xentropy.kernels import calls, threads
from xentropy.parity import compare
from xentropy.testing import Harness, load_harness

LENGTHS = [1, 2, 15, 17, 33, 255, 257, 1023, 1025, 4095, 4097, 8193, 131073]
LONGEST = 1_000_003


class Loss(NamedTuple):
    function: Callable[..., Any]
    truth: Callable[..., Truth]
    labels: str
    options: dict[str, Any] = {}  # noqa: RUF012

    @property
    def slack(self) -> float:
        """A power of an accurate number is less accurate."""
        return 1.0 + float(self.options.get("gamma", 2.0 if "focal" in str(self.function) else 0))

    def both(self, harness: Harness, x: Array, t: Array, **options: Any) -> tuple[Array, Array]:
        arrays = (x, t) if self.labels else (x,)
        given = map(harness.array, arrays)
        found = xentropy.value_and_grad(self.function)(*given, **self.options, **options)
        return harness.numpy(found[0]), harness.numpy(found[1])


LOSSES = {
    "kl": Loss(xentropy.kl_divergence, divergence, "shares"),
    "kl at 3.3": Loss(xentropy.kl_divergence, divergence, "shares", {"temperature": 3.3}),
    "focal": Loss(xentropy.softmax_focal_cross_entropy, focal, "shares"),
    "focal 0.7": Loss(xentropy.softmax_focal_cross_entropy, focal, "shares", {"gamma": 0.7}),
    "logsumexp": Loss(xentropy.logsumexp, logsumexp, ""),
    "log_softmax": Loss(xentropy.log_softmax, log_softmax, ""),
    "sigmoid focal": Loss(xentropy.sigmoid_focal_cross_entropy, sigmoid_focal, "hard"),
    "sigmoid focal 1.3": Loss(
        xentropy.sigmoid_focal_cross_entropy, sigmoid_focal, "hard", {"gamma": 1.3}
    ),
}


def inputs(loss: Loss, rows: int, n: int, dtype: str) -> tuple[Array, Array]:
    r = rng(f"terms {n}")
    x = narrow(4 * r.normal(size=(rows, n)), dtype)
    x[1, -1] = x[2, 0] = 30
    x[3, 0] = x[3, -1] = 30
    t: Array = r.random((rows, n)) * (r.random((rows, n)) < 0.7)
    labels = t / np.maximum(t.sum(1, keepdims=True), 1e-3) if loss.labels == "shares" else t > 0.3
    return x, np.asarray(labels, np.float64 if dtype == "float64" else np.float32)


def assert_right(loss: Loss, x: Array, t: Array, got: tuple[Array, Array]) -> None:
    compute = np.float64 if x.dtype == np.float64 else np.float32
    want = loss.truth(x.astype(compute), t, **loss.options)
    tiny = np.finfo(compute).tiny
    assert_within(
        got[0], want.value, np.maximum(want.value_scale, tiny), compare.VALUE * loss.slack
    )
    scale = np.maximum(want.slope_scale, float(np.finfo(np.float16).tiny))
    if x.dtype.itemsize > 2:
        scale = np.maximum(want.slope_scale, tiny)
    most = compare.GRADIENT * loss.slack
    assert_within(got[1].astype(np.longdouble), want.slope, scale, most, got[1].dtype.name)


@pytest.fixture
def eager(harness: Harness) -> Harness:
    """Each shape would be compiled for; see test_called_kernels."""
    if harness.called_kernels() is not None:
        pytest.skip("its compiled code calls the kernels: see Harness.called_kernels")
    return harness


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("n", "dtype"),
    [
        *((n, dtype) for n in LENGTHS for dtype in ("float32", "float64")),
        *((n, dtype) for n in (1, 17, 1025, 4097) for dtype in ("float16", "bfloat16")),
        (LONGEST, "float32"),
    ],
)
def test_any_length(eager: Harness, name: str, n: int, dtype: str) -> None:
    """Around the lengths of a vector, a block and a unit; the maximum at either end and tied."""
    need_dtype(eager, dtype)
    loss = LOSSES[name]
    x, t = inputs(loss, 4, n, dtype)
    assert_right(loss, x, t, loss.both(eager, x, t))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("n", [10, 700])
def test_layouts(eager: Harness, name: str, n: int) -> None:
    """Classes along another axis, every other row or class, rows that are shared."""
    loss = LOSSES[name]
    x, t = inputs(loss, 12, n, "float32")
    value, grad = loss.both(eager, x, t)
    axis = {} if loss.labels == "hard" else {"axis": 0}
    across = loss.both(eager, np.ascontiguousarray(x.T), np.ascontiguousarray(t.T), **axis)
    np.testing.assert_array_equal(across[0], value.T)
    np.testing.assert_array_equal(across[1], grad.T)
    for part in (np.s_[::2], np.s_[:, ::2], np.s_[::-1]):
        want = loss.both(eager, x[part].copy(), t[part].copy())
        for got, other in zip(loss.both(eager, x[part], t[part]), want, strict=True):
            np.testing.assert_array_equal(got, other)
    shared = np.broadcast_to(t[:1], t.shape)
    want = loss.both(eager, x, shared.copy())
    for got, other in zip(loss.both(eager, x, t[:1]), want, strict=True):
        np.testing.assert_array_equal(got, other)


ROWS = {name: LOSSES[name] for name in ("kl", "focal", "logsumexp", "log_softmax")}
ROWS["cross-entropy"] = Loss(xentropy.softmax_cross_entropy, divergence, "shares")


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_images(harness: Harness, name: str, order: tuple[int, ...], axis: int) -> None:
    """Any order of the axes in memory, and any class axis."""
    loss, r = ROWS[name], rng("images")
    x, t = r.normal(size=(2, 5, 4, 3)).astype(np.float32)
    views = [np.transpose(np.transpose(a, order).copy(), np.argsort(order)) for a in (x, abs(t))]
    want = loss.both(harness, x, abs(t), axis=axis)
    for got, other in zip(loss.both(harness, *views, axis=axis), want, strict=True):
        np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ROWS)
def test_memory_in_another_order(name: str) -> None:
    """Gradients of what is turned, overlaps, is big-endian or 8 bits wide are its own."""
    loss, harness, r = ROWS[name], load_harness("numpy"), rng("memory")
    x, t = r.normal(size=(2, 6, 6)).astype(np.float32)
    t = np.abs(t)
    views = {
        "turned": (x[:, ::-1], t),
        "holes": (np.repeat(x, 2, 1)[:, ::2], t),
        "big-endian": (x.astype(">f4")[:, ::-1], t),
        "8 bits": (x.astype(ml_dtypes.float8_e4m3fn)[::-1], t),
    }
    flat = r.normal(size=(2, 5)).astype(np.float32)[:, 0]
    views["repeated"] = np.broadcast_to(flat, (3, 2)), t[:3, :2]
    for x, t in views.values():
        plain = np.array(x, x.dtype.newbyteorder("="), order="C")
        for axis in (0, 1):
            want = loss.both(harness, plain, t.copy(), axis=axis)
            for got, other in zip(loss.both(harness, x, t, axis=axis), want, strict=True):
                np.testing.assert_allclose(
                    got.astype(np.float32), other.astype(np.float32), rtol=1e-6, atol=1e-7
                )
        if x.dtype.itemsize == 1:
            wide = loss.both(harness, plain.astype(np.float32), t)[1]
            np.testing.assert_array_equal(want[1], wide.astype(x.dtype))


@pytest.mark.parametrize("temperature", [1e-16, 0.05, 0.7, 1.0, 7.0])
def test_temperatures_and_fill_values(harness: Harness, temperature: float) -> None:
    """What is far below the largest logit is 0, and nothing else."""
    lowest = float(np.finfo(np.float32).min)
    for x in ([1, 2, lowest], [1, 2, -1e16], [7e20, -1.1e28, 0], [1, 1, -np.inf]):
        logits = harness.array(np.array([x], np.float32))
        t = harness.array(np.array([[0, 0, 0]], np.float32))
        value, grad = xentropy.value_and_grad(xentropy.kl_divergence)(
            logits, t, temperature=temperature
        )
        assert harness.numpy(value) == 0
        np.testing.assert_array_equal(harness.numpy(grad), [[0, 0, 0]])
        lse = harness.numpy(xentropy.logsumexp(logits))
        np.testing.assert_allclose(lse, np.logaddexp.reduce(np.array([x], np.float64), 1), 1e-6)


def test_masked_classes_of_a_row_that_holds_nan(harness: Harness) -> None:
    x = harness.array(np.array([[1, 2, np.nan], [1, 2, 3]], np.float32))
    keep = harness.array(np.array([[True, False, True], [False, False, False]]))
    _, grad = xentropy.value_and_grad(xentropy.log_softmax)(x, where=keep)
    want = [[np.nan, 0, np.nan], [0, 0, 0]]
    np.testing.assert_array_equal(harness.numpy(grad), want)


@pytest.mark.parametrize("n", [1, 7, 4099])
@pytest.mark.parametrize("shape", [(), (1, 1), (1, "n"), (6, 1)])
@pytest.mark.parametrize(
    "function", [xentropy.sigmoid_cross_entropy, xentropy.sigmoid_focal_cross_entropy]
)
def test_labels_for_many_elements(
    eager: Harness, function: Callable[..., Any], shape: tuple[Any, ...], n: int
) -> None:
    r = rng("shared labels")
    x = narrow(4 * r.normal(size=(6, n)), "float32")
    t = np.asarray(r.random(tuple(n if k == "n" else k for k in shape)), np.float32)
    weight = eager.array(np.linspace(0.1, 0.9, n, dtype=np.float32))
    options = {"pos_weight" if "focal" not in function.__name__ else "alpha": weight}
    f = xentropy.value_and_grad(function)
    got = f(eager.array(x), eager.array(t), **options)
    every = np.ascontiguousarray(np.broadcast_to(t, x.shape))
    want = f(eager.array(x), eager.array(every), **options)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(eager.numpy(one), eager.numpy(other))


@pytest.mark.parametrize("name", LOSSES)
def test_threads_change_nothing(eager: Harness, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """However the rows are shared out."""
    loss = LOSSES[name]
    x, t = inputs(loss, 7, 700, "float32")
    monkeypatch.setattr(threads, "GRAIN", 10)
    results = []
    for n in (1, 2, 3, 16):
        monkeypatch.setattr(threads, "cores", lambda n=n: n)
        results.append(loss.both(eager, x, t))
    for other in results[1:]:
        for got, want in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["kl at 3.3", "focal", "logsumexp", "log_softmax"])
def test_larger_than_a_cache(eager: Harness, name: str) -> None:
    """What is written past the cache, to rows that begin anywhere in a line."""
    loss = LOSSES[name]
    x, t = inputs(loss, 260, 33001, "float32")
    value, grad = loss.both(eager, x, t)
    for rows in (slice(0, 5), slice(130, 135), slice(255, 260)):
        want = loss.both(eager, x[rows], t[rows])
        np.testing.assert_array_equal(value[rows], want[0])
        np.testing.assert_array_equal(grad[rows], want[1])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("n", [7, 4099])
def test_cotangents_of_log_probabilities(n: int, masked: bool) -> None:
    """Any, and such as leave one class of a confident row."""
    r = rng("cotangents")
    x = (4 * r.normal(size=(6, n))).astype(np.float32)
    x[0, 1] = 40
    mask = np.arange(n) % 3 != 0 if masked else None
    cotangent = r.normal(size=x.shape).astype(np.float32)
    cotangent[:2] = np.eye(n)[1]
    call = softmax.log_softmax, (x, mask), {"axis": -1, "dtype": "float32"}
    _, state = calls.losses(*call, saving=True, upstream=None)
    assert state is not None
    got = calls.gradient(state, cotangent)
    kept = np.arange(n) if mask is None else np.flatnonzero(mask)
    s, g = parts(x[:, kept]), cotangent[:, kept].astype(np.longdouble)
    want = g * s.q - s.p * (g.sum(1, keepdims=True) - g)
    scale = np.abs(g) * s.q + s.p * (np.abs(g).sum(1, keepdims=True) - np.abs(g))
    assert_within(got[:, kept], want, scale, compare.GRADIENT)
    assert not np.delete(got, kept, axis=1).any()


OPTIONS: dict[Formula, list[dict[str, Any]]] = {
    softmax.log_softmax: [{}, {"class_mask": True}],
    softmax.logsumexp: [{"keepdims": False}, {"keepdims": True, "class_mask": True}],
    softmax.kl_divergence: [{"temperature": None}, {"temperature": 0.7, "sample_weight": True}],
    softmax.focal_dense: [
        {"smoothing": None, "z_loss": None},
        {"smoothing": 0.2, "z_loss": None, "class_weight": True},
        {"smoothing": 0.2, "z_loss": 0.1, "class_mask": True, "sample_weight": True},
        {"smoothing": None, "z_loss": 0.1, "class_weight": True, "class_mask": True, "keep": True},
    ],
    sigmoid.focal: [
        {"smoothing": None},
        {"smoothing": 0.2, "alpha": True, "sample_weight": True, "keep": True},
    ],
}


Formulated = tuple[Formula, tuple[Any, ...], dict[str, Any]]


def formulated(
    formula: Formula, options: dict[str, Any], shape: tuple[int, int], dtype: str
) -> Formulated:
    """Arrays for a formula: those that are named in the options, and what else it needs."""
    r, n = rng("formulas"), shape[1]
    mask = np.arange(n) % 4 != 0
    examples = (shape[0],) if formula.reduces == "axis" else shape
    given: dict[str, Any] = {
        "x": r.normal(size=shape),
        "logits": r.normal(size=shape),
        "labels": r.random(shape) * (mask if "class_mask" in options else 1),
        "class_weight": r.random(n),
        "alpha": r.random(n),
        "sample_weight": r.random(examples),
    }
    arrays: dict[str, Any] = {k: x.astype(dtype) for k, x in given.items()}
    arrays["class_mask"] = mask
    arrays["keep"] = r.random((shape[0], 1) if formula.reduces == "axis" else shape) < 0.7
    wanted = {"x", "logits", "labels", *options}
    numbers = {k: v for k, v in options.items() if k not in arrays}
    if formula is not sigmoid.focal:
        numbers["axis"] = -1
    if formula in (softmax.focal_dense, sigmoid.focal):
        numbers["gamma"] = 1.5
    given_ones = tuple(arrays[k] if k in wanted else None for k in formula.roles)
    return formula, given_ones, {"dtype": dtype, **numbers}


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (2, 3000)])
@pytest.mark.parametrize(
    ("formula", "options"), [(f, options) for f, each in OPTIONS.items() for options in each]
)
def test_the_formulas_say_the_same(
    formula: Formula, options: dict[str, Any], shape: tuple[int, int]
) -> None:
    """With all their options, also those that no public loss has."""
    xp, r = xentropy.backend_of(np.empty(0)).xp, rng("cotangents")
    call = formulated(formula, options, shape, "float64")
    arrays = call[1]
    found, state = calls.losses(*call, saving=True, upstream=None)
    assert state is not None
    cotangent, wrt = r.normal(size=found.shape), (True, *(False for _ in arrays[1:]))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found, value(xp, *call), rtol=2e-14)
        want = vjp(xp, *call, wrt, cotangent)[0]
    np.testing.assert_allclose(calls.gradient(state, cotangent), want, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("factor", [1.0, 0.25, 3.0])
@pytest.mark.parametrize("formula", [softmax.kl_divergence, softmax.logsumexp, sigmoid.focal])
def test_a_cotangent_that_was_not_expected(formula: Formula, factor: float) -> None:
    """The gradient comes with the value, for 1; it serves where it has all digits."""
    call = formulated(formula, OPTIONS[formula][-1], (6, 1025), "float32")
    found, state = calls.losses(*call, saving=True, upstream=1.0)
    _, other = calls.losses(*call, saving=True, upstream=None)
    assert state is not None
    assert other is not None
    cotangent = np.full(found.shape, factor, np.float32)
    want = calls.gradient(other, cotangent)
    np.testing.assert_allclose(calls.gradient(state, cotangent), want, rtol=3e-7)
    again = calls.gradient(state, cotangent)  # it is taken once
    np.testing.assert_array_equal(again, want)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("n", LENGTHS)
def test_entropies(n: int, dtype: str) -> None:
    """Of any length, also where classes are as good as impossible."""
    x = narrow(4 * rng(f"entropies {n}").normal(size=(5, n)), dtype)
    x[1, -1] = x[2, 0] = 30
    x[3, n // 2 :] -= 20
    if n > 1:
        x[4, 0] = -np.inf
    compute = "float64" if dtype == "float64" else "float32"
    options = {"axis": -1, "dtype": compute}
    value, state = calls.losses(softmax.entropy, (x, None), options, saving=True, upstream=None)
    assert state is not None
    slope = calls.gradient(state, np.ones(5))
    wide = np.where(np.isinf(x), -1e4, x).astype(compute)
    want, tiny = entropy(wide), np.finfo(compute).tiny
    assert_within(value, want.value, np.maximum(want.value_scale, tiny), compare.VALUE)
    scale = np.maximum(want.slope_scale, np.finfo(np.float16 if x.itemsize == 2 else compute).tiny)
    assert_within(slope.astype(np.longdouble), want.slope, scale, compare.GRADIENT, dtype)
